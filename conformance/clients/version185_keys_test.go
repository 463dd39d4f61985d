package clients_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"math/big"
	"slices"
	"sync"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
	"github.com/cloudflare/circl/hpke"
	"github.com/cloudflare/circl/sign/ed448"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/clients/internal/textbook"
	"github.com/swtpmd/swtpmd/conformance/differential/lattice"
)

// A subject is a key whose private part is known outside of the TPM, and what a peer does
// with it.
type subject struct {
	name              string
	public, sensitive []byte // TPMT_PUBLIC and TPMT_SENSITIVE
	peer              string // whose code it is that checks the TPM
	agrees            *agreement
	signs             *signature
}

// An agreement is a key to which secrets are encapsulated.
type agreement struct {
	encapsulate func() (shared, ciphertext []byte)
	decapsulate func(ciphertext []byte) []byte
}

// A signature is what a key signs. Signatures are TPMT_SIGNATUREs.
type signature struct {
	context       []byte                                                 // of a message
	digestContext []byte                                                 // of a digest
	committed     func(*testing.T, transport.TPM, tpm2.TPMHandle) []byte // makes the context, before each signature
	digest        func(message []byte) []byte                            // nil: it signs no digests, and the TPM answers noDigest
	noDigest      uint32
	noVerify      uint32 // what the TPM answers if it does not verify it; 0: it does
	oneShot       bool   // the message comes with the last command, and R before the verification
	keyed         bool   // only who signs can verify
	sign          func(message []byte) []byte
	verify        func(message, signature []byte) bool
}

