package provision_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-attestation/attest"
	"github.com/google/go-attestation/attributecert"
	"github.com/google/go-tpm-tools/client"
	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/provision"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
)

var noon = time.Date(2026, time.January, 31, 12, 0, 0, 0, time.UTC)

// options are those of every test, with an authority that is always the same.
func options(t *testing.T) provision.Options {
	t.Helper()
	entropy := emulatortest.NewEntropy(7)
	key, err := provision.NewAuthorityKey(entropy)
	require.NoError(t, err)
	authority, err := provision.NewAuthority("test CA", key, entropy, noon)
	require.NoError(t, err)
	require.NoError(t, authority.Check())
	return provision.Options{Authority: authority, Entropy: entropy, Now: noon,
		Identity: provision.Identity{Platform: provision.Platform{Manufacturer: "maker", Model: "model", Version: "v", Serial: "0815"}}}
}

func keysOf(t *testing.T, kind provision.Kind, names ...string) (keys []provision.Key) {
	t.Helper()
	for _, name := range names {
		k, err := provision.KeyNamed(kind, name)
		require.NoError(t, err)
		keys = append(keys, k)
	}
	return keys
}

// verify returns the certificate, which the authority has signed for a purpose. The
// standard library leaves a critical name of a directory to whoever asks.
func verify(t *testing.T, der []byte, o *provision.Options) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, func(id asn1.ObjectIdentifier) bool {
		return id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17})
	})
	roots := x509.NewCertPool()
	roots.AddCert(o.Authority.Certificate)
	_, err = c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: noon, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	require.NoError(t, err)
	return c
}

// A TPM of each profile that comes with the program shows what it was given.
func TestEveryProfile(t *testing.T) {
	t.Parallel()
	for _, name := range emulator.Profiles() {
		t.Run(name, func(t *testing.T) {
			profile, err := emulator.ProfileByName(name)
			require.NoError(t, err)
			tpm, o := emulatortest.New(t, emulatortest.WithConfig(profile.Config)), options(t)
			if o.Keys, err = provision.DefaultKeys(t.Context(), tpm); err != nil {
				t.Fatal(err)
			}
			ak, err := provision.First(t.Context(), tpm, provision.Attestation)
			require.NoError(t, err)
			o.Keys = append(o.Keys, ak)
			o.PlatformCertificate = true
			result, err := provision.New(t.Context(), tpm, o)
			require.NoError(t, err)
			assert.NotEmpty(t, result.Banks)
			asked := ask.TPM{Device: tpm}
			piece, err := asked.Property(t.Context(), wire.PTNVBufferMax)
			require.NoError(t, err)
			for _, k := range result.Keys {
				area, err := asked.ReadPublic(t.Context(), k.Handle)
				require.NoError(t, err)
				assert.Equal(t, k.Area, area)
				der, err := asked.NVRead(t.Context(), k.Key.Certificate, int(piece))
				require.NoError(t, err)
				assert.Equal(t, k.Certificate.DER, der)
				assert.True(t, tpmKey(t, area).Equal(verify(t, der, &o).PublicKey), k.String())
			}
			der, err := asked.NVRead(t.Context(), 0x01C08000, int(piece))
			require.NoError(t, err)
			assert.Equal(t, result.Platform.DER, der)
			// Nothing is left loaded.
			second, err := asked.Property(t.Context(), wire.PTHRTransientAvail)
			require.NoError(t, err)
			assert.EqualValues(t, cmpOr(profile.Config.Limits.Transient, emulator.DefaultLimits().Transient), second)
		})
	}
}

func cmpOr(a, b uint32) uint32 {
	if a != 0 {
		return a
	}
	return b
}

// tpmKey is the key of a TPMT_PUBLIC as go-tpm reads it.
func tpmKey(t *testing.T, area []byte) interface{ Equal(crypto.PublicKey) bool } {
	t.Helper()
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](area)
	require.NoError(t, err)
	key, err := tpm2.Pub(*public)
	require.NoError(t, err)
	return key.(interface{ Equal(crypto.PublicKey) bool })
}

