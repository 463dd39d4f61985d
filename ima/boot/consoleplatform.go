package boot

import (
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
)

// finish makes the platform of what the log has told.
func (c *consoleReader) finish() {
	p := c.platform
	if p.Kernel.Profile == "" {
		p.Kernel.Profile = ima.Kernels()[0].Release
	}
	p.Title = "from the console log of Linux " + p.Kernel.Release
	p.Kernel.Start = c.firstCall
	if c.runInit > c.lastReturn {
		p.Userspace.Took = c.runInit - c.lastReturn
	}
	p.Userspace.Accesses = []Access{{Kind: Exec, Path: "/init"}}
	c.addTPM()
	for i := range p.Initcalls {
		c.action(&p.Initcalls[i])
	}
	c.complete()
}

// action gives the functions that do something their action.
func (c *consoleReader) action(call *Initcall) {
	switch call.Name {
	case "populate_rootfs":
		call.Action, call.Fail = Initramfs, 0
		if c.unpacked > c.unpackFrom {
			call.Unpack = c.unpacked - c.unpackFrom
		}
	case "deferred_probe_initcall":
		if call.Level != initcall.Late {
			return
		}
		call.Action, call.Fail = DeferredProbe, 0
		if c.tpm.deferred {
			call.Took = max(0, call.Took-10*c.latency()) // the probe will take the rest
		}
	case "init_ima", "security_initcall_late", "security_initcall_late_sync":
		call.Fail = 0
		switch call.Level {
		case initcall.Late:
			call.Action = StartIMA
		case initcall.LateSync:
			call.Action = StartIMALate
		default:
			return
		}
		if !c.bypass {
			call.Took = max(0, call.Took-11*c.latency()) // PCRs are read and extended
		}
	}
}

// latency is a guess at what a command takes: a probe sends about nine.
func (c *consoleReader) latency() time.Duration {
	t := &c.tpm
	end := t.bound
	if end == 0 && t.call >= 0 && t.call < len(c.platform.Initcalls) {
		end = t.registered + c.platform.Initcalls[t.call].Took - t.before
	}
	if t.banner == 0 || end <= t.banner {
		return time.Millisecond
	}
	return min((end-t.banner).Round(9*time.Microsecond)/9, 100*time.Millisecond)
}

// addTPM adds the TPM, if the kernel has seen one.
func (c *consoleReader) addTPM() {
	p, t := c.platform, &c.tpm
	if t.banner == 0 || t.call < 0 || t.call >= len(p.Initcalls) {
		return
	}
	call := &p.Initcalls[t.call]
	d := Driver{Name: t.driver, Kind: t.kind, Latency: c.latency(), Async: t.kind.asynchronous()}
	device := Device{Name: c.word(t.device), Driver: t.driver}
	switch {
	case t.deferred && t.bannerLevel == initcall.Userspace:
		// Only the timeout of deferred probing binds a device so late.
		c.supplier(&device, Device{Name: "tpm-supplier"})
	case t.deferred:
		c.supplier(&device, Device{Name: "tpm-supplier", Driver: "tpm-supplier"})
		p.Drivers = append(p.Drivers, Driver{Name: "tpm-supplier"})
		p.Initcalls = slices.Insert(p.Initcalls, t.call+1, Initcall{Level: call.Level, Name: c.unique("tpm_supplier_init"), Register: []string{"tpm-supplier"}})
		call = &p.Initcalls[t.call]
	default:
		// Until its line the driver is on its own, in its initcall or
		// asynchronously beside those that follow.
		d.Took = min(max(t.banner-t.registered-d.Latency, 0), MaxBoot)
		inCall := t.banner <= t.registered+call.Took-t.before
		args := parseArgs(&p.Kernel)
		d.Async = d.Async || !inCall && !args.probesAsync(&d)
		if inCall {
			call.Took = t.before
		}
	}
	call.Register, call.Fail = []string{t.driver}, 0
	p.Drivers = append(p.Drivers, d)
	p.Devices = append(p.Devices, device)
	if p.Firmware.Startup = !t.selfStarted; p.Firmware.Startup {
		p.Firmware.Measure = []int{0, 1, 2, 3, 4, 5, 6, 7}
	}
}

func (c *consoleReader) supplier(to *Device, supplier Device) {
	to.Suppliers = []string{supplier.Name}
	c.platform.Devices = append(c.platform.Devices, supplier)
}

// word makes a name of what a log has.
func (c *consoleReader) word(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t,=#", r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, sanitize(s))
	if s == "" {
		return "tpm"
	}
	return s
}

