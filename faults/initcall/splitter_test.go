package initcall

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func split(writes ...string) (pieces []string) {
	var s splitter
	take := func(p piece) { pieces = append(pieces, string(p.text)) }
	for _, w := range writes {
		s.write([]byte(w), take)
	}
	s.end(take)
	return pieces
}

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"\r\n\r\n", nil},
		{"a\r\nb\n", []string{"a", "b"}},
		{"a]b[c", []string{"a]b[c"}},
		{"a\x1b[2Jb", []string{"a", "\x1b[2Jb"}},
		{"a[    0.000000] b[   10.000001] c\n", []string{"a", "[    0.000000] b", "[   10.000001] c"}},
		{"[    0.000000][   10.000001]", []string{"[    0.000000]", "[   10.000001]"}},
		{"[0.00000] [.000000] [1.0000000] [ x.000000] [1234567890.000000]", []string{"[0.00000] [.000000] [1.0000000] [ x.000000] [1234567890.000000]"}},
	} {
		assert.Equal(t, test.want, split(test.text), "%q", test.text)
	}
}

// However long the line before it, a stamp is found, and no more than maxText is
// kept of what stands before it.
func TestSplitLongLines(t *testing.T) {
	const stamp = "[999999999.123456] x"
	for n := maxText - 100; n < maxText+200; n++ {
		pieces := split(strings.Repeat("a", n) + stamp)
		if assert.Len(t, pieces, 2, "%d bytes before", n) {
			assert.Equal(t, strings.Repeat("a", len(pieces[0])), pieces[0], "%d bytes before", n)
			assert.GreaterOrEqual(t, len(pieces[0]), min(n, maxHead))
			assert.Equal(t, stamp, pieces[1])
		}
	}
	pieces := split(strings.Repeat("b", 1<<20))
	if assert.Len(t, pieces, 1) {
		assert.Len(t, pieces[0], maxHead)
	}
	pieces = split(strings.Repeat("b", 2*maxText) + "\n" + strings.Repeat("c", maxText))
	if assert.Len(t, pieces, 2) {
		assert.Len(t, pieces[1], maxText, "the next one is not long")
	}
}

func TestStampAtEnd(t *testing.T) {
	for _, test := range []struct {
		text string
		size int
		at   time.Duration
	}{
		{"[    0.000000]", 14, 0},
		{"[    1.253000]", 14, 1253 * time.Millisecond},
		{"x[604800.000001]", 15, 604800*time.Second + time.Microsecond},
		{"[999999999.999999]", 18, 999999999*time.Second + 999999*time.Microsecond},
		{"[9999999999.999999]", 0, 0},
		{"[1.000000]", 10, time.Second},
		{"1.000000]", 0, 0},
		{"[ .000000]", 0, 0},
		{"[1 .000000]", 0, 0},
		{"[1.00000]", 0, 0},
		{"[-1.000000]", 0, 0},
		{"]", 0, 0},
		{"[]", 0, 0},
	} {
		size, at := stampAtEnd([]byte(test.text))
		assert.Equal(t, test.size, size, "%q", test.text)
		if size > 0 {
			assert.Equal(t, test.at, at, "%q", test.text)
		}
	}
}

func TestLinked(t *testing.T) {
	for _, test := range []struct {
		symbol, function string
		level            Level
	}{
		{"init_ima", "init_ima", Firmware},
		{"init_ima.llvm.1234", "init_ima", Firmware},
		{"__initstub__kmod_ima__305_1123_init_ima7", "init_ima", Late},
		{"__initstub__kmod_core__400_6242_regulator_init_complete7s", "regulator_init_complete", LateSync},
		{"__initstub__kmod_a__b__1_2_c__d6s.cfi_jt", "c__d", DeviceSync},
		{"__initstub__kmod_a__12_34__private_initrootfs", "_private_init", RootFS},
		{"__initstub__kmod_a__12_34_init_640", "init_64", Pure},
		{"__initstub__kmod_a__12_34_init", "init", Firmware},
		{"__initstub__kmod_a__12_34_foo__5_b_c7", "foo__5_b_c", Late},
		{"__initstub__", "__initstub__", Firmware},
		{"__initstub__7", "__initstub__", Late},
	} {
		function, level := linked([]byte(test.symbol))
		assert.Equal(t, test.function, string(function), test.symbol)
		assert.Equal(t, test.level, level, test.symbol)
	}
}
