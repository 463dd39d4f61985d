//go:build linux

package main

import (
	"github.com/cloudflare/circl/hpke"
	"github.com/cloudflare/circl/kem"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A dhkem is DHKEM with a curve whose public keys have no y. The library is circl's HPKE.
type dhkem struct {
	curve   wire.Curve
	hash    wire.AlgID
	size    int // of a key, in bytes
	library kem.Scheme
}

// dhkems are those that are measured.
func dhkems() map[string]*dhkem {
	return map[string]*dhkem{
		"DHKEM-X25519": {wire.CurveCurve25519, wire.AlgSHA256, 32, hpke.KEM_X25519_HKDF_SHA256.Scheme()},
		"DHKEM-X448":   {wire.CurveCurve448, wire.AlgSHA512, crypt.X448Key, hpke.KEM_X448_HKDF_SHA512.Scheme()},
	}
}

func (d *dhkem) template() wire.Public {
	return wire.Public{NameAlg: wire.AlgSHA256, Attributes: attributes | wire.ObjectDecrypt,
		Parms: wire.PublicParms{Type: wire.AlgECC, Sym: noSym, Scheme: wire.Scheme{Alg: wire.AlgECDH, Hash: wire.AlgSHA256}, Curve: d.curve,
			KDF: wire.Scheme{Alg: wire.AlgHKDF, Hash: d.hash}}}
}

// load loads a key, and gives its public part as the library has it too.
func (d *dhkem) load(t *tpm) (k *loadedKey, x []byte, library kem.PublicKey, err error) {
	if k, err = t.loadKey(d.template()); err != nil {
		return nil, nil, nil, err
	}
	x = k.unique(d.size + 2)[:d.size] // y is empty
	library, err = d.library.UnmarshalBinaryPublicKey(x)
	return k, x, library, err
}

func (d *dhkem) encapsulate(t *tpm, _ string) ([]side, error) {
	k, x, library, err := d.load(t)
	if err != nil {
		return nil, err
	}
	r, err := t.newRequest("", wire.CCEncapsulate, k.handle, k.name)
	if err != nil {
		return nil, err
	}
	own, err := crypt.NewDHKEM(d.curve, d.hash)
	random := new(counter)
	return []side{
		{sideCommand, r.operation()},
		{sideLibrary, operation{run: func() error {
			_, _, err := d.library.Encapsulate(library)
			return err
		}}},
		{sideCrypt, operation{run: func() error {
			_, _, err := own.Encapsulate(random, x, nil)
			return err
		}}},
	}, err
}

func (d *dhkem) decapsulate(t *tpm, session string) ([]side, error) {
	k, _, library, err := d.load(t)
	if err != nil {
		return nil, err
	}
	ciphertext, shared, err := d.library.Encapsulate(library)
	if err != nil {
		return nil, err
	}
	r, err := t.newRequest(session, wire.CCDecapsulate, k.handle, k.name, et.Sized(ciphertext))
	if err != nil {
		return nil, err
	}
	if err := r.answers(et.Sized(shared)); err != nil {
		return nil, err
	}
	seed := new(counter).seed(d.size)
	private, err := d.library.UnmarshalBinaryPrivateKey(seed)
	if err != nil {
		return nil, err
	}
	own, err := crypt.NewDHKEM(d.curve, d.hash)
	return []side{
		{sideCommand, r.operation()},
		{sideLibrary, operation{run: func() error {
			_, err := d.library.Decapsulate(private, ciphertext)
			return err
		}}},
		{sideCrypt, operation{run: func() error {
			_, err := own.Decapsulate(seed, ciphertext)
			return err
		}}},
	}, err
}

func (d *dhkem) create(t *tpm, session string) ([]side, error) {
	return create(d.template(), func() []side {
		seeds := new(counter)
		return []side{
			{sideLibrary, operation{run: func() error {
				k, err := d.library.UnmarshalBinaryPrivateKey(seeds.seed(d.size))
				if err == nil {
					_, err = k.Public().MarshalBinary()
				}
				return err
			}}},
			{sideCrypt, operation{run: func() error {
				_, err := crypt.MontgomeryCurveOf(d.curve).ExchangePublic(seeds.seed(d.size))
				return err
			}}},
		}
	})(t, session)
}
