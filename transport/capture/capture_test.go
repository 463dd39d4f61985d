package capture_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/capture"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// ticks is a clock that goes on by a millisecond with each look.
func ticks() func() time.Time {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Millisecond)
		return now
	}
}

var (
	startup   = transport.NewCommand(transport.TagNoSessions, 0x144, []byte{0, 0})
	getRandom = transport.NewCommand(transport.TagNoSessions, 0x17B, []byte{0, 4})
	random    = transport.NewCommand(transport.TagNoSessions, 0, []byte{0, 4, 1, 2, 3, 4})
)

// away answers in the TPM's stead, as a fault does.
type away struct{ transport.Device }

func (a away) Unwrap() transport.Device { return a.Device }

func (a away) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if locality == 3 {
		return transport.AppendResponse(nil, transport.RCFailure), nil
	}
	return a.Device.Send(ctx, locality, command)
}

// write writes a capture of a conversation.
func write(t testing.TB, options capture.Options) []byte {
	t.Helper()
	tpm := new(transporttest.TPM)
	require.NoError(t, tpm.Init())
	broken := errors.New("the TPM is gone")
	tpm.Answer = func(_ context.Context, locality uint8, command []byte) ([]byte, error) {
		switch {
		case locality == 2:
			return nil, broken
		case bytes.Equal(command, getRandom):
			return random, nil
		case len(command) > 4000:
			return command, nil
		}
		return transport.AppendResponse(nil, 0), nil
	}
	var out bytes.Buffer
	if options.Now == nil {
		options.Now = ticks()
	}
	r := capture.NewRecorder(&out, options)
	d := r.Device(away{transport.Witness(tpm)})
	ctx := t.Context()
	_, err := r.Own(tpm).Send(ctx, 0, startup)
	require.NoError(t, err)
	for _, locality := range []uint8{0, 1, 3} {
		_, err := d.Send(ctx, locality, getRandom)
		require.NoError(t, err)
	}
	_, err = d.Send(ctx, 2, getRandom)
	require.ErrorIs(t, err, broken)
	_, err = d.Send(ctx, 0, large)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return out.Bytes()
}

// large is a response that takes several packets.
var large = transport.NewCommand(transport.TagNoSessions, 0x17B, make([]byte, 40000))

// read reads all exchanges.
func read(t *testing.T, in io.Reader) (list []capture.Exchange, lost int) {
	t.Helper()
	r := capture.NewReader(in)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, r.Lost()
		}
		require.NoError(t, err)
		list = append(list, *e)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, checksums := range []bool{false, true} {
		file := write(t, capture.Options{Checksums: checksums})
		assert.Equal(t, file, write(t, capture.Options{Checksums: checksums}), "the same run has the same bytes")
		list, lost := read(t, bytes.NewReader(file))
		assert.Zero(t, lost)
		require.Len(t, list, 6)
		failure := transport.AppendResponse(nil, transport.RCFailure)
		for i, want := range []capture.Exchange{
			{Command: startup, Response: transport.AppendResponse(nil, 0), Own: true},
			{Command: getRandom, Response: random},
			{Command: getRandom, Response: random, Locality: 1},
			{Command: getRandom, Response: failure, Locality: 3, Synthetic: true},
			{Command: getRandom, Response: failure, Locality: 2, Synthetic: true},
			{Command: large, Response: large},
		} {
			assert.Equal(t, time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC).Unix(), list[i].Time.Unix())
			assert.NotZero(t, list[i].Time.Nanosecond()%1e9)
			list[i].Time = time.Time{}
			assert.Equal(t, want, list[i], i)
		}
	}
}

// A section follows another one, with the same ports: swtpmd appends to a file.
func TestSectionsFollowEachOther(t *testing.T) {
	t.Parallel()
	file := write(t, capture.Options{})
	list, lost := read(t, bytes.NewReader(append(bytes.Clone(file), file...)))
	assert.Zero(t, lost)
	assert.Len(t, list, 12)
}

// Commands that wait at the same time stand in connections of their own; one that its
// sender gives up has no response.
func TestCommandsAtTheSameTime(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := capture.NewRecorder(&out, capture.Options{Now: ticks()})
	came, let := make(chan struct{}), make(chan struct{})
	d := r.Device(transporttest.Plain(func(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
		if locality == 0 {
			return random, nil
		}
		came <- struct{}{}
		select {
		case <-let:
			return command, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}))
	ctx, cancel := context.WithCancel(t.Context())
	slow, gone := make(chan error, 1), make(chan error, 1)
	go func() { _, err := d.Send(t.Context(), 1, startup); slow <- err }()
	transporttest.Receive(t, came)
	go func() { _, err := d.Send(ctx, 2, startup); gone <- err }()
	transporttest.Receive(t, came)
	_, err := d.Send(t.Context(), 0, getRandom)
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, transporttest.Receive(t, gone), context.Canceled)
	close(let)
	require.NoError(t, transporttest.Receive(t, slow))
	_, err = d.Send(t.Context(), 0, getRandom)
	require.NoError(t, err)
	require.NoError(t, r.Close())

	list, lost := read(t, &out)
	assert.Zero(t, lost)
	require.Len(t, list, 4)
	assert.Equal(t, random, list[0].Response)
	assert.Nil(t, list[1].Response)
	assert.EqualValues(t, 2, list[1].Locality)
	assert.Equal(t, startup, list[2].Response)
	assert.Equal(t, random, list[3].Response)
}

