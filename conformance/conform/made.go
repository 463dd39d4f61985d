package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// made lists what a case has made, and what is still there.
type made struct {
	// contexts are transient objects and sessions.
	contexts []uint32
	// persistent are persistent objects.
	persistent []uint32
	// indices are NV indices with their attributes.
	indices []madeIndex
}

type madeIndex struct{ handle, attributes uint32 }

// follow takes a success into what is there.
func (r *Runner) follow(step *conversation.Step, outcome conversation.Outcome) {
	m := &r.made
	if !step.IsCommand() {
		if step.Action == conversation.Init || step.Action == conversation.PowerOff {
			m.contexts = nil
			clear(r.loaded)
			clear(r.state.fixtures)
		}
		return
	}
	code, ok := conformance.CommandCode(outcome.Sent)
	if !ok || outcome.Code() != 0 {
		return
	}
	command, sound := wire.ParseCommand(outcome.Sent)
	response, err := conformance.ParseResponse(code, outcome.Response)
	if !sound || err != nil {
		return
	}
	if response.HasHandle {
		m.contexts = append(m.contexts, response.Handle)
	}
	m.take(tpm2.TPMCC(code), &command)
	if sessions, ok := wire.Sessions(outcome.Sent); ok && len(sessions) == len(response.Sessions) {
		for i, s := range sessions {
			if response.Sessions[i].Attributes&conformance.ContinueSession == 0 {
				m.drop(s.Handle)
			}
		}
	}
}

// take follows the commands that make or take away something without a handle in the
// response.
func (m *made) take(code tpm2.TPMCC, command *conformance.Packet) {
	switch code {
	case tpm2.TPMCCFlushContext:
		m.drop(wire.Number(command.Parameters))
	case tpm2.TPMCCSequenceComplete, tpm2.TPMCCEventSequenceComplete:
		m.drop(command.Handles[len(command.Handles)-1])
	case wire.CCSignSequenceComplete, wire.CCVerifySequenceComplete:
		m.drop(command.Handles[0])
	case tpm2.TPMCCEvictControl:
		if h := command.Handles[1]; h>>24 == 0x81 {
			m.persistent = without(m.persistent, h)
		} else {
			m.persistent = append(m.persistent, wire.Number(command.Parameters))
		}
	case tpm2.TPMCCNVDefineSpace:
		in := &wire.Cursor{Rest: command.Parameters}
		in.Sized() // auth
		public := &wire.Cursor{Rest: in.Sized()}
		index := madeIndex{handle: public.U32()}
		public.Alg()
		index.attributes = public.U32()
		m.indices = append(m.indices, index)
	case tpm2.TPMCCNVUndefineSpace:
		m.undefined(command.Handles[1])
	case tpm2.TPMCCNVUndefineSpaceSpecial:
		m.undefined(command.Handles[0])
	}
}

func (m *made) drop(handle uint32) { m.contexts = without(m.contexts, handle) }

func (m *made) undefined(handle uint32) {
	m.indices = slices.DeleteFunc(m.indices, func(n madeIndex) bool { return n.handle == handle })
}

func without(handles []uint32, handle uint32) []uint32 {
	return slices.DeleteFunc(handles, func(h uint32) bool { return h == handle })
}

// tidy takes away what a case has made. What a TPM refuses to take away shows at the end,
// in the comparison with what was there before.
func (r *Runner) tidy(ctx context.Context) error {
	fixtures := slices.Collect(maps.Values(r.loaded))
	for _, handle := range slices.Clone(r.made.contexts) {
		if slices.Contains(fixtures, handle) {
			continue
		}
		if err := r.flush(ctx, handle); err != nil {
			return err
		}
	}
	r.made.contexts = fixtures
	for _, handle := range slices.Clone(r.made.persistent) {
		by := tpm2.TPMRHOwner
		if handle >= 0x81800000 {
			by = tpm2.TPMRHPlatform
		}
		if _, err := r.play(ctx, &Step{Command: tpm2.TPMCCEvictControl, Handles: []Part{Permanent(by), U32(handle)}, Parameters: []Part{U32(handle)}}); err != nil && !harmless(err) {
			return err
		}
	}
	for _, index := range slices.Clone(r.made.indices) {
		if err := r.undefine(ctx, index); err != nil {
			return err
		}
		delete(r.state.auths, index.handle)
	}
	r.made.persistent, r.made.indices = nil, nil
	clear(r.state.steps)
	return nil
}

