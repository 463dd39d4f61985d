package conform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Options are what a user decides.
type Options struct {
	// Destructive gives leave to run cases that harm.
	Destructive bool
	// Auths are the authorization values of hierarchies that are not empty.
	Auths map[tpm2.TPMHandle][]byte
	// Timeout is the longest that a command may take; 0 stands for a minute.
	Timeout time.Duration
	// ResourceManager says that a resource manager is between, as that of Linux at
	// /dev/tpmrm0: it has handles of its own, and refuses commands by itself.
	ResourceManager bool
	// Reopen gives a new way to the TPM and ends the one before; it may be nil. Linux's
	// resource manager can lose the sessions of an open file with a command that it
	// refuses, and then refuses all others.
	Reopen func(ctx context.Context) (transport.Device, error)
	// Progress is called after each case, unless it is nil.
	Progress func(done, total int, last *Result)
}

// GoneError is a TPM that does not answer any more.
type GoneError struct {
	// Case is the name of the case, "" before the first one.
	Case string
	// Command was not answered.
	Command string
	// Timeout is how long was waited, 0 if the connection was lost at once.
	Timeout time.Duration
	// First reports whether it was the first command: nothing says that there is a TPM.
	First bool
	Err   error
}

func (e *GoneError) Error() string {
	text := "the TPM is gone"
	switch {
	case e.First && e.Timeout == 0:
		text = "nothing answers there as a TPM"
	case e.Timeout > 0:
		text = fmt.Sprintf("the TPM did not answer within %v (see --timeout)", e.Timeout)
	}
	text += ": " + e.Command
	if e.Case != "" {
		text += fmt.Sprintf(" in the case %q", e.Case)
	}
	return text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *GoneError) Unwrap() error { return e.Err }

// Runner runs cases on one TPM.
type Runner struct {
	device  transport.Device
	clock   *clocked
	options Options
	suite   *Suite
	state   *State
	// made is what the commands so far have made, and is still there.
	made made
	// ids is the last number of a step, sent counts commands.
	ids, sent int
	current   string
	before    *snapshot
	loaded    map[string]uint32
	limit     limit
}

// NewRunner starts the TPM up, if that has not been done, and asks it what it has. The
// error is a *GoneError, or says why the TPM cannot be asked.
func NewRunner(ctx context.Context, device transport.Device, suite *Suite, options Options) (*Runner, error) {
	if options.Timeout == 0 {
		options.Timeout = time.Minute
	}
	clock := &clocked{Device: device}
	r := &Runner{
		device: device, clock: clock, options: options, suite: suite, loaded: map[string]uint32{},
		state: &State{steps: map[string]int{}, fixtures: map[string]int{}, auths: map[uint32][]byte{}},
	}
	defer context.AfterFunc(ctx, r.limit.hurry)()
	for hierarchy, value := range options.Auths {
		r.state.auths[uint32(hierarchy)] = value
	}
	target := conversation.Target{
		Name: "target", Retries: true,
		Fresh: func(context.Context) (transport.Device, error) { return clock, nil },
	}
	var err error
	if r.state.player, err = target.Player(ctx, nil); err != nil {
		return nil, err
	}
	if err := r.startUp(ctx); err != nil {
		return nil, err
	}
	if err := r.discover(ctx); err != nil {
		return nil, err
	}
	if err := r.wrongAuth(); err != nil {
		return nil, err
	}
	if r.before, err = r.snapshot(ctx); err != nil {
		return nil, err
	}
	r.state.Features.PCR = r.before.pcr
	return r, r.before.occupied()
}

// Features returns what the TPM has said of itself.
func (r *Runner) Features() *Features { return r.state.Features }

// clocked adds up for how long a TPM was waited for.
type clocked struct {
	transport.Device
	waited time.Duration
}

// Send implements transport.Device.
func (c *clocked) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	begun := time.Now()
	response, err := c.Device.Send(ctx, locality, command)
	c.waited += time.Since(begun)
	return response, err
}

// Unwrap returns the TPM.
func (c *clocked) Unwrap() transport.Device { return c.Device }

