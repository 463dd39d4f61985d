//go:build cgo && linux

package crypt_test

import (
	"encoding/binary"
	"io"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// packet puts a command together; go-tpm does not know ECSCHNORR and ECDAA.
type packet []byte

func (p packet) u16(v uint16) packet { return binary.BigEndian.AppendUint16(p, v) }
func (p packet) u32(v uint32) packet { return binary.BigEndian.AppendUint32(p, v) }
func (p packet) sized(b []byte) packet {
	return append(p.u16(uint16(len(b))), b...)
}

// run sends a command with an empty password for its handle, if authorized, and
// gives the response code and the parameters of the response.
func run(t *testing.T, tpm transport.TPM, cc uint32, authorized bool, handle tpm2.TPMHandle, parameters packet) (code uint32, out []byte) {
	t.Helper()
	tag, auth := uint16(0x8001), packet(nil)
	if authorized {
		tag, auth = 0x8002, packet(nil).u32(9).u32(0x40000009).u16(0)
		auth = append(auth, 0, 0, 0)
	}
	body := append(append(packet(nil).u32(uint32(handle)), auth...), parameters...)
	response, err := tpm.Send(append(packet(nil).u16(tag).u32(uint32(len(body)+10)).u32(cc), body...))
	require.NoError(t, err)
	code, out = binary.BigEndian.Uint32(response[6:]), response[10:]
	if authorized && code == 0 {
		out = out[4:]
	}
	return code, out
}

// take cuts a sized buffer off.
func take(b *[]byte) []byte {
	n := 2 + int(binary.BigEndian.Uint16(*b))
	out := (*b)[2:n]
	*b = (*b)[n:]
	return out
}

const (
	ccSign            = 0x15D
	ccVerifySignature = 0x177
	ccCommit          = 0x18B
)

// hashCheck is the ticket for a digest from outside.
func hashCheck(p packet) packet { return p.u16(0x8024).u32(0x40000007).u16(0) }

// signingECC makes a signing key with the simulator.
func signingECC(t *testing.T, tpm transport.TPM, curve tpm2.TPMECCCurve, scheme tpm2.TPMTECCScheme) (tpm2.TPMHandle, crypt.Point) {
	t.Helper()
	template := derivable(eccTemplate(curve, tpm2.TPMAlgSHA256))
	template.ObjectAttributes.SensitiveDataOrigin, template.ObjectAttributes.FixedTPM = true, true
	template.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: curve, Scheme: scheme})
	key, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(template)}.Execute(tpm)
	require.NoError(t, err)
	public, err := key.OutPublic.Contents()
	require.NoError(t, err)
	unique, err := public.Unique.ECC()
	require.NoError(t, err)
	q, err := crypt.CurveOf(wire.Curve(curve)).DecodePoint(unique.X.Buffer, unique.Y.Buffer)
	require.NoError(t, err)
	return key.ObjectHandle, q
}

func flush(t *testing.T, tpm transport.TPM, h tpm2.TPMHandle) {
	t.Helper()
	_, err := tpm2.FlushContext{FlushHandle: h}.Execute(tpm)
	require.NoError(t, err)
}

// The simulator verifies what we sign, and we verify what it signs.
func TestECCSignaturesAgreeWithTheSimulator(t *testing.T) {
	tpm := openSimulator(t, 1)
	for _, curve := range []tpm2.TPMECCCurve{tpm2.TPMECCNistP224, tpm2.TPMECCNistP256, tpm2.TPMECCNistP384, tpm2.TPMECCNistP521, tpm2.TPMECCBNP256} {
		c := crypt.CurveOf(wire.Curve(curve))
		handle, q := signingECC(t, tpm, curve, tpm2.TPMTECCScheme{})
		d, mine, err := c.GenerateKey(seeded(1))
		require.NoError(t, err)
		x, y := c.EncodePoint(mine)
		external := derivable(eccTemplate(curve, tpm2.TPMAlgSHA256))
		external.ObjectAttributes = tpm2.TPMAObject{SignEncrypt: true, UserWithAuth: true}
		external.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: x}, Y: tpm2.TPM2BECCParameter{Buffer: y}})
		loaded, err := tpm2.LoadExternal{InPublic: tpm2.New2B(external), Hierarchy: tpm2.TPMRHNull}.Execute(tpm)
		require.NoError(t, err)
		for _, hash := range []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256, wire.AlgSHA512} {
			digest := crypt.Digest(hash, nil, []byte("message"))
			for _, alg := range []wire.AlgID{wire.AlgECDSA, wire.AlgECSchnorr} {
				sign, verify := c.SignECDSA, c.VerifyECDSA
				if alg == wire.AlgECSchnorr {
					sign = func(gen io.Reader, d *big.Int, digest []byte) (r, s *big.Int, err error) {
						return c.SignECSchnorr(gen, d, hash, digest)
					}
					verify = func(q crypt.Point, digest []byte, r, s *big.Int) bool {
						return c.VerifyECSchnorr(q, hash, digest, r, s)
					}
				}
				r, s, err := sign(seeded(2), d, digest)
				require.NoError(t, err)
				code, _ := run(t, tpm, ccVerifySignature, false, loaded.ObjectHandle,
					packet(nil).sized(digest).u16(uint16(alg)).u16(uint16(hash)).sized(c.EncodeScalar(r)).sized(c.EncodeScalar(s)))
				assert.Zero(t, code, "%v %v %v", curve, alg, hash)

				code, out := run(t, tpm, ccSign, true, handle, hashCheck(packet(nil).sized(digest).u16(uint16(alg)).u16(uint16(hash))))
				require.Zero(t, code)
				out = out[4:]
				r, s = new(big.Int).SetBytes(take(&out)), new(big.Int).SetBytes(take(&out))
				assert.True(t, verify(q, digest, r, s), "%v %v %v", curve, alg, hash)
			}
		}
		flush(t, tpm, handle)
		flush(t, tpm, loaded.ObjectHandle)
	}
}

// An ECDAA signature of the simulator has the form of ours.
func TestECDAAAgreesWithTheSimulator(t *testing.T) {
	tpm := openSimulator(t, 1)
	for _, curve := range []tpm2.TPMECCCurve{tpm2.TPMECCNistP256, tpm2.TPMECCBNP256} {
		c := crypt.CurveOf(wire.Curve(curve))
		handle, q := signingECC(t, tpm, curve, tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDAA,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDAA, &tpm2.TPMSSchemeECDAA{HashAlg: tpm2.TPMAlgSHA256})})
		digest := crypt.Digest(wire.AlgSHA256, nil, []byte("message"))
		code, out := run(t, tpm, ccCommit, true, handle, packet(nil).sized(make([]byte, 4)).sized(nil).sized(nil))
		require.Zero(t, code)
		take(&out)
		take(&out)
		point := take(&out)
		e, err := c.DecodePoint(take(&point), take(&point))
		require.NoError(t, err)
		counter := binary.BigEndian.Uint16(out)
		code, out = run(t, tpm, ccSign, true, handle, hashCheck(packet(nil).sized(digest).u16(uint16(wire.AlgECDAA)).u16(uint16(wire.AlgSHA256)).u16(counter)))
		require.Zero(t, code)
		out = out[4:]
		nonce, s := take(&out), new(big.Int).SetBytes(take(&out))
		tt := new(big.Int).SetBytes(crypt.Digest(wire.AlgSHA256, nil, append(append([]byte(nil), nonce...), digest...)))
		assert.True(t, c.BaseMult(s).Equal(c.Add(e, c.Mult(q, tt))))
		flush(t, tpm, handle)
	}
}
