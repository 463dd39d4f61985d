package emulator

import (
	"bytes"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Keys of ML-KEM and ML-DSA (version 185; Part 1, annexes "ML-KEM" and "ML-DSA"). Their
// sensitive part is the seed that FIPS 203 and FIPS 204 make the key from; what they
// expand to is neither saved nor sent.

// latticeKeys are the keys in the form in which package crypt takes them, made when they
// are first needed: expanding one takes as long as using it.
type latticeKeys struct {
	mlkem     *crypt.MLKEMKey
	mlkemOpen *crypt.MLKEMPublicKey
	mldsa     *crypt.MLDSAKey
	mldsaOpen *crypt.MLDSAPublicKey
}

// isLattice reports whether objects of a type are keys of ML-KEM or ML-DSA.
func isLattice(alg wire.AlgID) bool { return alg == wire.AlgMLKEM || isMLDSA(alg) }

// isMLDSA reports whether objects of a type are keys of ML-DSA.
func isMLDSA(alg wire.AlgID) bool { return alg == wire.AlgMLDSA || alg == wire.AlgHashMLDSA }

// mlkemPublic is the public part of an ML-KEM key.
func (o *object) mlkemPublic() (*crypt.MLKEMPublicKey, wire.RC) {
	switch {
	case o.lattice.mlkem != nil:
		return &o.lattice.mlkem.MLKEMPublicKey, wire.RCSuccess
	case o.lattice.mlkemOpen == nil:
		k, err := crypt.NewMLKEMPublicKey(o.public.Parms.MLKEM, o.public.Unique)
		if err != nil {
			return nil, rcOf(err)
		}
		o.lattice.mlkemOpen = k
	}
	return o.lattice.mlkemOpen, wire.RCSuccess
}

// mlkemKey is an ML-KEM key with both parts.
func (o *object) mlkemKey() (*crypt.MLKEMKey, wire.RC) {
	if o.lattice.mlkem == nil {
		k, err := crypt.NewMLKEMKey(o.public.Parms.MLKEM, o.sensitive.Data)
		if err != nil {
			return nil, rcOf(err)
		}
		o.lattice.mlkem, o.lattice.mlkemOpen = k, nil
	}
	return o.lattice.mlkem, wire.RCSuccess
}

// mldsaPublic is the public part of an ML-DSA key.
func (o *object) mldsaPublic() (*crypt.MLDSAPublicKey, wire.RC) {
	switch {
	case o.lattice.mldsa != nil:
		return &o.lattice.mldsa.MLDSAPublicKey, wire.RCSuccess
	case o.lattice.mldsaOpen == nil:
		k, err := crypt.NewMLDSAPublicKey(o.public.Parms.MLDSA, o.public.Unique)
		if err != nil {
			return nil, rcOf(err)
		}
		o.lattice.mldsaOpen = k
	}
	return o.lattice.mldsaOpen, wire.RCSuccess
}

// mldsaKey is an ML-DSA key with both parts.
func (o *object) mldsaKey() (*crypt.MLDSAKey, wire.RC) {
	if o.lattice.mldsa == nil {
		k, err := crypt.NewMLDSAKey(o.public.Parms.MLDSA, o.sensitive.Data)
		if err != nil {
			return nil, rcOf(err)
		}
		o.lattice.mldsa, o.lattice.mldsaOpen = k, nil
	}
	return o.lattice.mldsa, wire.RCSuccess
}

// known is the public part of an ML-DSA key if it is expanded already, else nil.
func (k *latticeKeys) known() *crypt.MLDSAPublicKey {
	if k.mldsa != nil {
		return &k.mldsa.MLDSAPublicKey
	}
	return k.mldsaOpen
}

// newMu starts µ of a message with an ML-DSA key, or of a digest with a HashML-DSA key. The
// code it fails with is bare.
func (o *object) newMu(context []byte) (mu *crypt.MLDSAMu, rc wire.RC) {
	p, k := &o.public, o.lattice.known()
	var err error
	switch hashed := p.Parms.Type == wire.AlgHashMLDSA; {
	case hashed && k != nil:
		mu, err = k.NewHashMu(context, p.Parms.Hash)
	case hashed:
		mu, err = crypt.NewHashMLDSAMu(p.Unique, context, p.Parms.Hash)
	case k != nil:
		mu, err = k.NewMu(context)
	default:
		mu, err = crypt.NewMLDSAMu(p.Unique, context)
	}
	if err != nil {
		return nil, rcOf(err)
	}
	return mu, wire.RCSuccess
}

// makeLatticeKey makes the seed of an ML-KEM or ML-DSA key with one Read of the
// generator, and unique from it.
func makeLatticeKey(o *creation, s *wire.Sensitive) wire.RC {
	p := &o.public
	s.Data = make([]byte, latticeSeed(p.Parms.Type))
	if _, err := o.gen.Read(s.Data); err != nil {
		return rcOf(err)
	}
	if p.Parms.Type == wire.AlgMLKEM {
		k, err := crypt.NewMLKEMKey(p.Parms.MLKEM, s.Data)
		if err != nil {
			return rcOf(err)
		}
		p.Unique, o.lattice.mlkem = k.Public(), k
		return wire.RCSuccess
	}
	k, err := crypt.NewMLDSAKey(p.Parms.MLDSA, s.Data)
	if err != nil {
		return rcOf(err)
	}
	p.Unique, o.lattice.mldsa = k.Public(), k
	return wire.RCSuccess
}

// latticeSeed is the size in bytes of the seed of a key.
func latticeSeed(alg wire.AlgID) int {
	if alg == wire.AlgMLKEM {
		return wire.MLKEMSeed
	}
	return wire.MLDSASeed
}

// checkLatticeScheme checks the attributes and parameters of an ML-KEM or ML-DSA key
// (Part 2, tables of TPMS_MLDSA_PARMS, TPMS_HASH_MLDSA_PARMS and TPMS_MLKEM_PARMS): each
// type does one thing only. What a restricted key signs the TPM has to see, which it does
// not where µ comes from outside.
func checkLatticeScheme(p *wire.Public) wire.RC {
	a := p.Attributes
	switch p.Parms.Type {
	case wire.AlgMLKEM:
		if a&wire.ObjectSignEncrypt != 0 {
			return wire.RCAttributes
		}
		if !storesChildren(p) && p.Parms.Sym.Alg != wire.AlgNull {
			return wire.RCSymmetric
		}
		return wire.RCSuccess
	default:
		if a&wire.ObjectDecrypt != 0 || p.Parms.ExternalMu && a&wire.ObjectRestricted != 0 {
			return wire.RCAttributes
		}
		return wire.RCSuccess
	}
}

// checkLatticeKey checks unique of an ML-KEM or ML-DSA key, and that it is what comes of
// the seed.
func (c *call) checkLatticeKey(p *wire.Public, s *wire.Sensitive, public int) wire.RC {
	size := p.Parms.MLDSA.PublicSize()
	if p.Parms.Type == wire.AlgMLKEM {
		size = p.Parms.MLKEM.PublicSize()
	}
	if len(p.Unique) != size {
		return c.badParam(public, wire.RCKeySize)
	}
	var made []byte
	var err error
	switch {
	case s == nil && p.Parms.Type == wire.AlgMLKEM:
		if _, err = crypt.NewMLKEMPublicKey(p.Parms.MLKEM, p.Unique); err != nil {
			return c.badParam(public, wire.RCKey)
		}
		return wire.RCSuccess
	case s == nil: // every string of the size is a key
		return wire.RCSuccess
	case p.Parms.Type == wire.AlgMLKEM:
		made, err = crypt.MLKEMPublic(p.Parms.MLKEM, s.Data)
	default:
		made, err = crypt.MLDSAPublic(p.Parms.MLDSA, s.Data)
	}
	if err != nil || !bytes.Equal(p.Unique, made) {
		return wire.RCBinding
	}
	return wire.RCSuccess
}