// The templates of the low range are those that go-tpm has.
func TestTemplatesAreTheProfiles(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]tpm2.TPMTPublic{"rsa2048": tpm2.RSAEKTemplate, "ecc-p256": tpm2.ECCEKTemplate} {
		k := keysOf(t, provision.Endorsement, name)[0]
		assert.Equal(t, tpm2.Marshal(want), k.Public(), name)
	}
	_, err := provision.KeyNamed(provision.IAK, "rsa1024")
	var unknown *provision.UnknownKeyError
	require.ErrorAs(t, err, &unknown)
	assert.Contains(t, unknown.Known, "rsa2048")
	seen := map[wire.Handle]string{}
	for _, kind := range []provision.Kind{provision.Endorsement, provision.Attestation} {
		for _, k := range provision.Keys(kind) {
			for _, h := range []wire.Handle{k.Handle, k.Certificate, k.Nonce, k.TemplateIndex} {
				assert.Empty(t, seen[h], "0x%08x is %s too", uint32(h), k.String())
				if h != 0 {
					seen[h] = k.String()
				}
			}
		}
	}
}

// The templates of IAK and IDevID as keylime's tests give them to tpm2_createprimary:
// rsa2048:rsapss-sha256:null with the text IAK, and rsa2048:null:null with IDEVID.
func TestDeviceTemplates(t *testing.T) {
	t.Parallel()
	for kind, want := range map[provision.Kind]struct {
		restricted     bool
		policy, unique string
		scheme         tpm2.TPMTRSAScheme
	}{
		provision.IAK: {true, "5437182326e414fca797d5f174615a1641f61255797c3a2b22c21d120b2d1e07", "IAK", tpm2.TPMTRSAScheme{
			Scheme: tpm2.TPMAlgRSAPSS, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAPSS, &tpm2.TPMSSigSchemeRSAPSS{HashAlg: tpm2.TPMAlgSHA256})}},
		provision.IDevID: {false, "ad6b3a2284fd698a0710bf5cc1b9bdf15e2532e3f601fa4b93a6a8fa8de579ea", "IDEVID", tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgNull}},
	} {
		policy, err := hex.DecodeString(want.policy)
		require.NoError(t, err)
		template := tpm2.TPMTPublic{
			Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true,
				UserWithAuth: true, AdminWithPolicy: true, SignEncrypt: true, Restricted: want.restricted},
			AuthPolicy: tpm2.TPM2BDigest{Buffer: policy},
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
				Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, Scheme: want.scheme, KeyBits: 2048}),
			Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: []byte(want.unique)}),
		}
		key := keysOf(t, kind, "rsa2048")[0]
		assert.Equal(t, tpm2.Marshal(template), key.Public(), "%s", kind)
	}
}

// Each key of each kind can be made by the default TPM, if it has its algorithm.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	for _, kind := range []provision.Kind{provision.Endorsement, provision.Attestation, provision.IAK, provision.IDevID} {
		tpm, o := emulatortest.New(t), options(t)
		for _, k := range provision.Keys(kind) {
			has, err := k.Possible(t.Context(), tpm)
			require.NoError(t, err)
			assert.Equal(t, k.Name != "rsa4096", has, k.String())
			if !has || k.Name == "rsa3072" {
				continue
			}
			if kind == provision.IAK || kind == provision.IDevID {
				tpm = emulatortest.New(t) // all have one handle
			}
			o.Keys = []provision.Key{k}
			result, err := provision.New(t.Context(), tpm, o)
			require.NoError(t, err, k.String())
			c := verify(t, result.Keys[0].Certificate.DER, &o)
			assert.True(t, tpmKey(t, result.Keys[0].Area).Equal(c.PublicKey), k.String())
		}
	}
}

