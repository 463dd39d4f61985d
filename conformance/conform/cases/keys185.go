package cases

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"slices"
	"sync"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/lattice"
	signatures "github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// since185 is the section of a command in version 185.
func since185(code tpm2.TPMCC) conform.Section { return since(185, section(code)) }

// kemSet and dsaSet are parameter sets from 1 to 3.
func kemSet(set uint16) conform.ParameterSet {
	return conform.ParameterSet{Alg: wire.AlgMLKEM, Set: set}
}

func dsaSet(set uint16) conform.ParameterSet {
	return conform.ParameterSet{Alg: wire.AlgMLDSA, Set: set}
}

// kemName and dsaName are the numbers in the names of parameter sets.
func kemName(set uint16) string { return kemSet(set).String()[len("ML-KEM-"):] }
func dsaName(set uint16) string { return dsaSet(set).String()[len("ML-DSA-"):] }

// The seeds of the client's keys.
var (
	kemSeed = octets(lattice.SeedSize)
	dsaSeed = octets(mldsa.PrivateKeySize)
)

// kemKey is the client's ML-KEM key of a parameter set, with a secret that the client
// encapsulates to it.
type kemKey struct{ public, shared, ciphertext []byte }

var kemKeys = sync.OnceValue(func() (keys [3]kemKey) {
	for i := range keys {
		kem := lattice.NewMLKEM(uint16(i + 1))
		keys[i].public = kem.Public(kemSeed)
		keys[i].shared, keys[i].ciphertext = kem.Encapsulate(keys[i].public, octets(32))
	}
	return keys
})

func kemPublic(set uint16) []byte { return kemKeys()[set-1].public }

// dsaKeys are the client's ML-DSA keys, which HashML-DSA keys are too.
var dsaKeys = sync.OnceValue(func() (keys [3]*mldsa.PrivateKey) {
	for i, set := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		key, err := mldsa.NewPrivateKey(set, dsaSeed)
		if err != nil {
			panic("conform: " + err.Error()) // a constant is wrong
		}
		keys[i] = key
	}
	return keys
})

func dsaKey(set uint16) *mldsa.PrivateKey { return dsaKeys()[set-1] }

// lazily is a TPM2B that is made when it is needed.
func lazily(make func() []byte) conform.Computed {
	return func(*conform.State) ([]byte, error) { return wire.Sized(make()), nil }
}

// generalKEM and the next ones are details of public areas (TPMU_PUBLIC_PARMS).
func generalKEM(set uint16) join { return with(tpm2.TPMAlgNull, kemSet(set)) }

func storageKEM(set uint16) join { return with(aesDetails(tpm2.TPMAlgCFB), kemSet(set)) }

func dsaDetails(set uint16, mu bool) join { return with(dsaSet(set), mu) }

func hashDSADetails(set uint16, hash tpm2.TPMAlgID) join {
	return with(named{algs: []tpm2.TPMAlgID{wire.AlgHashMLDSA}}, dsaSet(set), hash)
}

// kemArea and dsaArea are the public areas of the client's keys.
func kemArea(set uint16, attributes uint32, details conform.Part) sized {
	return public(wire.AlgMLKEM, attributes, empty, details, lazily(func() []byte { return kemPublic(set) }))
}

func dsaArea(kind tpm2.TPMAlgID, set uint16, attributes uint32, details conform.Part) sized {
	return public(kind, attributes, empty, details, lazily(func() []byte { return dsaKey(set).PublicKey().Bytes() }))
}

// latticePrivate is a TPM2B_SENSITIVE of a key with a seed.
func latticePrivate(kind tpm2.TPMAlgID, seed []byte) sized {
	return sized{alg(kind), empty, empty, conform.Bytes(seed)}
}

// loading loads a key from outside into the null hierarchy.
func loading(private, area conform.Part) conform.Step {
	return do(tpm2.TPMCCLoadExternal).With(private, area, null)
}

