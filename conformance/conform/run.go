package conform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Status is what became of a case.
type Status string

// The statuses.
const (
	Pass         Status = "pass"
	Fail         Status = "fail"
	NotSupported Status = "not supported"
	Refused      Status = "refused"
	// NotRun is a case after the TPM was gone.
	NotRun Status = "not run"
)

// Statuses are all of them, in the order of reports.
var Statuses = []Status{Pass, Fail, NotSupported, Refused, NotRun}

// Result is what became of a case.
type Result struct {
	Case   *Case
	Status Status
	// Step is the number of the step that failed, from 1 on, and Command its name.
	Step    int
	Command string
	// Want are the right response codes and Got the one that came.
	Want []tpm2.TPMRC
	Got  tpm2.TPMRC
	// Why says what is missing, or what is wrong besides the response code.
	Why      string
	Duration time.Duration
}

// Expected returns the right response codes in words.
func (r *Result) Expected() string {
	if len(r.Want) == 0 {
		return "TPM_RC_SUCCESS"
	}
	names := make([]string, len(r.Want))
	for i, code := range r.Want {
		names[i] = CodeName(code)
	}
	return strings.Join(names, " or ")
}

// CodeName returns the name of a response code, with what it is about and its number.
func CodeName(code tpm2.TPMRC) string {
	if code == 0 {
		return "TPM_RC_SUCCESS"
	}
	return fmt.Sprintf("%s, %#x", strings.TrimSuffix(CodeWords(code), " (handle 0)"), uint32(code))
}

// CodeWords returns the name of a response code and what it is about, such as "TPM_RC_SIZE
// (parameter 2)".
func CodeWords(code tpm2.TPMRC) string {
	name, _, _ := strings.Cut(code.Error(), ": ")
	const badTag = 0x1e
	if code == badTag {
		return "TPM_RC_BAD_TAG"
	}
	const format1, about = 0x80, 0xf40
	if known := unnamed[code&^about]; code&format1 != 0 && known != "" {
		// go-tpm knows what the code is about, and not what is wrong with it.
		of, _, _ := strings.Cut((code&about | tpm2.TPMRCSize).Error(), ": ")
		return strings.Replace(of, "TPM_RC_SIZE", known, 1)
	}
	return name
}

// unnamed are the response codes of version 185 that go-tpm has no names for.
var unnamed = map[tpm2.TPMRC]string{
	wire.RCParms: "TPM_RC_PARMS", wire.RCExtMu: "TPM_RC_EXT_MU",
	wire.RCOneShotSignature: "TPM_RC_ONE_SHOT_SIGNATURE", wire.RCSignContextKey: "TPM_RC_SIGN_CONTEXT_KEY",
}

// Run runs cases and reports what became of them. The error is that of ctx, a
// *FailureModeError or a *GoneError, with the report of what was found before. When ctx is done, the TPM is put
// back as it was found before Run returns.
func (r *Runner) Run(ctx context.Context, cases []*Case) (*Report, error) {
	report := &Report{TPM: r.state.Features.Identity(), ResourceManager: r.options.ResourceManager, Started: time.Now()}
	defer context.AfterFunc(ctx, r.limit.hurry)()
	before, sent := r.clock.waited, r.sent
	var failed error
	var inFailure *FailureModeError
	for i, c := range cases {
		result := Result{Case: c, Status: NotRun}
		switch {
		case failed == nil:
			result, failed = r.run(ctx, c)
		case errors.As(failed, &inFailure):
			result.Why = "the TPM is in failure mode"
		case ctx.Err() != nil:
			result.Why = "the run was interrupted"
		default:
			result.Why = "the TPM is gone"
		}
		report.Results = append(report.Results, result)
		if r.options.Progress != nil && failed == nil {
			r.options.Progress(i+1, len(cases), &result)
		}
	}
	r.current = ""
	if failed == nil || !isGone(failed) && !errors.As(failed, &inFailure) {
		if err := r.compare(context.WithoutCancel(ctx), report); err != nil {
			failed = err
		}
	}
	report.Duration, report.Waited, report.Commands = time.Since(report.Started), r.clock.waited-before, r.sent-sent
	return report, failed
}

// compare looks whether the TPM is as it was found.
func (r *Runner) compare(ctx context.Context, report *Report) error {
	if err := r.equip(ctx, &Case{}); err != nil {
		return err
	}
	after, err := r.snapshot(ctx)
	if err == nil && (r.before.startup^after.startup)&orderly != 0 && r.options.Destructive && r.state.Features.Power {
		if err = r.restart(ctx, r.before.startup&orderly != 0); err == nil {
			after, err = r.snapshot(ctx)
		}
	}
	if err != nil {
		return err
	}
	report.Compared, report.Left = true, r.before.differs(after)
	return nil
}

// restart resets the TPM, after TPM2_Shutdown if inOrder is set. So the attribute orderly of
// TPMA_STARTUP_CLEAR gets its value (Part 2, section "TPMA_STARTUP_CLEAR"): it tells whether
// TPM2_Shutdown came before the last TPM2_Startup, and cases that reset the TPM change it.
func (r *Runner) restart(ctx context.Context, inOrder bool) error {
	if inOrder {
		if _, err := r.ask(ctx, conformance.Packet{Code: uint32(tpm2.TPMCCShutdown), Parameters: U16(tpm2.TPMSUClear)}); err != nil {
			return err
		}
	}
	reset := Reset()
	if _, err := r.play(ctx, &reset); err != nil {
		return err
	}
	_, err := r.ask(ctx, conformance.Packet{Code: uint32(tpm2.TPMCCStartup), Parameters: U16(tpm2.TPMSUClear)})
	return err
}

