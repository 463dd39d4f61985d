package draw

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

var (
	update = flag.Bool("update", false, "write the files that tests compare with")
	see    = flag.String("see", "", "a directory for the pictures of all platforms and strategies, to be looked at")
)

func draw(t testing.TB, r *boot.Result, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, SVG(&b, r, o))
	return b.Bytes()
}

func TestEveryBootIsReadable(t *testing.T) {
	t.Parallel()
	for _, p := range boot.Platforms() {
		for _, s := range boot.Strategies() {
			name := p + "-" + s.String()
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := machine{platform: platform(t, p), config: boot.Config{Strategy: s}}.boot(t)
				svg := draw(t, r, Options{})
				show(t, name, svg)
				picture := look(t, svg)
				picture.readable(t)
				assert.Less(t, len(svg), 64<<10)
				assert.Zero(t, leftOut(svg), "labels without a place")
				assert.Contains(t, picture.titles[0], p)
			})
		}
	}
}

func TestEveryAttackIsReadable(t *testing.T) {
	t.Parallel()
	for _, a := range boot.Attacks() {
		for _, s := range boot.Strategies() {
			name := "attack-" + a.String() + "-" + s.String()
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := machine{platform: platform(t, "arm64-crb-ffa"), config: boot.Config{Strategy: s, Attack: a}}.boot(t)
				svg := draw(t, r, Options{})
				show(t, name, svg)
				picture := look(t, svg)
				picture.readable(t)
			})
		}
	}
}

func TestEveryDeferralIsReadable(t *testing.T) {
	t.Parallel()
	for _, way := range []faults.WhileDeferred{faults.Fail, faults.Initialize, faults.Retry, faults.Hold} {
		for _, async := range []string{"", " driver_async_probe=tpm_tis"} {
			name := "deferred-" + way.String() + strings.ReplaceAll(async, " ", "-")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := platform(t, "pc-tis")
				p.Kernel.CommandLine += async
				rules := []faults.Rule{faults.Defer(initcall.LateSync, way)}
				r := machine{platform: p, rules: rules}.boot(t)
				svg := draw(t, r, Options{Rules: rules})
				show(t, name, svg)
				picture := look(t, svg)
				picture.readable(t)
				assert.Zero(t, leftOut(svg), "labels without a place")
				for _, want := range []string{">TPM<", "away for ", "back at late_sync, ", ">TPM away<", ">TPM answers<"} {
					assert.Contains(t, string(svg), want)
				}
			})
		}
	}
}

// The picture shows when a rule keeps the TPM from answering.
func TestTheDeferralIsDrawn(t *testing.T) {
	t.Parallel()
	from := faults.Defer(initcall.Late, faults.Retry)
	from.When.From = initcall.Device
	some := faults.Defer(initcall.Device, faults.Testing)
	some.When.Commands = []uint32{0x182}
	forever := faults.Rule{When: faults.When{From: initcall.LateSync}, Do: faults.Answer(0x101)}
	for _, test := range []struct {
		name  string
		rules []faults.Rule
		want  []string
		here  int // how often it answers
	}{
		{"from a level on", []faults.Rule{from}, []string{"away for 2.00 ms: 0x922 TPM_RC_RETRY", "back at late, 1.012 s"}, 2},
		{"some commands", []faults.Rule{some}, []string{"0x90a TPM_RC_TESTING, of some commands", "back at device, 1.010 s"}, 2},
		{"for ever", []faults.Rule{forever}, []string{"0x101 TPM_RC_FAILURE"}, 1},
		{"twice", []faults.Rule{from, forever}, []string{"0x922 TPM_RC_RETRY", "back at late, 1.012 s", "0x101 TPM_RC_FAILURE"}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := machine{platform: parse(t, small), rules: test.rules}.boot(t)
			svg := draw(t, r, Options{Rules: test.rules})
			picture := look(t, svg)
			picture.readable(t)
			for _, want := range test.want {
				assert.Contains(t, string(svg), want)
			}
			assert.Equal(t, len(test.rules), strings.Count(string(svg), `<title>away from `))
			assert.Equal(t, test.here, strings.Count(string(svg), `<title>answers`))
		})
	}
	r := machine{platform: parse(t, small)}.boot(t)
	for _, rules := range [][]faults.Rule{nil, {{}}} {
		svg := draw(t, r, Options{Rules: rules})
		assert.NotContains(t, string(svg), ">TPM<", "nothing is deferred")
		assert.NotContains(t, string(svg), "TPM away")
	}
	assert.Contains(t, string(draw(t, r, Options{})), "deferred for ", "a probe that waits for a supplier")
}