// undefine takes an index away. If a policy is needed for that, it is the one of
// TPM2_PolicyCommandCode.
func (r *Runner) undefine(ctx context.Context, index madeIndex) error {
	by := tpm2.TPMRHOwner
	if index.attributes&wire.NVPlatformCreate != 0 {
		by = tpm2.TPMRHPlatform
	}
	steps := []Step{Do(tpm2.TPMCCNVUndefineSpace, Permanent(by), U32(index.handle))}
	if index.attributes&wire.NVPolicyDelete != 0 {
		steps = []Step{
			Start(wire.SessionPolicy).Named("tidy"),
			Do(tpm2.TPMCCPolicyCommandCode, Handle("tidy")).With(U32(tpm2.TPMCCNVUndefineSpaceSpecial)),
			Do(tpm2.TPMCCNVUndefineSpaceSpecial, U32(index.handle), Permanent(tpm2.TPMRHPlatform)).By(InPolicy(Handle("tidy")).Once(), Own()),
		}
	}
	for i := range steps {
		if _, err := r.play(ctx, &steps[i]); err != nil && !harmless(err) {
			return err
		}
	}
	return nil
}

func (r *Runner) flush(ctx context.Context, handle uint32) error {
	_, err := r.ask(ctx, conformance.Packet{Code: uint32(tpm2.TPMCCFlushContext), Parameters: U32(handle)})
	delete(r.state.auths, handle)
	var managed *managerError
	if errors.As(err, &managed) {
		// A resource manager takes sessions away when it refuses a command.
		r.made.drop(handle)
		return nil
	}
	return err
}

