//go:build unix && !linux

package transport

import "os"

// rename gives a file another name, and fails with fs.ErrExist if something has
// it: link(2) replaces nothing. The old name goes with its directory.
func rename(from, to string) error { return os.Link(from, to) }
