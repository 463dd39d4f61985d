//go:build !unix

package process

// terminal is the controlling terminal of this process, which is not known here.
type terminal struct{}

// openTerminal returns nil.
func openTerminal() *terminal { return nil }

// gone returns false.
func (t *terminal) gone() bool { return false }
