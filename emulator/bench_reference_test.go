//go:build cgo && linux

package emulator_test

import (
	"context"
	"crypto/elliptic"
	"encoding/binary"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/reference"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// contender is a TPM of BenchmarkBesideReferences, as go-tpm's transport. It
// keeps the last command, to be sent again as it is.
type contender struct {
	transport.Device
	name string
	last []byte
	took []time.Duration // one figure a round
}

func (c *contender) Send(command []byte) ([]byte, error) {
	c.last = command
	return c.Device.Send(context.Background(), 0, command)
}

// repeat sends the last command n times, flushes what it makes, and notes how
// long the commands alone took.
func (c *contender) repeat(b *testing.B, n int, command func(i int) []byte) {
	var took time.Duration
	for i := range n {
		packet := command(i)
		start := time.Now()
		response, err := c.Device.Send(context.Background(), 0, packet)
		took += time.Since(start)
		if err != nil || et.ResponseCode(response) != wire.RCSuccess {
			b.Fatal(c.name, err, et.ResponseCode(response))
		}
		switch code := wire.CC(binary.BigEndian.Uint32(packet[6:])); code {
		case wire.CCCreatePrimary, wire.CCLoad, wire.CCLoadExternal:
			c.Device.Send(context.Background(), 0, et.Command(wire.CCFlushContext, nil, nil, response[10:14]))
		}
	}
	c.took = append(c.took, took/time.Duration(n))
}

// contenders are this TPM, the simulator, and swtpm if there is one.
func contenders(b *testing.B) []*contender {
	ours, err := emulator.New(emulator.Platform{}, emulator.Config{})
	require.NoError(b, err)
	require.NoError(b, ours.Init())
	simulator, err := reference.OpenSimulator()
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, simulator.Close()) })
	all := []*contender{{Device: ours, name: "swtpmd"}, {Device: simulator, name: "simulator"}}
	if _, err := exec.LookPath("swtpm"); err == nil {
		swtpm, err := reference.StartSWTPM("swtpm", b.TempDir())
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, swtpm.Close()) })
		all = append(all, &contender{Device: swtpm, name: "swtpm"})
	}
	for _, c := range all {
		_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(c)
		require.NoError(b, err)
	}
	return all
}

// BenchmarkBesideReferences measures commands whose time is that of their
// cryptography on this TPM, on the simulator and on swtpm, in turn, so that the
// ratios hold on a machine whose speed drifts. A round is one iteration:
//
//	go test -run - -bench BesideReferences -benchtime 31x ./emulator
//
// The figures are those of one command, in microseconds, the median over the
// rounds, and the median of the rounds' ratios to this TPM; for making RSA keys,
// whose time varies tenfold by chance, the mean and the ratio of the means.
func BenchmarkBesideReferences(b *testing.B) {
	all := contenders(b)
	p256, p384 := eccSigner(tpm2.TPMECCNistP256), eccSigner(tpm2.TPMECCNistP384)
	for _, row := range []struct {
		name     string
		repeat   int
		mean     bool
		prepare  func(c *contender, b *testing.B, template tpm2.TPMTPublic) // ends with the command to measure
		template tpm2.TPMTPublic
	}{
		{"CreatePrimary/RSA-2048", 1, true, (*contender).primary, tpm2.RSASRKTemplate},
		{"CreatePrimary/P-256", 5, false, (*contender).primary, tpm2.ECCSRKTemplate},
		{"Create/RSA-2048", 1, true, (*contender).create, rsaSigner()},
		{"Create/P-256", 5, false, (*contender).create, p256},
		{"Load/RSA-2048", 5, false, (*contender).load, rsaSigner()},
		{"Sign/RSASSA-2048", 5, false, (*contender).sign, rsaSigner()},
		{"Sign/ECDSA-P-256", 5, false, (*contender).sign, p256},
		{"Sign/ECDSA-P-384", 5, false, (*contender).sign, p384},
		{"VerifySignature/RSASSA-2048", 5, false, (*contender).verify, rsaSigner()},
		{"VerifySignature/ECDSA-P-256", 5, false, (*contender).verify, p256},
		{"VerifySignature/ECDSA-P-384", 5, false, (*contender).verify, p384},
		{"ECDH_KeyGen/P-256", 5, false, (*contender).exchange, eccExchanger()},
		{"ECDH_ZGen/P-256", 5, false, (*contender).agree, eccExchanger()},
	} {
		b.Run(row.name, func(b *testing.B) {
			for _, c := range all {
				c.took = nil
				row.prepare(c, b, row.template)
			}
			for round := 0; b.Loop(); round++ {
				for _, c := range all {
					c.repeat(b, row.repeat, func(i int) []byte { return distinct(c.last, round*row.repeat+i) })
				}
			}
			reportBeside(b, all, row.mean)
			for _, c := range all {
				c.flushAll()
			}
		})
	}
}

// distinct makes another command of CreatePrimary, which would give the same key
// again: it counts in the sensitive data.
func distinct(command []byte, n int) []byte {
	if wire.CC(binary.BigEndian.Uint32(command[6:])) != wire.CCCreatePrimary {
		return command
	}
	const data = 10 + 4 + 4 + 9 + 2 + 2 + 2 // of a command with one password session and no authorisation value
	command = slices.Clone(command)
	binary.BigEndian.PutUint32(command[data:], uint32(n))
	return command
}

