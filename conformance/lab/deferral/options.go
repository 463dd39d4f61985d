package deferral

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// BootOptions are the options of the commands that boot in a Lab.
type BootOptions struct {
	Keep, Swtpmd string
	NoInstall    bool
	Timeout      time.Duration
}

// Define defines the options with their defaults.
func (o *BootOptions) Define(f *flag.FlagSet) {
	f.StringVar(&o.Keep, "keep", "", "")
	f.StringVar(&o.Swtpmd, "swtpmd", "", "")
	f.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "")
	f.BoolVar(&o.NoInstall, "no-install", false, "")
}

// Check refuses options that no boot can have.
func (o *BootOptions) Check() error {
	if o.Timeout <= 0 {
		return fmt.Errorf("--timeout=%s: a boot takes longer than that", o.Timeout)
	}
	return nil
}

// Equip finds or fetches what boots need, but no kernels, and builds swtpmd from the module
// at source if none is named. done removes what it has built.
func (o *BootOptions) Equip(ctx context.Context, source string, progress io.Writer) (l *Lab, done func(), err error) {
	if l, err = Fetched(ctx, !o.NoInstall, progress); err != nil {
		return nil, nil, err
	}
	l.Timeout, l.Swtpmd, l.Keep = o.Timeout, o.Swtpmd, o.Keep
	if l.Swtpmd != "" {
		return l, func() {}, nil
	}
	fmt.Fprintln(progress, "building swtpmd")
	l.Swtpmd, done, err = lab.BuildSwtpmd(ctx, source)
	return l, done, err
}
