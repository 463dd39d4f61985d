package emulator_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

func TestPacketsSucceed(t *testing.T) {
	t.Parallel()
	for _, p := range packets() {
		if p.bytes == nil {
			continue
		}
		rsp := p.fresh(t).Execute(0, p.bytes)
		assert.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), p.name)
		assert.Equal(t, uint32(len(rsp)), binary.BigEndian.Uint32(rsp[2:]), p.name)
		assert.Equal(t, p.bytes[:2], rsp[:2], "%s: the tag is the command's", p.name)
	}
}

// Every well-formed command cut to every length, and with octets behind it. The
// answers in testdata were compared with those of swtpm 0.7.1: they are the
// same, where both have the algorithms.
func TestTruncation(t *testing.T) {
	t.Parallel()
	for _, p := range packets() {
		if p.bytes == nil {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			golden(t, "testdata/truncation/"+p.name+".txt", truncations(t, p))
		})
	}
}

// truncations lists the answers to a packet cut to every length.
func truncations(t *testing.T, p packet) string {
	var got strings.Builder
	last, from := "", 1
	flush := func(to int) {
		if last != "" {
			fmt.Fprintf(&got, "%3d-%3d %s\n", from, to, last)
		}
	}
	tpm := p.fresh(t)
	for n := 1; n <= len(p.bytes)+2; n++ {
		cut := resize(append(bytes.Clone(p.bytes), 0, 0)[:n])
		rc := send(t, tpm, cut)
		if rc == wire.RCSuccess {
			require.Equal(t, len(p.bytes), n, "cut to %d succeeds", n)
			tpm = p.fresh(t)
		}
		if text := rc.Error(); text != last {
			flush(n - 1)
			last, from = text, n
		}
	}
	flush(len(p.bytes) + 2)
	return got.String()
}

// golden compares text with a file, which -update writes.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// A wrong commandSize is noticed whatever it is.
func TestCommandSize(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	cmd := et.Command(wire.CCGetRandom, nil, nil, et.U16(8))
	for _, size := range []uint32{0, 9, 11, 13, 4096, 0xFFFFFFFF} {
		c := bytes.Clone(cmd)
		copy(c[2:], et.U32(size))
		assert.Equal(t, wire.RCCommandSize, send(t, tpm, c), size)
	}
	long := resize(append(bytes.Clone(cmd), make([]byte, 4097-len(cmd))...))
	assert.Equal(t, wire.RCCommandSize, send(t, tpm, long), "larger than the buffer")
	assert.Equal(t, wire.RCSize, send(t, tpm, resize(long[:4096])), "as large as the buffer, with octets behind the parameters")
}

// OVMF takes a response with a TPM 1.2 tag for a TPM 1.2: docs/deviations.md.
func TestTPM12CommandGetsNoTPM12Response(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for _, tag := range []byte{0xC1, 0xC2, 0xC3} {
		getTicks := []byte{0, tag, 0, 0, 0, 10, 0, 0, 0, 0xF1}
		assert.Equal(t, []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0x84}, tpm.Execute(0, getTicks), tag)
	}
}

// The answer to any other bad tag is the one of a TPM 1.2, octet by octet.
func TestBadTag(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for _, tag := range []uint16{0, 0xC0, 0xC4, 0x8000, 0x8003, 0xFFFF} {
		c := et.Command(wire.CCGetRandom, nil, nil, et.U16(8))
		copy(c, et.U16(tag))
		assert.Equal(t, []byte{0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0, 0x1E}, tpm.Execute(0, c), tag)
	}
	assert.Equal(t, wire.RCInsufficient, send(t, tpm, nil))
}

func TestStartupState(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithoutStartup())
	newer := et.New(t, et.WithoutStartup(), et.WithConfig(v185Config(t)))
	for _, p := range packets() {
		switch {
		case p.bytes == nil:
		case p.newer:
			assert.Equal(t, wire.RCInitialize, send(t, newer, p.bytes), p.name)
		default:
			assert.Equal(t, wire.RCInitialize, send(t, tpm, p.bytes), p.name)
		}
	}
	assert.Equal(t, wire.RCCommandCode, send(t, tpm, et.Command(wire.CCFieldUpgradeData, nil, nil)), "before the startup state")
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	assert.Equal(t, wire.RCInitialize, tpm.Startup(0, wire.SUClear))
	assert.Equal(t, wire.RCInitialize, send(t, tpm, et.Command(wire.CCStartup, nil, et.NoAuth())))
}