// fixtures185 are the keys of the cases about version 185.
var fixtures185 = sync.OnceValue(func() []conform.Fixture {
	all := []conform.Fixture{
		{Name: "@ecc public signs", Step: publicOnly("p256", outside|signs, eccSigns, null)},
		{Name: "@mlkem storage", Step: createPrimary(null, "", public(wire.AlgMLKEM, storage, empty, storageKEM(2), empty))},
		{Name: "@mldsa attest", Step: createPrimary(null, "", public(wire.AlgMLDSA, signing|restricted, empty, dsaDetails(1, false), empty))},
	}
	for _, e := range edSchemes {
		all = append(all, e.fixtures()...)
	}
	for set := uint16(1); set <= 3; set++ {
		kem, dsa := "@mlkem "+kemName(set), dsaName(set)
		all = append(all,
			conform.Fixture{Name: kem, Step: loading(latticePrivate(wire.AlgMLKEM, kemSeed), kemArea(set, outside|decrypts, generalKEM(set)))},
			conform.Fixture{Name: kem + " public", Step: loading(empty, kemArea(set, outside|decrypts, generalKEM(set)))},
			conform.Fixture{Name: "@mldsa " + dsa, Step: loading(latticePrivate(wire.AlgMLDSA, dsaSeed), dsaArea(wire.AlgMLDSA, set, outside|signs, dsaDetails(set, false)))},
			conform.Fixture{Name: "@mldsa " + dsa + " mu", Step: loading(latticePrivate(wire.AlgMLDSA, dsaSeed), dsaArea(wire.AlgMLDSA, set, outside|signs, dsaDetails(set, true)))},
		)
		for _, known := range dsaHashes {
			all = append(all, conform.Fixture{Name: hashDSAName(set, known.name),
				Step: loading(latticePrivate(wire.AlgHashMLDSA, dsaSeed), dsaArea(wire.AlgHashMLDSA, set, outside|signs, hashDSADetails(set, known.alg)))})
		}
	}
	for _, k := range dhkemKeys() {
		area := k.area(outside | decrypts)
		all = append(all, conform.Fixture{Name: "@dhkem " + k.name, Step: loading(sized{alg(tpm2.TPMAlgECC), empty, empty, conform.Bytes(k.scalar)}, area)},
			conform.Fixture{Name: "@dhkem " + k.name + " public", Step: loading(empty, area)})
	}
	return all
})

// dsaHashes are the hash algorithms that FIPS 204 has object identifiers of.
var dsaHashes = []struct {
	alg  tpm2.TPMAlgID
	name string
}{
	{tpm2.TPMAlgSHA256, "SHA256"}, {tpm2.TPMAlgSHA384, "SHA384"}, {tpm2.TPMAlgSHA512, "SHA512"},
	{tpm2.TPMAlgSHA3256, "SHA3_256"}, {tpm2.TPMAlgSHA3384, "SHA3_384"}, {tpm2.TPMAlgSHA3512, "SHA3_512"}, {tpm2.TPMAlgSHAKE256512, "SHAKE256_512"},
}

func hashDSAName(set uint16, hash string) string {
	return "@hash mldsa " + dsaName(set) + " " + hash
}

// A signer is a scheme in which the client signs a message.
type signer struct {
	key string
	// context is that of the signature.
	context []byte
	// sign makes a TPMT_SIGNATURE.
	sign func(message []byte) ([]byte, error)
	// hint is R of it, nil in a scheme without a hint.
	hint func(message []byte) []byte
}

// signed is the signature of a message.
func (s *signer) signed(message []byte) conform.Computed {
	return func(*conform.State) ([]byte, error) { return s.sign(message) }
}

// dsaSigner signs with ML-DSA.
func dsaSigner(set uint16, context []byte) *signer {
	return &signer{key: "@mldsa " + dsaName(set), context: context, sign: func(message []byte) ([]byte, error) {
		b, err := dsaKey(set).Sign(nil, message, &mldsa.Options{Context: string(context)})
		return slices.Concat(alg(wire.AlgMLDSA), wire.Sized(b)), err
	}}
}

// hashDSASigner signs with HashML-DSA.
func hashDSASigner(set uint16, hash tpm2.TPMAlgID, name string, context []byte) *signer {
	return &signer{key: hashDSAName(set, name), context: context, sign: func(message []byte) ([]byte, error) {
		p := &wire.Public{SchemeHash: hash, Unique: [][]byte{dsaKey(set).PublicKey().Bytes()}}
		mu := signatures.HashMLDSAMu(p, context, wire.Digest(hash, message))
		b, err := dsaKey(set).Sign(nil, mu, mldsacrypto.MLDSAMu)
		return slices.Concat(alg(wire.AlgHashMLDSA), alg(hash), wire.Sized(b)), err
	}}
}

