package crypt_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// goldenFile holds primaries as the simulator makes them, with the seeds they
// come from. TestPrimariesOfTheSimulator -write-primaries writes it.
const goldenFile = "testdata/primaries.json"

// primary is one golden vector; byte strings are hexadecimal.
type primary struct {
	Name        string `json:"name"`
	Seed        int64  `json:"seed"` // of math/rand, for the simulator's primary seeds
	Hierarchy   string `json:"hierarchy"`
	Template    string `json:"template"` // TPMT_PUBLIC
	Data        string `json:"data"`     // sensitive.data of TPMS_SENSITIVE_CREATE
	PrimarySeed string `json:"primarySeed"`
	Public      string `json:"public"` // TPMT_PUBLIC

	Lineage crypt.Lineage `json:"lineage,omitempty"`

	// A data object below the primary, which only its seed value opens.
	Child *child `json:"child,omitempty"`
}

// child is a data object; byte strings are hexadecimal.
type child struct {
	Name    string `json:"name"`
	Private string `json:"private"` // TPM2B_PRIVATE without its size
}

// sealed is the data of a child.
const sealed = "sealed below a primary"

func readGolden(t *testing.T) []primary {
	t.Helper()
	b, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	var list []primary
	require.NoError(t, json.Unmarshal(b, &list))
	require.GreaterOrEqual(t, len(list), 30)
	return list
}

// goldenCases are the primaries that the golden file is made of.
func goldenCases() []primary {
	var list []primary
	add := func(name string, seed int64, hierarchy string, template tpm2.TPMTPublic, data string) {
		list = append(list, primary{Name: fmt.Sprintf("%s %s seed %d", name, hierarchy, seed), Seed: seed,
			Hierarchy: hierarchy, Template: hex.EncodeToString(tpm2.Marshal(template)), Data: hex.EncodeToString([]byte(data))})
	}
	for seed := int64(1); seed <= 4; seed++ {
		add("EK RSA-2048", seed, "endorsement", tpm2.RSAEKTemplate, "")
		add("EK P-256", seed, "endorsement", tpm2.ECCEKTemplate, "")
		add("SRK RSA-2048", seed, "owner", tpm2.RSASRKTemplate, "")
		add("SRK P-256", seed, "owner", tpm2.ECCSRKTemplate, "")
		add("SRK P-384", seed, "owner", eccTemplate(tpm2.TPMECCNistP384, tpm2.TPMAlgSHA384), "")
	}
	list[2].Child, list[3].Child = &child{}, &child{}
	add("P-224", 5, "platform", eccTemplate(tpm2.TPMECCNistP224, tpm2.TPMAlgSHA256), "")
	add("P-521", 5, "platform", eccTemplate(tpm2.TPMECCNistP521, tpm2.TPMAlgSHA512), "")
	add("BN P-256", 5, "platform", eccTemplate(tpm2.TPMECCBNP256, tpm2.TPMAlgSHA1), "")
	add("P-256 with data", 5, "owner", eccTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256), "some label of the creator")
	add("RSA-1024", 5, "platform", rsaTemplate(1024, 0), "")
	add("RSA-1024 with data", 6, "owner", rsaTemplate(1024, 0), "another label, long enough to fill more than one block")
	add("RSA-2048 exponent 65539", 7, "owner", rsaTemplate(2048, 65539), "")
	add("RSA-2048 signing", 8, "owner", signing(rsaTemplate(2048, 0)), "")
	add("HMAC key", 9, "owner", hmacTemplate(), "")
	add("AES key", 9, "owner", aesTemplate(), "")
	return list
}

func rsaTemplate(bits tpm2.TPMKeyBits, exponent uint32) tpm2.TPMTPublic {
	p := tpm2.RSASRKTemplate
	p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
		Symmetric: aesCFB(), KeyBits: bits, Exponent: exponent})
	p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{})
	return p
}

func aesCFB() tpm2.TPMTSymDefObject {
	return tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgAES,
		KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
		Mode:    tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB)}
}

func signing(p tpm2.TPMTPublic) tpm2.TPMTPublic {
	p.ObjectAttributes.Restricted, p.ObjectAttributes.Decrypt, p.ObjectAttributes.SignEncrypt = false, false, true
	p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{KeyBits: 2048})
	return p
}

