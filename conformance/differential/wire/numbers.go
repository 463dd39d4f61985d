package wire

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/swtpmd/swtpmd/conformance"
)

// U16 returns an integer in two bytes, big-endian.
func U16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

// U32 returns an integer in four bytes, big-endian.
func U32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// Number reads a big-endian integer of up to four bytes.
func Number(b []byte) uint32 {
	var n uint32
	for _, v := range b {
		n = n<<8 | uint32(v)
	}
	return n
}

// Sized returns the bytes as a TPM2B.
func Sized(b []byte) []byte { return conformance.AppendSized(nil, b) }

// Hex writes bytes in hexadecimal, and no bytes as "-", so that every field of a line
// is there.
func Hex(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return hex.EncodeToString(b)
}
