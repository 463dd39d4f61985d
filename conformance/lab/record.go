package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Config is one run: a machine, its TPM, and what the guest does.
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
	// Cache, if not empty, is a folder for the note that KVM was given up. Several
	// runs may use it at once.
	Cache string
	// Keep, if not empty, is a folder for copies of the console log and the
	// reports.
	Keep string
	// Progress gets a line for each step.
	Progress io.Writer

	trial trial
	hurry bool // the guest is ended if it is late
}

// Labels of reports, in the order of a boot.
const (
	AtInit     = "init"   // when /init had started
	AfterAwait = "await"  // when the TPM had registered by itself, or the wait had ended
	AfterBind  = "rebind" // when the driver had been bound by hand
)

// Report is what the guest reported at one moment.
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
	// View is the TPM's view after the last report, nil if it has no admin
	// socket.
	View *View
	// After is when the guest's init said hello, since QEMU was started.
	After time.Duration
}

// Record is the result of a run.
type Record struct {
	Machine Machine
	TPM     []string // program and arguments
	Boots   []Boot
	Took    time.Duration // from QEMU's start to its end
}

// List returns the binary measurement list as the guest reported it last, nil if its
// kernel has none.
func (b *Boot) List() []byte { return b.last().Items[itemBinary] }

// Processes returns the command lines of the guest's processes when it reported last,
// without those of the kernel.
func (b *Boot) Processes() []string { return b.last().lines(itemProcesses) }

// Log returns the lines of the kernel's log that the guest reported last, those of
// programs too, as dmesg -r prints them.
func (b *Boot) Log() []string { return b.last().lines(itemDmesg) }

// keep copies logs and reports into Keep; record is nil if there was no boot.
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
