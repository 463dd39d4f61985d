package boot

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/ima"
)

// String returns the platform as a file that ParsePlatform reads.
func (p *Platform) String() string { return string(p.appendText(nil)) }

// AppendText appends the platform as a file that ParsePlatform reads. A platform
// that is not valid is refused.
func (p *Platform) AppendText(dst []byte) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return dst, err
	}
	return p.appendText(dst), nil
}

func (p *Platform) appendText(dst []byte) []byte {
	w := &writer{dst: dst}
	w.begin("platform", p.Name).text("title", p.Title).end()
	p.Kernel.write(w)
	if f := &p.Firmware; f.Took != 0 || f.Timeout != 0 || f.Startup || len(f.Measure) > 0 {
		pcrs := make([]string, len(f.Measure))
		for i, n := range f.Measure {
			pcrs[i] = strconv.Itoa(n)
		}
		w.begin("firmware").duration("took", f.Took).flag("startup", f.Startup).list("measure", pcrs).duration("timeout", f.Timeout).end()
	}
	if t := &p.TPM; *t != (TPM{}) {
		w.begin("tpm")
		if t.ListsTwice != 0 {
			w.text("twice", t.ListsTwice.String())
		}
		if t.ResetAt != 0 {
			w.text("reset", t.ResetAt.String())
		}
		w.end()
	}
	if p.Aggregate.Sum != nil {
		w.begin("aggregate", digestText(p.Aggregate)).end()
	}
	for _, fs := range p.FileSystems {
		w.begin("fs", fs.Name).text("type", fs.Type).text("magic", "0x"+strconv.FormatUint(fs.Magic, 16)).end()
	}
	for i := range p.Drivers {
		p.Drivers[i].write(w)
	}
	for _, d := range p.Devices {
		w.begin("device", d.Name).text("bus", d.Bus).text("driver", d.Driver).text("parent", d.Parent)
		w.list("suppliers", d.Suppliers).list("needs", d.Needs).list("domains", d.Domains).duration("appears", d.Appears).duration("bind", d.Bind).end()
	}
	for i := range p.Helpers {
		h := &p.Helpers[i]
		w.begin("helper", h.Name).duration("took", h.Took).end()
		w.accesses(h.Accesses)
	}
	for i := range p.Initcalls {
		p.Initcalls[i].write(w)
	}
	w.begin("userspace").flag("disk", p.Userspace.Disk).duration("took", p.Userspace.Took).end()
	w.accesses(p.Userspace.Accesses)
	return w.dst
}

func (k *KernelBuild) write(w *writer) {
	w.begin("kernel", k.Profile).text("release", k.Release).text("template", k.Template)
	if k.Hash != 0 {
		w.text("hash", k.Hash.String())
	}
	var names []string
	for _, h := range k.Unavailable {
		names = append(names, h.String())
	}
	w.list("unavailable", names).text("cmdline", k.CommandLine).text("secureboot", k.SecureBoot)
	w.not("modules", k.NoModules).not("tcg_tpm", k.NoTPM).flag("hmac", k.HMAC)
	// These three have defaults, so they are always written.
	w.text("start", durationText(k.Start)).text("access", durationText(k.Access)).text("jitter", strconv.Itoa(k.Jitter)).end()
}

func (d *Driver) write(w *writer) {
	w.begin("driver", d.Name).text("kind", d.Kind.String()).duration("took", d.Took).duration("rest", d.Rest).duration("latency", d.Latency).duration("selftest", d.SelfTest)
	if d.Async != d.Kind.asynchronous() {
		w.text("async", map[bool]string{true: "yes", false: "no"}[d.Async])
	}
	w.flag("module", d.Module).number("fail", d.Fail).flag("field-failure", d.FieldFailure).number("after", d.After).duration("slow", d.Slow).end()
}

func (c *Initcall) write(w *writer) {
	w.begin("initcall", c.Level.String(), c.Name).duration("before", c.Before).duration("took", c.Took)
	switch c.Action {
	case NoAction:
	case Initramfs:
		w.text("initramfs", durationText(c.Unpack))
	default:
		w.text(c.Action.String(), "yes")
	}
	w.list("register", c.Register).list("helper", c.Helpers).duration("async", c.Async).number("fail", c.Fail).end()
}

func digestText(d ima.FileDigest) string { return fmt.Sprintf("%s:%s", d.Algo, d.Sum) }

// durationText is a duration in ASCII.
func durationText(d time.Duration) string { return strings.Replace(d.String(), "µ", "u", 1) }

// writer writes directives. Keys with zero values are left out.
type writer struct {
	dst []byte
}

func (w *writer) begin(name string, plain ...string) *writer {
	w.dst = append(w.dst, name...)
	for _, word := range plain {
		w.dst = append(w.dst, ' ')
		w.dst = append(w.dst, quote(word)...)
	}
	return w
}

func (w *writer) end() { w.dst = append(w.dst, '\n') }

func (w *writer) text(key, value string) *writer {
	if value != "" {
		w.dst = append(w.dst, ' ')
		w.dst = append(w.dst, key...)
		w.dst = append(w.dst, '=')
		w.dst = append(w.dst, quote(value)...)
	}
	return w
}

func quote(word string) string {
	if word == "" || strings.ContainsAny(word, " \t") || word[0] == '#' {
		return `"` + word + `"`
	}
	return word
}

func (w *writer) list(key string, values []string) *writer {
	return w.text(key, strings.Join(values, ","))
}

func (w *writer) flag(key string, value bool) *writer {
	if value {
		w.text(key, "yes")
	}
	return w
}

func (w *writer) not(key string, value bool) *writer {
	if value {
		w.text(key, "no")
	}
	return w
}

func (w *writer) number(key string, n int) *writer {
	if n != 0 {
		w.text(key, strconv.Itoa(n))
	}
	return w
}

func (w *writer) duration(key string, d time.Duration) *writer {
	if d != 0 {
		w.text(key, durationText(d))
	}
	return w
}

func (w *writer) accesses(list []Access) {
	for i := range list {
		a := &list[i]
		w.dst = append(w.dst, ' ', ' ')
		if a.Kind == Wait {
			w.begin(a.Kind.String(), durationText(a.For)).end()
			continue
		}
		w.begin(a.Kind.String(), a.Path)
		if a.Digest.Sum != nil {
			w.text("digest", digestText(a.Digest))
		}
		w.text("fs", a.FS).text("driver", a.Driver).end()
	}
}
