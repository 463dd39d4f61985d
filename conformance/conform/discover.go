package conform

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// discover asks the TPM what it has.
func (r *Runner) discover(ctx context.Context) error {
	f := &Features{
		Commands: map[tpm2.TPMCC]uint32{}, Algs: map[tpm2.TPMAlgID]uint32{}, Banks: map[tpm2.TPMAlgID]int{},
		Properties: map[tpm2.TPMPT]uint32{}, Locked: map[tpm2.TPMHandle]string{},
	}
	r.state.Features = f
	_, f.Power = transport.As[transport.Power](r.device)
	_, f.Control = transport.As[*swtpm.TPM](r.device)
	_, f.HashSequence = transport.As[transport.HashSequence](r.device)
	f.ResourceManager = r.options.ResourceManager
	f.Localities = f.Power // both come with a channel for the platform
	lists := []struct {
		capability tpm2.TPMCap
		first      uint32
		take       func(wire.Entry)
	}{
		{tpm2.TPMCapTPMProperties, uint32(tpm2.TPMPTFamilyIndicator), func(e wire.Entry) { f.Properties[tpm2.TPMPT(e.Key)] = e.Value }},
		{tpm2.TPMCapTPMProperties, uint32(tpm2.TPMPTPermanent), func(e wire.Entry) { f.Properties[tpm2.TPMPT(e.Key)] = e.Value }},
		{tpm2.TPMCapCommands, 0, func(e wire.Entry) { f.Commands[tpm2.TPMCC(e.Key)] = e.Value }},
		{tpm2.TPMCapAlgs, 0, func(e wire.Entry) { f.Algs[tpm2.TPMAlgID(e.Key)] = e.Value }},
		{tpm2.TPMCapECCCurves, 0, func(e wire.Entry) { f.Curves = append(f.Curves, tpm2.TPMECCCurve(e.Key)) }},
	}
	for _, list := range lists {
		entries, err := r.list(ctx, list.capability, list.first)
		if err != nil {
			return err
		}
		for _, e := range entries {
			list.take(e)
		}
	}
	if err := r.banks(ctx); err != nil {
		return err
	}
	if err := r.buffer(ctx); err != nil {
		return err
	}
	return r.hierarchies(ctx)
}

// kernelBuffer is the size of the largest command and of the largest response of Linux's
// devices, in octets (drivers/char/tpm/tpm.h, TPM_BUFSIZE).
const kernelBuffer = 4096

// buffer finds out whether the way to a TPM with more room than kernelBuffer has that room
// too. A device of Linux's that refuses a longer command gives no longer response
// either: it waits for one until the command's time is over.
func (r *Runner) buffer(ctx context.Context) error {
	f := r.state.Features
	f.Buffer = min(f.Properties[tpm2.TPMPTMaxCommandSize], f.Properties[tpm2.TPMPTMaxResponseSize])
	if f.Buffer <= kernelBuffer {
		return nil
	}
	long := wire.GetCapability(uint32(tpm2.TPMCapTPMProperties), 0, 1)
	long.Parameters = append(long.Parameters, make([]byte, kernelBuffer)...) // TPM_RC_SIZE
	_, err := r.ask(ctx, long)
	var refused *managerError
	if errors.As(err, &refused) {
		f.Buffer, err = kernelBuffer, nil
	}
	return err
}

// list returns a list that TPM2_GetCapability gives, in as many pages as it takes.
func (r *Runner) list(ctx context.Context, capability tpm2.TPMCap, first uint32) ([]wire.Entry, error) {
	const most, pages = 128, 64
	var all []wire.Entry
	for range pages {
		answer, err := r.ask(ctx, wire.GetCapability(uint32(capability), first, most))
		if err != nil {
			return nil, err
		}
		if answer.Code != 0 {
			return nil, fmt.Errorf("TPM2_GetCapability of capability %#x from %#x on: %s", capability, first, conformance.Describe(answer.Code))
		}
		page, err := wire.ParseCapability(answer.Parameters)
		if err != nil {
			return nil, fmt.Errorf("TPM2_GetCapability: %w", err)
		}
		all = append(all, page.Entries...)
		if !page.More || len(page.Entries) == 0 {
			return all, nil
		}
		first = page.Entries[len(page.Entries)-1].Key + 1
	}
	return nil, fmt.Errorf("TPM2_GetCapability of capability %#x has no end after %d pages", capability, pages)
}

