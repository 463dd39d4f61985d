package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/capture"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// newTPM returns a TPM that has power.
func newTPM(t testing.TB) *emulator.TPM {
	t.Helper()
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	return tpm
}

// recorded returns a capture of what use does with a TPM.
func recorded(t testing.TB, use func(transport.Device)) []byte {
	t.Helper()
	var file bytes.Buffer
	r := capture.NewRecorder(&file, capture.Options{})
	use(r.Device(newTPM(t)))
	require.NoError(t, r.Close())
	return file.Bytes()
}

// played replays a capture to a new TPM and returns what is told of each command.
func played(t *testing.T, file []byte, tpm transport.Device) (list []Compared, total *Summary) {
	t.Helper()
	var out bytes.Buffer
	o := flags{all: true, json: true}
	total, err := o.play(t.Context(), capture.NewReader(bytes.NewReader(file)), tpm, &out)
	require.NoError(t, err)
	for line := range strings.Lines(out.String()) {
		var c Compared
		require.NoError(t, json.Unmarshal([]byte(line), &c))
		list = append(list, c)
	}
	return list[:len(list)-1], total
}

func send(t testing.TB, d transport.Device, tag uint16, code wire.CC, body []byte) []byte {
	t.Helper()
	response, err := d.Send(context.Background(), 0, transport.NewCommand(tag, uint32(code), body))
	require.NoError(t, err)
	return response
}

// life uses a TPM: random numbers, a clock, a session, a key that is saved, loaded and
// flushed, PCRs.
func life(t testing.TB) func(transport.Device) {
	return func(d transport.Device) {
		ctx := context.Background()
		tpm := ask.TPM{Device: d}
		require.NoError(t, tpm.Startup(ctx, wire.SUClear))
		send(t, d, transport.TagNoSessions, wire.CCGetRandom, []byte{0, 16})
		send(t, d, transport.TagNoSessions, wire.CCReadClock, nil)
		// TPM2_StartAuthSession of a policy session, without a key.
		session := send(t, d, transport.TagNoSessions, wire.CCStartAuthSession, []byte{
			0x40, 0, 0, 7, 0x40, 0, 0, 7, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 1, 0, 0x10, 0, 0xB})
		handle := session[10:14]
		send(t, d, transport.TagNoSessions, wire.CCPolicyGetDigest, handle)
		saved := send(t, d, transport.TagNoSessions, wire.CCContextSave, handle)
		send(t, d, transport.TagNoSessions, wire.CCContextLoad, saved[10:])
		send(t, d, transport.TagNoSessions, wire.CCFlushContext, handle)
		require.NoError(t, tpm.Extend(ctx, 10, []wire.HA{{Hash: wire.AlgSHA256, Digest: make([]byte, 32)}}))
		_, err := tpm.ReadPCRs(ctx, ask.Select(wire.AlgSHA256, 10))
		require.NoError(t, err)
	}
}

// The same TPM life again differs in nothing but what is drawn; handles and contexts of
// the other TPM are followed.
func TestALifeAgain(t *testing.T) {
	t.Parallel()
	file := recorded(t, life(t))
	other := newTPM(t)
	// Another session first, so that handles differ.
	require.NoError(t, ask.TPM{Device: other}.Startup(t.Context(), wire.SUClear))
	send(t, other, transport.TagNoSessions, wire.CCStartAuthSession, []byte{
		0x40, 0, 0, 7, 0x40, 0, 0, 7, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 1, 0, 0x10, 0, 0xB})
	list, total := played(t, file, other)
	var told []string
	for _, c := range list {
		if c.Command == "TPM2_ReadClock" { // both TPMs may be as old, in milliseconds
			assert.Contains(t, []Verdict{Same, Varies}, c.Verdict)
			continue
		}
		told = append(told, c.Command+" "+string(c.Verdict)+" "+strings.Join(c.Fields, ","))
	}
	assert.Equal(t, []string{
		"TPM2_Startup unrepeatable ",
		"TPM2_GetRandom varies randomBytes",
		"TPM2_StartAuthSession varies handle,nonceTPM",
		"TPM2_PolicyGetDigest same ",
		"TPM2_ContextSave varies context",
		"TPM2_ContextLoad varies handle",
		"TPM2_FlushContext same ",
		"TPM2_PCR_Extend same ",
		"TPM2_PCR_Read same ",
	}, told)
	assert.Equal(t, 10, total.Commands)
	assert.Zero(t, total.Lost)
}

