package initcall_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

var update = flag.Bool("update", false, "write testdata/*.events anew")

// logs are consoles of real boots, recorded byte for byte: Debian 12's QEMU 7.2
// and its kernels for x86-64 and ppc64el, a minimal 6.1.192 for x86-64, and one for arm64 whose
// TPM waits for a regulator.
func logs(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/*.log")
	require.NoError(t, err)
	require.Len(t, names, 8)
	return names
}

// record returns the events of a clock as lines of text.
func record(clock *initcall.Clock) *strings.Builder {
	b := new(strings.Builder)
	clock.Subscribe(func(e initcall.Event) {
		at := "-"
		if e.At != initcall.NoTime {
			at = fmt.Sprintf("%.6f", e.At.Seconds())
		}
		fmt.Fprintf(b, "%d %-13s %9s  %s\n", e.Boot, e.Level, at, e.Cause)
		if e.Confirmed != "" {
			fmt.Fprintf(b, "%28s%s\n", "", e.Confirmed)
		}
	})
	return b
}

// replay returns the events of a console that prints text, in writes of size
// bytes.
func replay(t testing.TB, text []byte, size int, markers ...initcall.Marker) string {
	t.Helper()
	clock := new(initcall.Clock)
	events := record(clock)
	console, err := initcall.NewConsole(clock, markers...)
	require.NoError(t, err)
	for len(text) > 0 {
		n := min(size, len(text))
		_, err := console.Write(text[:n])
		require.NoError(t, err)
		text = text[n:]
	}
	console.Flush()
	return events.String()
}

func TestRealConsoles(t *testing.T) {
	for _, name := range logs(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			got := replay(t, text, len(text))
			golden := strings.TrimSuffix(name, ".log") + ".events"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got)
			for _, size := range []int{1, 2, 7, 64, 1000} {
				assert.Equal(t, got, replay(t, text, size), "in writes of %d bytes", size)
			}
			crlf := bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r"), nil), []byte("\n"), []byte("\r\n"))
			assert.Equal(t, got, replay(t, crlf, 512), "with CRLF")
		})
	}
}
