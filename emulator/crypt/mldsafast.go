package crypt

import "github.com/swtpmd/swtpmd/emulator/crypt/internal/ring"

// Arithmetic in the ring of ML-DSA with the code that there is for the processor. Package
// ring gives the same numbers as the portable functions, which say how large they may be.

func (p *dsaPoly) ntt() {
	if !ring.Available {
		p.nttPortable()
		return
	}
	ring.NTT((*ring.Poly)(p))
}

func (p *dsaPoly) inverseNTT() {
	if !ring.Available {
		p.inverseNTTPortable()
		return
	}
	ring.InverseNTT((*ring.Poly)(p))
}

func (p *dsaPoly) dot(row, vector []dsaPoly) {
	if !ring.Available {
		p.dotPortable(row, vector)
		return
	}
	row = row[:len(vector)]
	ring.Dot((*ring.Poly)(p), (*ring.Poly)(&row[0]), (*ring.Poly)(&vector[0]), len(vector))
}

func (p *dsaPoly) multiply(a, b *dsaPoly) {
	if !ring.Available {
		p.multiplyPortable(a, b)
		return
	}
	ring.Dot((*ring.Poly)(p), (*ring.Poly)(a), (*ring.Poly)(b), 1)
}

func (p *dsaPoly) add(a *dsaPoly) {
	if !ring.Available {
		p.addPortable(a)
		return
	}
	ring.Add((*ring.Poly)(p), (*ring.Poly)(a))
}

func (p *dsaPoly) subtract(a *dsaPoly) {
	if !ring.Available {
		p.subtractPortable(a)
		return
	}
	ring.Subtract((*ring.Poly)(p), (*ring.Poly)(a))
}

func (p *dsaPoly) canonical() {
	if !ring.Available {
		p.canonicalPortable()
		return
	}
	ring.Canonical((*ring.Poly)(p))
}

func (p *dsaPoly) reduce() {
	if !ring.Available {
		p.reducePortable()
		return
	}
	ring.Reduce((*ring.Poly)(p))
}

func (p *dsaPoly) within(bound int32) bool {
	if !ring.Available {
		return p.withinPortable(bound)
	}
	return ring.Within((*ring.Poly)(p), bound)
}

func (p *dsaPoly) round(high *dsaPoly, gamma2 int32) {
	switch {
	case !ring.Available:
		p.roundPortable(high, gamma2)
	case gamma2 == dsaGamma44:
		ring.Round44((*ring.Poly)(high), (*ring.Poly)(p))
	default:
		ring.Round65((*ring.Poly)(high), (*ring.Poly)(p))
	}
}