func eccTemplate(curve tpm2.TPMECCCurve, hash tpm2.TPMAlgID) tpm2.TPMTPublic {
	p := tpm2.ECCSRKTemplate
	p.NameAlg = hash
	p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{Symmetric: aesCFB(), CurveID: curve})
	p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	return p
}

func hmacTemplate() tpm2.TPMTPublic {
	p := tpm2.ECCSRKTemplate
	p.Type = tpm2.TPMAlgKeyedHash
	p.ObjectAttributes.Restricted, p.ObjectAttributes.Decrypt, p.ObjectAttributes.SignEncrypt = false, false, true
	p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
		Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgHMAC,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA384})}})
	p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{})
	return p
}

func aesTemplate() tpm2.TPMTPublic {
	p := tpm2.ECCSRKTemplate
	p.Type = tpm2.TPMAlgSymCipher
	p.ObjectAttributes.Restricted, p.ObjectAttributes.SignEncrypt = false, true
	p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgSymCipher, &tpm2.TPMSSymCipherParms{Sym: aesCFB()})
	p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgSymCipher, &tpm2.TPM2BDigest{})
	return p
}

// generator is the one for a golden primary.
func (g *primary) generator(t testing.TB) *crypt.DRBGState {
	t.Helper()
	template := unhex(t, g.Template)
	alg := wire.AlgID(uint16(template[2])<<8 | uint16(template[3]))
	name := crypt.Digest(alg, []byte{template[2], template[3]}, template)
	return crypt.NewPrimaryGenerator(unhex(t, g.PrimarySeed), name, unhex(t, g.Data))
}

// unique makes the key of a golden primary and gives its unique field.
func (g *primary) unique(t testing.TB, public *tpm2.TPMTPublic) []byte {
	t.Helper()
	gen := g.generator(t)
	read := func(n int) []byte {
		b := make([]byte, n)
		_, err := io.ReadFull(gen, b)
		require.NoError(t, err)
		return b
	}
	switch public.Type {
	case tpm2.TPMAlgRSA:
		parms, err := public.Parameters.RSADetail()
		require.NoError(t, err)
		key, err := crypt.GenerateRSA(gen, int(parms.KeyBits), crypt.RSAOptions{Exponent: parms.Exponent, Lineage: g.Lineage})
		require.NoError(t, err)
		return key.Modulus()
	case tpm2.TPMAlgECC:
		parms, err := public.Parameters.ECCDetail()
		require.NoError(t, err)
		c := crypt.CurveOf(wire.Curve(parms.CurveID))
		_, q, err := c.GenerateKey(gen)
		require.NoError(t, err)
		x, y := c.EncodePoint(q)
		return append(x, y...)
	}
	// The name algorithm of both is SHA-256, the key sizes are those of the
	// templates.
	size := map[tpm2.TPMAlgID]int{tpm2.TPMAlgKeyedHash: 48, tpm2.TPMAlgSymCipher: 16}[public.Type]
	key := read(size)
	return crypt.Digest(wire.AlgSHA256, nil, append(read(32), key...))
}

func uniqueOf(t testing.TB, public *tpm2.TPMTPublic) []byte {
	t.Helper()
	switch public.Type {
	case tpm2.TPMAlgRSA:
		u, err := public.Unique.RSA()
		require.NoError(t, err)
		return u.Buffer
	case tpm2.TPMAlgECC:
		u, err := public.Unique.ECC()
		require.NoError(t, err)
		return append(append([]byte(nil), u.X.Buffer...), u.Y.Buffer...)
	case tpm2.TPMAlgKeyedHash:
		u, err := public.Unique.KeyedHash()
		require.NoError(t, err)
		return u.Buffer
	}
	u, err := public.Unique.SymCipher()
	require.NoError(t, err)
	return u.Buffer
}

// Primary keys are those that the TCG reference code makes from the same seeds.
func TestPrimaries(t *testing.T) {
	t.Parallel()
	for _, g := range readGolden(t) {
		t.Run(g.Name, func(t *testing.T) {
			t.Parallel()
			public, err := tpm2.Unmarshal[tpm2.TPMTPublic](unhex(t, g.Public))
			require.NoError(t, err)
			assert.Equal(t, hex.EncodeToString(uniqueOf(t, public)), hex.EncodeToString(g.unique(t, public)))
		})
	}
}