// startUp applies power if there is none, sends TPM2_Startup, which a TPM that has had one
// refuses, and tests the TPM.
func (r *Runner) startUp(ctx context.Context) error {
	if power, ok := transport.As[transport.Power](r.device); ok && !power.Powered() {
		if err := power.Init(); err != nil {
			return fmt.Errorf("power cannot be applied: %w", err)
		}
	}
	answer, err := r.ask(ctx, conformance.Packet{Code: uint32(tpm2.TPMCCStartup), Parameters: U16(tpm2.TPMSUClear)})
	if err != nil {
		return err
	}
	if answer.Code != 0 && answer.Code != uint32(tpm2.TPMRCInitialize) {
		return fmt.Errorf("the TPM does not start up: %s", conformance.Describe(answer.Code))
	}
	answer, err = r.ask(ctx, conformance.Packet{Code: uint32(tpm2.TPMCCSelfTest), Parameters: U8(1)})
	if err == nil && answer.Code != 0 && answer.Code != uint32(tpm2.TPMRCTesting) {
		return fmt.Errorf("the TPM does not pass its self-test: %s", conformance.Describe(answer.Code))
	}
	return err
}

// ask sends a command that needs no case.
func (r *Runner) ask(ctx context.Context, p conformance.Packet) (conformance.Response, error) {
	outcome, err := r.do(ctx, conversation.Step{Data: p.Bytes()})
	if err != nil {
		return conformance.Response{}, err
	}
	return conformance.ParseResponse(p.Code, outcome.Plain)
}

// do plays a step that is complete.
func (r *Runner) do(ctx context.Context, step conversation.Step) (conversation.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return conversation.Outcome{}, err
	}
	// A command that has begun is not given up at once: the connection would be of no
	// use any more, and what the case has made could not be taken away.
	timed := r.limit.begin(ctx, r.options.Timeout)
	outcome, err := r.state.player.Do(timed, step)
	r.limit.end()
	if err == nil {
		err = outcome.Err
	}
	if why := r.managed(outcome, err); why != nil {
		return outcome, why
	}
	var unable *conversation.UnsupportedError
	if err != nil && !errors.As(err, &unable) {
		gone := &GoneError{Case: r.current, Command: nameOf(&step), First: r.sent == 0, Err: err}
		if errors.Is(context.Cause(timed), context.DeadlineExceeded) {
			gone.Timeout, gone.Err = r.options.Timeout, context.DeadlineExceeded
		}
		return outcome, gone
	}
	if err != nil {
		return outcome, err
	}
	r.sent++
	r.follow(&step, outcome)
	return outcome, nil
}

func nameOf(step *conversation.Step) string {
	if !step.IsCommand() {
		return step.Action.String()
	}
	code, ok := conformance.CommandCode(step.Data)
	if !ok {
		return "a command without a code"
	}
	return "TPM2_" + conformance.CommandName(code)
}

// play plays a step of a case.
func (r *Runner) play(ctx context.Context, step *Step) (conversation.Outcome, error) {
	r.ids++
	made, err := r.state.build(step, r.ids)
	if err != nil {
		return conversation.Outcome{}, &unbuildableError{err}
	}
	outcome, err := r.do(ctx, made)
	if err != nil {
		return outcome, err
	}
	if outcome.Code() == 0 && step.Action == conversation.Send {
		r.remember(step, made, outcome)
	}
	return outcome, nil
}

// unbuildableError is a step that cannot be made, because one before it has failed.
type unbuildableError struct{ err error }

func (e *unbuildableError) Error() string { return e.err.Error() }

// remember takes the label and the authorization value of a success.
func (r *Runner) remember(step *Step, made conversation.Step, outcome conversation.Outcome) {
	if step.As != "" {
		labels := r.state.steps
		if step.As[0] == '@' {
			labels = r.state.fixtures
		}
		labels[step.As] = r.ids
	}
	handle, ok := subject(step.Command, made, outcome)
	switch {
	case !ok:
	case step.Secret != nil:
		r.state.auths[handle] = step.Secret
	default:
		delete(r.state.auths, handle)
	}
}

// subject returns the handle of what a command has made, or of whose authorization value it
// has changed.
func subject(code tpm2.TPMCC, made conversation.Step, outcome conversation.Outcome) (uint32, bool) {
	response, err := conformance.ParseResponse(uint32(code), outcome.Response)
	if err == nil && response.HasHandle {
		return response.Handle, true
	}
	command, ok := wire.ParseCommand(outcome.Sent)
	if !ok {
		return 0, false
	}
	switch code {
	case tpm2.TPMCCNVDefineSpace:
		return definedIndex(command.Parameters)
	case tpm2.TPMCCHierarchyChanegAuth, tpm2.TPMCCNVChangeAuth, tpm2.TPMCCPCRSetAuthValue:
		return command.Handles[0], true
	}
	return 0, false
}

// definedIndex reads the handle of the index from the parameters of TPM2_NV_DefineSpace.
func definedIndex(parameters []byte) (uint32, bool) {
	in := &wire.Cursor{Rest: parameters}
	in.Sized() // auth
	public := &wire.Cursor{Rest: in.Sized()}
	handle := public.U32()
	return handle, !public.Bad
}
