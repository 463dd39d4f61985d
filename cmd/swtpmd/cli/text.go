package cli

import (
	"encoding/hex"
	"fmt"
)

// Plural returns a number with what it counts.
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// ParseHex decodes hex digits, with 0x before them or not.
func ParseHex(digits string) ([]byte, error) {
	if len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits = digits[2:]
	}
	return hex.DecodeString(digits)
}
