package emulator

import (
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Ephemeral EC Keys".

// ecEphemeral is TPM2_EC_Ephemeral.
func (t *TPM) ecEphemeral(c *call) wire.RC {
	curve := crypt.CurveOf(c.next().Curve())
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if curve == nil {
		return c.badParam(1, wire.RCCurve) // 25519 or 448, of which no exchange has two phases
	}
	r, ok := t.commitNumberOf(curve, nil, t.s.Reset.CommitCounter)
	if !ok {
		return wire.RCNoResult
	}
	if rc := t.changeOrderly(); rc != wire.RCSuccess {
		return rc
	}
	c.point(curve, curve.BaseMult(r))
	c.out.U16(t.takeCommitment())
	return wire.RCSuccess
}

// ecCommit is TPM2_Commit.
func (t *TPM) ecCommit(c *call) wire.RC {
	var p1 wire.ECPoint
	c.next().SizedPoint(&p1)
	s2 := c.sized(wire.MaxSymData)
	y2 := c.sized(wire.MaxECCKey)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	switch {
	case !o.hasPoints():
		return c.badHandle(1, wire.RCKey)
	case !anonymous(o.public.Parms.Scheme.Alg):
		return c.badHandle(1, wire.RCScheme)
	case (len(s2) == 0) != (len(y2) == 0):
		return c.badParam(3, wire.RCSize)
	}
	if len(s2) != 0 && o.public.NameAlg == wire.AlgNull {
		return c.badHandle(1, wire.RCHash)
	}
	curve := o.curve()
	r, ok := t.commitNumberOf(curve, o.Name, t.s.Reset.CommitCounter)
	if !ok {
		return wire.RCNoResult
	}
	var m, b crypt.Point
	var err error
	if len(s2) != 0 {
		x2 := new(big.Int).SetBytes(crypt.Digest(o.public.NameAlg, nil, s2))
		x2.Mod(x2, curve.P)
		if b, err = curve.DecodePoint(x2.Bytes(), y2); err != nil {
			return c.badParam(2, wire.RCECCPoint)
		}
	}
	if len(p1.X) != 0 || len(p1.Y) != 0 {
		if m, err = curve.DecodePoint(p1.X, p1.Y); err != nil {
			return c.badParam(1, wire.RCECCPoint)
		}
	}
	k, l, e, err := curve.Commit(o.scalar(), r, m, b)
	if err != nil {
		return rcOf(err)
	}
	if rc := t.changeOrderly(); rc != wire.RCSuccess {
		return rc
	}
	c.point(curve, k)
	c.point(curve, l)
	c.point(curve, e)
	c.out.U16(t.takeCommitment())
	return wire.RCSuccess
}