// What a command determines and is not the same differs: PCRs, codes.
func TestWhatDiffers(t *testing.T) {
	t.Parallel()
	file := recorded(t, func(d transport.Device) {
		tpm := ask.TPM{Device: d}
		require.NoError(t, tpm.Startup(t.Context(), wire.SUClear))
		_, err := tpm.ReadPCRs(t.Context(), ask.Select(wire.AlgSHA256, 10))
		require.NoError(t, err)
		send(t, d, transport.TagNoSessions, wire.CCGetRandom, []byte{0, 16})
	})
	other := newTPM(t)
	tpm := ask.TPM{Device: other}
	require.NoError(t, tpm.Startup(t.Context(), wire.SUClear))
	require.NoError(t, tpm.Extend(t.Context(), 10, []wire.HA{{Hash: wire.AlgSHA256, Digest: make([]byte, 32)}}))
	list, _ := played(t, file, other)
	require.Len(t, list, 3)
	assert.Equal(t, Differs, list[1].Verdict)
	assert.Equal(t, []string{"pcrValues"}, list[1].Fields)

	unstarted := newTPM(t)
	list, total := played(t, file[:0], unstarted)
	assert.Empty(t, list)
	assert.Zero(t, total.Commands)
	only := recorded(t, func(d transport.Device) {
		send(t, d, transport.TagNoSessions, wire.CCGetRandom, []byte{0, 16}) // TPM_RC_INITIALIZE
	})
	list, _ = played(t, only, other)
	require.Len(t, list, 1)
	assert.Equal(t, Differs, list[0].Verdict)
	assert.Equal(t, []string{"responseCode"}, list[0].Fields)
	assert.Contains(t, list[0].Captured, "TPM_RC_INITIALIZE")
	assert.Contains(t, list[0].Answered, "TPM_RC_SUCCESS")
}

// What uses what a command would have made that failed here cannot be repeated.
func TestWhatFollowsAFailure(t *testing.T) {
	t.Parallel()
	start := []byte{
		0x40, 0, 0, 7, 0x40, 0, 0, 7, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 1, 0, 0x10, 0, 0xB}
	file := recorded(t, func(d transport.Device) {
		require.NoError(t, ask.TPM{Device: d}.Startup(t.Context(), wire.SUClear))
		for range 2 {
			session := send(t, d, transport.TagNoSessions, wire.CCStartAuthSession, start)[10:14]
			saved := send(t, d, transport.TagNoSessions, wire.CCContextSave, session)
			send(t, d, transport.TagNoSessions, wire.CCContextLoad, saved[10:])
			send(t, d, transport.TagNoSessions, wire.CCFlushContext, session)
		}
	})
	fails := &first{Device: newTPM(t), code: wire.CCStartAuthSession}
	list, _ := played(t, file, fails)
	var told []string
	for _, c := range list {
		told = append(told, strings.TrimPrefix(c.Command, "TPM2_")+" "+string(c.Verdict))
	}
	assert.Equal(t, []string{
		"Startup same",
		"StartAuthSession differs", "ContextSave unrepeatable", "ContextLoad unrepeatable", "FlushContext unrepeatable",
		"StartAuthSession varies", "ContextSave varies", "ContextLoad same", "FlushContext same",
	}, told)
}

// asGoTPM is a device as go-tpm wants it.
type asGoTPM struct{ transport.Device }

func (d asGoTPM) Send(command []byte) ([]byte, error) {
	return d.Device.Send(context.Background(), 0, command)
}

// hmacLife writes and reads an NV index with an HMAC session that is used twice, and then
// with passwords. The index is protected against dictionary attacks.
func hmacLife(t testing.TB) func(transport.Device) {
	return func(d transport.Device) {
		require.NoError(t, ask.TPM{Device: d}.Startup(t.Context(), wire.SUClear))
		tpm, auth := asGoTPM{d}, []byte("secret")
		public := tpm2.TPMSNVPublic{NVIndex: 0x01500016, NameAlg: tpm2.TPMAlgSHA256, DataSize: 4, Attributes: tpm2.TPMANV{AuthRead: true, AuthWrite: true}}
		_, err := tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, Auth: tpm2.TPM2BAuth{Buffer: auth}, PublicInfo: tpm2.New2B(public)}.Execute(tpm)
		require.NoError(t, err)
		session, end, err := tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16, tpm2.Auth(auth))
		require.NoError(t, err)
		index := tpm2.AuthHandle{Handle: public.NVIndex, Auth: session}
		for range 2 {
			read, err := tpm2.NVReadPublic{NVIndex: public.NVIndex}.Execute(tpm)
			require.NoError(t, err)
			index.Name = read.NVName
			_, err = tpm2.NVWrite{AuthHandle: index, NVIndex: tpm2.NamedHandle{Handle: public.NVIndex, Name: read.NVName}, Data: tpm2.TPM2BMaxNVBuffer{Buffer: []byte("1234")}}.Execute(tpm)
			require.NoError(t, err)
		}
		require.NoError(t, end())
		send(t, d, transport.TagNoSessions, wire.CCGetRandom, []byte{0, 8})
	}
}

// A command with an HMAC over a nonce of the captured TPM is not sent: it would count as
// an attack. A TPM that draws the same nonces gets it.
func TestHMACSessions(t *testing.T) {
	t.Parallel()
	seeded := func(seed uint64) *emulatortest.TPM {
		return emulatortest.New(t, emulatortest.WithSeed(seed), emulatortest.WithoutStartup())
	}
	var file bytes.Buffer
	r := capture.NewRecorder(&file, capture.Options{})
	hmacLife(t)(r.Device(seeded(1).TPM))
	require.NoError(t, r.Close())

	told := func(list []Compared) (text []string) {
		for _, c := range list {
			if c.Command == "TPM2_NV_Write" {
				text = append(text, string(c.Verdict))
			}
		}
		return text
	}
	other := seeded(2)
	list, total := played(t, file.Bytes(), other.TPM)
	assert.Equal(t, []string{"unrepeatable", "unrepeatable"}, told(list))
	assert.Zero(t, total.Verdicts[Differs], "%+v", list)
	assert.Equal(t, notSent, list[4].Why)
	assert.Equal(t, Unrepeatable, list[5].Verdict, "TPMA_NV_WRITTEN is not set")
	assert.Equal(t, "TPM_RC_SUCCESS", list[4].Captured)
	assert.Empty(t, list[4].Answered)
	counter, err := ask.TPM{Device: other.TPM}.Property(t.Context(), 0x20E) // TPM_PT_LOCKOUT_COUNTER
	require.NoError(t, err)
	assert.Zero(t, counter)

	list, total = played(t, file.Bytes(), seeded(1).TPM)
	assert.Equal(t, []string{"same", "same"}, told(list))
	assert.Equal(t, total.Commands, total.Verdicts[Same], "%+v", list)
}

// first is a TPM that fails the first command with a code.
type first struct {
	transport.Device
	code   wire.CC
	failed bool
}

func (f *first) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if code, _ := transport.CommandCode(command); wire.CC(code) == f.code && !f.failed {
		f.failed = true
		return transport.AppendResponse(nil, transport.RCFailure), nil
	}
	return f.Device.Send(ctx, locality, command)
}

// Captures of tcti-pcap and tcpdump are sent as they are.
func TestCapturesOfOthers(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../../../transport/capture/testdata/*.pcapng")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		file, err := os.ReadFile(name)
		require.NoError(t, err)
		tpm := newTPM(t)
		require.NoError(t, ask.TPM{Device: tpm}.Startup(t.Context(), wire.SUClear))
		list, _ := played(t, file, tpm)
		for _, c := range list {
			assert.NotContains(t, c.Answered, "COMMAND_SIZE", "%s: %v", name, c)
			if c.Verdict == Differs {
				assert.Contains(t, []string{"TPM2_GetCapability", "TPM2_PCR_Read"}, c.Command, "%s: %v", name, c)
			}
		}
	}
}

// FuzzTranslation: whatever a command is, what is sent has its size, and nothing is read
// beyond its end.
func FuzzTranslation(f *testing.F) {
	reader := capture.NewReader(bytes.NewReader(recorded(f, life(f))))
	for {
		e, err := reader.Next()
		if err != nil {
			break
		}
		f.Add(e.Command, e.Response)
	}
	// With an HMAC.
	write := transporttest.Hex(f, "8002 00000000 00000137 01500016 01500016 0000000D 02000000 0002 AABB 00 0002 CCDD 0000 0000")
	transport.SetSize(write)
	f.Add(write, transporttest.Hex(f, "8001 0000000A 00000000"))
	f.Fuzz(func(t *testing.T, command, response []byte) {
		known := newTranslation()
		tpm := answers(response)
		for range 2 {
			e := &capture.Exchange{Command: command, Response: response}
			c, err := exchange(context.Background(), tpm, known, e)
			if err != nil || c.Verdict != Same && c.Verdict != Unanswered && c.Why != notSent {
				t.Fatalf("%x: %v %v", command, c, err)
			}
		}
	})
}

// answers is a TPM that gives one answer.
type answers []byte

func (a answers) Send(context.Context, uint8, []byte) ([]byte, error) { return a, nil }