var (
	// ecdsaSigner and rsaSigner sign with SHA-256.
	ecdsaSigner = &signer{key: "@ecc sign", sign: func(message []byte) ([]byte, error) { return byClient("p256", message) }}
	rsaSigner   = &signer{key: "@rsa sign", sign: func(message []byte) ([]byte, error) { return byClient("rsa", message) }}
	hmacSigner  = &signer{key: "@hmac", sign: func(message []byte) ([]byte, error) {
		return slices.Concat(alg(tpm2.TPMAlgHMAC), alg(tpm2.TPMAlgSHA256), hmacOf(1, message)), nil
	}}
)

func byClient(name string, message []byte) ([]byte, error) {
	b, ok := conversation.KeyNamed(name).Sign(message)
	if !ok {
		return nil, fmt.Errorf("the client's key %s does not sign", name)
	}
	return b, nil
}

// dhkemKey is a key of the client for DHKEM, with the hash algorithm that RFC 9180, section
// 7.1, has for its curve.
type dhkemKey struct {
	name   string
	id     tpm2.TPMECCCurve
	suite  uint16
	alg    tpm2.TPMAlgID
	hash   func() hash.Hash
	secret int
	scalar []byte
}

func dhkemKeys() []dhkemKey {
	return []dhkemKey{
		{"P-256", tpm2.TPMECCNistP256, 0x10, tpm2.TPMAlgSHA256, sha256.New, 32, octets(32)},
		{"P-384", tpm2.TPMECCNistP384, 0x11, tpm2.TPMAlgSHA384, sha512.New384, 48, octets(48)},
		{"P-521", tpm2.TPMECCNistP521, 0x12, tpm2.TPMAlgSHA512, sha512.New, 64, append([]byte{0}, octets(65)...)},
		{"X25519", tpm2.TPMECCCurve25519, 0x20, tpm2.TPMAlgSHA256, sha256.New, 32, octets(32)},
		{"X448", tpm2.TPMECCCurve448, 0x21, tpm2.TPMAlgSHA512, sha512.New, 64, octets(56)},
	}
}

// public is the public key in the form of RFC 9180.
func (k *dhkemKey) public() []byte {
	key, ok := signatures.Exchange(k.id).Public(k.scalar)
	if !ok {
		panic("conform: the client's key for DHKEM with " + k.name + " is none") // a constant is wrong
	}
	return key
}

// details are those of a key for ECDH with HKDF.
func (k *dhkemKey) details() join {
	return with(tpm2.TPMAlgNull, tpm2.TPMAlgECDH, tpm2.TPMAlgSHA256, k.id, wire.AlgHKDF, k.alg)
}

func (k *dhkemKey) area(attributes uint32) sized {
	unique := join{lazily(k.public), empty}
	if !signatures.Montgomery(k.id) {
		point := k.public()
		half := len(point) / 2
		unique = with(point[1:1+half], point[1+half:])
	}
	return public(tpm2.TPMAlgECC, attributes, empty, k.details(), unique)
}

// encapsulate makes a secret for the key with a key of the sender's.
func (k *dhkemKey) encapsulate() (shared, ciphertext []byte, err error) {
	sender := *k
	sender.scalar = slices.Clone(k.scalar)
	sender.scalar[len(sender.scalar)-1] ^= 8
	ciphertext = sender.public()
	shared, err = k.agree(sender.scalar, k.public(), ciphertext)
	return shared, ciphertext, err
}

// decapsulate finds the secret of a ciphertext.
func (k *dhkemKey) decapsulate(ciphertext []byte) ([]byte, error) {
	return k.agree(k.scalar, ciphertext, ciphertext)
}

// agree is the second half of Encap and Decap (RFC 9180, section 4.1).
func (k *dhkemKey) agree(private, peer, ciphertext []byte) ([]byte, error) {
	dh, ok := signatures.Exchange(k.id).Secret(private, peer)
	if !ok {
		return nil, fmt.Errorf("%x is no point of %s", peer, k.name)
	}
	suite := append([]byte("HPKE-v1KEM"), byte(k.suite>>8), byte(k.suite))
	prk, err := hkdf.Extract(k.hash, slices.Concat(suite, []byte("eae_prk"), dh), nil)
	if err != nil {
		return nil, err
	}
	context := slices.Concat(ciphertext, k.public())
	return hkdf.Expand(k.hash, prk, string(slices.Concat(wire.U16(uint16(k.secret)), suite, []byte("shared_secret"), context)), k.secret)
}
