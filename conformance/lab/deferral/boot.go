package deferral

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/conformance/lab/kernelbuild"
)

// Lab has what boots of rows need.
type Lab struct {
	Tools    lab.Tools
	Swtpmd   string                            // the daemon's program
	Kernel   func(name string) (string, error) // the image of a kernel of scripts/kernel-lab
	Keep     string                            // a folder for logs; empty keeps none
	Progress io.Writer
	Timeout  time.Duration
}

// Cached returns a Lab with what this machine has, without Swtpmd. It fetches, installs
// and builds nothing. The error names the first thing that is missing.
func Cached(progress io.Writer) (*Lab, error) {
	cache, err := lab.CacheDir("")
	if err != nil {
		return nil, err
	}
	apt := &lab.Apt{Cache: cache, Progress: progress}
	tools, err := lab.CachedTools(apt, lab.Virt)
	if err != nil {
		return nil, err
	}
	return &Lab{Tools: tools, Kernel: kernelIn(cache), Progress: progress, Timeout: 3 * time.Minute}, nil
}

// Fetched returns a Lab like Cached, and fetches what is missing; with install it installs
// QEMU and dtc too. It builds no kernels.
func Fetched(ctx context.Context, install bool, progress io.Writer) (*Lab, error) {
	cache, err := lab.CacheDir("")
	if err != nil {
		return nil, err
	}
	tools, err := lab.FindTools(ctx, &lab.Apt{Cache: cache, Progress: progress}, lab.Virt, lab.Virt.Firmware(), true, install)
	if err != nil {
		return nil, err
	}
	return &Lab{Tools: tools, Kernel: kernelIn(cache), Progress: progress, Timeout: 3 * time.Minute}, nil
}

// says has the driver core print for whom a probe waits.
const says = `dyndbg="file drivers/base/core.c +p; file drivers/base/dd.c +p"`

// Boot boots a row in QEMU. The verdict has PCR 10 as the guest, swtpmd and the replayed
// list have it.
func (l *Lab) Boot(ctx context.Context, r Row, start Start) (*Observed, *lab.Verdict, error) {
	kernel, err := l.Kernel(r.Kernel(start))
	if err != nil {
		return nil, nil, err
	}
	m := lab.Machine{
		Board: lab.Virt, Firmware: lab.Virt.Firmware(), Device: lab.Virt.Device(), Accel: lab.TCG,
		Tools: l.Tools, Kernel: kernel, IMAPolicy: "tcb|critical_data", Append: strings.TrimSpace(says + " " + r.Args),
	}
	if r.Tree != "" {
		if m.Tree, err = lab.Tree(r.Tree); err != nil {
			return nil, nil, err
		}
	}
	record, err := lab.Run(ctx, lab.Config{
		Machine: m, TPM: lab.Swtpmd(l.Swtpmd, nil), Await: r.Await, Timeout: l.Timeout, Keep: l.Keep, Progress: l.Progress,
	})
	if err != nil {
		return nil, nil, err
	}
	verdict, err := lab.Judge(record)
	if err != nil {
		return nil, nil, err
	}
	return r.observed(start, verdict.Last()), verdict, nil
}

// observed reads the verdict of a boot.
func (r Row) observed(start Start, b *lab.BootVerdict) *Observed {
	d := b.Driver
	o := &Observed{Row: r.Name(), Start: start, Binds: Never, Inside: d.Inside, Suppliers: d.Suppliers, Postponed: []string{}, Outcome: b.Word}
	if b.Aggregate != nil {
		o.Aggregate = b.Aggregate.Digest.String()
	}
	if len(b.List) > 0 {
		fields := strings.Fields(b.List[0])
		o.Record = fields[len(fields)-1]
	}
	if d.At != nil {
		o.Binds, o.Seconds = d.Level, time.Duration(*d.At).Seconds()
	}
	for _, p := range d.Postponed {
		o.postponed(p.Device, b.IMA.LookedAt != nil && p.At > *b.IMA.LookedAt)
	}
	return o
}

// PCRMismatch returns which of the three views of PCR 10 do not agree as they must: the
// list replayed, the guest's and swtpmd's. In bypass nobody has extended it; a TPM that
// never bound was not started, and refuses to read its PCRs.
func PCRMismatch(b *lab.BootVerdict) string {
	var wrong []string
	switch never := b.Driver.Bound == lab.NeverBound; {
	case never && b.Word == lab.Bypass && b.Refused != "":
		return ""
	case len(b.Banks) == 0:
		return "no bank was compared"
	}
	for _, bank := range b.Banks {
		for by, view := range map[string]*lab.PCRView{"the guest": bank.Guest, "swtpmd": bank.TPM} {
			switch {
			case view == nil && by == "the guest" && b.Driver.Bound == lab.NeverBound:
			case view == nil:
				wrong = append(wrong, fmt.Sprintf("%s has no PCR 10 of %s", by, bank.Bank))
			case b.Word == lab.Measured && !view.Match, b.Word == lab.Bypass && (view.Match || !view.Zero):
				wrong = append(wrong, fmt.Sprintf("%s: %s has %s, the list gives %s", bank.Bank, by, view.Value, bank.Replayed))
			}
		}
	}
	return strings.Join(wrong, "; ")
}

// kernelIn returns the way to kernels that scripts/kernel-lab has built. Where
// SWTPMD_KERNELS names a folder, they are taken from there: NAME.Image.
func kernelIn(cache string) func(name string) (string, error) {
	return func(name string) (string, error) {
		if dir := os.Getenv("SWTPMD_KERNELS"); dir != "" {
			path := filepath.Join(dir, name+".Image")
			_, err := os.Stat(path)
			return path, err
		}
		k, err := kernelbuild.ParseName(name)
		if err != nil {
			return "", err
		}
		built, err := kernelbuild.InCache(cache).Find(k)
		return built.Image, err
	}
}