// complete adds what every kernel has and the log may not show: kernels that
// start IMA at late_sync only, for instance.
func (c *consoleReader) complete() {
	p := c.platform
	has := func(a Action) bool {
		return slices.ContainsFunc(p.Initcalls, func(i Initcall) bool { return i.Action == a })
	}
	after := func(name string) int {
		// Behind what belongs before it in link order, else at late's end.
		place := len(p.Initcalls)
		for i, call := range p.Initcalls {
			if call.Level == initcall.Late && call.Name == name {
				return i
			}
			if call.Level > initcall.Late {
				return min(place, i)
			}
		}
		return place
	}
	if !has(DeferredProbe) {
		at := after("")
		p.Initcalls = slices.Insert(p.Initcalls, at, Initcall{Level: initcall.Late, Name: c.unique("deferred_probe_initcall"), Action: DeferredProbe})
	}
	if !has(StartIMA) {
		at := after("crypto_algapi_init")
		if d := after("deferred_probe_initcall"); d < at {
			at = d
		}
		p.Initcalls = slices.Insert(p.Initcalls, at, Initcall{Level: initcall.Late, Name: c.unique("init_ima_late"), Action: StartIMA})
	}
}

// list takes a measurement list.
func (c *consoleReader) list(list io.Reader) error {
	reader, err := ima.NewReader(io.LimitReader(list, maxList), ima.Format{})
	if err != nil {
		return &ConsoleError{Reason: "no reader for the list", Err: err}
	}
	records, err := ima.ReadAll(reader)
	if err != nil {
		return &ConsoleError{Reason: "the measurement list", Err: err}
	}
	if len(records) > maxItems/2 {
		records = records[:maxItems/2]
	}
	first, second := aggregates(records)
	c.takeAggregate(first)
	var gap, rest []Access
	seen := make(map[string]bool)
	for i, r := range records {
		a, ok := accessOf(r)
		if !ok || seen[a.Path] {
			continue
		}
		seen[a.Path] = true
		if i < second {
			gap = append(gap, a)
		} else {
			rest = append(rest, a)
		}
	}
	c.addGap(gap)
	if len(rest) > 0 {
		c.platform.Userspace.Accesses = rest
	}
	return nil
}

// maxList bounds a measurement list in bytes.
const maxList = 16 << 20

// aggregates finds the first boot aggregate, and the place of the second one, 0
// if there is none.
func aggregates(records []*ima.Record) (first *ima.Record, second int) {
	for i, r := range records {
		if _, ok := ima.IsBootAggregate(r, i+1); !ok {
			continue
		}
		if first != nil {
			return first, i
		}
		first = r
	}
	return first, 0
}

func (c *consoleReader) takeAggregate(r *ima.Record) {
	if r == nil {
		return
	}
	k := &c.platform.Kernel
	if _, builtin := ima.LookupTemplate(r.Template().Name()); builtin {
		k.Template = r.Template().Name()
	}
	d, ok := r.FileDigest()
	if !ok || d.Zero() || !d.Algo.Available() {
		return
	}
	c.platform.Aggregate = ima.FileDigest{Algo: d.Algo, Sum: slices.Clone(d.Sum)}
	if k.Hash == 0 {
		k.Hash = d.Algo
	}
}

// accessOf guesses how a file of a list was used: the list does not tell.
func accessOf(r *ima.Record) (Access, bool) {
	path := r.Name()
	d, ok := r.FileDigest()
	if !ok || r.Violation() || len(d.Sum) == 0 || len(d.Sum) != d.Algo.Size() ||
		!strings.HasPrefix(path, "/") || strings.Contains(path, `"`) || !printable(path) || r.Template().Name() == "ima-buf" {
		return Access{}, false
	}
	a := Access{Kind: Read, Path: path, Digest: ima.FileDigest{Algo: d.Algo, Sum: slices.Clone(d.Sum)}}
	switch {
	case strings.Contains(path, ".so.") || strings.HasSuffix(path, ".so"):
		a.Kind = Map
	case strings.Contains(path, "/bin/"), strings.Contains(path, "/sbin/"), strings.HasPrefix(path, "/usr/lib/systemd/systemd"), path == "/init":
		a.Kind = Exec
	}
	return a, true
}

// addGap adds a helper that uses the files of the gap, called between init_ima
// and late_sync.
func (c *consoleReader) addGap(files []Access) {
	if len(files) == 0 {
		return
	}
	p := c.platform
	p.Helpers = append(p.Helpers, Helper{Name: "gap", Accesses: files})
	for i, call := range p.Initcalls {
		if call.Action == StartIMA {
			p.Initcalls = slices.Insert(p.Initcalls, i+1, Initcall{Level: initcall.Late, Name: c.unique("request_module"), Helpers: []string{"gap"}})
			return
		}
	}
}