// Blocks that nobody had room for are missed, and do not make a response another
// command's.
func TestLostBlocks(t *testing.T) {
	t.Parallel()
	var kept bytes.Buffer
	n, drop := 0, map[int]bool{3: true} // the second response
	r := capture.NewRecorder(writerFunc(func(p []byte) (int, error) {
		if n++; !drop[n-2] {
			kept.Write(p)
		}
		return len(p), nil
	}), capture.Options{Now: ticks()})
	answers := 0
	d := r.Device(transporttest.Plain(func(context.Context, uint8, []byte) ([]byte, error) {
		answers++
		return transport.NewCommand(transport.TagNoSessions, 0, []byte{byte(answers)}), nil
	}))
	for range 3 {
		_, err := d.Send(t.Context(), 0, getRandom)
		require.NoError(t, err)
	}
	kept.Write(r.Dropped(1))
	require.NoError(t, r.Close())
	list, lost := read(t, &kept)
	assert.Equal(t, 1, lost)
	var got []string
	for _, e := range list {
		got = append(got, hex.EncodeToString(e.Response[min(len(e.Response), 10):]))
	}
	assert.Equal(t, []string{"01", "", ""}, got, "it is not known to which of two commands the third response belongs")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Captures of others: of tcti-pcap of tpm2-tss 3.2.1, of tcpdump with both framings.
func TestCapturesOfOthers(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.pcapng")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		file, err := os.ReadFile(name)
		require.NoError(t, err)
		list, lost := read(t, bytes.NewReader(file))
		assert.Zero(t, lost, name)
		assert.NotEmpty(t, list, name)
		for _, e := range list {
			for _, message := range [][]byte{e.Command, e.Response} {
				h, ok := transport.ParseHeader(message)
				require.True(t, ok, name)
				assert.EqualValues(t, len(message), h.Size, name)
			}
		}
	}
}

func TestWhatIsNoCapture(t *testing.T) {
	t.Parallel()
	file := write(t, capture.Options{})
	for says, in := range map[string][]byte{
		"older format pcap":   append([]byte{0xD4, 0xC3, 0xB2, 0xA1}, make([]byte, 40)...),
		"no pcapng":           []byte("8001 0000000C 0000017B 0008"),
		"ends inside a block": file[:len(file)-3],
		"no order of bytes":   append([]byte{0x0A, 0x0D, 0x0D, 0x0A}, make([]byte, 40)...),
		"a block of 8 bytes":  append(bytes.Clone(file), 6, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0),
	} {
		r := capture.NewReader(bytes.NewReader(in))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		var wrong *capture.FormatError
		require.ErrorAs(t, err, &wrong, says)
		assert.ErrorContains(t, err, says)
	}
	_, err := capture.NewReader(strings.NewReader("")).Next()
	assert.ErrorIs(t, err, io.EOF)
}

// Wireshark's dissector of TPM 2.0 reads it.
func TestTsharkReadsIt(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed; scripts/setup installs it")
	}
	name := filepath.Join(t.TempDir(), "tpm.pcapng")
	require.NoError(t, os.WriteFile(name, write(t, capture.Options{Checksums: true}), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "tshark", "-r", name, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
		"-T", "fields", "-E", "separator=|", "-Y", "tcp.len>0 and tcp.len<1000",
		"-e", "tpm.req.cc", "-e", "tpm.resp.rc", "-e", "tcp.checksum.status", "-e", "ip.checksum.status", "-e", "tcp.analysis.flags", "-e", "frame.comment").Output()
	require.NoError(t, err)
	assert.Equal(t, `0x00000144||1|1||sent by swtpmd itself
|0x00000000|1|1||
0x0000017b||1|1||
|0x00000000|1|1||
0x0000017b||1|1||locality 1
|0x00000000|1|1||
0x0000017b||1|1||locality 3
|0x00000101|1|1||answered in the TPM's stead, which has not seen the command
0x0000017b||1|1||locality 2
|0x00000101|1|1||no answer from the TPM: the TPM is gone
`, string(out))
}

// FuzzReader: whatever the bytes are, the reader ends, and takes no more memory than
// its bounds let it.
func FuzzReader(f *testing.F) {
	f.Add(write(f, capture.Options{})[:1200])
	names, _ := filepath.Glob("testdata/*.pcapng")
	for _, name := range names {
		if file, err := os.ReadFile(name); err == nil {
			f.Add(file[:min(len(file), 2000)])
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		r := capture.NewReader(bytes.NewReader(file))
		for n := 0; ; n++ {
			e, err := r.Next()
			if err != nil {
				return
			}
			if len(e.Command) < transport.HeaderSize || n > len(file) {
				t.Fatalf("exchange %d: %+v", n, e)
			}
		}
	})
}

// BenchmarkRecorder is what a command costs that is recorded, and what one costs that is
// not; seen is with a transport.Witness below.
func BenchmarkRecorder(b *testing.B) {
	for name, d := range recorded() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Send(context.Background(), 0, getRandom); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// recorded returns devices that do nothing.
func recorded() map[string]transport.Device {
	bare := transporttest.Plain(func(context.Context, uint8, []byte) ([]byte, error) { return random, nil })
	r := capture.NewRecorder(io.Discard, capture.Options{})
	return map[string]transport.Device{"bare": bare, "recorded": r.Device(bare), "seen": r.Device(transport.Witness(bare))}
}

// A recorded command costs no memory, but for what a Witness is told by.
func TestRecorderAllocates(t *testing.T) {
	for name, most := range map[string]float64{"bare": 0, "recorded": 0, "seen": 1} {
		d := recorded()[name]
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = d.Send(context.Background(), 0, getRandom) }), most, name)
	}
}