// The legend has each shape of the picture, and no other.
func TestLegend(t *testing.T) {
	t.Parallel()
	for shape := range shapes {
		if shape != between {
			assert.NotEmpty(t, legendTexts[shape], shape)
		}
	}
	svg := string(draw(t, machine{platform: parse(t, small)}.boot(t), Options{}))
	for _, want := range []string{"init_ima", "probe, deferred", "waits for a retry", "in the list only", "IMA starts", "TPM registered"} {
		assert.Contains(t, svg, ">"+want+"</text>")
	}
	for _, other := range []string{"not measured", "queued", "denied", "attacker, or kernel panic", "probe, failed", "TPM away"} {
		assert.NotContains(t, svg, ">"+other+"</text>")
	}
}

// What takes no time has no length, and records are counted in words.
func TestNoLengthOfNothing(t *testing.T) {
	t.Parallel()
	for _, p := range boot.Platforms() {
		svg := draw(t, machine{platform: platform(t, p)}.boot(t), Options{})
		assert.NotRegexp(t, `[ >]0 ns`, string(svg), p)
	}
	for want, s := range map[string]boot.Summary{
		"no records":                {},
		"1 record, all extended":    {Kept: 1, Extended: 1},
		"16 records, none extended": {Kept: 16, Unextended: 16},
		"4 records, 3 not extended": {Kept: 4, Extended: 1, Unextended: 3},
	} {
		assert.Equal(t, want, kept(&s))
	}
}

// leftOut says how many labels a picture says that it does not have.
func leftOut(svg []byte) (n int) {
	at := bytes.LastIndex(svg, []byte("time is left out. "))
	if at >= 0 {
		_, _ = fmt.Sscanf(string(svg[at:]), "time is left out. %d label", &n)
	}
	return n
}

// show leaves a picture for people.
func show(t testing.TB, name string, svg []byte) {
	if *see != "" {
		require.NoError(t, os.WriteFile(filepath.Join(*see, name+".svg"), svg, 0o644))
	}
}

// small is a platform on which everything happens once.
const small = `platform small title="A <small> machine"
kernel 6.12 cmdline="ima_policy=tcb" jitter=0 access=1ms
firmware took=1s startup measure=0,7
driver tpm kind=tis took=2ms latency=1ms
driver vcc took=2ms
device tpm0 driver=tpm suppliers=vcc
device vcc driver=vcc
helper modprobe
  exec /sbin/modprobe
  read /etc/modprobe.conf
initcall rootfs populate_rootfs initramfs=10ms
initcall device tpm_driver_init register=tpm
initcall device_sync vcc_init register=vcc
initcall late init_ima took=1ms ima
initcall late selftest helper=modprobe
initcall late deferred_probe_initcall deferred-probe
initcall late_sync last took=1ms
userspace took=10ms
  exec /init
`

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, s := range []boot.Strategy{boot.Late, boot.Retry, boot.Deny} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			r := machine{platform: parse(t, small), config: boot.Config{Strategy: s}}.boot(t)
			svg := draw(t, r, Options{})
			file := filepath.Join("testdata", "small-"+s.String()+".svg")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, svg, 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(svg), "go test -update writes it anew")
			assert.Equal(t, string(svg), string(draw(t, r, Options{})), "the same boot gives the same bytes")
		})
	}
}