func be16(v ...uint16) (b []byte) {
	for _, v := range v {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// Numbers of Part 2, table 9 and those of Part 2, "TPM_ECC_CURVE".
const (
	algRSA, algHMAC, algKeyedHash, algNull                       = 0x01, 0x05, 0x08, 0x10
	algSHA256, algSHA384, algSHA512                              = 0x0B, 0x0C, 0x0D
	algRSASSA, algRSAPSS, algECDSA, algECDH, algECDAA            = 0x14, 0x16, 0x18, 0x19, 0x1A
	algSM2, algECSchnorr, algHKDF, algECC                        = 0x1B, 0x1C, 0x1F, 0x23
	algEdDSA, algHashEdDSA                                       = 0x60, 0x61
	algMLKEM, algMLDSA, algHashMLDSA                             = 0xA0, 0xA1, 0xA2
	curveP256, curveP384, curveP521, curve25519, curve448 uint16 = 3, 4, 5, 0x40, 0x41
)

// publicArea is a TPMT_PUBLIC of a key that signs or decrypts, with its authValue.
func publicArea(alg uint16, signs bool, parameters, unique []byte) []byte {
	attributes := []byte{0, 2, 0, 0x40}
	if signs {
		attributes[1] = 4
	}
	return slices.Concat(be16(alg, algSHA256), attributes, sized(nil), parameters, unique)
}

// sensitiveArea is a TPMT_SENSITIVE without an authValue.
func sensitiveArea(alg uint16, seed, private []byte) []byte {
	return slices.Concat(be16(alg), sized(nil), sized(seed), sized(private))
}

// subjects are keys of every algorithm that the commands of version 185 have in their
// tables, with every parameter set.
func subjects(t *testing.T) []subject {
	t.Helper()
	return slices.Concat(mlkemSubjects(t), dhkemSubjects(t), rsaSubjects(t), curveSubjects(t), []subject{dhkemX448Subject(t), hmacSubject()}, eddsaSubjects(), ed448Subjects(), mldsaSubjects(t))
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func mlkemSubjects(t *testing.T) (list []subject) {
	seed := random(64)
	library768, err := mlkem.NewDecapsulationKey768(seed)
	require.NoError(t, err)
	library1024, err := mlkem.NewDecapsulationKey1024(seed)
	require.NoError(t, err)
	must := func(f func([]byte) ([]byte, error)) func([]byte) []byte {
		return func(ciphertext []byte) []byte {
			shared, err := f(ciphertext)
			require.NoError(t, err)
			return shared
		}
	}
	book := lattice.NewMLKEM(1)
	public := book.Public(seed)
	for i, c := range []struct {
		peer   string
		public []byte
		agreement
	}{
		{"FIPS 203", public, agreement{
			func() (shared, ciphertext []byte) { return book.Encapsulate(public, random(32)) },
			func(ciphertext []byte) []byte { return book.Decapsulate(seed, ciphertext) },
		}},
		{"crypto/mlkem", library768.EncapsulationKey().Bytes(), agreement{library768.EncapsulationKey().Encapsulate, must(library768.Decapsulate)}},
		{"crypto/mlkem", library1024.EncapsulationKey().Bytes(), agreement{library1024.EncapsulationKey().Encapsulate, must(library1024.Decapsulate)}},
	} {
		list = append(list, subject{
			name: "ML-KEM-" + []string{"512", "768", "1024"}[i], peer: c.peer, agrees: &c.agreement,
			public:    publicArea(algMLKEM, false, be16(algNull, uint16(i+1)), sized(c.public)),
			sensitive: sensitiveArea(algMLKEM, nil, seed),
		})
	}
	return list
}

// dhkemSubjects are the suites of RFC 9180, section 7.1, that the TPM has curves for.
func dhkemSubjects(t *testing.T) (list []subject) {
	for _, c := range []struct {
		name    string
		curve   uint16
		library ecdh.Curve
		hash    uint16
		newHash func() hash.Hash
		id      byte
		size    int
	}{
		{"P-256", curveP256, ecdh.P256(), algSHA256, sha256.New, 0x10, 32},
		{"P-384", curveP384, ecdh.P384(), algSHA384, sha512.New384, 0x11, 48},
		{"P-521", curveP521, ecdh.P521(), algSHA512, sha512.New, 0x12, 64},
		{"X25519", curve25519, ecdh.X25519(), algSHA256, sha256.New, 0x20, 32},
	} {
		private, err := c.library.GenerateKey(rand.Reader)
		require.NoError(t, err)
		recipient := private.PublicKey().Bytes()
		point := slices.Concat(sized(recipient), sized(nil))
		if half := len(recipient) / 2; c.curve != curve25519 {
			point = slices.Concat(sized(recipient[1:1+half]), sized(recipient[1+half:]))
		}
		// ExtractAndExpand and the labels of section 4.
		secret := func(z, ciphertext []byte) []byte {
			suite := "KEM\x00" + string(c.id)
			prk, err := hkdf.Extract(c.newHash, append([]byte("HPKE-v1"+suite+"eae_prk"), z...), nil)
			require.NoError(t, err)
			shared, err := hkdf.Expand(c.newHash, prk, string(be16(uint16(c.size)))+"HPKE-v1"+suite+"shared_secret"+string(ciphertext)+string(recipient), c.size)
			require.NoError(t, err)
			return shared
		}
		list = append(list, subject{
			name: "DHKEM " + c.name, peer: "crypto/ecdh",
			public:    publicArea(algECC, false, be16(algNull, algECDH, algSHA256, c.curve, algHKDF, c.hash), point),
			sensitive: sensitiveArea(algECC, nil, private.Bytes()),
			agrees: &agreement{
				encapsulate: func() (shared, ciphertext []byte) {
					ephemeral, err := c.library.GenerateKey(rand.Reader)
					require.NoError(t, err)
					z, err := ephemeral.ECDH(private.PublicKey())
					require.NoError(t, err)
					return secret(z, ephemeral.PublicKey().Bytes()), ephemeral.PublicKey().Bytes()
				},
				decapsulate: func(ciphertext []byte) []byte {
					ephemeral, err := c.library.NewPublicKey(ciphertext)
					require.NoError(t, err)
					z, err := private.ECDH(ephemeral)
					require.NoError(t, err)
					return secret(z, ciphertext)
				},
			},
		})
	}
	return list
}

func digestBy(h crypto.Hash) func([]byte) []byte {
	return func(message []byte) []byte {
		s := h.New()
		s.Write(message)
		return s.Sum(nil)
	}
}

// bytesAfter returns what a TPMT_SIGNATURE has after its head, if that is the head.
func bytesAfter(signature []byte, head ...uint16) ([]byte, bool) {
	return bytes.CutPrefix(signature, be16(head...))
}

// onlySized returns the contents of a TPM2B that is all there is.
func onlySized(b []byte) []byte {
	first, rest := next(b)
	if len(rest) != 0 {
		return nil
	}
	return first
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func rsaSubjects(t *testing.T) (list []subject) {
	key, err := rsaKey()
	require.NoError(t, err)
	options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA384}
	for _, c := range []struct {
		name         string
		scheme, hash uint16
		h            crypto.Hash
		sign         func(digest []byte) ([]byte, error)
		verify       func(digest, signature []byte) error
	}{
		{"RSASSA", algRSASSA, algSHA256, crypto.SHA256,
			func(digest []byte) ([]byte, error) { return rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest) },
			func(digest, signature []byte) error {
				return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest, signature)
			}},
		{"RSAPSS", algRSAPSS, algSHA384, crypto.SHA384,
			func(digest []byte) ([]byte, error) {
				return rsa.SignPSS(rand.Reader, key, crypto.SHA384, digest, options)
			},
			func(digest, signature []byte) error {
				return rsa.VerifyPSS(&key.PublicKey, crypto.SHA384, digest, signature, options)
			}},
	} {
		digest := digestBy(c.h)
		list = append(list, subject{
			name: c.name + " 2048", peer: "crypto/rsa",
			public:    publicArea(algRSA, true, slices.Concat(be16(algNull, c.scheme, c.hash, 2048), make([]byte, 4)), sized(key.N.Bytes())),
			sensitive: sensitiveArea(algRSA, nil, key.Primes[0].Bytes()),
			signs: &signature{
				digest: digest,
				sign: func(message []byte) []byte {
					s, err := c.sign(digest(message))
					require.NoError(t, err)
					return slices.Concat(be16(c.scheme, c.hash), sized(s))
				},
				verify: func(message, signature []byte) bool {
					s, ok := bytesAfter(signature, c.scheme, c.hash)
					return ok && c.verify(digest(message), onlySized(s)) == nil
				},
			},
		})
	}
	return list
}

// scalar is the private part of the keys of NIST's curves.
var scalar = new(big.Int).SetBytes(bytes.Repeat([]byte{0x51}, 27))

// twoNumbers are those of a signature on a curve.
func twoNumbers(signature []byte, head ...uint16) (r, s *big.Int, ok bool) {
	b, ok := bytesAfter(signature, head...)
	if !ok {
		return nil, nil, false
	}
	first, rest := next(b)
	return new(big.Int).SetBytes(first), new(big.Int).SetBytes(onlySized(rest)), true
}

// curveSubject is a signing key on a curve; head is the scheme with its hash.
func curveSubject(name, peer string, curve uint16, c textbook.Plane, head []uint16, parameters []uint16, s *signature) subject {
	q := c.Multiple(scalar, c.Base())
	size := (c.BitSize + 7) / 8
	coordinate := func(v *big.Int) []byte { return sized(v.FillBytes(make([]byte, size))) }
	return subject{
		name: name, peer: peer, signs: s,
		public: publicArea(algECC, true, slices.Concat(be16(algNull), be16(head...), be16(parameters...), be16(curve, algNull)),
			slices.Concat(coordinate(q.X), coordinate(q.Y))),
		sensitive: sensitiveArea(algECC, nil, scalar.FillBytes(make([]byte, size))),
	}
}

func curveSubjects(t *testing.T) (list []subject) {
	for _, c := range []struct {
		curve elliptic.Curve
		id    uint16
		hash  uint16
		h     crypto.Hash
	}{{elliptic.P256(), curveP256, algSHA256, crypto.SHA256}, {elliptic.P384(), curveP384, algSHA384, crypto.SHA384}, {elliptic.P521(), curveP521, algSHA512, crypto.SHA512}} {
		plane, head, digest := textbook.Plane{CurveParams: c.curve.Params()}, []uint16{algECDSA, c.hash}, digestBy(c.h)
		key, err := ecdsa.ParseRawPrivateKey(c.curve, scalar.FillBytes(make([]byte, (plane.BitSize+7)/8)))
		require.NoError(t, err)
		list = append(list, curveSubject("ECDSA "+plane.Name, "crypto/ecdsa", c.id, plane, head, nil, &signature{
			digest: digest,
			sign: func(message []byte) []byte {
				r, s, err := ecdsa.Sign(rand.Reader, key, digest(message))
				require.NoError(t, err)
				return slices.Concat(be16(head...), sized(r.Bytes()), sized(s.Bytes()))
			},
			verify: func(message, signature []byte) bool {
				r, s, ok := twoNumbers(signature, head...)
				return ok && ecdsa.Verify(&key.PublicKey, digest(message), r, s)
			},
		}))
	}
	c := textbook.Plane{CurveParams: elliptic.P256().Params()}
	return append(list, schnorrSubject(c), sm2Subject(c), ecdaaSubject(c))
}

func schnorrSubject(c textbook.Plane) subject {
	q, digest, head := c.Multiple(scalar, c.Base()), digestBy(crypto.SHA256), []uint16{algECSchnorr, algSHA256}
	return curveSubject("ECSCHNORR P-256", "Part 1, annex C", curveP256, c, head, nil, &signature{
		digest: digest,
		sign: func(message []byte) []byte {
			k := new(big.Int).SetBytes(random(31))
			r := c.Schnorr(sha256.New, c.Multiple(k, c.Base()).X, digest(message))
			s := new(big.Int).Mul(r, scalar)
			s.Add(s, k).Mod(s, c.N)
			return slices.Concat(be16(head...), sized(r.Bytes()), sized(s.Bytes()))
		},
		verify: func(message, signature []byte) bool {
			r, s, ok := twoNumbers(signature, head...)
			return ok && c.Schnorr(sha256.New, c.Commitment(q, r, s).X, digest(message)).Cmp(r) == 0
		},
	})
}

func sm2Subject(c textbook.Plane) subject {
	q, head, identity := c.Multiple(scalar, c.Base()), []uint16{algSM2, algSHA256}, []byte("1234567812345678")
	digest := func(message []byte) []byte { return c.SM2Digest(sha256.New, q, identity, message) }
	return curveSubject("SM2 P-256", "GB/T 32918.2", curveP256, c, head, nil, &signature{
		context: identity, digest: digest,
		sign: func(message []byte) []byte {
			r, s := c.SignSM2(scalar, new(big.Int).SetBytes(random(31)), digest(message))
			return slices.Concat(be16(head...), sized(r.Bytes()), sized(s.Bytes()))
		},
		verify: func(message, signature []byte) bool {
			r, s, ok := twoNumbers(signature, head...)
			return ok && c.VerifySM2(q, digest(message), r, s)
		},
	})
}

// ecdaaSubject is a key that signs with the number of a commitment.
func ecdaaSubject(c textbook.Plane) subject {
	q, digest := c.Multiple(scalar, c.Base()), digestBy(crypto.SHA256)
	var committed textbook.Point
	s := &signature{digest: digest, noVerify: rcScheme | rcHandle1}
	s.committed = func(t *testing.T, tpm transport.TPM, key tpm2.TPMHandle) []byte {
		out, err := execute(tpm, tpm2.TPMCCCommit, []tpm2.TPMHandle{key}, 1, sized(make([]byte, 4)), sized(nil), sized(nil))
		require.NoError(t, err)
		_, out = next(out) // K
		_, out = next(out) // L
		e, counter := next(out)
		x, y := next(e)
		committed = textbook.Point{X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(onlySized(y))}
		return counter
	}
	s.verify = func(message, signature []byte) bool {
		b, ok := bytesAfter(signature, algECDAA, algSHA256)
		if !ok {
			return false
		}
		nonce, rest := next(b)
		h := sha256.Sum256(append(bytes.Clone(nonce), digest(message)...))
		e := c.Commitment(q, new(big.Int).SetBytes(h[:]), new(big.Int).SetBytes(onlySized(rest)))
		return e.X.Cmp(committed.X) == 0 && e.Y.Cmp(committed.Y) == 0
	}
	return curveSubject("ECDAA P-256", "Part 1, annex C", curveP256, c, []uint16{algECDAA, algSHA256}, []uint16{0}, s)
}

func hmacSubject() subject {
	key, seed := random(32), random(32)
	mac := func(message []byte) []byte {
		m := hmac.New(sha256.New, key)
		m.Write(message)
		return append(be16(algHMAC, algSHA256), m.Sum(nil)...)
	}
	unique := sha256.Sum256(append(bytes.Clone(seed), key...))
	return subject{
		name: "HMAC SHA-256", peer: "crypto/hmac",
		public:    publicArea(algKeyedHash, true, be16(algHMAC, algSHA256), sized(unique[:])),
		sensitive: sensitiveArea(algKeyedHash, seed, key),
		signs: &signature{noDigest: rcScheme | rcHandle1, keyed: true, sign: mac,
			verify: func(message, signature []byte) bool { return bytes.Equal(mac(message), signature) }},
	}
}

func eddsaSubjects() []subject {
	seed := random(32)
	key := ed25519.NewKeyFromSeed(seed)
	public, _ := key.Public().(ed25519.PublicKey)
	subjectOf := func(name string, alg uint16, options *ed25519.Options, s signature) subject {
		whole := func(message []byte) []byte {
			if s.digest != nil {
				return s.digest(message)
			}
			return message
		}
		s.sign = func(message []byte) []byte {
			made, err := key.Sign(nil, whole(message), options)
			if err != nil {
				panic(err)
			}
			return append(be16(alg), sized(made)...)
		}
		s.verify = func(message, signature []byte) bool {
			b, ok := bytesAfter(signature, alg)
			return ok && ed25519.VerifyWithOptions(public, whole(message), onlySized(b), options) == nil
		}
		return subject{
			name: name, peer: "crypto/ed25519", signs: &s,
			public:    publicArea(algECC, true, be16(algNull, alg, curve25519, algNull), slices.Concat(sized(public), sized(nil))),
			sensitive: sensitiveArea(algECC, nil, seed),
		}
	}
	return []subject{
		subjectOf("EdDSA Ed25519", algEdDSA, &ed25519.Options{}, signature{noDigest: rcScheme | rcHandle1, oneShot: true}),
		subjectOf("HashEdDSA Ed25519", algHashEdDSA, &ed25519.Options{Hash: crypto.SHA512}, signature{digest: digestBy(crypto.SHA512)}),
	}
}

func ed448Subjects() []subject {
	seed := random(ed448.SeedSize)
	key := ed448.NewKeyFromSeed(seed)
	public := key[ed448.SeedSize:]
	subjectOf := func(name string, alg uint16, scheme ed448.SchemeID, s signature) subject {
		options := ed448.SignerOptions{Scheme: scheme}
		s.sign = func(message []byte) []byte {
			made, err := key.Sign(nil, message, options)
			if err != nil {
				panic(err)
			}
			return append(be16(alg), sized(made)...)
		}
		s.verify = func(message, signature []byte) bool {
			b, ok := bytesAfter(signature, alg)
			return ok && ed448.VerifyAny(ed448.PublicKey(public), message, onlySized(b), options)
		}
		return subject{
			name: name, peer: "github.com/cloudflare/circl/sign/ed448", signs: &s,
			public:    publicArea(algECC, true, be16(algNull, alg, curve448, algNull), slices.Concat(sized(public), sized(nil))),
			sensitive: sensitiveArea(algECC, nil, seed),
		}
	}
	return []subject{
		subjectOf("EdDSA Ed448", algEdDSA, ed448.ED448, signature{noDigest: rcScheme | rcHandle1, oneShot: true}),
		subjectOf("HashEdDSA Ed448", algHashEdDSA, ed448.ED448Ph, signature{digest: func(message []byte) []byte { return sha3.SumSHAKE256(message, 64) }}),
	}
}

// dhkemX448Subject has a key for DHKEM with X448 and HKDF-SHA512.
func dhkemX448Subject(t *testing.T) subject {
	t.Helper()
	library := hpke.KEM_X448_HKDF_SHA512.Scheme()
	public, private, err := library.GenerateKeyPair()
	require.NoError(t, err)
	point, err := public.MarshalBinary()
	require.NoError(t, err)
	secret, err := private.MarshalBinary()
	require.NoError(t, err)
	return subject{
		name: "DHKEM X448", peer: "github.com/cloudflare/circl/hpke",
		public:    publicArea(algECC, false, be16(algNull, algECDH, algSHA256, curve448, algHKDF, algSHA512), slices.Concat(sized(point), sized(nil))),
		sensitive: sensitiveArea(algECC, nil, secret),
		agrees: &agreement{
			encapsulate: func() (shared, ciphertext []byte) {
				ciphertext, shared, err := library.Encapsulate(public)
				require.NoError(t, err)
				return shared, ciphertext
			},
			decapsulate: func(ciphertext []byte) []byte {
				shared, err := library.Decapsulate(private, ciphertext)
				require.NoError(t, err)
				return shared
			},
		},
	}
}

// preHashes are the hashes of HashML-DSA: the last octet of their object identifiers is the
// key.
var preHashes = []struct {
	name   string
	alg    uint16
	oid    byte
	digest func([]byte) []byte
}{
	{"SHA-256", algSHA256, 1, digestBy(crypto.SHA256)}, {"SHA-384", algSHA384, 2, digestBy(crypto.SHA384)}, {"SHA-512", algSHA512, 3, digestBy(crypto.SHA512)},
	{"SHA3-256", 0x27, 8, digestBy(crypto.SHA3_256)}, {"SHA3-384", 0x28, 9, digestBy(crypto.SHA3_384)}, {"SHA3-512", 0x29, 10, digestBy(crypto.SHA3_512)},
	{"SHAKE256", 0x2E, 12, func(message []byte) []byte { return sha3.SumSHAKE256(message, 64) }},
}

func mldsaSubjects(t *testing.T) (list []subject) {
	context := []byte("a context")
	for i, c := range []struct {
		name    string
		library mldsa.Parameters
	}{{"44", mldsa.MLDSA44()}, {"65", mldsa.MLDSA65()}, {"87", mldsa.MLDSA87()}} {
		key, err := mldsa.NewPrivateKey(c.library, random(32))
		require.NoError(t, err)
		set, public := uint16(i+1), key.PublicKey().Bytes()
		book := lattice.NewMLDSA(set)
		add := func(name, peer string, alg uint16, parameters []byte, s signature) {
			list = append(list, subject{
				name: name, peer: peer, signs: &s,
				public:    publicArea(alg, true, append(be16(set), parameters...), sized(public)),
				sensitive: sensitiveArea(alg, nil, key.Bytes()),
			})
		}
		options := &mldsa.Options{Context: string(context)}
		pure := signature{
			context: context, noDigest: rcAttributes | rcHandle1,
			sign: func(message []byte) []byte {
				s, err := key.Sign(nil, message, options)
				require.NoError(t, err)
				return append(be16(algMLDSA), sized(s)...)
			},
			verify: func(message, signature []byte) bool {
				b, ok := bytesAfter(signature, algMLDSA)
				return ok && mldsa.Verify(key.PublicKey(), message, onlySized(b), options) == nil
			},
		}
		add("ML-DSA-"+c.name, "filippo.io/mldsa", algMLDSA, []byte{0}, pure)
		pure.digest = func(message []byte) []byte { return lattice.Mu(public, context, message) }
		add("ML-DSA-"+c.name+" external µ", "filippo.io/mldsa", algMLDSA, []byte{1}, pure)
		for _, h := range preHashes {
			mu := func(message []byte) []byte {
				return lattice.HashMu(public, context, []byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, h.oid}, h.digest(message))
			}
			add(fmt.Sprintf("HashML-DSA-%s %s", c.name, h.name), "FIPS 204", algHashMLDSA, be16(h.alg), signature{
				context: context, digestContext: context, digest: h.digest,
				sign: func(message []byte) []byte {
					s, err := key.Sign(nil, mu(message), mldsacrypto.MLDSAMu)
					require.NoError(t, err)
					return append(be16(algHashMLDSA, h.alg), sized(s)...)
				},
				verify: func(message, signature []byte) bool {
					b, ok := bytesAfter(signature, algHashMLDSA, h.alg)
					return ok && book.VerifyMu(public, mu(message), onlySized(b))
				},
			})
		}
	}
	return list
}