// banks asks for the PCR banks.
func (r *Runner) banks(ctx context.Context) error {
	answer, err := r.ask(ctx, wire.GetCapability(uint32(tpm2.TPMCapPCRs), 0, 64))
	if err != nil || answer.Code != 0 {
		return err
	}
	in := &wire.Cursor{Rest: answer.Parameters}
	in.U8()
	in.U32()
	for range min(in.U32(), 16) {
		alg, pcrs := in.Alg(), 0
		for _, octet := range in.Take(int(in.U8())) {
			for ; octet != 0; octet &= octet - 1 {
				pcrs++
			}
		}
		if !in.Bad {
			r.state.Features.Banks[alg] = pcrs
		}
	}
	return nil
}

// The bits of TPMA_PERMANENT and TPMA_STARTUP_CLEAR (Part 2).
const (
	ownerAuthSet       = 1 << 0
	endorsementAuthSet = 1 << 1
	lockoutAuthSet     = 1 << 2
	inLockout          = 1 << 9
	phEnable           = 1 << 0
	shEnable           = 1 << 1
	ehEnable           = 1 << 2
	orderly            = 1 << 31
)

// hierarchies finds out which hierarchies can be used with the authorization values that
// are known. That of lockout is never tried: a wrong one locks it out for a day.
func (r *Runner) hierarchies(ctx context.Context) error {
	f := r.state.Features
	permanent, startup := f.Properties[tpm2.TPMPTPermanent], f.Properties[tpm2.TPMPTStartupClear]
	for _, h := range []struct {
		handle  tpm2.TPMHandle
		name    string
		set     bool
		enabled bool
	}{
		{tpm2.TPMRHOwner, "owner", permanent&ownerAuthSet != 0, startup&shEnable != 0},
		{tpm2.TPMRHEndorsement, "endorsement", permanent&endorsementAuthSet != 0, startup&ehEnable != 0},
		{tpm2.TPMRHLockout, "lockout", permanent&lockoutAuthSet != 0, permanent&inLockout == 0},
		{tpm2.TPMRHPlatform, "platform", false, startup&phEnable != 0},
	} {
		_, given := r.options.Auths[h.handle]
		switch {
		case !h.enabled:
			f.Locked[h.handle] = "the " + h.name + " hierarchy is disabled"
		case h.set && !given:
			f.Locked[h.handle] = "the authorization value of " + h.name + " is set and not known"
		case h.handle != tpm2.TPMRHLockout:
			works, err := r.authorizes(ctx, h.handle)
			if err != nil {
				return err
			}
			if !works {
				f.Locked[h.handle] = "the authorization value of " + h.name + " is another one"
				if !given {
					f.Locked[h.handle] = "the authorization value of " + h.name + " is not known"
				}
			}
		}
	}
	return nil
}

// wrongAuth refuses an authorization value that a user has given and that is another one.
func (r *Runner) wrongAuth() error {
	for _, h := range []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatform} {
		if _, given := r.options.Auths[h]; given && r.state.Features.Locked[h] != "" {
			return &AuthError{Hierarchy: h, Why: r.state.Features.Locked[h]}
		}
	}
	return nil
}

// AuthError is an authorization value that was given for a hierarchy and that does not
// authorize it.
type AuthError struct {
	Hierarchy tpm2.TPMHandle
	Why       string
}

func (e *AuthError) Error() string {
	return "the authorization value that was given is of no use: " + e.Why
}

// authorizes tries the authorization value of a hierarchy, which does not count as a
// try for the protection against dictionary attacks, in a trial policy.
func (r *Runner) authorizes(ctx context.Context, hierarchy tpm2.TPMHandle) (bool, error) {
	outcome, err := r.play(ctx, &Step{
		As: "trial", Command: tpm2.TPMCCStartAuthSession, Handles: []Part{Permanent(tpm2.TPMRHNull), Permanent(tpm2.TPMRHNull)},
		Parameters: []Part{Bytes(make([]byte, 16)), Bytes(nil), U8(wire.SessionTrial), U16(tpm2.TPMAlgNull), U16(tpm2.TPMAlgSHA256)},
	})
	if err != nil {
		return false, err
	}
	if outcome.Code() != 0 {
		return false, fmt.Errorf("a trial session cannot be started: %s", conformance.Describe(outcome.Code()))
	}
	outcome, err = r.play(ctx, &Step{
		Command: tpm2.TPMCCPolicySecret, Handles: []Part{Permanent(hierarchy), Handle("trial")},
		Parameters: []Part{Bytes(nil), Bytes(nil), Bytes(nil), U32(uint32(0))},
	})
	if err != nil {
		return false, err
	}
	return outcome.Code() == 0, r.tidy(ctx)
}