func TestStory(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	registered := []boot.Event{
		{Level: initcall.Late, At: 1500 * ms, Kind: boot.InitcallCalled, Name: "deferred_probe_initcall", Task: "init"},
		{Level: initcall.Late, At: 1646 * ms, Kind: boot.TPMRegistered, Name: "tpm0", Task: "kworker"},
	}
	async := []boot.Event{{Level: initcall.LateSync, At: 1646 * ms, Kind: boot.TPMRegistered, Name: "tpm0", Task: "async"}}
	tests := []struct {
		name    string
		summary boot.Summary
		events  []boot.Event
		want    string
	}{
		{"bypass, TPM later", boot.Summary{Started: true, Bypass: true, Level: initcall.Late, StartedAt: 1234 * ms, TPMRegistered: true, TPMAt: 1646 * ms}, registered,
			"IMA in TPM-bypass: looked at late 1.234 s, TPM registered 412 ms later in deferred_probe_initcall"},
		{"bypass, TPM later, asynchronously", boot.Summary{Started: true, Bypass: true, Level: initcall.Late, StartedAt: 1234 * ms, TPMRegistered: true, TPMAt: 1646 * ms}, async,
			"IMA in TPM-bypass: looked at late 1.234 s, TPM registered 412 ms later in an asynchronous probe"},
		{"bypass, no TPM", boot.Summary{Started: true, Bypass: true, Level: initcall.Late, StartedAt: 1234 * ms}, nil,
			"IMA in TPM-bypass: looked at late 1.234 s, no TPM registered"},
		{"bypass, probe failed", boot.Summary{Started: true, Bypass: true, Level: initcall.Late, StartedAt: 1234 * ms,
			Missed: &boot.Missed{Cause: boot.Failed, Last: &boot.Attempt{Level: initcall.Device}}}, nil,
			"IMA in TPM-bypass: looked at late 1.234 s, no TPM registered: the probe at device had failed for good"},
		{"on time", boot.Summary{Started: true, Level: initcall.LateSync, StartedAt: 1700 * ms, TPMRegistered: true, TPMAt: 1646 * ms}, registered,
			"IMA started with the TPM at late_sync 1.700 s, TPM registered 54.0 ms earlier in deferred_probe_initcall"},
		{"at once", boot.Summary{Started: true, Level: initcall.LateSync, StartedAt: 1646 * ms, TPMRegistered: true, TPMAt: 1646 * ms, FieldFailure: true}, async,
			"IMA measured nothing: started at late_sync 1.646 s, TPM registered just before in an asynchronous probe, in field failure mode"},
		{"failed", boot.Summary{Started: true, StartError: -12, Level: initcall.Late, StartedAt: 1234 * ms}, nil,
			"IMA failed to start at late 1.234 s: -12 ENOMEM"},
		{"never", boot.Summary{TPMRegistered: true, TPMAt: 1646 * ms, TPMLevel: initcall.LateSync}, async,
			"IMA never started; TPM registered at late_sync 1.646 s in an asynchronous probe"},
		{"never, panic", boot.Summary{Panic: "No working init found."}, nil,
			"IMA never started; no TPM registered; kernel panic: No working init found."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, Story(&boot.Result{Summary: test.summary, Events: test.events}))
		})
	}
}

// What the picture says of each kind of thing, by its direct label.
func TestLabels(t *testing.T) {
	t.Parallel()
	r := machine{platform: platform(t, "powervm"), config: boot.Config{Strategy: boot.Dual}}.boot(t)
	picture := look(t, draw(t, r, Options{}))
	var texts []string
	for _, text := range picture.texts {
		texts = append(texts, text.text)
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{
		"kernel … rootfs", "late_sync", "in list and PCR (32)", "28 files: /usr/bin/kmod … modules.builtin.bin",
		"boot_aggregate_late", "PCR_Read ×10, PCR_Extend", "probe 71000002", "32 records, all extended",
		"boot_aggregate sha256:9887dd08…48d5",
	} {
		assert.Contains(t, all, want)
	}
}

// A command that is held is drawn as one that takes its time.
func TestHeldCommand(t *testing.T) {
	t.Parallel()
	p := platform(t, "pc-tis")
	p.Kernel.CommandLine += " driver_async_probe=tpm_tis"
	r := machine{platform: p, rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Hold)}}.boot(t)
	picture := look(t, draw(t, r, Options{}))
	held := slices.IndexFunc(picture.texts, func(text rectangle) bool { return strings.HasPrefix(text.text, "GetCapability answered after 1") })
	require.GreaterOrEqual(t, held, 0)
	assert.True(t, slices.ContainsFunc(picture.marks, func(m rectangle) bool { return m.text == "b-slow" && m.x1-m.x0 > 100 }))
}

