package simulate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// print writes the boot for a person: timeline, list, PCRs, verdict. An IMA that
// has not started has no list to send, and nobody to appraise it.
func (o *Outcome) print(out io.Writer, all bool) error {
	var text strings.Builder
	for i := range o.Result.Events {
		if e := &o.Result.Events[i]; all || eventful(e) {
			line, _ := e.Line()
			text.WriteString(line + "\n")
		}
	}
	list, err := o.Result.List.ReadFile("ascii_runtime_measurements")
	hasList := !errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && hasList:
		return err
	case hasList:
		fmt.Fprintf(&text, "\nmeasurement list:\n%s\n", list)
	default:
		text.WriteString("\nmeasurement list: none, IMA has not started and has no files in securityfs\n")
	}
	if _, err := io.WriteString(out, text.String()); err != nil {
		return err
	}
	if hasList {
		if err := o.appraisal(out); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "\n%s\n%s%s%s%s", o.sentence(), o.why(), o.race(), o.whatIf(), o.share())
	return err
}

// appraisal writes what a service makes of the list.
func (o *Outcome) appraisal(out io.Writer) error {
	if err := o.Verdict.Render(out); err != nil {
		return err
	}
	for i := range o.Appraisals {
		fmt.Fprintln(out)
		if err := o.Appraisals[i].Render(out); err != nil {
			return err
		}
	}
	return nil
}

// eventful reports whether an event is worth a line where not all are asked for.
func eventful(e *boot.Event) bool {
	switch e.Kind {
	case boot.InitcallCalled, boot.InitcallReturned:
		return e.Name == "init_ima" || e.Name == "deferred_probe_initcall" || e.Code != 0
	case boot.DriverRegistered, boot.DeviceAdded, boot.FirmwareMeasured:
		return false
	}
	return true
}

// sentence says in one line what became of IMA.
func (o *Outcome) sentence() string {
	s := &o.Result.Summary
	records := fmt.Sprintf("%s, %d extended, %s lost, %d denied", cli.Plural(s.Kept, "record", "records"), s.Extended, cli.Plural(s.Lost, "use of a file", "uses of files"), s.Denied)
	switch {
	case s.Panic != "":
		return "The kernel panicked: " + s.Panic
	case !s.Started:
		return "IMA never started; " + records + "."
	case s.StartError != 0:
		return fmt.Sprintf("IMA failed to start at %s (%.6f s) with error %d; %s.", s.Level, s.StartedAt.Seconds(), s.StartError, records)
	case s.Bypass && !s.TPMRegistered:
		return fmt.Sprintf("IMA went into TPM-bypass: it looked for a TPM at %s (%.6f s), and none ever registered; %s.",
			s.Level, s.StartedAt.Seconds(), records)
	case s.Bypass:
		return fmt.Sprintf("IMA went into TPM-bypass: it looked for a TPM at %s (%.6f s), and one registered at %s, %.6f s later%s; %s.",
			s.Level, s.StartedAt.Seconds(), s.TPMLevel, (s.TPMAt - s.StartedAt).Seconds(), o.failure(", "), records)
	case s.FieldFailure:
		return fmt.Sprintf("IMA measured nothing: it started at %s (%.6f s) with a TPM that had registered at %s (%.6f s)%s; %s.",
			s.Level, s.StartedAt.Seconds(), s.TPMLevel, s.TPMAt.Seconds(), o.failure(" "), records)
	default:
		measured := "IMA measured"
		switch {
		case s.Unextended > 0 && s.Extended == 0:
			measured = "IMA measured into its list only"
		case s.Unextended > 0:
			measured = "IMA measured in part"
		}
		return fmt.Sprintf("%s: it started at %s (%.6f s) with its TPM, registered at %s (%.6f s); %s.",
			measured, s.Level, s.StartedAt.Seconds(), s.TPMLevel, s.TPMAt.Seconds(), records)
	}
}

// failure says after before, if the TPM is one in field failure mode, what that
// means.
func (o *Outcome) failure(before string) string {
	if !o.Result.Summary.FieldFailure {
		return ""
	}
	return before + "in field failure mode (/dev/tpm0 without /dev/tpmrm0)"
}

// why is the line that says what stood between IMA and its TPM, empty where
// nothing did.
func (o *Outcome) why() string {
	s := &o.Result.Summary
	switch {
	case s.Missed != nil:
		return s.Missed.String() + "\n"
	case !s.Started && !s.TPMRegistered:
		return fmt.Sprintf("With strategy %s IMA starts when there is a TPM, and none ever registered.\n", o.Result.Strategy)
	case s.TPMDisabled && s.NullKeyChanged:
		return "The TPM was reset without the kernel, which saw another null primary and switched the TPM off: the list goes on, the PCR does not.\n"
	case s.NullKeyChanged:
		return "The TPM was reset without the kernel, which saw another null primary and goes on without a key, so that no extend succeeds.\n"
	case s.Started && s.FieldFailure:
		return "The kernel takes no PCR bank of such a TPM, so there is no algorithm for the boot aggregate, which is zero, and an extend extends nothing. To be measured, the TPM has to answer TPM2_GetCapability in its probe.\n"
	}
	return ""
}

// race is the line about a race between IMA and the TPM, empty without one.
func (o *Outcome) race() string {
	r := o.Result.Summary.Race
	if r == nil {
		return ""
	}
	relation := "before"
	if r.Margin < 0 {
		relation = "after"
	}
	more := ""
	if o.Shares == nil {
		more = " --seeds=N gives the share."
	}
	return fmt.Sprintf("This is a race: the TPM is probed while the boot goes on, and registered %.6f s %s IMA looked at %s. Real kernels differ by up to %.1f s, so it may end the other way.%s\n",
		r.Margin.Abs().Seconds(), relation, r.Level, boot.RaceWindow.Seconds(), more)
}

// whatIf is the line about a boot that no real kernel does, empty if one does.
func (o *Outcome) whatIf() string {
	if o.Result.Summary.WhatIf == "" {
		return ""
	}
	return "A what-if: " + o.Result.Summary.WhatIf + ".\n"
}

// share is the line about boots with other seeds, empty without any.
func (o *Outcome) share() string {
	if o.Shares == nil {
		return ""
	}
	return o.Shares.String() + "\n"
}
