package crypt

import (
	"crypto/sha3"

	"github.com/swtpmd/swtpmd/emulator/crypt/internal/keccak"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// mldsaTries bounds the attempts at one signature, which takes 4 to 5 of them on
// average. FIPS 204, appendix C, allows no smaller bound; a signature reaches it with a
// chance of less than 2^-256.
const mldsaTries = 814

// mldsaRandom is the size in bytes of what hedges a signature, rnd of FIPS 204.
const mldsaRandom = 32

// mldsaAttempt holds what the attempts at one signature work on.
type mldsaAttempt struct {
	*MLDSAKey
	x       *sha3.SHAKE
	mu      []byte
	masks   maskSource
	y, z    []dsaPoly // the mask, also in the NTT domain
	w1, w0  []dsaPoly // the commitment, rounded, and what rounding dropped
	c       dsaPoly   // the challenge in the NTT domain
	hash    []byte    // what c is drawn from
	hints   dsaHints
	rounded []byte
}

// SignMu signs µ, which [MLDSAMu] computes, or which the caller of the TPM has computed
// (FIPS 204, algorithm 7 from its line 7 on). random are 32 bytes: equal ones give equal
// signatures, and zeros give the deterministic variant. The time depends on how many
// attempts are rejected and how far they get, which tells nothing about the key, and on
// nothing else that is secret. It refuses other sizes of µ and random with TPM_RC_SIZE,
// and with TPM_RC_NO_RESULT a µ for which 814 attempts give no signature.
func (k *MLDSAKey) SignMu(mu, random []byte) ([]byte, error) {
	const op = "ML-DSA signature"
	if len(mu) != wire.MLDSAMu || len(random) != mldsaRandom {
		return nil, refuse(op, wire.RCSize, "µ of %d and random of %d bytes where they have %d and %d", len(mu), len(random), wire.MLDSAMu, mldsaRandom)
	}
	a := &mldsaAttempt{MLDSAKey: k, x: sha3.NewSHAKE256(), mu: mu, hash: make([]byte, k.p.challenge), rounded: make([]byte, 0, k.p.roundedSize())}
	polys := make([]dsaPoly, 2*k.p.l+2*k.p.k)
	for _, v := range [...]struct {
		to *[]dsaPoly
		n  int
	}{{&a.y, k.p.l}, {&a.z, k.p.l}, {&a.w1, k.p.k}, {&a.w0, k.p.k}} {
		*v.to, polys = polys[:v.n:v.n], polys[v.n:]
	}
	var places [80]byte
	shakeInto(a.x, k.secret[:], random, mu)
	a.masks = maskSource{x: a.x, bits: k.p.gamma1Bits + 1}
	a.x.Read(a.masks.seed[:])
	for range mldsaTries {
		a.commit()
		if a.respond() && a.hint(places[:0]) {
			return a.encode(), nil
		}
	}
	return nil, refuse(op, wire.RCNoResult, "no attempt out of %d gives a signature", mldsaTries)
}

// A maskSource draws the masks of a signature one after the other: four at a time where
// package keccak has code for it.
type maskSource struct {
	x      *sha3.SHAKE
	seed   [64]byte // ρ'' of FIPS 204
	bits   uint
	nonce  uint16 // of the next mask
	four   keccak.Four
	blocks [4][maskBlocks * shake256Block]byte
}

// maskBlocks is how many blocks the masks of 18 and of 20 bits take.
const maskBlocks = (dsaN*20/8 + shake256Block - 1) / shake256Block

func (m *maskSource) draw(p *dsaPoly) {
	if !keccak.Available {
		p.drawMask(m.x, m.seed[:], m.nonce, m.bits)
		m.nonce++
		return
	}
	i := m.nonce % 4
	if i == 0 {
		m.drawFour()
	}
	p.unpackBelow((*dsaPacked)(m.blocks[i][:]), 1<<(m.bits-1), m.bits)
	m.nonce++
}

func (m *maskSource) drawFour() {
	var ends [4][2]byte
	for i := range ends {
		nonce := m.nonce + uint16(i)
		ends[i] = [2]byte{byte(nonce), byte(nonce >> 8)}
	}
	m.four.Start(keccak.Rate256, m.seed[:], &ends)
	for n := range maskBlocks {
		m.four.Next()
		for i := range m.blocks {
			m.four.Block(m.blocks[i][n*shake256Block:], i)
		}
	}
}

// commit draws masks and the challenge for them.
func (a *mldsaAttempt) commit() {
	p := a.p
	for i := range a.y {
		a.masks.draw(&a.y[i])
		a.z[i] = a.y[i]
		a.z[i].ntt()
	}
	a.rounded = a.rounded[:0]
	for i := range a.w0 {
		w := &a.w0[i]
		w.dot(a.row(i), a.z)
		w.inverseNTT()
		w.canonical()
		w.round(&a.w1[i], p.gamma2)
		a.rounded = a.w1[i].pack(a.rounded, p.roundBits)
	}
	shakeInto(a.x, a.mu, a.rounded)
	a.x.Read(a.hash)
	a.c.drawChallenge(a.x, a.hash, p.tau)
	a.c.ntt()
}

// times sets p to the product of the challenge and a polynomial of the key.
func (a *mldsaAttempt) times(p, of *dsaPoly) {
	p.multiply(&a.c, of)
	p.inverseNTT()
	p.reduce()
}

// respond takes the private key's part off w0 and sets z to the answer to the challenge. It reports whether neither tells anything about the key.
func (a *mldsaAttempt) respond() bool {
	p := a.p
	for i := range a.w0 { // which rejects more often than z
		var t dsaPoly
		a.times(&t, &a.s2[i])
		a.w0[i].subtract(&t)
		if !a.w0[i].within(p.gamma2 - p.beta()) {
			return false
		}
	}
	for i := range a.z {
		z := &a.z[i]
		a.times(z, &a.s1[i])
		z.add(&a.y[i])
		if !z.within(p.gamma1() - p.beta()) {
			return false
		}
	}
	return true
}

// hint finds out where rounding goes another way without t0, which no verifier has,
// and keeps the places in buf. It reports whether a signature has room for them.
func (a *mldsaAttempt) hint(buf []byte) bool {
	gamma2 := a.p.gamma2
	for i := range a.w0 {
		var t dsaPoly
		a.times(&t, &a.t0[i])
		if !t.within(gamma2) {
			return false
		}
		start := len(buf)
		t.add(&a.w0[i])
		for j, low := range t {
			// MakeHint of FIPS 204, algorithm 39: low belongs to another high
			// part than w1, of which 0 alone includes -gamma2.
			if low > gamma2 || low < -gamma2 || low == -gamma2 && a.w1[i][j] != 0 {
				if len(buf) == a.p.omega {
					return false
				}
				buf = append(buf, byte(j))
			}
		}
		a.hints[i] = buf[start:len(buf):len(buf)]
	}
	return true
}

// encode is sigEncode of FIPS 204, algorithm 26.
func (a *mldsaAttempt) encode() []byte {
	p := a.p
	signature := append(make([]byte, 0, p.set.SignatureSize()), a.hash...)
	for i := range a.z {
		signature = a.z[i].packBelow(signature, p.gamma1(), p.gamma1Bits+1)
	}
	return a.hints.encode(signature, p.k, p.omega)
}
