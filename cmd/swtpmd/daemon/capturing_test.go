package daemon

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/logs"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// BenchmarkObserved is what a command costs with --pcap and with --trace, as the daemon
// has them around its TPM, and without: with a TPM that does nothing, and a file.
func BenchmarkObserved(b *testing.B) {
	command := transport.NewCommand(transport.TagNoSessions, 0x17B, []byte{0, 16})
	response := transport.NewCommand(transport.TagNoSessions, 0, make([]byte, 18))
	tpm := transporttest.Plain(func(context.Context, uint8, []byte) ([]byte, error) { return response, nil })
	for _, c := range []struct{ name, pcap, trace string }{
		{"without", "", ""},
		{"pcap", filepath.Join(b.TempDir(), "a.pcapng"), ""},
		{"trace", "", filepath.Join(b.TempDir(), "trace")},
	} {
		b.Run(c.name, func(b *testing.B) {
			set := &options.Set{Trace: c.trace}
			set.Pcap = options.PcapWords{Output: options.Output{File: c.pcap, FD: -1}, Mode: options.DefaultPcapMode}
			d := &daemon{set: set, log: slog.New(slog.DiscardHandler), files: new(logs.Files), out: io.Discard}
			defer d.cleanUp()
			below, err := d.observe(tpm)
			require.NoError(b, err)
			device := through(below, d.observers)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := device.Send(ctx, 0, command); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