// run runs one case. The error is that of a TPM that is gone.
func (r *Runner) run(ctx context.Context, c *Case) (Result, error) {
	result := Result{Case: c}
	if result.Why = r.state.Features.lacks(c); result.Why != "" {
		result.Status = NotSupported
		return result, nil
	}
	if c.Harm != 0 && !r.options.Destructive {
		result.Status, result.Why = Refused, c.Harm.String()
		return result, nil
	}
	r.current = c.Name
	start := time.Now()
	err := r.steps(ctx, &result)
	if err == nil && result.Status == Fail {
		err = r.recoverFrom(ctx, &result)
	}
	var inFailure *FailureModeError
	if err == nil || !isGone(err) && !errors.As(err, &inFailure) {
		// What a case has made is taken away when the run is interrupted, too.
		if ended := r.end(context.WithoutCancel(ctx), c); ended != nil {
			err = ended
		}
	}
	switch {
	case errors.As(err, &inFailure):
	case err != nil && isGone(err):
		result.Status, result.Why = Fail, err.Error()
	case err != nil:
		result.Status, result.Step, result.Command, result.Why = NotRun, 0, "", err.Error()
		if ctx.Err() != nil {
			result.Why = "the run was interrupted"
		}
	}
	result.Duration = time.Since(start)
	return result, err
}

func isGone(err error) bool {
	var gone *GoneError
	return errors.As(err, &gone)
}

// steps runs the steps of a case up to the first one that fails.
func (r *Runner) steps(ctx context.Context, result *Result) error {
	c := result.Case
	r.state.Kept = nil
	err := r.equip(ctx, c)
	var lacking *lackingError
	if errors.As(err, &lacking) {
		result.Status, result.Why = NotSupported, lacking.why
		return nil
	}
	for i := 0; err == nil && i < len(c.Steps); i++ {
		result.Step, result.Command = i+1, c.Steps[i].name()
		if err = r.judge(ctx, &c.Steps[i], result); result.Status == Fail {
			return err
		}
	}
	var unbuildable *unbuildableError
	if errors.As(err, &unbuildable) {
		result.Status, result.Why = Fail, err.Error()
		return nil
	}
	var managed *managerError
	if errors.As(err, &managed) {
		result.Status, result.Why = NotSupported, err.Error()
		if managed.device {
			return nil
		}
		return r.reopen(ctx)
	}
	if err == nil {
		result.Status, result.Step, result.Command = Pass, 0, ""
	}
	return err
}

// judge plays a step, and compares what comes of it with what has to.
func (r *Runner) judge(ctx context.Context, step *Step, result *Result) error {
	if step.Client != nil {
		err := step.Client(&Client{State: r.state, Device: r.device, send: func(command []byte) ([]byte, error) {
			outcome, err := r.do(ctx, conversation.Step{Data: command})
			return outcome.Response, err
		}})
		var gone *GoneError
		if errors.As(err, &gone) {
			return gone
		}
		var managed *managerError
		if errors.As(err, &managed) {
			return managed
		}
		if err != nil {
			result.Status, result.Why = Fail, err.Error()
		}
		return nil
	}
	for range step.Repeat + 1 {
		outcome, err := r.play(ctx, step)
		if err != nil {
			return err
		}
		if step.Action != conversation.Send {
			return nil
		}
		if r.wrong(step, outcome, result) {
			result.Status = Fail
			return nil
		}
	}
	return nil
}

// wrong reports whether an answer is not the right one.
func (r *Runner) wrong(step *Step, outcome conversation.Outcome, result *Result) bool {
	result.Want, result.Got = step.Want, tpm2.TPMRC(outcome.Code())
	right := slices.Contains(step.Want, result.Got) || len(step.Want) == 0 && result.Got == 0
	switch {
	case !right:
		return true
	case outcome.Problem != "":
		result.Why = outcome.Problem
		return true
	}
	response, err := conformance.ParseResponse(uint32(step.Command), outcome.Plain)
	if err != nil && step.Edit == nil {
		result.Why = err.Error()
		return true
	}
	if len(step.Checks) == 0 || result.Got != 0 {
		return false
	}
	answer := &Answer{Response: response, Command: uint32(step.Command), Raw: outcome.Plain, State: r.state}
	for _, check := range step.Checks {
		if err := check.Test(answer); err != nil {
			result.Why = fmt.Sprintf("%s: %v", check.Says, err)
			return true
		}
	}
	return false
}

// end puts back what a case has changed.
func (r *Runner) end(ctx context.Context, c *Case) error {
	if c.Harm&Resets != 0 {
		if _, err := r.ask(ctx, conformance.Packet{Code: uint32(tpm2.TPMCCStartup), Parameters: U16(tpm2.TPMSUClear)}); err != nil {
			return err
		}
	}
	for i := range c.After {
		if _, err := r.play(ctx, &c.After[i]); err != nil && !harmless(err) {
			return err
		}
	}
	return r.tidy(ctx)
}

// harmless reports whether an error of a step that puts something back leaves the TPM to be
// asked on.
func harmless(err error) bool {
	var unbuildable *unbuildableError
	var managed *managerError
	return errors.As(err, &unbuildable) || errors.As(err, &managed)
}
