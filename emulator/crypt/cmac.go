package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// CMACState is a CMAC in progress (NIST SP 800-38B; TPM_ALG_CMAC of
// TPM2_MAC). Its state can be saved and restored. It holds the key.
type CMACState struct {
	alg   wire.AlgID
	key   []byte
	block cipher.Block
	chain [aes.BlockSize]byte // last block encrypted, combined with n bytes of the next
	n     int
}

// NewCMAC starts a CMAC with a block cipher, as NewBlockCipher makes it.
func NewCMAC(alg wire.AlgID, key []byte) (*CMACState, error) {
	block, err := NewBlockCipher(alg, key)
	if err != nil {
		return nil, err
	}
	return &CMACState{alg: alg, key: append([]byte(nil), key...), block: block}, nil
}

// Alg is the cipher in use.
func (m *CMACState) Alg() wire.AlgID { return m.alg }

// KeyBits is the size of the key in bits.
func (m *CMACState) KeyBits() uint16 { return uint16(8 * len(m.key)) }

// Size is the size of the result in bytes: a block of the cipher.
func (m *CMACState) Size() int { return m.block.BlockSize() }

// Reset starts again with the same key.
func (m *CMACState) Reset() { m.chain, m.n = [aes.BlockSize]byte{}, 0 }

// Write adds to the message. It never fails.
func (m *CMACState) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if m.n == len(m.chain) {
			m.block.Encrypt(m.chain[:], m.chain[:])
			m.n = 0
		}
		c := subtle.XORBytes(m.chain[m.n:], m.chain[m.n:], p)
		m.n += c
		p = p[c:]
	}
	return written, nil
}

// Finish appends the CMAC of what was written to dst. Only Reset may follow.
func (m *CMACState) Finish(dst []byte) []byte {
	subkey := make([]byte, len(m.chain))
	m.block.Encrypt(subkey, subkey)
	double(subkey)
	if m.n < len(m.chain) {
		m.chain[m.n] ^= 0x80
		double(subkey)
	}
	subtle.XORBytes(m.chain[:], m.chain[:], subkey)
	m.block.Encrypt(m.chain[:], m.chain[:])
	return append(dst, m.chain[:]...)
}

// double multiplies by x in the field of 2^128 elements (SP 800-38B, section
// 6.1: how a subkey is generated).
func double(b []byte) {
	carry := byte(0)
	for i := len(b) - 1; i >= 0; i-- {
		b[i], carry = b[i]<<1|carry, b[i]>>7
	}
	b[len(b)-1] ^= 0x87 * carry
}

// MarshalBinary gives the state, the key included: the algorithm in two bytes,
// big-endian, the size of the key in one, the key, the number of bytes in the
// block in one, the block. The error is always nil.
func (m *CMACState) MarshalBinary() ([]byte, error) {
	b := binary.BigEndian.AppendUint16(nil, uint16(m.alg))
	b = append(b, byte(len(m.key)))
	b = append(b, m.key...)
	b = append(b, byte(m.n))
	return append(b, m.chain[:]...), nil
}

// UnmarshalCMAC makes a CMAC from what MarshalBinary gave. It refuses anything
// else with an *Error or, for the algorithm, an *UnsupportedError.
func UnmarshalCMAC(b []byte) (*CMACState, error) {
	const op = "CMAC state"
	if len(b) < 3 || len(b) != 3+int(b[2])+1+aes.BlockSize {
		return nil, refuse(op, wire.RCSize, "%d bytes are no state", len(b))
	}
	key, rest := b[3:3+b[2]], b[3+b[2]:]
	if rest[0] > aes.BlockSize {
		return nil, refuse(op, wire.RCValue, "%d bytes in a block of %d", rest[0], aes.BlockSize)
	}
	m, err := NewCMAC(wire.AlgID(binary.BigEndian.Uint16(b)), key)
	if err != nil {
		return nil, err
	}
	m.n = int(rest[0])
	copy(m.chain[:], rest[1:])
	return m, nil
}
