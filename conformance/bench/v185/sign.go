//go:build linux

package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// message is signed where no quote is.
var message = []byte("what is signed")

// noTicket is the NULL ticket of TPM2_SignDigest.
func noTicket() []byte {
	return append(et.U16(uint16(wire.STHashCheck)), append(et.U32(uint32(wire.RHNull)), 0, 0)...)
}

// digestRequest is TPM2_SignDigest.
func (t *tpm) digestRequest(k *loadedKey, session string, digest []byte) (*request, error) {
	return t.newRequest(session, wire.CCSignDigest, k.handle, k.name, et.Sized(nil), et.Sized(digest), noTicket())
}

// signedDigest has a new key sign a digest, and gives the request of TPM2_SignDigest, the
// one of TPM2_VerifyDigestSignature, and the signature, which are n bytes.
func (t *tpm) signedDigest(k *loadedKey, session string, digest []byte, n int) (sign, verify *request, signature []byte, err error) {
	if sign, err = t.digestRequest(k, session, digest); err != nil {
		return nil, nil, nil, err
	}
	answer, err := sign.once()
	if err != nil {
		return nil, nil, nil, err
	}
	verify, err = t.newRequest("", wire.CCVerifyDigestSignature, k.handle, k.name, et.Sized(nil), et.Sized(digest), answer)
	return sign, verify, answer[len(answer)-n:], err
}

// signed is a digest that a key has signed: see signedDigest.
type signed struct {
	key          *loadedKey
	sign, verify *request
	signature    []byte
}

// signed has a new key of a template sign a digest. The signature is n bytes.
func (t *tpm) signed(template wire.Public, session string, digest []byte, n int) (s signed, err error) {
	if s.key, err = t.loadKey(template); err != nil {
		return s, err
	}
	s.sign, s.verify, s.signature, err = t.signedDigest(s.key, session, digest, n)
	return s, err
}

// mldsaSigner is a key of ML-DSA, or with a hash one of HashML-DSA.
type mldsaSigner struct {
	set  wire.MLDSAParameterSet
	hash wire.AlgID // TPM_ALG_NULL for ML-DSA
}

func (s *mldsaSigner) String() string {
	if s.hash != wire.AlgNull {
		return "Hash" + standardName(s.set.String())
	}
	return standardName(s.set.String())
}

func (s *mldsaSigner) parameters() mldsa.Parameters {
	return []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()}[s.set-1]
}

func (s *mldsaSigner) template() wire.Public {
	p := wire.Public{NameAlg: wire.AlgSHA256, Attributes: attributes | wire.ObjectSignEncrypt,
		Parms: wire.PublicParms{Type: wire.AlgMLDSA, MLDSA: s.set, ExternalMu: true}}
	if s.hash != wire.AlgNull {
		p.Parms.Type, p.Parms.Hash, p.Parms.ExternalMu = wire.AlgHashMLDSA, s.hash, false
	}
	return p
}

// mu gives µ of a message with a public key, and the digest that TPM2_SignDigest takes.
func (s *mldsaSigner) mu(public, message []byte) (mu, digest []byte, err error) {
	if s.hash == wire.AlgNull {
		m, err := crypt.NewMLDSAMu(public, nil)
		if err != nil {
			return nil, nil, err
		}
		m.Write(message)
		mu = m.Sum(nil)
		return mu, mu, nil
	}
	m, err := crypt.NewHashMLDSAMu(public, nil, s.hash)
	if err != nil {
		return nil, nil, err
	}
	digest = crypt.Digest(s.hash, nil, message)
	m.Write(digest)
	return m.Sum(nil), digest, nil
}

// muOf is µ of a digest, or µ itself, with a key that knows the digest of its public part.
func (s *mldsaSigner) muOf(k *crypt.MLDSAPublicKey, digest []byte) ([]byte, error) {
	if s.hash == wire.AlgNull {
		return digest, nil
	}
	m, err := k.NewHashMu(nil, s.hash)
	if err != nil {
		return nil, err
	}
	m.Write(digest)
	return m.Sum(nil), nil
}

