package crypt_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Published test vectors, below testdata/vectors. Each file names its source. What is
// long and is computed here, and not given to this package, is a SHA-256 digest there.

// octets is a string of hexadecimal digits in JSON.
type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.DecodeString(string(text))
	return err
}

// equalDigest requires that b is what want is the SHA-256 digest of.
func equalDigest(t *testing.T, want octets, b []byte) {
	t.Helper()
	digest := sha256.Sum256(b)
	require.Equal(t, []byte(want), digest[:])
}

type vectorFile[V any] struct {
	Source  string
	Keys    []octets
	Vectors []V
}

// vectors reads a file of at least n vectors.
func vectors[V any](t *testing.T, name string, n int) vectorFile[V] {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/vectors", name))
	require.NoError(t, err)
	if strings.HasSuffix(name, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(b))
		require.NoError(t, err)
		b, err = io.ReadAll(r)
		require.NoError(t, err)
	}
	var file vectorFile[V]
	require.NoError(t, json.Unmarshal(b, &file))
	require.GreaterOrEqual(t, len(file.Vectors), n)
	t.Logf("%d vectors of %s", len(file.Vectors), file.Source)
	return file
}

type mldsaVector struct {
	Kind, Comment        string
	Set                  wire.MLDSAParameterSet
	Key                  int
	Seed, Random         octets
	Message, Context, Mu octets
	Public, Signature    octets
	Valid                bool
}

func TestMLDSAKeyVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[mldsaVector](t, "mldsa_keygen_acvp.json", 75).Vectors {
		public, err := crypt.MLDSAPublic(v.Set, v.Seed)
		require.NoError(t, err)
		equalDigest(t, v.Public, public)
	}
}

// Keys, pure and pre-hash signatures with and without random bytes, and signatures of
// what the algorithm calls M' (raw).
func TestMLDSAKnownAnswers(t *testing.T) {
	t.Parallel()
	for i, v := range vectors[mldsaVector](t, "mldsa_kat.json", 168).Vectors {
		key, err := crypt.NewMLDSAKey(v.Set, v.Seed)
		require.NoError(t, err)
		equalDigest(t, v.Public, key.Public())
		var mu []byte
		switch {
		case strings.HasSuffix(v.Kind, "_pure"):
			mu = pureMu(t, key.Public(), v.Context, v.Message)
		case strings.HasSuffix(v.Kind, "_hashed"):
			hash := map[wire.MLDSAParameterSet]wire.AlgID{
				wire.MLDSA44: wire.AlgSHA256, wire.MLDSA65: wire.AlgSHA384, wire.MLDSA87: wire.AlgSHA512,
			}[v.Set]
			m, err := crypt.NewHashMLDSAMu(key.Public(), v.Context, hash)
			require.NoError(t, err)
			m.Write(crypt.Digest(hash, nil, v.Message))
			mu = m.Sum(nil)
		default:
			tr := crypt.Digest(wire.AlgSHAKE256_512, nil, key.Public())
			mu = crypt.Digest(wire.AlgSHAKE256_512, nil, append(tr, v.Message...))
		}
		signature, err := key.SignMu(mu, v.Random)
		require.NoError(t, err)
		equalDigest(t, v.Signature, signature)
		require.True(t, key.VerifyMu(mu, signature), "%d", i)
	}
}

