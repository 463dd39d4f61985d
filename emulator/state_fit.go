package emulator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// StateError says why Init has refused a stored state: it is one of another kind
// of TPM, made with another Config. Nothing was changed.
type StateError struct {
	What   string
	unmade bool // a primary seed or a proof is missing
}

// Error names what does not fit, and the remedy.
func (e *StateError) Error() string {
	return fmt.Sprintf("TPM state: %s: use the Config or the profile with which it was made, or begin anew with an empty Store or state directory", e.What)
}

// unmade reports whether an error refuses the state of a TPM that was not made yet.
func unmade(err error) bool {
	var e *StateError
	return errors.As(err, &e) && e.unmade
}

// adopt makes a stored state one of this TPM: a command audit that has audited
// nothing yet is with the hash that it would be with in a new TPM. The error is
// that of refuses.
func (t *TPM) adopt(s *state.State) error {
	p := &s.Persistent
	used := p.AuditCounter != 0 || s.Reset.CommandAuditDigest.Size != 0 || p.AuditCommands != auditedAlways()
	if p.AuditAlg == 0 || !used && t.algs.DigestSize(p.AuditAlg) == 0 {
		t.auditDefaults(p)
	}
	return t.refuses(s)
}

// refuses says what of a stored state this TPM could not go on with: nil if there
// is nothing. Banks are not among it. One that the state does not know begins as
// the Config says, one that this TPM does not know is gone, as after the update
// of a TPM's firmware; but some bank must be left.
func (t *TPM) refuses(s *state.State) error {
	p := &s.Persistent
	for _, a := range []struct {
		of     string
		policy state.Policy
	}{
		{"the owner's policy", p.OwnerPolicy}, {"the endorsement policy", p.EndorsementPolicy},
		{"the lockout policy", p.LockoutPolicy}, {"the platform's policy", s.Clear.PlatformPolicy},
		{"the policy of PCRs", p.PCRPolicy[0]}, {"command audit", state.Policy{Alg: p.AuditAlg}},
	} {
		if a.policy.Alg != 0 && a.policy.Alg != wire.AlgNull && t.algs.DigestSize(a.policy.Alg) == 0 {
			return &StateError{What: fmt.Sprintf("%s is with %v, which this TPM does not have", a.of, a.policy.Alg)}
		}
	}
	for _, seed := range []struct {
		of   string
		seed state.TPM2B
	}{
		{"the endorsement primary seed", p.EPSeed}, {"the storage primary seed", p.SPSeed}, {"the platform primary seed", p.PPSeed},
		{"the endorsement proof", p.EHProof}, {"the storage proof", p.SHProof}, {"the platform proof", p.PHProof},
	} {
		if seed.seed.Size == 0 {
			return &StateError{What: seed.of + " is missing: the TPM was not made yet", unmade: true}
		}
	}
	for i := range s.Objects.List {
		o := &s.Objects.List[i]
		if _, ok := t.decodeObject(&o.Object); !ok {
			return &StateError{What: fmt.Sprintf("persistent object 0x%08x needs %s, which this TPM does not have", uint32(o.Handle), t.lacks(&o.Object))}
		}
	}
	used, usedOrderly := 0, 0
	for i := range s.NV.Indices {
		n := &s.NV.Indices[i]
		if t.algs.DigestSize(n.NameAlg) == 0 {
			return &StateError{What: fmt.Sprintf("NV index 0x%08x is with %v, which this TPM does not have", uint32(n.Handle), n.NameAlg)}
		}
		memory, orderly := nvSize(n.Attributes, len(n.Data))
		used, usedOrderly = used+memory, usedOrderly+orderly
	}
	used += persistentUsed(s.Objects.List)
	if limit := int(t.config.Limits.NVMemory); used > limit {
		return &StateError{What: fmt.Sprintf("NV indices and persistent objects take %d bytes, this TPM has %d", used, limit)}
	}
	if limit := int(t.config.Limits.NVOrderlyMemory); usedOrderly > limit {
		return &StateError{What: fmt.Sprintf("orderly NV indices take %d bytes, this TPM has %d", usedOrderly, limit)}
	}
	if !t.keepsBank(p.Allocation) {
		var allocated []string
		for _, bank := range p.Allocation.Slice() {
			if bank.Select != (wire.PCRSelect{}) {
				allocated = append(allocated, bank.Hash.String())
			}
		}
		return &StateError{What: fmt.Sprintf("no PCR bank would be left: %s, as allocated, is none of this TPM", strings.Join(allocated, " and "))}
	}
	return nil
}

// lacks says what of an object's areas this TPM does not have: the decoder stops after
// the algorithm, curve or key size that it does not accept.
func (t *TPM) lacks(s *state.Object) string {
	var public wire.Public
	r := wire.NewReader(s.Public, t.algs.Selectors())
	r.Public(&public, true)
	at := len(s.Public) - r.Len()
	if r.RC() == wire.RCSuccess || at < 2 {
		return fmt.Sprintf("a sensitive area of %d bytes", len(s.Sensitive))
	}
	stopped := binary.BigEndian.Uint16(s.Public[at-2:])
	switch r.RC() {
	case wire.RCType, wire.RCHash, wire.RCSymmetric, wire.RCMode, wire.RCScheme, wire.RCKDF, wire.RCAsymmetric:
		return wire.AlgID(stopped).String()
	case wire.RCCurve:
		return "curve " + wire.Curve(stopped).String()
	case wire.RCValue:
		return fmt.Sprintf("keys of %d bits", stopped)
	}
	return fmt.Sprintf("what %v refuses at byte %d of its public area", r.RC(), at)
}

// keepsBank reports whether a bank has PCRs after allocateBanks.
func (t *TPM) keepsBank(stored wire.PCRSelections) bool {
	for _, b := range t.config.Banks {
		sel, known := wire.PCRSelection{}, false
		for _, s := range stored.Slice() {
			if s.Hash == b.Alg {
				sel, known = s, true
			}
		}
		if known && sel.Select != (wire.PCRSelect{}) || !known && !b.Unallocated {
			return true
		}
	}
	return false
}
