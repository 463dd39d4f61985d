//go:build !unix

package process

import "errors"

var errNoIdentity = errors.New("not offered on this system")

// Enter returns an error.
func Enter(string) error { return errNoIdentity }

// Is returns false.
func (id *Identity) Is() bool { return false }

// Become returns an error.
func (id *Identity) Become() error { return errNoIdentity }
