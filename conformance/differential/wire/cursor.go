package wire

import (
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"
)

// Cursor reads a structure, big-endian. Once it has run out of bytes it returns
// zeros, and Bad stays set.
type Cursor struct {
	Rest []byte
	Bad  bool
}

// Take reads n bytes. Without them it sets Bad and returns up to 8 zeros.
func (c *Cursor) Take(n int) []byte {
	if c.Bad || n > len(c.Rest) {
		c.Bad, c.Rest = true, nil
		return make([]byte, min(n, 8))
	}
	taken := c.Rest[:n:n]
	c.Rest = c.Rest[n:]
	return taken
}

// U8 reads one byte.
func (c *Cursor) U8() byte { return c.Take(1)[0] }

// U16 reads an integer of two bytes.
func (c *Cursor) U16() uint16 { return binary.BigEndian.Uint16(c.Take(2)) }

// U32 reads an integer of four bytes.
func (c *Cursor) U32() uint32 { return binary.BigEndian.Uint32(c.Take(4)) }

// U64 reads an integer of eight bytes.
func (c *Cursor) U64() uint64 { return binary.BigEndian.Uint64(c.Take(8)) }

// Alg reads a TPM_ALG_ID.
func (c *Cursor) Alg() tpm2.TPMAlgID { return tpm2.TPMAlgID(c.U16()) }

// Sized reads a TPM2B, without its size.
func (c *Cursor) Sized() []byte {
	n := int(c.U16())
	if c.Bad {
		return nil
	}
	return c.Take(n)
}

// Done reports whether all fields were there and no bytes are left.
func (c *Cursor) Done() bool { return !c.Bad && len(c.Rest) == 0 }
