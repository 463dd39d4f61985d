//go:build !amd64 || purego

package keccak

// Available is false: there is no code for this processor.
const Available = false

func (f *Four) permute() { panic("internal error: package keccak has no code for this processor") }
