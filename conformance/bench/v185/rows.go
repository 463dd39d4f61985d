//go:build linux

package main

import (
	"maps"
	"slices"
	"strings"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A row is a command with a key. open makes what it needs, and its sides: the command
// first, which a session of the given kind authorizes.
type row struct {
	name string
	open func(t *tpm, session string) ([]side, error)
}

// rows are those of the comparison.
func rows() (all []row) {
	for set := wire.MLKEM512; set <= wire.MLKEM1024; set++ {
		all = append(all, row{name("Encapsulate", set), encapsulate(set)}, row{name("Decapsulate", set), decapsulate(set)},
			row{name("CreatePrimary", set), create(mlkemTemplate(set), mlkemMaker(set))})
	}
	for set := wire.MLDSA44; set <= wire.MLDSA87; set++ {
		all = append(all, signerRows(&mldsaSigner{set: set, hash: wire.AlgNull})...)
	}
	for set := wire.MLDSA44; set <= wire.MLDSA87; set++ {
		all = append(all, signerRows(&mldsaSigner{set: set, hash: wire.AlgSHA512})...)
	}
	all = append(all, signerRows(&ed25519Signer{})...)
	all = append(all, signerRows(&ed448Signer{})...)
	kems := dhkems()
	for _, name := range slices.Sorted(maps.Keys(kems)) {
		k := kems[name]
		all = append(all, row{"Encapsulate " + name, k.encapsulate}, row{"Decapsulate " + name, k.decapsulate}, row{"CreatePrimary " + name, k.create})
	}
	quotes := &mldsaSigner{set: wire.MLDSA65, hash: wire.AlgNull}
	return append(all,
		row{"Quote ML-DSA-65 beside RSA-2048", besideRSA(quotes.quote, quoteOf(rsaSigning))},
		row{"CreatePrimary ML-KEM-768 beside RSA-2048", besideRSA(create(mlkemTemplate(wire.MLKEM768), mlkemMaker(wire.MLKEM768)), create(rsaSigning, nil))},
	)
}

// name is that of a row.
func name(command string, set interface{ String() string }) string {
	return command + " " + standardName(set.String())
}

// standardName is the name of a parameter set as FIPS 203 and FIPS 204 have it.
func standardName(set string) string {
	return strings.NewReplacer("MLKEM_", "ML-KEM-", "MLDSA_", "ML-DSA-").Replace(set)
}

// A signer is a kind of key that signs.
type signer interface {
	String() string
	signDigest(t *tpm, session string) ([]side, error)
	verifyDigest(t *tpm, session string) ([]side, error)
	create(t *tpm, session string) ([]side, error)
	quote(t *tpm, session string) ([]side, error)
}

// signerRows are the rows of a signer. EdDSA itself signs no digests, so that SignDigest
// and VerifyDigestSignature with Ed25519 and Ed448 are those of HashEdDSA.
func signerRows(s signer) []row {
	return []row{
		{name("SignDigest", s), s.signDigest},
		{name("VerifyDigestSignature", s), s.verifyDigest},
		{name("CreatePrimary", s), s.create},
		{name("Quote", s), s.quote},
	}
}

// besideRSA has the command of one row, and that of another beside it.
func besideRSA(command, rsa func(*tpm, string) ([]side, error)) func(*tpm, string) ([]side, error) {
	return func(t *tpm, session string) ([]side, error) {
		ours, err := command(t, session)
		if err != nil {
			return nil, err
		}
		theirs, err := rsa(t, session)
		if err != nil {
			return nil, err
		}
		return []side{ours[0], {sideRSA, theirs[0].operation}}, nil
	}
}

// The templates of the keys.
const attributes = wire.ObjectFixedTPM | wire.ObjectFixedParent | wire.ObjectSensitiveDataOrigin | wire.ObjectUserWithAuth | wire.ObjectNoDA

var (
	null  = wire.Scheme{Alg: wire.AlgNull}
	noSym = wire.SymDef{Alg: wire.AlgNull}

	rsaSigning = wire.Public{NameAlg: wire.AlgSHA256, Attributes: attributes | wire.ObjectSignEncrypt,
		Parms: wire.PublicParms{Type: wire.AlgRSA, Sym: noSym, Scheme: wire.Scheme{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA256}, KeyBits: 2048}}
)

func mlkemTemplate(set wire.MLKEMParameterSet) wire.Public {
	return wire.Public{NameAlg: wire.AlgSHA256, Attributes: attributes | wire.ObjectDecrypt,
		Parms: wire.PublicParms{Type: wire.AlgMLKEM, Sym: noSym, MLKEM: set}}
}

func eddsaTemplate(scheme wire.AlgID) wire.Public {
	return wire.Public{NameAlg: wire.AlgSHA256, Attributes: attributes | wire.ObjectSignEncrypt,
		Parms: wire.PublicParms{Type: wire.AlgECC, Sym: noSym, Scheme: wire.Scheme{Alg: scheme, Hash: wire.AlgNull}, Curve: wire.CurveCurve25519, KDF: null}}
}

// encapsulate is TPM2_Encapsulate, whose shared secret the library has to find.
func encapsulate(set wire.MLKEMParameterSet) func(*tpm, string) ([]side, error) {
	return func(t *tpm, _ string) ([]side, error) {
		k, err := t.loadKey(mlkemTemplate(set))
		if err != nil {
			return nil, err
		}
		r, err := t.newRequest("", wire.CCEncapsulate, k.handle, k.name)
		if err != nil {
			return nil, err
		}
		others, err := encapsulations(set, k.unique(set.PublicSize()))
		return append([]side{{sideCommand, r.operation()}}, others...), err
	}
}

// decapsulate is TPM2_Decapsulate of a ciphertext that was made outside.
func decapsulate(set wire.MLKEMParameterSet) func(*tpm, string) ([]side, error) {
	return func(t *tpm, session string) ([]side, error) {
		k, err := t.loadKey(mlkemTemplate(set))
		if err != nil {
			return nil, err
		}
		shared, ciphertext, err := encapsulateTo(set, k.unique(set.PublicSize()))
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
		others, err := decapsulations(set)
		return append([]side{{sideCommand, r.operation()}}, others...), err
	}
}

// create is TPM2_CreatePrimary with a template that is another one every time, beside what
// makes a key from a seed. Without a maker it is alone.
func create(template wire.Public, others func() []side) func(*tpm, string) ([]side, error) {
	return func(t *tpm, session string) ([]side, error) {
		r, err := t.newRequest(session, wire.CCCreatePrimary, wire.RHOwner, et.U32(uint32(wire.RHOwner)))
		if err != nil {
			return nil, err
		}
		o := operation{
			before: func() {
				r.parameters = t.creation(template)
				if session == sessionPassword {
					r.command = et.Command(r.code, r.handles, et.NoAuth(), r.parameters)
				}
				r.sign()
			},
			run: r.send,
			after: func() error {
				h := et.ResponseHandle(r.response)
				if err := r.roll(); err != nil {
					return err
				}
				return t.flush(h)
			},
		}
		sides := []side{{sideCommand, o}}
		if others != nil {
			sides = append(sides, others()...)
		}
		return sides, nil
	}
}

// quoteOf is TPM2_Quote with a key from a template.
func quoteOf(template wire.Public) func(*tpm, string) ([]side, error) {
	return func(t *tpm, session string) ([]side, error) {
		r, _, err := t.quote(template, session)
		if err != nil {
			return nil, err
		}
		return []side{{sideCommand, r.operation()}}, nil
	}
}

// quote has a quote of three PCRs made by a new key, and gives the request and the
// structure that is signed.
func (t *tpm) quote(template wire.Public, session string) (r *request, attested []byte, err error) {
	k, err := t.loadKey(template)
	if err != nil {
		return nil, nil, err
	}
	r, err = t.newRequest(session, wire.CCQuote, k.handle, k.name, et.Sized([]byte("nonce")), et.U16(uint16(wire.AlgNull)), et.Selection(wire.AlgSHA256, 0, 7, 10))
	if err != nil {
		return nil, nil, err
	}
	answer, err := r.once()
	if err != nil {
		return nil, nil, err
	}
	reader := wire.NewReader(answer, nil)
	return r, reader.Sized(len(answer)), nil
}
