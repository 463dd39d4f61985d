// Package clip shortens what an error quotes of untrusted input.
package clip

// most is how much of a text is quoted, in bytes.
const most = 64

// String returns s or, if it is longer than 64 bytes, its beginning and an
// ellipsis.
func String(s string) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
