package version185

import (
	"bytes"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/lattice"
	"github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// dhkemSuite has the identifiers and functions of a curve (RFC 9180, section 7.1).
type dhkemSuite struct {
	id     uint16
	hash   func() hash.Hash
	secret int
}

var dhkemSuites = map[tpm2.TPMECCCurve]dhkemSuite{
	tpm2.TPMECCNistP256: {0x0010, sha256.New, 32},
	tpm2.TPMECCNistP384: {0x0011, sha512.New384, 48},
	tpm2.TPMECCNistP521: {0x0012, sha512.New, 64},
	wire.Curve25519:     {0x0020, sha256.New, 32},
	wire.Curve448:       {0x0021, sha512.New, 64},
}

// extractAndExpand is that of RFC 9180, section 4.1.
func (s dhkemSuite) extractAndExpand(dh, context []byte) []byte {
	suite := append([]byte("KEM"), wire.U16(s.id)...)
	prk, err := hkdf.Extract(s.hash, slices.Concat([]byte("HPKE-v1"), suite, []byte("eae_prk"), dh), nil)
	if err != nil {
		panic(err) // only in FIPS mode, for short keys
	}
	info := slices.Concat(wire.U16(uint16(s.secret)), []byte("HPKE-v1"), suite, []byte("shared_secret"), context)
	secret, err := hkdf.Expand(s.hash, prk, string(info), s.secret)
	if err != nil {
		panic(err)
	}
	return secret
}

// point is the public key in the form of RFC 9180.
func (k *key) point() []byte {
	if k.montgomery() {
		return k.unique[0]
	}
	return k.area().Point()
}

// encapsulateTo makes a secret for a key, with random bytes that from gives.
func (k *key) encapsulateTo(from source) (shared, ciphertext []byte) {
	if k.kind == wire.AlgMLKEM {
		return lattice.NewMLKEM(k.set).Encapsulate(k.unique[0], from.bytes(32))
	}
	s := dhkemSuites[k.curve]
	scalar := from.bytes(k.privateSize())
	if !k.montgomery() {
		scalar[0] = 0 // below the order
	}
	curve := signature.Exchange(k.curve)
	ciphertext, ok := curve.Public(scalar)
	if !ok {
		panic("no private key") // it is below the order
	}
	dh, ok := curve.Secret(scalar, k.point())
	if !ok {
		return nil, nil
	}
	return s.extractAndExpand(dh, append(bytes.Clone(ciphertext), k.point()...)), ciphertext
}

// decapsulate is the secret of a ciphertext with a key that is known.
func (k *key) decapsulate(ciphertext []byte) []byte {
	switch {
	case k.kind == wire.AlgMLKEM && k.set == 2:
		library, err := mlkem.NewDecapsulationKey768(k.private)
		if err != nil {
			return nil
		}
		shared, _ := library.Decapsulate(ciphertext)
		return shared
	case k.kind == wire.AlgMLKEM && k.set == 3:
		library, err := mlkem.NewDecapsulationKey1024(k.private)
		if err != nil {
			return nil
		}
		shared, _ := library.Decapsulate(ciphertext)
		return shared
	case k.kind == wire.AlgMLKEM:
		return lattice.NewMLKEM(k.set).Decapsulate(k.private, ciphertext)
	}
	dh, ok := signature.Exchange(k.curve).Secret(k.private, ciphertext)
	if !ok {
		return nil
	}
	return dhkemSuites[k.curve].extractAndExpand(dh, append(bytes.Clone(ciphertext), k.point()...))
}

func (k *key) ciphertextSize() int {
	if k.kind == wire.AlgMLKEM {
		return lattice.NewMLKEM(k.set).CiphertextSize()
	}
	if k.montgomery() {
		return k.privateSize()
	}
	return 1 + 2*k.privateSize()
}

func (t *talk) anyKEM() uint32 { return t.anyHandle(t.handlesOf(func(k *key) bool { return k.kem() })) }

// encapsulate has the TPM make a secret, and decapsulates it with the library if the private
// key is known, else with the TPM.
func (t *talk) encapsulate(h uint32) {
	k := t.keys[h]
	a, ok := t.send(wire.CCEncapsulate, []uint32{h}, nil, when(k == nil || !k.kem(), handle(tpm2.TPMRCKey, 1)))
	if !ok {
		return
	}
	shared, ciphertext := bytes.Clone(a.out.Sized()), bytes.Clone(a.out.Sized())
	t.ended(a)
	t.check(len(ciphertext) == k.ciphertextSize(), "a ciphertext of %d bytes", len(ciphertext))
	if k.private != nil {
		t.check(bytes.Equal(k.decapsulate(ciphertext), shared), "the library finds another secret in the ciphertext")
	}
	if t.chance(0.7) {
		t.decapsulate(h, ciphertext, shared)
	}
}

// decapsulateAnything sends ciphertexts that were made outside, and others.
func (t *talk) decapsulateAnything(h uint32) {
	k := t.keys[h]
	if k == nil || !k.kem() {
		t.decapsulate(h, t.bytes(pick(t.source, 0, 32, 768)), nil)
		return
	}
	shared, ciphertext := k.encapsulateTo(t.source)
	switch t.IntN(6) {
	case 0:
		ciphertext, shared = ciphertext[:t.IntN(len(ciphertext))], nil
	case 1:
		ciphertext, shared = append(ciphertext, 0), nil
	case 2:
		ciphertext, shared = t.bytes(1569), nil
	case 3: // implicit rejection gives a secret that only the private key knows
		shared = nil
		ciphertext = bytes.Clone(ciphertext)
		ciphertext[t.IntN(len(ciphertext))] ^= 1 << t.UintN(8)
	}
	t.decapsulate(h, ciphertext, shared)
}

// decapsulate is TPM2_Decapsulate; the secret is nil if it is not known before.
func (t *talk) decapsulate(h uint32, ciphertext, shared []byte) {
	k := t.keys[h]
	kem := k != nil && k.kem()
	a, ok := t.send(wire.CCDecapsulate, []uint32{h}, wire.Sized(ciphertext), first(
		when(len(ciphertext) > 1568, parameter(tpm2.TPMRCSize, 1)),
		when(!kem, handle(tpm2.TPMRCKey, 1)),
		when(k != nil && (k.has(wire.ObjectRestricted) || !k.has(wire.ObjectDecrypt)), handle(tpm2.TPMRCAttributes, 1)),
		when(kem && len(ciphertext) != k.ciphertextSize(), parameter(tpm2.TPMRCSize, 1)),
		when(kem && !k.sound(ciphertext), parameter(tpm2.TPMRCECCPoint, 1)),
	))
	if !ok {
		return
	}
	got := a.out.Sized()
	t.ended(a)
	if shared == nil && k.private != nil {
		shared = k.decapsulate(ciphertext)
	}
	t.check(shared == nil || bytes.Equal(shared, got), "shared secret %x, want %x", got, shared)
}

// sound reports whether a ciphertext of the right size is one: with DHKEM it has to be a
// point.
func (k *key) sound(ciphertext []byte) bool {
	if k.kind == wire.AlgMLKEM {
		return true
	}
	some := make([]byte, k.privateSize())
	some[len(some)-1] = 1
	_, ok := signature.Exchange(k.curve).Secret(some, ciphertext) // not of points of low order
	return ok
}
