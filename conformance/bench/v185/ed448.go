//go:build linux

package main

import (
	"github.com/cloudflare/circl/sign/ed448"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// ed448Signer is a key of Ed448: TPM2_Quote signs with EdDSA, the commands that take digests
// with HashEdDSA. The library is circl, which hashes the message itself for Ed448ph.
type ed448Signer struct{}

func (*ed448Signer) String() string { return "Ed448" }

// prehashed448 are the options for Ed448ph.
var prehashed448 = ed448.SignerOptions{Scheme: ed448.ED448Ph}

func (*ed448Signer) template(scheme wire.AlgID) wire.Public {
	p := eddsaTemplate(scheme)
	p.Parms.Curve = wire.CurveCurve448
	return p
}

func (s *ed448Signer) signDigest(t *tpm, session string) ([]side, error) {
	digest := crypt.Digest(wire.AlgSHAKE256_512, nil, message)
	by, err := t.signed(s.template(wire.AlgHashEdDSA), session, digest, crypt.Ed448Signature)
	if err != nil {
		return nil, err
	}
	seed := new(counter).seed(ed448.SeedSize)
	library := ed448.NewKeyFromSeed(seed)
	own, err := crypt.NewEd448Key(seed)
	return []side{
		{sideCommand, by.sign.operation()},
		{sideLibrary, operation{run: func() error {
			_, err := library.Sign(nil, message, prehashed448)
			return err
		}}},
		{sideCrypt, operation{run: func() error {
			_, err := own.SignPrehashed(digest)
			return err
		}}},
	}, err
}

func (s *ed448Signer) verifyDigest(t *tpm, session string) ([]side, error) {
	digest := crypt.Digest(wire.AlgSHAKE256_512, nil, message)
	by, err := t.signed(s.template(wire.AlgHashEdDSA), session, digest, crypt.Ed448Signature)
	if err != nil {
		return nil, err
	}
	public := by.key.unique(crypt.Ed448Key + 2)[:crypt.Ed448Key] // y is empty
	own, err := crypt.NewEd448PublicKey(public)
	if err != nil {
		return nil, err
	}
	right := func(ok bool) error {
		if !ok {
			return errOther
		}
		return nil
	}
	check := func() error {
		return right(ed448.VerifyAny(ed448.PublicKey(public), message, by.signature, prehashed448))
	}
	return []side{
		{sideCommand, by.verify.operation()},
		{sideLibrary, operation{run: check}},
		{sideCrypt, operation{run: func() error { return right(own.VerifyPrehashed(digest, by.signature)) }}},
	}, check()
}

func (s *ed448Signer) create(t *tpm, session string) ([]side, error) {
	return create(s.template(wire.AlgEdDSA), func() []side {
		seeds := new(counter)
		return []side{
			{sideLibrary, operation{run: func() error {
				ed448.NewKeyFromSeed(seeds.seed(ed448.SeedSize))
				return nil
			}}},
			{sideCrypt, operation{run: func() error {
				_, err := crypt.NewEd448Key(seeds.seed(ed448.SeedSize))
				return err
			}}},
		}
	})(t, session)
}

func (s *ed448Signer) quote(t *tpm, session string) ([]side, error) {
	r, attested, err := t.quote(s.template(wire.AlgEdDSA), session)
	if err != nil {
		return nil, err
	}
	seed := new(counter).seed(ed448.SeedSize)
	library := ed448.NewKeyFromSeed(seed)
	own, err := crypt.NewEd448Key(seed)
	return []side{
		{sideCommand, r.operation()},
		{sideLibrary, operation{run: func() error {
			ed448.Sign(library, attested, "")
			return nil
		}}},
		{sideCrypt, operation{run: func() error {
			own.Sign(attested)
			return nil
		}}},
	}, err
}
