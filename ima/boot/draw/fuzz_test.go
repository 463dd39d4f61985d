package draw

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// FuzzSVG draws events with any names at any times. The picture is XML, texts do
// not overlap, and its size is bounded.
func FuzzSVG(f *testing.F) {
	f.Add([]byte{1, 16, 4, 0, 9, 2, 17, 5, 1, 0, 20, 17, 40, 2, 200}, "init_ima", "/sbin/modprobe", "init")
	f.Add([]byte{0, 0, 6, 255, 1, 19, 255, 7, 255, 255, 19, 3, 9, 3, 3}, "<b>\x00\u202e", "\xff", "async")
	f.Fuzz(func(t *testing.T, program []byte, a, b, task string) {
		words := []string{a, b, a + b, "boot_aggregate", "deferred_probe_initcall", task}
		r := &boot.Result{Platform: &boot.Platform{Name: a, Title: b}}
		at := time.Duration(0)
		for len(program) >= 5 && len(r.Events) < 2000 {
			p := program[:5]
			program = program[5:]
			at += time.Duration(int8(p[3])) << (p[2] % 40)
			r.Events = append(r.Events, boot.Event{
				At: at, Level: initcall.Level(p[1] % 24), Kind: boot.EventKind(p[0] % 40),
				Task: words[int(p[4]>>5)%len(words)], Name: words[int(p[4])%len(words)], Text: words[int(p[4]>>3)%len(words)],
				Code: int(int8(p[2])), Record: int(p[3]), Took: time.Duration(p[4]) << (p[3] % 40),
			})
		}
		r.Summary.Started, r.Summary.StartedAt, r.Summary.Level = len(program) > 0, at, initcall.Late
		svg := draw(t, r, Options{Title: b})
		picture := look(t, svg)
		picture.readable(t)
		assert.Less(t, len(svg), 2<<20)
	})
}

func BenchmarkSVG(b *testing.B) {
	boots := map[string]*boot.Result{
		"powervm": machine{platform: platform(b, "powervm"), config: boot.Config{Strategy: boot.Dual}}.boot(b),
		"100000":  many(100_000),
	}
	for name, r := range boots {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := SVG(discard{}, r, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