// A picture has one time axis, whatever the events say.
func TestTimesThatAreNone(t *testing.T) {
	t.Parallel()
	r := &boot.Result{Events: []boot.Event{
		{At: -time.Hour, Level: initcall.Late, Kind: boot.TPMRegistered},
		{At: 1 << 62, Level: initcall.Level(200), Kind: boot.TPMCommand, Name: "SelfTest", Took: 1 << 62},
		{At: time.Second, Level: initcall.Device, Kind: boot.RecordLost, Name: "/bin/sh"},
		{At: 1<<63 - 1, Level: initcall.Userspace, Kind: boot.EventKind(200)},
	}}
	r.Summary.Started, r.Summary.StartedAt, r.Summary.TPMRegistered, r.Summary.TPMAt = true, -90*time.Second, true, 1<<62
	picture := look(t, draw(t, r, Options{}))
	picture.readable(t)
	for _, m := range picture.marks {
		assert.True(t, m.x0 >= 0 && m.x1 <= picture.width, "%+v", m)
	}
	for _, text := range picture.texts {
		assert.NotRegexp(t, `-[0-9]|[0-9]{5}\.`, text.text)
	}
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	names := []string{
		`"><script>alert(1)</script>`, "a\nb\tc", "\x00\x1b[31m", "\xff\xfe\xc0", "]]>&amp;<!--", "\u202eevil\u2066", "\ufdfd\u0301",
		strings.Repeat("x", 1<<20), strings.Repeat("\xe2", 10_000), "日本語", "' onload='x",
	}
	for _, n := range names {
		events := []boot.Event{{Kind: boot.PowerOn}}
		for kind := boot.PowerOn; kind <= boot.Panicked; kind++ {
			events = append(events, boot.Event{
				At: time.Duration(kind) * time.Millisecond, Level: initcall.Late, Kind: kind, Name: n, Text: n, Task: n, Code: 1,
			})
		}
		r := &boot.Result{Platform: &boot.Platform{Name: n, Title: n, Kernel: boot.KernelBuild{Release: n}}, Events: events}
		r.Summary.Panic = n
		svg := draw(t, r, Options{Title: n})
		picture := look(t, svg)
		picture.readable(t)
		assert.Less(t, len(svg), 64<<10)
		for _, bad := range []string{"<script", "\x1b", "\u202e"} {
			assert.False(t, bytes.Contains(svg, []byte(bad)), "%q", bad)
		}
	}
}

// many is a boot in which everything happens over and over.
func many(n int) *boot.Result {
	r := &boot.Result{Events: make([]boot.Event, 0, n)}
	for i := range n {
		r.Events = append(r.Events, boot.Event{
			At:    time.Duration(i) * 31 * time.Microsecond,
			Level: initcall.Level(i * (int(initcall.Userspace) + 1) / n),
			Kind:  boot.EventKind(i * 7 % (int(boot.Panicked) + 1)),
			Task:  [...]string{"init", "kworker", "async", "helper"}[i*3%4],
			Name:  fmt.Sprint("name-", i*13%997),
			Text:  fmt.Sprint("text-", i%17),
			Code:  [...]int{0, 0, 0x922, -5}[i%4],
			Took:  time.Duration(i%90) * time.Millisecond,
		})
	}
	return r
}

func TestBoundedSize(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1000, 100_000} {
		svg := draw(t, many(n), Options{})
		show(t, fmt.Sprint("many-", n), svg)
		assert.Less(t, len(svg), 1<<20, "%d events", n)
		picture := look(t, svg)
		picture.readable(t)
		assert.Positive(t, leftOut(svg), "what has no place is counted")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	r := machine{platform: parse(t, small)}.boot(t)
	picture := look(t, draw(t, r, Options{Title: "My & boot", Width: 2000}))
	assert.Equal(t, "My & boot", picture.titles[0])
	assert.InDelta(t, 2000, picture.width, 1)
	for _, width := range []int{-1, 1, MinWidth - 1, MaxWidth + 1} {
		var wrong *WidthError
		require.ErrorAs(t, SVG(&bytes.Buffer{}, r, Options{Width: width}), &wrong)
		assert.Equal(t, width, wrong.Width)
		assert.Contains(t, wrong.Error(), "900")
	}
	require.ErrorIs(t, SVG(&bytes.Buffer{}, nil, Options{}), ErrNoResult)
	require.ErrorIs(t, SVG(full{}, r, Options{}), errFull)
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }
