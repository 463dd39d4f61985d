package initcall_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// BenchmarkConsoleBoot reads the console of a whole boot, in writes as a socket
// brings them.
func BenchmarkConsoleBoot(b *testing.B) {
	text, err := os.ReadFile("testdata/x86_64-debian-6.1-tpm-on-time.log")
	require.NoError(b, err)
	console, err := initcall.NewConsole(new(initcall.Clock))
	require.NoError(b, err)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := text; len(rest) > 0; {
			n := min(256, len(rest))
			console.Write(rest[:n])
			rest = rest[n:]
		}
	}
}

// BenchmarkConsoleLines reads lines that move nothing: what a guest prints for
// the rest of its life, and what no guest should be able to make dear.
func BenchmarkConsoleLines(b *testing.B) {
	for _, test := range []struct{ name, line string }{
		{"kernel", "[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n"},
		{"calling", "[    0.391581] calling  some_driver_init+0x0/0x683 @ 1\n"},
		{"marker", initIMA},
		{"lto", "[    0.391581] calling  __initstub__kmod_core__400_6242_regulator_init_complete7s+0x0/0x8 @ 1\n"},
		{"process", "systemd[1]: Reached target multi-user.target - Multi-User System.\n"},
		{"brackets", strings.Repeat("]", 80) + "\n"},
		{"stamps", strings.Repeat("[    0.000000]", 6) + "\n"},
		{"escapes", strings.Repeat("\x1b", 80) + "\n"},
		{"endless", strings.Repeat("x", 80)},
	} {
		b.Run(test.name, func(b *testing.B) {
			console, err := initcall.NewConsole(new(initcall.Clock))
			require.NoError(b, err)
			console.Trusting = true // two lines are no boot
			console.Write([]byte(linux61 + runInit))
			lines := []byte(strings.Repeat(test.line, 100))
			b.SetBytes(int64(len(lines)))
			b.ReportAllocs()
			for b.Loop() {
				console.Write(lines)
			}
		})
	}
}

// BenchmarkClockLevel is what asking the clock costs whoever stands in the way
// of every TPM command.
func BenchmarkClockLevel(b *testing.B) {
	var clock initcall.Clock
	b.ReportAllocs()
	for b.Loop() {
		if clock.Level() != initcall.Firmware {
			b.Fatal("moved")
		}
	}
}