// Error responses are ten octets without sessions.
func TestErrorResponse(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	assert.Equal(t, []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0xA2},
		tpm.Execute(0, et.Command(wire.CCPCRExtend, handles{0}, [][]byte{[]byte("x")}, et.Digests())))
}

func TestHandleArea(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	buf := et.Sized(nil)
	for _, tc := range []struct {
		name    string
		code    wire.CC
		handles handles
		want    wire.RC
	}{
		{"no PCR", wire.CCPCRReset, handles{24}, wire.RCValue.Handle(1)},
		{"NULL is no PCR", wire.CCPCRReset, handles{wire.RHNull}, wire.RCValue.Handle(1)},
		{"hierarchy for PCR", wire.CCPCRExtend, handles{wire.RHOwner}, wire.RCValue.Handle(1)},
		{"PCR for object", wire.CCSequenceUpdate, handles{0}, wire.RCValue.Handle(1)},
		{"NV index for object", wire.CCSequenceUpdate, handles{0x01000000}, wire.RCValue.Handle(1)},
		{"session for object", wire.CCSequenceUpdate, handles{0x02000000}, wire.RCValue.Handle(1)},
		{"object not loaded", wire.CCSequenceUpdate, handles{0x80000002}, wire.RCReferenceH0},
		{"no such slot", wire.CCSequenceUpdate, handles{0x80000003}, wire.RCValue.Handle(1)},
		{"object not persistent", wire.CCSequenceUpdate, handles{0x81000000}, wire.RCHandle.Handle(1)},
		{"second not loaded", wire.CCEventSequenceComplete, handles{0, 0x80000000}, wire.RCReferenceH0 + 1},
		{"second of wrong kind", wire.CCEventSequenceComplete, handles{0, 0}, wire.RCValue.Handle(2)},
		{"kinds before presence", wire.CCEventSequenceComplete, handles{wire.RHOwner, 0x80000000}, wire.RCValue.Handle(1)},
		{"endorsement cannot set the clock", wire.CCClockSet, handles{wire.RHEndorsement}, wire.RCValue.Handle(1)},
		{"owner is no platform", wire.CCPCRAllocate, handles{wire.RHOwner}, wire.RCValue.Handle(1)},
		{"NULL has no auth", wire.CCHierarchyChangeAuth, handles{wire.RHNull}, wire.RCValue.Handle(1)},
		{"lockout controls nothing", wire.CCHierarchyControl, handles{wire.RHLockout}, wire.RCValue.Handle(1)},
	} {
		// Handles are checked before authorizations are: none are given.
		assert.Equal(t, tc.want, send(t, tpm, et.Command(tc.code, tc.handles, nil, buf)), tc.name)
	}
}