// muOfMessage is µ of a message with such a key.
func (s *mldsaSigner) muOfMessage(k *crypt.MLDSAPublicKey, message []byte) ([]byte, error) {
	if s.hash != wire.AlgNull {
		return s.muOf(k, crypt.Digest(s.hash, nil, message))
	}
	m, err := k.NewMu(nil)
	if err != nil {
		return nil, err
	}
	m.Write(message)
	return m.Sum(nil), nil
}

func (s *mldsaSigner) signDigest(t *tpm, session string) ([]side, error) {
	k, err := t.loadKey(s.template())
	if err != nil {
		return nil, err
	}
	public := k.unique(s.set.PublicSize())
	mu, digest, err := s.mu(public, message)
	if err != nil {
		return nil, err
	}
	sign, _, signature, err := t.signedDigest(k, session, digest, s.set.SignatureSize())
	if err != nil {
		return nil, err
	}
	if err := s.check(public, mu, signature); err != nil {
		return nil, err
	}
	seed := new(counter).seed(wire.MLDSASeed)
	own, err := crypt.NewMLDSAKey(s.set, seed)
	if err != nil {
		return nil, err
	}
	library, err := mldsa.NewPrivateKey(s.parameters(), seed)
	if err != nil {
		return nil, err
	}
	random := new(counter)
	return []side{
		{sideCommand, sign.operation()},
		{sideLibrary, operation{run: func() error {
			mu, err := s.muOf(&own.MLDSAPublicKey, digest)
			if err == nil {
				_, err = library.Sign(nil, mu, mldsacrypto.MLDSAMu)
			}
			return err
		}}},
		{sideCrypt, operation{run: func() error {
			mu, err := s.muOf(&own.MLDSAPublicKey, digest)
			if err == nil {
				_, err = own.SignMu(mu, random.seed(32))
			}
			return err
		}}},
	}, nil
}

// check checks a signature of the message outside of the engine: with the library, which
// has no HashML-DSA.
func (s *mldsaSigner) check(public, mu, signature []byte) error {
	if s.hash != wire.AlgNull {
		if !crypt.MLDSAVerifyMu(s.set, public, mu, signature) {
			return errOther
		}
		return nil
	}
	k, err := mldsa.NewPublicKey(s.parameters(), public)
	if err != nil {
		return err
	}
	return mldsa.Verify(k, message, signature, nil)
}

func (s *mldsaSigner) verifyDigest(t *tpm, session string) (sides []side, err error) {
	k, err := t.loadKey(s.template())
	if err != nil {
		return nil, err
	}
	public := k.unique(s.set.PublicSize())
	_, digest, err := s.mu(public, message)
	if err != nil {
		return nil, err
	}
	_, verify, signature, err := t.signedDigest(k, session, digest, s.set.SignatureSize())
	if err != nil {
		return nil, err
	}
	sides = append(sides, side{sideCommand, verify.operation()})
	if s.hash == wire.AlgNull {
		library, err := mldsa.NewPublicKey(s.parameters(), public)
		if err != nil {
			return nil, err
		}
		sides = append(sides, side{sideLibrary, operation{run: func() error { return mldsa.Verify(library, message, signature, nil) }}})
	}
	own, err := crypt.NewMLDSAPublicKey(s.set, public)
	return append(sides, side{sideCrypt, operation{run: func() error {
		mu, err := s.muOf(own, digest)
		if err == nil && !own.VerifyMu(mu, signature) {
			return errOther
		}
		return err
	}}}), err
}

func (s *mldsaSigner) create(t *tpm, session string) ([]side, error) {
	return create(s.template(), func() []side {
		seeds := new(counter)
		return []side{
			{sideLibrary, operation{run: func() error {
				k, err := mldsa.NewPrivateKey(s.parameters(), seeds.seed(wire.MLDSASeed))
				if err == nil {
					k.PublicKey().Bytes()
				}
				return err
			}}},
			{sideCrypt, operation{run: func() error {
				_, err := crypt.NewMLDSAKey(s.set, seeds.seed(wire.MLDSASeed))
				return err
			}}},
		}
	})(t, session)
}

