package emulator_test

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// clientSession is the client's side of one HMAC or policy session with SHA-256,
// for what go-tpm's do not do: wrong HMACs, and entities that change or end with
// the command. Session keys are made by go-tpm.
type clientSession struct {
	handle      wire.Handle
	key         []byte // sessionKey
	nonceTPM    []byte
	nonceCaller []byte
}

// startClient starts a session, bound to an entity that is not TPM_RH_NULL.
func startClient(t *testing.T, tpm *et.TPM, kind wire.SE, bind wire.Handle, authValue string) *clientSession {
	t.Helper()
	rsp := tpm.Execute(0, startSessionWith(kind, bind, wire.AlgSHA256))
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, true), nil)
	s := &clientSession{handle: et.ResponseHandle(rsp), nonceTPM: bytes.Clone(r.Sized(32)), nonceCaller: make([]byte, 16)}
	if bind != wire.RHNull {
		s.key = tpm2.KDFa(crypto.SHA256, []byte(authValue), "ATH", s.nonceTPM, s.nonceCaller, 256)
	}
	return s
}

// mac is the HMAC with sessionKey and an authValue.
func (s *clientSession) mac(authValue string, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, append(bytes.Clone(s.key), authValue...))
	m.Write(bytes.Join(parts, nil))
	return m.Sum(nil)
}

// use is the use of the session for a command with these Names and parameters.
func (s *clientSession) use(authValue string, attributes wire.SessionAttributes, code wire.CC, names [][]byte, params ...[]byte) wire.AuthCommand {
	cpHash := sha(et.U32(uint32(code)), bytes.Join(names, nil), bytes.Join(params, nil))
	return wire.AuthCommand{Session: s.handle, Nonce: s.nonceCaller, Attributes: attributes,
		HMAC: s.mac(authValue, cpHash, s.nonceCaller, s.nonceTPM, []byte{byte(attributes)})}
}

// answered checks the last TPMS_AUTH_RESPONSE of a response without handle, and
// takes its nonce.
func (s *clientSession) answered(t *testing.T, code wire.CC, rsp []byte, authValue string) {
	t.Helper()
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	const size = 2 + 16 + 1 + 2 + 32
	last := rsp[len(rsp)-size:]
	r := wire.NewReader(last, nil)
	s.nonceTPM = bytes.Clone(r.Sized(16))
	attributes := r.U8()
	rpHash := sha(et.U32(0), et.U32(uint32(code)), et.Parameters(rsp, false))
	assert.Equal(t, s.mac(authValue, rpHash, s.nonceTPM, s.nonceCaller, []byte{attributes}), r.Sized(32))
	require.Equal(t, wire.RCSuccess, r.RC())
}

// name is the Name of what has none but its handle.
func name(h wire.Handle) []byte { return et.U32(uint32(h)) }
