//go:build !amd64 || purego

package ring

// Available is false: package crypt computes in Go.
const Available = false

const missing = "internal error: package ring has no code for this processor"

func NTT(*Poly)                { panic(missing) }
func InverseNTT(*Poly)         { panic(missing) }
func Dot(_, _, _ *Poly, _ int) { panic(missing) }
func Add(_, _ *Poly)           { panic(missing) }
func Subtract(_, _ *Poly)      { panic(missing) }
func Reduce(*Poly)             { panic(missing) }
func Canonical(*Poly)          { panic(missing) }
func Round44(_, _ *Poly)       { panic(missing) }
func Round65(_, _ *Poly)       { panic(missing) }
func Within(*Poly, int32) bool { panic(missing) }