// equip loads the fixtures that a case needs, and takes those away that it does not
// need.
func (r *Runner) equip(ctx context.Context, c *Case) error {
	needed := map[string]bool{}
	for _, steps := range [][]Step{c.Steps, c.After} {
		for i := range steps {
			collectFixtures(needed, steps[i].Handles)
			collectFixtures(needed, steps[i].Parameters)
			for _, auth := range steps[i].Auths {
				collectFixtures(needed, []Part{auth.Session})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.loaded)) {
		if !needed[name] {
			handle := r.loaded[name]
			delete(r.loaded, name)
			delete(r.state.fixtures, name)
			if err := r.flush(ctx, handle); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(needed)) {
		if _, there := r.loaded[name]; there {
			continue
		}
		if err := r.load(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// collectFixtures finds the labels of fixtures in parts.
func collectFixtures(found map[string]bool, parts []Part) {
	label := ""
	for _, part := range parts {
		switch p := part.(type) {
		case Handle:
			label = string(p)
		case Field:
			label = p.Of
		case Sized:
			collectFixtures(found, p)
		case Join:
			collectFixtures(found, p)
		case Name:
			collectFixtures(found, []Part{p.Of})
		}
		if label != "" && label[0] == '@' {
			found[label] = true
		}
	}
}

// load makes a fixture.
func (r *Runner) load(ctx context.Context, name string) error {
	at := slices.IndexFunc(r.suite.Fixtures, func(f Fixture) bool { return f.Name == name })
	if at < 0 {
		return &unbuildableError{fmt.Errorf("no fixture has the name %q", name)}
	}
	step := r.suite.Fixtures[at].Step
	step.As = name
	if why := r.state.Features.stepLacks(&step); why != "" {
		return &lackingError{why}
	}
	outcome, err := r.play(ctx, &step)
	if err != nil {
		return err
	}
	if outcome.Code() != 0 {
		return &unbuildableError{fmt.Errorf("the fixture %s cannot be made: %s", name, conformance.Describe(outcome.Code()))}
	}
	handle, err := r.state.Handle(name)
	r.loaded[name] = handle
	return err
}

// lackingError is what a TPM lacks for a fixture.
type lackingError struct{ why string }

func (e *lackingError) Error() string { return e.why }

// snapshot is what a TPM has before the first case and after the last one.
type snapshot struct {
	handles   map[string][]uint32
	permanent uint32
	startup   uint32
	tries     uint32
	// pcr reports whether PCR 16 and 23 are at their reset values.
	pcr bool
}

var handleKinds = []struct {
	name  string
	first uint32
}{
	{"transient object", 0x80000000}, {"loaded session", 0x02000000}, {"saved session", 0x03000000},
	{"persistent object", 0x81000000}, {"NV index", 0x01000000},
}

func (r *Runner) snapshot(ctx context.Context) (*snapshot, error) {
	s := &snapshot{handles: map[string][]uint32{}}
	for _, kind := range handleKinds {
		entries, err := r.list(ctx, tpm2.TPMCapHandles, kind.first)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			s.handles[kind.name] = append(s.handles[kind.name], e.Key)
		}
	}
	properties, err := r.list(ctx, tpm2.TPMCapTPMProperties, uint32(tpm2.TPMPTPermanent))
	if err != nil {
		return nil, err
	}
	for _, p := range properties {
		switch tpm2.TPMPT(p.Key) {
		case tpm2.TPMPTPermanent:
			s.permanent = p.Value
		case tpm2.TPMPTStartupClear:
			s.startup = p.Value
		case tpm2.TPMPTLockoutCounter:
			s.tries = p.Value
		}
	}
	s.pcr, err = r.resettable(ctx)
	return s, err
}

// resettable reports whether PCR 16 and 23 of all banks are zero.
func (r *Runner) resettable(ctx context.Context) (bool, error) {
	for bank, pcrs := range r.state.Features.Banks {
		if pcrs < 24 {
			continue
		}
		selection := bytes.Join([][]byte{U32(uint32(1)), U16(bank), {3, 0, 0, 0x81}}, nil)
		answer, err := r.ask(ctx, conformance.Packet{Code: uint32(tpm2.TPMCCPCRRead), Parameters: selection})
		if err != nil || answer.Code != 0 {
			return false, err
		}
		in := &wire.Cursor{Rest: answer.Parameters}
		in.Take(4 + len(selection))
		for range min(in.U32(), 8) {
			if len(bytes.Trim(in.Sized(), "\x00")) > 0 {
				return false, nil
			}
		}
	}
	return true, nil
}

// OccupiedError is a handle that the suite would use and that is in use.
type OccupiedError struct{ Handle uint32 }

func (e *OccupiedError) Error() string {
	return fmt.Sprintf("the TPM has something at the handle %#x, where the suite would make its own: NV indices at %#x to %#x, persistent objects at %#x to %#x",
		e.Handle, firstIndex, lastIndex, firstPersistent, lastPersistent)
}

// occupied refuses a TPM that has something in the suite's own ranges.
func (s *snapshot) occupied() error {
	for _, handles := range s.handles {
		for _, h := range handles {
			if h >= firstIndex && h <= lastIndex || h >= firstPersistent && h <= lastPersistent {
				return &OccupiedError{h}
			}
		}
	}
	return nil
}

// differs says what is not as it was.
func (s *snapshot) differs(after *snapshot) (left []string) {
	for _, kind := range handleKinds {
		for _, h := range after.handles[kind.name] {
			if !slices.Contains(s.handles[kind.name], h) {
				left = append(left, fmt.Sprintf("a %s is there that was not: %#x", kind.name, h))
			}
		}
		for _, h := range s.handles[kind.name] {
			if !slices.Contains(after.handles[kind.name], h) {
				left = append(left, fmt.Sprintf("a %s is gone: %#x", kind.name, h))
			}
		}
	}
	if s.permanent != after.permanent {
		left = append(left, fmt.Sprintf("TPMA_PERMANENT was %#x and is %#x", s.permanent, after.permanent))
	}
	if s.startup != after.startup {
		left = append(left, fmt.Sprintf("TPMA_STARTUP_CLEAR was %#x and is %#x", s.startup, after.startup))
	}
	if s.tries != after.tries {
		left = append(left, fmt.Sprintf("failed tries of authorization were %d and are %d", s.tries, after.tries))
	}
	if s.pcr && !after.pcr {
		left = append(left, "PCR 16 or 23 is not at its reset value")
	}
	return left
}
