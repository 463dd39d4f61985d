package wire

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/swtpmd/swtpmd/conformance"
)

func U16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

func U32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// Number reads up to four bytes, big-endian.
func Number(b []byte) uint32 {
	var n uint32
	for _, v := range b {
		n = n<<8 | uint32(v)
	}
	return n
}

// Sized is the bytes as a TPM2B.
func Sized(b []byte) []byte { return conformance.AppendSized(nil, b) }

// Hex writes no bytes as "-", so that fields keep their places.
func Hex(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return hex.EncodeToString(b)
}
