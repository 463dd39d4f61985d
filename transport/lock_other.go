//go:build !unix || aix

package transport

import "context"

// lockDirectory does nothing here.
func lockDirectory(context.Context, string) (unlock func()) { return func() {} }
