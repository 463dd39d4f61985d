package boot

import (
	"strconv"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// directiveRow is a row of the table of directives.
type directiveRow struct {
	// plain is how many words without = come first.
	plain int
	// block reports that the directive belongs to a helper or to userspace.
	block bool
	// once reports that it may come once only.
	once bool
	read func(p *parser, a *args) error
}

// The directives. Each reads its keys from args, and keys that are left are
// refused.
var directives = map[string]directiveRow{
	"platform":  {plain: 1, once: true, read: (*parser).readPlatform},
	"kernel":    {plain: 1, once: true, read: (*parser).readKernel},
	"firmware":  {once: true, read: (*parser).readFirmware},
	"tpm":       {once: true, read: (*parser).readTPM},
	"aggregate": {plain: 1, once: true, read: (*parser).readAggregate},
	"fs":        {plain: 1, read: (*parser).readFS},
	"driver":    {plain: 1, read: (*parser).readDriver},
	"device":    {plain: 1, read: (*parser).readDevice},
	"initcall":  {plain: 2, read: (*parser).readInitcall},
	"helper":    {plain: 1, read: (*parser).readHelper},
	"userspace": {once: true, read: (*parser).readUserspace},
	"exec":      {plain: 1, block: true, read: readAccess(Exec)},
	"map":       {plain: 1, block: true, read: readAccess(Map)},
	"read":      {plain: 1, block: true, read: readAccess(Read)},
	"load":      {plain: 1, block: true, read: readAccess(Load)},
	"wait":      {plain: 1, block: true, read: readAccess(Wait)},
}

func (p *parser) readPlatform(a *args) error {
	p.platform.Name = a.plain[0]
	a.text("title", &p.platform.Title)
	return nil
}

func (p *parser) readKernel(a *args) error {
	k := &p.platform.Kernel
	p.mark("kernel")
	k.Profile = a.plain[0]
	a.text("release", &k.Release)
	a.text("template", &k.Template)
	a.text("cmdline", &k.CommandLine)
	a.text("secureboot", &k.SecureBoot)
	a.notFlag("modules", &k.NoModules)
	a.notFlag("tcg_tpm", &k.NoTPM)
	a.flag("hmac", &k.HMAC)
	a.duration("start", &k.Start)
	a.duration("access", &k.Access)
	a.number("jitter", 10, 0, 100, &k.Jitter)
	if v, ok := a.take("hash"); ok {
		k.Hash = a.hash("hash", v)
	}
	var unavailable []string
	a.list("unavailable", &unavailable)
	for _, name := range unavailable {
		k.Unavailable = append(k.Unavailable, a.hash("unavailable", name))
	}
	return nil
}

func (p *parser) readFirmware(a *args) error {
	f := &p.platform.Firmware
	p.mark("firmware")
	a.duration("took", &f.Took)
	a.flag("startup", &f.Startup)
	a.duration("timeout", &f.Timeout)
	var pcrs []string
	a.list("measure", &pcrs)
	for _, text := range pcrs {
		n, err := strconv.Atoi(text)
		if err != nil {
			a.fail("measure", "%q is no PCR", clip.String(text))
		}
		f.Measure = append(f.Measure, n)
	}
	return nil
}

func (p *parser) readTPM(a *args) error {
	p.mark("tpm")
	if v, ok := a.take("twice"); ok {
		p.platform.TPM.ListsTwice = a.hash("twice", v)
	}
	if v, ok := a.take("reset"); ok {
		level, err := initcall.ParseLevel(v)
		if err != nil {
			a.fail("reset", "%v", err)
		}
		p.platform.TPM.ResetAt = level
	}
	return nil
}

func (p *parser) readAggregate(a *args) error {
	p.mark("aggregate")
	p.platform.Aggregate = a.digest("aggregate", a.plain[0])
	return nil
}

func (p *parser) readFS(a *args) error {
	fs := FileSystem{Name: a.plain[0]}
	p.mark("fs " + fs.Name)
	a.text("type", &fs.Type)
	magic, ok := a.take("magic")
	n, err := strconv.ParseUint(magic, 0, 64)
	if !ok || err != nil {
		a.fail("magic", "a file system has its number of include/uapi/linux/magic.h, such as 0xef53")
	}
	fs.Magic = n
	p.platform.FileSystems = append(p.platform.FileSystems, fs)
	return nil
}

func (p *parser) readDriver(a *args) error {
	d := Driver{Name: a.plain[0]}
	p.mark("driver " + d.Name)
	if v, ok := a.take("kind"); ok {
		kind, err := parseName[DriverKind](driverKindNames[:], v, "kind of driver")
		if err != nil {
			a.fail("kind", "%v", err)
		}
		d.Kind = kind
	}
	a.duration("took", &d.Took)
	a.duration("rest", &d.Rest)
	a.duration("latency", &d.Latency)
	a.duration("selftest", &d.SelfTest)
	d.Async = d.Kind.asynchronous()
	a.flag("async", &d.Async)
	a.flag("module", &d.Module)
	a.number("fail", 10, 1, 4095, &d.Fail)
	a.flag("field-failure", &d.FieldFailure)
	a.number("after", 0, -4095, 0xfff, &d.After)
	a.duration("slow", &d.Slow)
	p.platform.Drivers = append(p.platform.Drivers, d)
	return nil
}

func (p *parser) readDevice(a *args) error {
	d := Device{Name: a.plain[0]}
	p.mark("device " + d.Name)
	a.text("bus", &d.Bus)
	a.text("driver", &d.Driver)
	a.text("parent", &d.Parent)
	a.list("suppliers", &d.Suppliers)
	a.list("needs", &d.Needs)
	a.list("domains", &d.Domains)
	a.duration("appears", &d.Appears)
	a.duration("bind", &d.Bind)
	p.platform.Devices = append(p.platform.Devices, d)
	return nil
}

func (p *parser) readInitcall(a *args) error {
	level, err := initcall.ParseLevel(a.plain[0])
	if err != nil {
		return &PlatformError{File: p.platform.source, Line: p.line, Item: "initcall " + clip.String(a.plain[1]), Err: err}
	}
	c := Initcall{Level: level, Name: a.plain[1]}
	p.mark("initcall " + c.Name)
	a.duration("before", &c.Before)
	a.duration("took", &c.Took)
	a.list("register", &c.Register)
	a.list("helper", &c.Helpers)
	a.duration("async", &c.Async)
	a.number("fail", 10, 1, 4095, &c.Fail)
	for action := StartIMA; action <= Initramfs; action++ {
		v, ok := a.take(action.String())
		switch {
		case !ok:
			continue
		case c.Action != NoAction:
			a.fail(action.String(), "the initcall is %s already", c.Action)
		case action == Initramfs:
			c.Unpack = a.parseDuration(action.String(), v)
		case v != "yes":
			a.fail(action.String(), "it takes no value")
		}
		c.Action = action
	}
	p.platform.Initcalls = append(p.platform.Initcalls, c)
	return nil
}

func (p *parser) readHelper(a *args) error {
	h := Helper{Name: a.plain[0]}
	p.mark("helper " + h.Name)
	a.duration("took", &h.Took)
	p.platform.Helpers = append(p.platform.Helpers, h)
	p.block = &p.platform.Helpers[len(p.platform.Helpers)-1].Accesses
	return nil
}

func (p *parser) readUserspace(a *args) error {
	u := &p.platform.Userspace
	p.mark("userspace")
	a.duration("took", &u.Took)
	a.flag("disk", &u.Disk)
	p.block = &u.Accesses
	return nil
}

func readAccess(kind AccessKind) func(*parser, *args) error {
	return func(p *parser, a *args) error {
		access := Access{Kind: kind}
		if kind == Wait {
			access.For = a.parseDuration("wait", a.plain[0])
		} else {
			access.Path = a.plain[0]
			if v, ok := a.take("digest"); ok {
				access.Digest = a.digest("digest", v)
			}
			a.text("fs", &access.FS)
		}
		if kind == Load {
			a.text("driver", &access.Driver)
		}
		p.mark("access " + access.Path)
		*p.block = append(*p.block, access)
		return nil
	}
}
