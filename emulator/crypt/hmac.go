package crypt

import (
	"encoding/binary"
	"hash"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// maxBlock is the largest input block of a supported hash (SHA3-256, SHAKE256), in bytes.
const maxBlock = 136

// The bytes that HMAC combines with its key (RFC 2104, section 2).
const (
	innerPad = 0x36
	outerPad = 0x5C
)

// BlockSize gives the size in bytes of the input block of a supported hash,
// else 0.
func BlockSize(alg wire.AlgID) int {
	switch alg {
	case wire.AlgSHA1, wire.AlgSHA256:
		return 64
	case wire.AlgSHA384, wire.AlgSHA512:
		return 128
	case wire.AlgSHA3_256, wire.AlgSHAKE256_192, wire.AlgSHAKE256_256, wire.AlgSHAKE256_512:
		return 136
	case wire.AlgSHA3_384:
		return 104
	case wire.AlgSHA3_512:
		return 72
	}
	return 0
}

// keyBlock fills block with key as HMAC uses it: hashed if it is longer than a
// block, then padded with zeros.
func keyBlock(alg wire.AlgID, block, key []byte) {
	clear(block)
	if len(key) > len(block) {
		Digest(alg, block[:0], key)
		return
	}
	copy(block, key)
}

// xorPad goes by eight bytes, of which all blocks are multiples.
func xorPad(block []byte, pad byte) {
	pads := uint64(pad) * 0x0101_0101_0101_0101
	for ; len(block) > 0; block = block[8:] {
		binary.LittleEndian.PutUint64(block, binary.LittleEndian.Uint64(block)^pads)
	}
}

// AppendHMAC appends HMAC(key, parts…) with a supported hash (Part 1, section
// "HMAC") to dst. It allocates nothing if dst has room and the parts have no
// more than 512 bytes together. For an algorithm that is no supported hash it
// returns dst as it is.
func AppendHMAC(alg wire.AlgID, dst, key []byte, parts ...[]byte) []byte {
	size := BlockSize(alg)
	if size == 0 {
		return dst
	}
	var short [maxBlock + 512]byte
	inner := short[:size]
	keyBlock(alg, inner, key)
	var outer [maxBlock + wire.MaxDigest]byte
	copy(outer[:size], inner)
	xorPad(inner, innerPad)
	xorPad(outer[:size], outerPad)
	for _, p := range parts {
		inner = append(inner, p...)
	}
	return Digest(alg, dst, Digest(alg, outer[:size], inner))
}

// HMACState is an HMAC in progress. Unlike crypto/hmac's, its state can be
// saved and restored, so that an HMAC sequence survives TPM2_ContextSave and a
// snapshot. It holds the key.
type HMACState struct {
	alg  wire.AlgID
	size int
	key  [maxBlock]byte // as keyBlock makes it
	hash hash.Hash      // inner hash, to which the inner key was given first
}

// NewHMAC starts an HMAC; nil for an algorithm that is no supported hash.
func NewHMAC(alg wire.AlgID, key []byte) *HMACState {
	h := NewHash(alg)
	if h == nil {
		return nil
	}
	m := &HMACState{alg: alg, size: h.BlockSize(), hash: h}
	keyBlock(alg, m.key[:m.size], key)
	m.Reset()
	return m
}

// Alg is the hash in use.
func (m *HMACState) Alg() wire.AlgID { return m.alg }

// Reset starts again with the same key.
func (m *HMACState) Reset() {
	m.hash.Reset()
	m.writeKey(innerPad)
}

// writeKey leaves m.key as it was: the copy would escape to the heap.
func (m *HMACState) writeKey(pad byte) {
	xorPad(m.key[:m.size], pad)
	m.hash.Write(m.key[:m.size])
	xorPad(m.key[:m.size], pad)
}

// Write adds to the message. It never fails.
func (m *HMACState) Write(p []byte) (int, error) { return m.hash.Write(p) }

// Finish appends the HMAC of what was written to dst. Only Reset may follow.
func (m *HMACState) Finish(dst []byte) []byte {
	inner := m.hash.Sum(make([]byte, 0, wire.MaxDigest))
	m.hash.Reset()
	m.writeKey(outerPad)
	m.hash.Write(inner)
	return m.hash.Sum(dst)
}

// MarshalBinary gives the state, the key included: the algorithm in two bytes,
// big-endian, the key padded to a block of the hash, the state of MarshalHash.
// The error is always nil.
func (m *HMACState) MarshalBinary() ([]byte, error) {
	b := binary.BigEndian.AppendUint16(nil, uint16(m.alg))
	b = append(b, m.key[:m.size]...)
	return append(b, MarshalHash(m.hash)...), nil
}

// UnmarshalHMAC makes an HMAC from what MarshalBinary gave. It refuses anything
// else with a *HashStateError.
func UnmarshalHMAC(b []byte) (*HMACState, error) {
	if len(b) < 2 {
		return nil, &HashStateError{Err: refuse("HMAC state", wire.RCSize, "%d bytes name no algorithm", len(b))}
	}
	m := &HMACState{alg: wire.AlgID(binary.BigEndian.Uint16(b))}
	m.size = BlockSize(m.alg)
	b = b[2:]
	if len(b) < m.size {
		return nil, &HashStateError{Alg: m.alg, Err: refuse("HMAC state", wire.RCSize, "%d bytes hold no key of %d", len(b), m.size)}
	}
	copy(m.key[:], b[:m.size])
	h, err := UnmarshalHash(m.alg, b[m.size:])
	if err != nil {
		return nil, err
	}
	m.hash = h
	return m, nil
}