// The golden RSA-3072 primary of swtpm is one that the lineages make different
// keys of.
func TestLineagesDiffer(t *testing.T) {
	t.Parallel()
	differing := 0
	for _, g := range readGolden(t) {
		if g.Lineage == crypt.LineageReference {
			continue
		}
		public, err := tpm2.Unmarshal[tpm2.TPMTPublic](unhex(t, g.Public))
		require.NoError(t, err)
		g.Lineage = crypt.LineageReference
		assert.NotEqual(t, uniqueOf(t, public), g.unique(t, public))
		differing++
	}
	assert.Equal(t, 1, differing)
}

// The seed value, which the children of a primary are protected with, comes from
// the same generator (Part 1, section "Protected Storage Hierarchy").
func TestSeedValueOpensChildren(t *testing.T) {
	t.Parallel()
	opened := 0
	for _, g := range readGolden(t) {
		if g.Child == nil {
			continue
		}
		opened++
		public, err := tpm2.Unmarshal[tpm2.TPMTPublic](unhex(t, g.Public))
		require.NoError(t, err)
		gen := g.generator(t)
		if public.Type == tpm2.TPMAlgRSA {
			_, err = crypt.GenerateRSA(gen, 2048, crypt.RSAOptions{})
		} else {
			_, _, err = crypt.CurveOf(wire.CurveNISTP256).GenerateKey(gen)
		}
		require.NoError(t, err)
		seedValue := make([]byte, 32)
		gen.Read(seedValue)

		assert.Contains(t, openChild(t, seedValue, g.Child), sealed, g.Name)
	}
	assert.Equal(t, 2, opened)
}

// createChild seals data below a primary.
func createChild(t *testing.T, tpm transport.TPM, parent *tpm2.CreatePrimaryResponse) *child {
	t.Helper()
	template := tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true},
		Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{}),
	}
	auth := tpm2.PasswordAuth(nil)
	response, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: parent.ObjectHandle, Name: parent.Name, Auth: auth},
		InPublic:     tpm2.New2B(template),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: []byte(sealed)}),
		}},
	}.Execute(tpm)
	require.NoError(t, err)
	digest := crypt.Digest(wire.AlgSHA256, []byte{0, 0x0B}, response.OutPublic.Bytes())
	return &child{Name: hex.EncodeToString(digest), Private: hex.EncodeToString(response.OutPrivate.Buffer)}
}

// openChild opens a data object below a parent with the name algorithm SHA-256
// and AES-128 (Part 1, section "Protected Objects"): an HMAC, an initial value,
// the encrypted sensitive area.
func openChild(t *testing.T, seedValue []byte, c *child) string {
	t.Helper()
	name, private := unhex(t, c.Name), unhex(t, c.Private)
	integrity, protected := private[2:34], private[34:]
	key := crypt.KDFa(wire.AlgSHA256, seedValue, "INTEGRITY", nil, nil, 256)
	require.Equal(t, integrity, crypt.AppendHMAC(wire.AlgSHA256, nil, key, protected, name))
	block, err := crypt.NewBlockCipher(wire.AlgAES, crypt.KDFa(wire.AlgSHA256, seedValue, "STORAGE", name, nil, 128))
	require.NoError(t, err)
	iv, sensitive := protected[2:18], protected[18:]
	require.NoError(t, crypt.Decrypt(block, wire.AlgCFB, iv, sensitive))
	return string(sensitive)
}

// derived is the golden vector of a child of a derivation parent.
type derived struct {
	Name   string `json:"name"`
	Secret string `json:"secret"` // of the parent
	Hash   uint16 `json:"hash"`   // of the parent's scheme
	Label  string `json:"label"`
	Public string `json:"public"` // TPMT_PUBLIC of the child
}

const derivedFile = "testdata/derived.json"

