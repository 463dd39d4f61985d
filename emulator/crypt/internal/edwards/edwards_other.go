//go:build !amd64 || purego

package edwards

// Available is false: package crypt computes with filippo.io/edwards25519.
const Available = false

// MultiplyBase must not be called.
func MultiplyBase(*[Size]byte) [Size]byte {
	panic("internal error: package edwards has no code for this processor")
}