func TestAuthArea(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	type sessions = []wire.AuthCommand
	word := wire.AuthCommand{Session: wire.RSPW}
	with := func(f func(*wire.AuthCommand)) wire.AuthCommand { a := word; f(&a); return a }
	attr := func(a wire.SessionAttributes) wire.AuthCommand {
		return with(func(s *wire.AuthCommand) { s.Attributes = a })
	}
	handle := func(h wire.Handle) wire.AuthCommand { return with(func(s *wire.AuthCommand) { s.Session = h }) }
	nonce := with(func(s *wire.AuthCommand) { s.Nonce = []byte{1} })
	wrong := with(func(s *wire.AuthCommand) { s.HMAC = []byte("x") })
	zeros := with(func(s *wire.AuthCommand) { s.HMAC = make([]byte, 64) })
	for _, tc := range []struct {
		name string
		list sessions
		want wire.RC
	}{
		{"password", sessions{word}, wire.RCSuccess},
		{"continue", sessions{attr(wire.SessionContinue)}, wire.RCSuccess},
		{"zeros are the empty password", sessions{zeros}, wire.RCSuccess},
		{"missing", nil, wire.RCAuthMissing},
		{"wrong", sessions{wrong}, wire.RCBadAuth.Session(1)},
		{"nonce", sessions{nonce}, wire.RCNonce.Session(1)},
		{"audit", sessions{attr(wire.SessionAudit)}, wire.RCAttributes.Session(1)},
		{"exclusive", sessions{attr(wire.SessionAuditExclusive)}, wire.RCAttributes.Session(1)},
		{"reset", sessions{attr(wire.SessionAuditReset)}, wire.RCAttributes.Session(1)},
		{"decrypt", sessions{attr(wire.SessionDecrypt)}, wire.RCAttributes.Session(1)},
		{"encrypt", sessions{attr(wire.SessionEncrypt)}, wire.RCAttributes.Session(1)},
		{"reserved", sessions{attr(1 << 3)}, wire.RCReservedBits.Session(1)},
		{"HMAC session", sessions{handle(0x02000000)}, wire.RCReferenceS0},
		{"policy session", sessions{handle(0x03000001)}, wire.RCReferenceS0},
		{"no session", sessions{handle(wire.RHNull)}, wire.RCValue.Session(1)},
		{"no such session", sessions{handle(0x02000040)}, wire.RCValue.Session(1)},
		{"second password is for nothing", sessions{word, word}, wire.RCHandle.Session(2)},
		{"second not loaded", sessions{word, handle(0x02000000)}, wire.RCReferenceS0 + 1},
		{"second is looked at before the first authorizes", sessions{wrong, nonce}, wire.RCNonce.Session(2)},
		{"first authorizes before the second is for nothing", sessions{wrong, word}, wire.RCBadAuth.Session(1)},
		{"third", sessions{word, word, nonce}, wire.RCNonce.Session(3)},
		{"four", sessions{word, word, word, word}, wire.RCSize.Session(4)},
	} {
		c := et.CommandWithSessions(wire.CCPCRExtend, handles{0}, tc.list, et.Digests())
		assert.Equal(t, tc.want, send(t, tpm, c), tc.name)
	}
	for _, tc := range []struct {
		name string
		c    []byte
		want wire.RC
	}{
		{"nothing to authorize", et.Command(wire.CCGetRandom, nil, et.NoAuth(), et.U16(8)), wire.RCHandle.Session(1)},
		{"no sessions allowed", et.Command(wire.CCFlushContext, nil, et.NoAuth(), et.U32(0x80000000)), wire.RCAuthContext},
	} {
		assert.Equal(t, tc.want, send(t, tpm, tc.c), tc.name)
	}
}

func TestTwoAuthorizations(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	h := loadSequence(t, tpm, wire.AlgNull)
	c := func(passwords ...[]byte) []byte {
		return et.Command(wire.CCEventSequenceComplete, handles{16, h}, passwords, et.Sized(nil))
	}
	assert.Equal(t, wire.RCAuthMissing, send(t, tpm, c(nil)))
	assert.Equal(t, wire.RCBadAuth.Session(2), send(t, tpm, c(nil, nil)))
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, c(pw, pw)))
	rsp := tpm.Execute(0, c(nil, pw))
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	assert.Equal(t, []byte{0, 0, 1, 0, 0, 0, 0, 1, 0, 0}, rsp[len(rsp)-10:], "two answers: no nonce, continueSession, no hmac")
}

// authorizationSize must hold a session and end within the command.
func TestAuthSize(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for _, tc := range []struct {
		size uint32
		want wire.RC
	}{
		{0, wire.RCSize}, {8, wire.RCSize}, {9, wire.RCSuccess},
		{10, wire.RCInsufficient.Session(2)}, {13, wire.RCValue.Session(2)}, {14, wire.RCSize},
		{0x7FFFFFFF, wire.RCSize}, {0xFFFFFFFF, wire.RCSize},
	} {
		c := extend(0)
		copy(c[14:], et.U32(tc.size))
		assert.Equal(t, tc.want, send(t, tpm, c), "%d", tc.size)
	}
}