// go-attestation and go-tpm-tools find the keys and read the certificates.
func TestClientsOfOthersReadIt(t *testing.T) {
	t.Parallel()
	tpm, o := emulatortest.New(t), options(t)
	o.Keys = append(keysOf(t, provision.Endorsement, "rsa2048", "ecc-p256"), keysOf(t, provision.Attestation, "rsa2048", "ecc-p256")...)
	o.PlatformCertificate, o.Lock = true, true
	result, err := provision.New(t.Context(), tpm, o)
	require.NoError(t, err)

	opened, err := attest.OpenTPM(&attest.OpenConfig{CommandChannel: tpm.Channel()})
	require.NoError(t, err)
	eks, err := opened.EKs()
	require.NoError(t, err)
	require.NotEmpty(t, eks) // it looks for RSA first, and no further
	for i, ek := range eks {
		require.NotNil(t, ek.Certificate, "%d", i)
		assert.Equal(t, result.Keys[i].Certificate.DER, ek.Certificate.Raw)
	}

	ek, err := client.EndorsementKeyRSA(tpm.Channel())
	require.NoError(t, err)
	assert.True(t, ek.PublicKey().(interface{ Equal(crypto.PublicKey) bool }).Equal(eks[0].Public))
	ek.Close()
	for i, made := range []func() (*client.Key, error){
		func() (*client.Key, error) { return client.GceAttestationKeyRSA(tpm.Channel()) },
		func() (*client.Key, error) { return client.GceAttestationKeyECC(tpm.Channel()) },
	} {
		ak, err := made()
		require.NoError(t, err)
		require.NotNil(t, ak.Cert(), "%d", i)
		assert.Equal(t, result.Keys[2+i].Certificate.DER, ak.CertDERBytes())
		ak.Close()
	}

	platform, err := attributecert.ParseAttributeCertificate(result.Platform.DER)
	require.NoError(t, err)
	require.NoError(t, platform.CheckSignatureFrom(o.Authority.Certificate))
	assert.Equal(t, eks[0].Certificate.SerialNumber, platform.Holder.Serial)
	assert.Equal(t, "test CA", platform.Holder.Issuer.CommonName)
	assert.Equal(t, []string{"maker", "model", "v", "0815"},
		[]string{platform.PlatformManufacturer, platform.PlatformModel, platform.PlatformVersion, platform.PlatformSerial})
	assert.Equal(t, 2, platform.Version)

	// Locked for good.
	asked := ask.TPM{Device: tpm}
	require.ErrorIs(t, asked.NVWrite(t.Context(), 0x01C00002, []byte{1}, 1), wire.RCNVLocked)
	require.EqualValues(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	require.EqualValues(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	require.ErrorIs(t, asked.NVWrite(t.Context(), 0x01C00002, []byte{1}, 1), wire.RCNVLocked)
}

// With the nonce and the template in NV, a client makes the same key from these.
func TestNonceAndTemplate(t *testing.T) {
	t.Parallel()
	tpm, o := emulatortest.New(t), options(t)
	o.Keys, o.Nonce, o.Templates = keysOf(t, provision.Endorsement, "ecc-p256"), []byte("nonce"), true
	result, err := provision.New(t.Context(), tpm, o)
	require.NoError(t, err)
	asked := ask.TPM{Device: tpm}
	nonce, err := asked.NVRead(t.Context(), 0x01C0000B, 512)
	require.NoError(t, err)
	assert.Equal(t, "nonce", string(nonce))
	template, err := asked.NVRead(t.Context(), 0x01C0000C, 512)
	require.NoError(t, err)
	assert.True(t, bytes.Contains(template, []byte("nonce\x00")))
	handle, area, err := asked.CreatePrimary(t.Context(), wire.RHEndorsement, template)
	require.NoError(t, err)
	assert.Equal(t, result.Keys[0].Area, area)
	require.NoError(t, asked.Flush(t.Context(), handle))

	o.Nonce = make([]byte, 33)
	_, err = provision.New(t.Context(), emulatortest.New(t), o)
	var long *provision.NonceError
	require.ErrorAs(t, err, &long)
}

// The same seeds give the same bytes.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	var first *provision.Result
	for range 2 {
		tpm, o := emulatortest.New(t, emulatortest.WithSeed(3)), options(t)
		o.Keys, o.PlatformCertificate = keysOf(t, provision.Endorsement, "ecc-p256", "ecc-p384"), true
		result, err := provision.New(t.Context(), tpm, o)
		require.NoError(t, err)
		if first == nil {
			first = result
			continue
		}
		assert.Equal(t, first.Keys, result.Keys)
		assert.Equal(t, first.Platform, result.Platform)
	}
}

func TestBanks(t *testing.T) {
	t.Parallel()
	tpm, o := emulatortest.New(t), options(t)
	o.Keys, o.Banks = []provision.Key{}, []wire.AlgID{wire.AlgSHA384, wire.AlgSHA256}
	result, err := provision.New(t.Context(), tpm, o)
	require.NoError(t, err)
	assert.Equal(t, []wire.AlgID{wire.AlgSHA256, wire.AlgSHA384}, result.Banks)
	require.EqualValues(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	require.EqualValues(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	banks, err := ask.TPM{Device: tpm}.Banks(t.Context())
	require.NoError(t, err)
	require.Len(t, banks, 2)
	assert.Len(t, banks[1].PCRs(), 24)
	_, err = provision.Allocate(t.Context(), tpm, []wire.AlgID{wire.AlgSM3_256})
	var bank *provision.BankError
	require.ErrorAs(t, err, &bank)
	assert.Contains(t, err.Error(), "SHA512")
}

// What cannot be is refused with what is in the way.
func TestRefusals(t *testing.T) {
	t.Parallel()
	limits := emulator.DefaultLimits()
	limits.NVIndexSize = 64
	tpm, o := emulatortest.New(t, emulatortest.WithConfig(emulator.Config{Limits: limits})), options(t)
	o.Keys = keysOf(t, provision.Endorsement, "ecc-p256")
	_, err := provision.New(t.Context(), tpm, o)
	var size *provision.SizeError
	require.ErrorAs(t, err, &size)
	assert.Equal(t, 64, size.Most)
	assert.Contains(t, err.Error(), "0x01c0000a")

	o.Keys, o.PlatformCertificate = []provision.Key{}, true
	_, err = provision.New(t.Context(), emulatortest.New(t), o)
	require.ErrorIs(t, err, provision.ErrNoEndorsement)

	failing := emulatortest.NewEntropy(1)
	failing.Fail(true)
	o = options(t)
	o.Keys, o.Entropy = keysOf(t, provision.Endorsement, "ecc-p256"), failing
	_, err = provision.New(t.Context(), emulatortest.New(t), o)
	require.ErrorIs(t, err, emulatortest.ErrInjected)

	o = options(t)
	other, err := provision.NewAuthorityKey(emulatortest.NewEntropy(8))
	require.NoError(t, err)
	wrong := &provision.Authority{Certificate: o.Authority.Certificate, Key: other}
	var mismatch *provision.MismatchError
	require.ErrorAs(t, wrong.Check(), &mismatch)
	assert.False(t, errors.Is(wrong.Check(), provision.ErrNoAlgorithm))
}

// A certificate that does not fit loses what may be left out, and says so.
func TestShortCertificate(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Keys = keysOf(t, provision.Endorsement, "ecc-p256")
	whole, err := provision.New(t.Context(), emulatortest.New(t), o)
	require.NoError(t, err)
	require.False(t, whole.Keys[0].Certificate.Short)
	limits := emulator.DefaultLimits()
	limits.NVIndexSize = uint32(len(whole.Keys[0].Certificate.DER) - 8)
	short, err := provision.New(t.Context(), emulatortest.New(t, emulatortest.WithConfig(emulator.Config{Limits: limits})), o)
	require.NoError(t, err)
	assert.True(t, short.Keys[0].Certificate.Short)
	verify(t, short.Keys[0].Certificate.DER, &o)
}