// reportBeside gives the figures of one row.
func reportBeside(b *testing.B, all []*contender, mean bool) {
	b.ReportMetric(0, "ns/op")
	middle := func(v []float64) float64 {
		sum := 0.0
		for _, f := range v {
			sum += f
		}
		if mean {
			return sum / float64(len(v))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	var ours float64
	for i, c := range all {
		var took, ratio []float64
		for round, t := range c.took {
			took = append(took, float64(t.Nanoseconds())/1000)
			ratio = append(ratio, float64(t)/float64(all[0].took[round]))
		}
		figure := middle(took)
		b.ReportMetric(figure, c.name+"-µs")
		if i == 0 {
			ours = figure
			continue
		}
		if mean {
			ratio = []float64{figure / ours}
		}
		b.ReportMetric(middle(ratio), c.name+"/swtpmd")
	}
}

func (c *contender) flushAll() {
	for handle := tpm2.TPMHandle(0x80000000); handle < 0x80000003; handle++ {
		_, _ = tpm2.FlushContext{FlushHandle: handle}.Execute(c) // there may be none
	}
}

func rsaSigner() tpm2.TPMTPublic {
	scheme := tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgSHA256}
	return benchSigner(tpm2.TPMAlgRSA, tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{KeyBits: 2048,
		Scheme: tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &scheme)}}))
}

func eccSigner(curve tpm2.TPMECCCurve) tpm2.TPMTPublic {
	scheme := tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}
	return benchSigner(tpm2.TPMAlgECC, tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: curve,
		Scheme: tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &scheme)}}))
}

func eccExchanger() tpm2.TPMTPublic {
	t := benchSigner(tpm2.TPMAlgECC, tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256}))
	t.ObjectAttributes.SignEncrypt, t.ObjectAttributes.Decrypt = false, true
	return t
}

// benchSigner is the template of a signing key outside the dictionary attack
// logic, of which swtpm makes more work.
func benchSigner(alg tpm2.TPMAlgID, parameters tpm2.TPMUPublicParms) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: alg, NameAlg: tpm2.TPMAlgSHA256, Parameters: parameters,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, SignEncrypt: true}}
}

func (c *contender) primary(b *testing.B, template tpm2.TPMTPublic) {
	made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(template),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: make([]byte, 4)})}}}.Execute(c)
	require.NoError(b, err, c.name)
	c.flush(b, made.ObjectHandle)
}

// flush leaves the last command what it was.
func (c *contender) flush(b *testing.B, handle tpm2.TPMHandle) {
	last := c.last
	_, err := tpm2.FlushContext{FlushHandle: handle}.Execute(c)
	require.NoError(b, err, c.name)
	c.last = last
}

func (c *contender) storage(b *testing.B) tpm2.AuthHandle {
	made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(c)
	require.NoError(b, err, c.name)
	return tpm2.AuthHandle{Handle: made.ObjectHandle, Name: made.Name, Auth: tpm2.PasswordAuth(nil)}
}

func (c *contender) create(b *testing.B, template tpm2.TPMTPublic) {
	_, err := tpm2.Create{ParentHandle: c.storage(b), InPublic: tpm2.New2B(template)}.Execute(c)
	require.NoError(b, err, c.name)
}

func (c *contender) load(b *testing.B, template tpm2.TPMTPublic) {
	c.flush(b, c.loaded(b, template).Handle)
}

func (c *contender) loaded(b *testing.B, template tpm2.TPMTPublic) tpm2.AuthHandle {
	parent := c.storage(b)
	made, err := tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(template)}.Execute(c)
	require.NoError(b, err, c.name)
	key, err := tpm2.Load{ParentHandle: parent, InPrivate: made.OutPrivate, InPublic: made.OutPublic}.Execute(c)
	require.NoError(b, err, c.name)
	return tpm2.AuthHandle{Handle: key.ObjectHandle, Name: key.Name, Auth: tpm2.PasswordAuth(nil)}
}

func (c *contender) signed(b *testing.B, template tpm2.TPMTPublic) (key tpm2.AuthHandle, signature tpm2.TPMTSignature) {
	key = c.loaded(b, template)
	made, err := tpm2.Sign{KeyHandle: key, Digest: tpm2.TPM2BDigest{Buffer: make([]byte, 32)},
		InScheme:   tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull}}.Execute(c)
	require.NoError(b, err, c.name)
	return key, made.Signature
}

func (c *contender) sign(b *testing.B, template tpm2.TPMTPublic) { c.signed(b, template) }

func (c *contender) verify(b *testing.B, template tpm2.TPMTPublic) {
	key, signature := c.signed(b, template)
	_, err := tpm2.VerifySignature{KeyHandle: key.Handle, Digest: tpm2.TPM2BDigest{Buffer: make([]byte, 32)}, Signature: signature}.Execute(c)
	require.NoError(b, err, c.name)
}

func (c *contender) exchange(b *testing.B, template tpm2.TPMTPublic) {
	key := c.loaded(b, template)
	response, err := c.Send(et.Command(wire.CCECDHKeyGen, []wire.Handle{wire.Handle(key.Handle)}, nil)) // go-tpm does not know it
	require.NoError(b, err, c.name)
	require.Equal(b, wire.RCSuccess, et.ResponseCode(response), c.name)
}

func (c *contender) agree(b *testing.B, template tpm2.TPMTPublic) {
	base := elliptic.P256().Params()
	_, err := tpm2.ECDHZGen{KeyHandle: c.loaded(b, template), InPoint: tpm2.New2B(tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: base.Gx.Bytes()}, Y: tpm2.TPM2BECCParameter{Buffer: base.Gy.Bytes()}})}.Execute(c)
	require.NoError(b, err, c.name)
}
