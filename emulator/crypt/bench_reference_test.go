//go:build cgo && linux

package crypt_test

import (
	"testing"

	"github.com/google/go-tpm-tools/simulator"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/require"
)

// BenchmarkSimulator is what BenchmarkRSA and BenchmarkPrimary are to be seen
// next to. A command costs some microseconds more than its cryptography.
func BenchmarkSimulator(b *testing.B) {
	open := func(b *testing.B, seed int64) (*simulator.Simulator, transport.TPM) {
		s, err := simulator.GetWithFixedSeedInsecure(seed)
		require.NoError(b, err)
		return s, transport.FromReadWriter(s)
	}
	b.Run("sign RSA-2048", func(b *testing.B) {
		s, tpm := open(b, 1)
		defer s.Close()
		key, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(signing(rsaTemplate(2048, 0)))}.Execute(tpm)
		require.NoError(b, err)
		sign := tpm2.Sign{
			KeyHandle: tpm2.NamedHandle{Handle: key.ObjectHandle, Name: key.Name},
			Digest:    tpm2.TPM2BDigest{Buffer: make([]byte, 32)},
			InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgRSASSA,
				Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256})},
			Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
		}
		for b.Loop() {
			if _, err := sign.Execute(tpm); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, template := range map[string]tpm2.TPMTPublic{"RSA-2048": tpm2.RSASRKTemplate, "P-256": tpm2.ECCSRKTemplate} {
		b.Run("primary "+name, func(b *testing.B) {
			s, tpm := open(b, 1)
			defer s.Close()
			data := make([]byte, 4)
			for b.Loop() {
				data[0]++
				key, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(template),
					InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
						Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: data})}}}.Execute(tpm)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := (tpm2.FlushContext{FlushHandle: key.ObjectHandle}).Execute(tpm); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