func TestMLDSASignVectors(t *testing.T) {
	t.Parallel()
	for i, v := range vectors[mldsaVector](t, "mldsa_sign_wycheproof.json.gz", 280).Vectors {
		key, err := crypt.NewMLDSAKey(v.Set, v.Seed)
		if len(v.Seed) != wire.MLDSASeed {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		if len(v.Public) > 0 {
			equalDigest(t, v.Public, key.Public())
		}
		m, err := crypt.NewMLDSAMu(key.Public(), v.Context)
		if !v.Valid {
			require.Error(t, err, "%d %s", i, v.Comment)
			continue
		}
		require.NoError(t, err)
		m.Write(v.Message)
		mu := m.Sum(nil)
		if len(v.Mu) > 0 {
			if len(v.Message) > 0 {
				require.Equal(t, []byte(v.Mu), mu)
			}
			mu = v.Mu
		}
		random := v.Random
		if len(random) == 0 {
			random = make([]byte, 32)
		}
		signature, err := key.SignMu(mu, random)
		require.NoError(t, err)
		equalDigest(t, v.Signature, signature)
	}
}

func TestMLDSAVerifyVectors(t *testing.T) {
	t.Parallel()
	file := vectors[mldsaVector](t, "mldsa_verify_wycheproof.json.gz", 200)
	valid := 0
	for i, v := range file.Vectors {
		public := file.Keys[v.Key]
		ok := false
		if m, err := crypt.NewMLDSAMu(public, v.Context); err == nil {
			m.Write(v.Message)
			ok = crypt.MLDSAVerifyMu(v.Set, public, m.Sum(nil), v.Signature)
		}
		require.Equal(t, v.Valid, ok, "%d %s", i, v.Comment)
		if ok {
			valid++
		}
	}
	assert.Greater(t, valid, 30)
}

type mlkemVector struct {
	Set                                       wire.MLKEMParameterSet
	Seed, Entropy, Public, Ciphertext, Shared octets
	Valid                                     bool
}

func TestMLKEMKeyVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[mlkemVector](t, "mlkem_keygen_acvp.json", 75).Vectors {
		public, err := crypt.MLKEMPublic(v.Set, v.Seed)
		require.NoError(t, err)
		equalDigest(t, v.Public, public)
	}
}

func TestMLKEMEncapsulateVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[mlkemVector](t, "mlkem_encapsulate_acvp.json", 36).Vectors {
		shared, ciphertext, err := crypt.MLKEMEncapsulate(v.Set, v.Public, bytes.NewReader(v.Entropy))
		require.NoError(t, err)
		require.Equal(t, []byte(v.Shared), shared)
		equalDigest(t, v.Ciphertext, ciphertext)
	}
	for _, v := range vectors[mlkemVector](t, "mlkem_encapsulate_wycheproof.json.gz", 100).Vectors {
		shared, ciphertext, err := crypt.MLKEMEncapsulate(v.Set, v.Public, bytes.NewReader(v.Entropy))
		if !v.Valid {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []byte(v.Shared), shared)
		equalDigest(t, v.Ciphertext, ciphertext)
	}
}

func TestMLKEMDecapsulateVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[mlkemVector](t, "mlkem_decapsulate_wycheproof.json.gz", 180).Vectors {
		shared, err := crypt.MLKEMDecapsulate(v.Set, v.Seed, v.Ciphertext)
		if !v.Valid {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []byte(v.Shared), shared)
		if len(v.Public) > 0 {
			public, err := crypt.MLKEMPublic(v.Set, v.Seed)
			require.NoError(t, err)
			equalDigest(t, v.Public, public)
		}
	}
}

func TestEd25519Vectors(t *testing.T) {
	t.Parallel()
	for i, v := range vectors[struct {
		Public, Message, Signature octets
		Valid                      bool
		Comment                    string
	}](t, "ed25519_wycheproof.json", 150).Vectors {
		assert.Equal(t, v.Valid, crypt.VerifyEd25519(v.Public, v.Message, v.Signature), "%d %s", i, v.Comment)
	}
}

func TestX25519Vectors(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 32)
	for i, v := range vectors[struct{ Private, Public, Shared octets }](t, "x25519_wycheproof.json", 120).Vectors {
		shared, err := crypt.X25519(v.Private, v.Public)
		if bytes.Equal(v.Shared, zeros) {
			var refused *crypt.Error
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, wire.RCECCPoint, refused.Code)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, []byte(v.Shared), shared, i)
	}
}