func (s *mldsaSigner) quote(t *tpm, session string) ([]side, error) {
	r, attested, err := t.quote(s.template(), session)
	if err != nil {
		return nil, err
	}
	seed := new(counter).seed(wire.MLDSASeed)
	own, err := crypt.NewMLDSAKey(s.set, seed)
	if err != nil {
		return nil, err
	}
	library, err := mldsa.NewPrivateKey(s.parameters(), seed)
	if err != nil {
		return nil, err
	}
	signLibrary := func() error {
		_, err := library.Sign(nil, attested, nil)
		return err
	}
	if s.hash != wire.AlgNull {
		signLibrary = func() error {
			mu, err := s.muOfMessage(&own.MLDSAPublicKey, attested)
			if err == nil {
				_, err = library.Sign(nil, mu, mldsacrypto.MLDSAMu)
			}
			return err
		}
	}
	random := new(counter)
	return []side{
		{sideCommand, r.operation()},
		{sideLibrary, operation{run: signLibrary}},
		{sideCrypt, operation{run: func() error {
			mu, err := s.muOfMessage(&own.MLDSAPublicKey, attested)
			if err == nil {
				_, err = own.SignMu(mu, random.seed(32))
			}
			return err
		}}},
	}, nil
}

// ed25519Signer is a key of Ed25519: TPM2_Quote signs with EdDSA, the commands that take
// digests with HashEdDSA.
type ed25519Signer struct{}

func (*ed25519Signer) String() string { return "Ed25519" }

// prehashed are the options for Ed25519ph.
var prehashed = &ed25519.Options{Hash: crypto.SHA512}

func (*ed25519Signer) signDigest(t *tpm, session string) ([]side, error) {
	digest := sha512.Sum512(message)
	by, err := t.signed(eddsaTemplate(wire.AlgHashEdDSA), session, digest[:], ed25519.SignatureSize)
	if err != nil {
		return nil, err
	}
	seed := new(counter).seed(ed25519.SeedSize)
	library := ed25519.NewKeyFromSeed(seed)
	return []side{
		{sideCommand, by.sign.operation()},
		{sideLibrary, operation{run: func() error {
			_, err := library.Sign(nil, digest[:], prehashed)
			return err
		}}},
	}, nil
}

func (*ed25519Signer) verifyDigest(t *tpm, session string) ([]side, error) {
	digest := sha512.Sum512(message)
	by, err := t.signed(eddsaTemplate(wire.AlgHashEdDSA), session, digest[:], ed25519.SignatureSize)
	if err != nil {
		return nil, err
	}
	public := ed25519.PublicKey(by.key.unique(ed25519.PublicKeySize + 2)[:ed25519.PublicKeySize]) // y is empty
	check := func() error { return ed25519.VerifyWithOptions(public, digest[:], by.signature, prehashed) }
	return []side{{sideCommand, by.verify.operation()}, {sideLibrary, operation{run: check}}}, check()
}

func (*ed25519Signer) create(t *tpm, session string) ([]side, error) {
	return create(eddsaTemplate(wire.AlgEdDSA), func() []side {
		seeds := new(counter)
		return []side{{sideLibrary, operation{run: func() error {
			ed25519.NewKeyFromSeed(seeds.seed(ed25519.SeedSize))
			return nil
		}}}}
	})(t, session)
}

func (*ed25519Signer) quote(t *tpm, session string) ([]side, error) {
	r, attested, err := t.quote(eddsaTemplate(wire.AlgEdDSA), session)
	if err != nil {
		return nil, err
	}
	library := ed25519.NewKeyFromSeed(new(counter).seed(ed25519.SeedSize))
	return []side{
		{sideCommand, r.operation()},
		{sideLibrary, operation{run: func() error {
			ed25519.Sign(library, attested)
			return nil
		}}},
	}, nil
}