func TestDerivedObjects(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(derivedFile)
	require.NoError(t, err)
	var list []derived
	require.NoError(t, json.Unmarshal(b, &list))
	require.Len(t, list, 8)
	for _, d := range list {
		public, err := tpm2.Unmarshal[tpm2.TPMTPublic](unhex(t, d.Public))
		require.NoError(t, err)
		gen, err := crypt.NewDerivationGenerator(wire.AlgID(d.Hash), []byte(d.Secret), []byte(d.Label), []byte("context of "+d.Label))
		require.NoError(t, err)
		var unique []byte
		if public.Type == tpm2.TPMAlgECC {
			parms, err := public.Parameters.ECCDetail()
			require.NoError(t, err)
			c := crypt.CurveOf(wire.Curve(parms.CurveID))
			_, q, err := c.GenerateKey(gen)
			require.NoError(t, err)
			x, y := c.EncodePoint(q)
			unique = append(x, y...)
		} else {
			key, seedValue := make([]byte, 48), make([]byte, 32)
			_, err := gen.Read(key)
			require.NoError(t, err)
			_, err = gen.Read(seedValue)
			require.NoError(t, err)
			unique = crypt.Digest(wire.AlgSHA256, nil, append(seedValue, key...))
		}
		assert.Equal(t, hex.EncodeToString(uniqueOf(t, public)), hex.EncodeToString(unique), d.Name)
	}
}

func TestDerivationGeneratorHasALimit(t *testing.T) {
	t.Parallel()
	for _, hash := range supported(t) {
		gen, err := crypt.NewDerivationGenerator(hash, []byte("secret"), []byte("label\x00"), nil)
		require.NoError(t, err)
		whole := crypt.KDFa(hash, []byte("secret"), "label", nil, nil, 8192)
		var got []byte
		for _, n := range []int{1, 0, 7, 100, 300} {
			b := make([]byte, n)
			m, err := gen.Read(b)
			require.NoError(t, err)
			require.Equal(t, n, m)
			got = append(got, b...)
		}
		assert.Equal(t, whole[:len(got)], got)
		b := make([]byte, 1024)
		n, err := gen.Read(b)
		assert.Zero(t, n)
		assertCode(t, wire.RCNoResult, err)
		assert.Equal(t, make([]byte, 1024), b, "a refusal gives nothing")
		m, err := gen.Read(b[:8])
		require.NoError(t, err)
		assert.Equal(t, whole[len(got):len(got)+8], b[:m], "and takes nothing")
	}
	for _, hash := range []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256} {
		gen, err := crypt.NewDerivationGenerator(hash, nil, nil, nil)
		require.NoError(t, err)
		_, err = gen.Read(make([]byte, 1024))
		assert.NoError(t, err)
		_, err = gen.Read(make([]byte, 1))
		assertCode(t, wire.RCNoResult, err)
	}
	_, err := crypt.NewDerivationGenerator(wire.AlgNull, nil, nil, nil)
	assertCode(t, wire.RCHash, err)
}

// What Stir mixes in changes what comes, whatever its size.
func TestStir(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, proof := range []string{"", "a", "b", "exactly 12 by", "exactly 12 b", "a proof value of the size of a SHA-512 digest, 64 bytes in all.."} {
		gen := crypt.NewPrimaryGenerator([]byte("seed"), []byte("name"), nil)
		if proof != "" {
			gen.Stir([]byte(proof))
		}
		b := make([]byte, 32)
		gen.Read(b)
		assert.NotContains(t, seen, string(b), "%q is like %q", proof, seen[string(b)])
		seen[string(b)] = proof
	}
}

func BenchmarkPrimary(b *testing.B) {
	b.Run("P-256", func(b *testing.B) {
		b.ReportAllocs()
		c := crypt.CurveOf(wire.CurveNISTP256)
		for b.Loop() {
			if _, _, err := c.GenerateKey(crypt.NewPrimaryGenerator(make([]byte, 64), make([]byte, 34), nil)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("RSA-2048", func(b *testing.B) {
		b.ReportAllocs()
		seed := make([]byte, 64)
		for b.Loop() {
			seed[0]++
			if _, err := crypt.GenerateRSA(crypt.NewPrimaryGenerator(seed, make([]byte, 34), nil), 2048, crypt.RSAOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
