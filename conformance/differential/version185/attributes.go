package version185

import (
	"context"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// variants are templates of all styles with all parameter sets, hashes and curves.
func (s source) variants() []template {
	var all []template
	for of := style(0); of <= lastStyle; of++ {
		p := s.templateOf(of)
		switch of {
		case kemGeneral, kemStorage, mldsaPure, mldsaMu:
			for p.set = 1; p.set <= 3; p.set++ {
				all = append(all, p)
			}
		case hashMLDSA:
			for i, hash := range preHashes {
				p.set, p.scheme.hash = uint16(1+i%3), hash
				all = append(all, p)
			}
		case dhkem:
			for _, curve := range []tpm2.TPMECCCurve{tpm2.TPMECCNistP256, tpm2.TPMECCNistP384, tpm2.TPMECCNistP521, wire.Curve25519, wire.Curve448} {
				p.curve, p.kdf.hash = curve, dhkemHashes[curve]
				all = append(all, p)
			}
		case edDSA, hashEdDSA, montgomery, montgomeryStorage:
			for _, p.curve = range []tpm2.TPMECCCurve{wire.Curve25519, wire.Curve448} {
				all = append(all, p)
			}
		default:
			all = append(all, p)
		}
	}
	return all
}

// Attributes makes keys of all styles, parameter sets, hashes and curves with each of the 32
// attributes flipped, as primary keys, as external ones and as public ones, and uses what
// is accepted in the eight commands. Of all that it does the given share, drawn from the
// seed: 1 is all. The error is as that of [Play].
func Attributes(ctx context.Context, target *conversation.Target, seed uint64, share float64) (Tally, error) {
	t, err := newTalk(ctx, target, seed)
	if err != nil {
		return Tally{}, err
	}
	t.startup()
	for _, p := range t.variants() {
		for bit := range 32 {
			for _, make := range []func(*talk, template){(*talk).primaryOf, (*talk).externalOf, (*talk).publicAreaOf} {
				if t.err != nil {
					return t.tally, t.err
				}
				if !t.chance(share) {
					continue
				}
				flipped := p
				flipped.attributes ^= 1 << bit
				make(t, flipped)
				for _, h := range t.loaded() {
					t.use(h)
				}
				for _, h := range t.loaded() {
					t.flush(h)
				}
			}
		}
	}
	return t.tally, t.err
}

func (t *talk) primaryOf(p template) {
	if p.kind == tpm2.TPMAlgRSA {
		return // which takes long
	}
	p.attributes ^= wire.ObjectOrigin
	t.primary(uint32(pick(t.source, hierarchies...)), p, nil, nil)
}

func (t *talk) externalOf(p template) {
	k := t.known(p)
	k.external = true
	t.external(k, k.sensitive(nil), 0)
}

func (t *talk) publicAreaOf(p template) {
	k := t.known(p)
	k.external, k.publicOnly = true, true
	k.hierarchy = uint32(pick(t.source, hierarchies...))
	t.external(k, nil, 0)
}

// use uses a key in each of the eight commands.
func (t *talk) use(h uint32) {
	t.encapsulate(h)
	t.decapsulateAnything(h)
	t.signDigest(h)
	t.verifyDigest(h)
	t.signMessage(h)
	t.verifyMessage(h)
}
