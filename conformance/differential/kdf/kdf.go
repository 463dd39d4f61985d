// Package kdf has the key derivation functions of the TPM 2.0 Library and the modes that
// encrypt with what they derive.
package kdf

import (
	"bytes"
	"crypto"
	"crypto/cipher"
	"crypto/hmac"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// A is KDFa (TPM 2.0 Library Part 1, section "KDFa()"): bits of key
// material, in whole bytes.
func A(hash crypto.Hash, key []byte, label string, contextU, contextV []byte, bits int) []byte {
	var out []byte
	mac := hmac.New(hash.New, key)
	for i := uint32(1); len(out) < (bits+7)/8; i++ {
		mac.Reset()
		mac.Write(wire.U32(i))
		mac.Write([]byte(label))
		mac.Write([]byte{0})
		mac.Write(contextU)
		mac.Write(contextV)
		mac.Write(wire.U32(uint32(bits)))
		out = mac.Sum(out)
	}
	return out[:(bits+7)/8]
}

// E is KDFe (TPM 2.0 Library Part 1, section "KDFe for ECDH"), for whole
// bytes.
func E(hash crypto.Hash, z []byte, label string, partyU, partyV []byte, bits int) []byte {
	var out []byte
	h := hash.New()
	for i := uint32(1); len(out) < bits/8; i++ {
		h.Reset()
		h.Write(wire.U32(i))
		h.Write(z)
		h.Write([]byte(label))
		h.Write([]byte{0})
		h.Write(partyU)
		h.Write(partyV)
		out = h.Sum(out)
	}
	return out[:bits/8]
}

// XOR is XOR parameter obfuscation, which is its own inverse (TPM 2.0
// Library Part 1, section "XOR Parameter Obfuscation").
func XOR(hash crypto.Hash, key, nonceNewer, nonceOlder, data []byte) {
	mask := A(hash, key, "XOR", nonceNewer, nonceOlder, len(data)*8)
	for i := range data {
		data[i] ^= mask[i]
	}
}

// CFB encrypts or decrypts data in place by CFB with full blocks.
func CFB(block cipher.Block, iv, data []byte, decrypt bool) {
	register, mask := bytes.Clone(iv), make([]byte, len(iv))
	for len(data) > 0 {
		block.Encrypt(mask, register)
		n := min(len(mask), len(data))
		if decrypt {
			copy(register, data[:n])
		}
		for i := range n {
			data[i] ^= mask[i]
		}
		if !decrypt {
			copy(register, data[:n])
		}
		data = data[n:]
	}
}
