package crypt

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// maxKDFBits bounds what one call of KDFa or KDFe gives; the TPM never asks for
// more than a derived key of 8,192 bits or an obfuscated parameter.
const maxKDFBits = 1 << 18

// label0 gives label with the octet of zero that ends it in KDFa and KDFe. A
// label that the caller has ended already, as derivation labels may be, gets no
// second one.
func label0(buf []byte, label string) []byte {
	buf = append(buf, label...)
	if len(label) == 0 || label[len(label)-1] != 0 {
		buf = append(buf, 0)
	}
	return buf
}

// maskBits clears the bits of the first octet that a value of the given number
// of bits does not have.
func maskBits(b []byte, bits int) []byte {
	if r := bits % 8; r != 0 {
		b[0] &= 1<<r - 1
	}
	return b
}

// KDFa derives bits from key with HMAC in counter mode (NIST SP 800-108; Part
// 1, section "KDFa()"). The label is counted with one octet of zero at its end,
// which is added unless it is there. If bits is no multiple of eight, the first
// octet has zeros in front. An algorithm that is no supported hash and a size
// out of 1…2^18 bits give nil.
func KDFa(alg wire.AlgID, key []byte, label string, contextU, contextV []byte, bits int) []byte {
	if HashSize(alg) == 0 || bits <= 0 || bits > maxKDFBits {
		return nil
	}
	n := (bits + 7) / 8
	out := make([]byte, 0, n+HashSize(alg)-1)
	for i := uint32(1); len(out) < n; i++ {
		out = kdfaBlock(alg, out, key, label, contextU, contextV, i, uint32(bits))
	}
	return maskBits(out[:n:n], bits)
}

// kdfaBlock appends what one iteration of KDFa gives.
func kdfaBlock(alg wire.AlgID, dst, key []byte, label string, contextU, contextV []byte, counter, bits uint32) []byte {
	var head [4 + 64]byte
	var tail [4]byte
	binary.BigEndian.PutUint32(head[:], counter)
	binary.BigEndian.PutUint32(tail[:], bits)
	return AppendHMAC(alg, dst, key, label0(head[:4], label), contextU, contextV, tail[:])
}

// KDFe derives bits from the shared secret z of a key exchange, an x coordinate
// as long as the field of the curve (NIST SP 800-56A; Part 1, section "KDFe for
// ECDH"). The label, bits and failures are as for KDFa.
func KDFe(alg wire.AlgID, z []byte, label string, partyU, partyV []byte, bits int) []byte {
	if HashSize(alg) == 0 || bits <= 0 || bits > maxKDFBits {
		return nil
	}
	n := (bits + 7) / 8
	out := make([]byte, 0, n+HashSize(alg)-1)
	var short [512]byte
	in := append(append(short[:4], z...), label0(nil, label)...)
	in = append(append(in, partyU...), partyV...)
	for i := uint32(1); len(out) < n; i++ {
		binary.BigEndian.PutUint32(in, i)
		out = Digest(alg, out, in)
	}
	return maskBits(out[:n:n], bits)
}

// XORObfuscation applies the XOR obfuscation of Part 1, section "XOR
// Obfuscation", to data in place: with a mask from KDFa under the label "XOR".
// It is its own inverse. An algorithm that is no supported hash leaves data as
// it is.
func XORObfuscation(alg wire.AlgID, key, contextU, contextV, data []byte) {
	size := HashSize(alg)
	if size == 0 {
		return
	}
	var mask [wire.MaxDigest]byte
	bits := uint32(len(data)) * 8
	for i := uint32(1); len(data) > 0; i++ {
		kdfaBlock(alg, mask[:0], key, "XOR", contextU, contextV, i, bits)
		data = data[subtle.XORBytes(data, data, mask[:size]):]
	}
}

// MGF1 combines mask with the output of the mask generation function MGF1 for
// seed (RFC 8017, appendix B.2.1) by exclusive or, in place. An algorithm that
// is no supported hash leaves mask as it is.
func MGF1(alg wire.AlgID, mask, seed []byte) {
	size := HashSize(alg)
	if size == 0 {
		return
	}
	var digest [wire.MaxDigest]byte
	var short [512 + 4]byte
	in := append(append(short[:0], seed...), 0, 0, 0, 0)
	for i := uint32(0); len(mask) > 0; i++ {
		binary.BigEndian.PutUint32(in[len(seed):], i)
		Digest(alg, digest[:0], in)
		mask = mask[subtle.XORBytes(mask, mask, digest[:size]):]
	}
}
