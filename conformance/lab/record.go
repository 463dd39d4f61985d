package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Config is one run: a machine, its TPM, and what is asked of the guest.
type Config struct {
	Machine Machine
	TPM     StartTPM
	// Policy, if not empty, is an IMA policy that the guest loads before it
	// reports.
	Policy []byte
	// Modprobe, if not empty, is a program that the guest's kernel runs when it
	// asks for a module, from the moment at which its initramfs is unpacked.
	Modprobe []byte
	// Await is how long the guest waits for a TPM that has not registered
	// yet before it reports a second time; zero does not wait.
	Await time.Duration
	// Rebind has the guest bind the driver to the TPM by hand if it is not
	// bound, and report once more.
	Rebind bool
	// Restart has a second boot follow the first.
	Restart Restart
	// Timeout bounds the whole run.
	Timeout time.Duration
	// Cache, if not empty, is a folder in which a KVM that was given up is
	// noted. Several runs may use it at once.
	Cache string
	// Keep, if not empty, is a folder that gets the console log and the
	// reports.
	Keep string
	// Progress is told what is going on, in lines.
	Progress io.Writer

	trial trial
	hurry bool // the guest is ended if it is late
}

// Labels of reports, in the order in which a boot gives them.
const (
	AtInit     = "init"   // when /init had started
	AfterAwait = "await"  // when the TPM had registered by itself, or the wait was over
	AfterBind  = "rebind" // when the driver had been bound by hand
)

// Report is what the guest said at one moment.
type Report struct {
	Label string
	Items Items
	// Status is the exit status of the order before the report: await or
	// bind.
	Status int
}

// Boot is one boot of the guest.
type Boot struct {
	Release string // the kernel's, as uname -r prints it
	Reports []Report
	// View is what the TPM says of itself after the last report, nil if it
	// cannot tell.
	View *View
	// After is when the guest's init said hello, since QEMU was started.
	After time.Duration
}

// Record is what a run brought home.
type Record struct {
	Machine Machine
	TPM     []string // program and arguments
	Boots   []Boot
	Took    time.Duration // from QEMU's start to its end
}

// keep copies what is worth reading into Keep; record is nil if there was no
// boot.
func (r *runner) keep(record *Record) error {
	if err := os.MkdirAll(r.Keep, 0o755); err != nil {
		return err
	}
	log, err := os.ReadFile(r.at.consoleLog)
	if err == nil {
		err = os.WriteFile(filepath.Join(r.Keep, "console.log"), log, 0o644)
	}
	errs := []error{err}
	errs = append(errs, os.WriteFile(filepath.Join(r.Keep, "tpm.log"), []byte(r.tpm.process.stderr.String()+"\n"), 0o644))
	if record == nil {
		return errors.Join(errs...)
	}
	for i, boot := range record.Boots {
		for _, report := range boot.Reports {
			for name, content := range report.Items {
				file := fmt.Sprintf("boot%d-%s-%s", i+1, report.Label, filepath.Base(name))
				errs = append(errs, os.WriteFile(filepath.Join(r.Keep, file), content, 0o644))
			}
		}
	}
	return errors.Join(errs...)
}
