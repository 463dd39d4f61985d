package boot_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/swtpmd/swtpmd/ima/boot"
)

// bootAny boots a platform of unknown origin: it may hit a limit, nothing else.
func bootAny(t *testing.T, p *boot.Platform) {
	t.Helper()
	for _, strategy := range []boot.Strategy{boot.Dual, boot.Deny, boot.Queue} {
		r, err := boot.Run(context.Background(), p, boot.Config{Strategy: strategy, Attack: boot.Filter, Device: new(trivialTPM), MaxSteps: 2000})
		var limit *boot.LimitError
		if err != nil && !errors.As(err, &limit) {
			t.Fatalf("a valid platform does not boot: %v", err)
		}
		if _, err := r.List.Records(); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzPlatform(f *testing.F) {
	for _, name := range boot.Platforms() {
		text, err := boot.PlatformFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(text) < 10_000 {
			f.Add(string(text))
		}
	}
	f.Add(minimal("driver tpm kind=tis"))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := boot.ParsePlatform("fuzz", strings.NewReader(text))
		var wrong *boot.PlatformError
		if err != nil {
			if !errors.As(err, &wrong) {
				t.Fatalf("an error of another type: %v", err)
			}
			return
		}
		again, err := boot.ParsePlatform("again", strings.NewReader(p.String()))
		if err != nil {
			t.Fatalf("its own text is no platform: %v\n%s", err, p)
		}
		if again.String() != p.String() {
			t.Fatalf("its text changes:\n%s\n%s", p, again)
		}
		bootAny(t, p)
	})
}

func FuzzFromConsole(f *testing.F) {
	log, err := os.ReadFile("../../faults/initcall/testdata/arm64-6.1-eprobe-defer-ima-late.log")
	if err != nil {
		f.Fatal(err)
	}
	list, err := os.ReadFile("testdata/powervm.ascii")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(log), string(list))
	f.Add("<6>[    0.034479] board kernel: calling  init_tis+0x0/0xc4 @ 1\n[[    0.0034479] initcalll init_tis+0x0/0xc4 returned 0 after 0 usecs\n** 3 printk messages dropped **\n", "")
	f.Add("[    0.1] calling  a+0x0/0x1 @ 1\n[    0.200000] calling  b+0x0/0x1 @ 1\n[    9.300000] probe of MSFT0101:00 returned -517 after 9 usecs[    0.400000] Run /init as init process\n[    8.000000] tpm_crb MSFT0101:00: x\n[    8.100000] probe of MSFT0101:00 returned 0 after 1 usecs\n", "")
	f.Add("[    0.1] calling  x\n", "")
	f.Add("[    0.034479] calling  init_tis+0x0/0xc4 @ 1\n[    0.034479] tpm_tis a: 2.0 TPM (device-id 0x1\n[    0.034820] initcall init_tis+0x0/0xc4 returned 0 after 0 usecs\n", "")
	f.Add("[    0.034479] calling  init_tis+0x0/0xc4 @ 1\n[    0.034479] \xe6\xe6tpm_tis a: 2.0 TPM (device-id 0x1\n[    0.034820] initcall init_tis+0x", "")
	f.Add("[    0.034479] calling  init_tis+0x0/0xc4 @ 1\n[    0.034479] \"tpm_tis, a=\"b: 2.0 TPM (device-id 0x1\n[    0.034820] initcall init_tis+0x", "")
	f.Fuzz(func(t *testing.T, log, list string) {
		r, err := boot.FromConsole(strings.NewReader(log), strings.NewReader(list), func(p *boot.Platform, c boot.Config) (*boot.Result, error) {
			c.Device, c.MaxSteps = new(trivialTPM), 2000
			r, err := boot.Run(context.Background(), p, c)
			var limit *boot.LimitError
			if errors.As(err, &limit) {
				return r, nil
			}
			return r, err
		})
		var console *boot.ConsoleError
		if err != nil {
			if !errors.As(err, &console) {
				t.Fatalf("what comes out is no platform: %v", err)
			}
			return
		}
		if err := r.Comparison.Render(io.Discard); err != nil {
			t.Fatal(err)
		}
		p := r.Platform
		if _, err := boot.ParsePlatform("again", strings.NewReader(p.String())); err != nil {
			t.Fatalf("its own text is no platform: %v\n%s", err, p)
		}
		bootAny(t, p)
	})
}
