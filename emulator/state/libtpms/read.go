package libtpms

import (
	"bytes"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// TPM is what a file holds.
type TPM struct {
	State *state.State
	// Profile is libtpms' profile, JSON, empty before version 0.10.
	Profile string
	// Suspended tells that TPM2_Shutdown(STATE) came last. What that saves is not in
	// State, which is that after TPM2_Shutdown(CLEAR).
	Suspended bool
	// OldSeeds are the hierarchies whose RSA keys libtpms makes from their seeds in a
	// way that it has given up, "endorsement", "owner" or "platform".
	OldSeeds []string
}

// The structures, in the order of the file.
var (
	sAll        = structure{"state", 0xab364723, 4}
	sConstants  = structure{"compile-time constants", 0xc9ea6431, 3}
	sPersistent = structure{"persistent data", 0x12213443, 5}
	sPCRPolicy  = structure{"PCR policies", 0x176be626, 2}
	sOrderly    = structure{"orderly data", 0x56657887, 2}
	sDRBG       = structure{"random generator", 0x6fe83ea1, 2}
	sReset      = structure{"data of TPM2_Shutdown(STATE)", 0x01102332, 4}
	sClear      = structure{"data of TPM2_Shutdown(STATE)", 0x98897667, 2}
	sPCRs       = structure{"saved PCRs", 0x7372eabc, 2}
	sPCRAuth    = structure{"authValues of PCRs", 0x6be82eaf, 2}
	sOrderlyRAM = structure{"orderly NV indices", 0x5346feab, 2}
	sNV         = structure{"NV memory", 0x094f22c3, 2}
	sIndex      = structure{"NV index", 0x2547265a, 2}
	sAnyObject  = structure{"persistent object", 0xfe9a3974, 2}
	sObject     = structure{"persistent object", 0x75be73af, 4}
)

// Read reads a file tpm2-00.permall, or one of swtpm's file backend. key is that of
// swtpm's --key, nil for none.
func Read(blob, key []byte) (*TPM, error) {
	blob, err := permanent(blob)
	if err != nil {
		return nil, err
	}
	plain, err := unframe(blob, key)
	if err != nil {
		return nil, err
	}
	r := newReader(plain)
	t := &TPM{State: new(state.State)}
	t.all(r)
	if r.failed() {
		return nil, r.err
	}
	return t, nil
}

// suState is what orderlyState is after TPM2_Shutdown(STATE), without the two flags.
const (
	suState       = 1
	suNone        = 0xFFFF // no TPM2_Shutdown
	suDAUsed      = 0xFFFE // the same, and an authorization was tried
	flagHCRTM     = 0x8000
	flagLocality3 = 0x4000
)

func (t *TPM) all(r *reader) {
	version := r.begin(sAll)
	if version >= 4 {
		t.Profile = string(bytes.TrimSuffix(r.array(1<<15), []byte{0}))
	}
	t.constants(r)
	orderly := t.persistent(r)
	t.orderly(r)
	t.Suspended = orderly&^(flagHCRTM|flagLocality3) == suState
	if version < 3 || t.Suspended {
		t.shutdownState(r)
	}
	ram := t.orderlyRAM(r)
	t.nv(r, ram)
	r.part = sAll.name
	r.end(version, nil)
	if magic := r.U32(); !r.failed() && magic != sAll.magic {
		r.refuse("it ends with 0x%08x, not with 0x%08x", magic, sAll.magic)
	}
	if r.Len() != 0 {
		r.refuse("%d bytes follow its end", r.Len())
	}
}

// constants skips what libtpms was built with: what matters of it shows later.
func (t *TPM) constants(r *reader) {
	version := r.begin(sConstants)
	const most = 1024
	for range r.Count(most) {
		r.U32()
	}
	r.end(version, nil)
}

// noPolicy is how this module says that there is no policy; libtpms has other ways.
var noPolicy = state.Policy{Alg: wire.AlgNull}

func tidy(p *state.Policy) {
	if p.Alg == 0 || p.Digest.Size == 0 {
		*p = noPolicy
	}
}

// persistent reads PERSISTENT_DATA and returns orderlyState.
func (t *TPM) persistent(r *reader) (orderly uint16) {
	p := &t.State.Persistent
	version := r.begin(sPersistent)
	p.DisableClear = r.flag()
	policies := []*state.Policy{&p.OwnerPolicy, &p.EndorsementPolicy, &p.LockoutPolicy}
	for _, policy := range policies {
		policy.Alg = wire.AlgID(r.U16())
	}
	for _, policy := range policies {
		policy.Digest.Set(r.Digest())
		tidy(policy)
	}
	for _, b := range []*state.TPM2B{&p.OwnerAuth, &p.EndorsementAuth, &p.LockoutAuth} {
		b.Set(authValue(r.Digest()))
	}
	for _, b := range []*state.TPM2B{&p.EPSeed, &p.SPSeed, &p.PPSeed, &p.PHProof, &p.SHProof, &p.EHProof} {
		b.Set(r.Digest())
	}
	p.TotalResetCount, p.ResetCount = r.U64(), r.U32()
	p.PCRPolicy[0] = noPolicy
	r.block(t.pcrPolicies)
	p.Allocation = t.selections(r)
	p.PPCommands = t.commands(r, version)
	p.FailedTries, p.MaxTries, p.RecoveryTime, p.LockoutRecovery = r.U32(), r.U32(), r.U32(), r.U32()
	p.LockoutAuthEnabled = r.flag()
	orderly = r.U16()
	t.shutdown(orderly)
	p.AuditCommands = t.commands(r, version)
	p.AuditAlg, p.AuditCounter, p.AlgorithmSet = wire.AlgID(r.U16()), r.U64(), r.U32()
	r.U64() // firmware version
	if size := int(r.U8()); size == 4 || size == 8 {
		r.Bytes(size) // timeEpoch
	} else {
		r.refuse("timeEpoch has %d bytes", size)
	}
	levels := []uint8{0, 0, 0}
	r.end(version, func(r *reader) {
		if version < 3 {
			return
		}
		t.selections(r) // the allocation in force
		r.block(func(r *reader) {
			if version < 4 {
				return
			}
			for i := range levels {
				levels[i] = r.U8()
			}
		})
	})
	for i, name := range []string{"endorsement", "owner", "platform"} {
		switch {
		case levels[i] == 0:
			t.OldSeeds = append(t.OldSeeds, name)
		case levels[i] > 1:
			r.refuse("the %s seed is of level %d, this program knows 0 and 1", name, levels[i])
		}
	}
	return orderly
}

// authValue is an authorization value without the zeros at its end, which do not count
// and which libtpms keeps (Part 1, section "Authorization Values").
func authValue(b []byte) []byte { return bytes.TrimRight(b, "\x00") }

// shutdown takes orderlyState. What TPM2_Shutdown(STATE) has saved is not taken over:
// it is as if TPM2_Shutdown(CLEAR) had come.
func (t *TPM) shutdown(orderly uint16) {
	p := &t.State.Persistent
	switch orderly {
	case suNone, suDAUsed:
		p.Shutdown, p.DAUsed = state.ShutdownNone, orderly == suDAUsed
	default:
		p.Shutdown = state.ShutdownClear
	}
}

func (t *TPM) pcrPolicies(r *reader) {
	version := r.begin(sPCRPolicy)
	n := int(r.U16())
	if n > state.PCRGroups {
		r.refuse("%d groups, this TPM has %d", n, state.PCRGroups)
		return
	}
	for i := range n {
		p := &t.State.Persistent.PCRPolicy[i]
		p.Alg = wire.AlgID(r.U16())
		p.Digest.Set(r.Digest())
		tidy(p)
	}
	r.end(version, nil)
}

// selections reads a TPML_PCR_SELECTION without those banks that have no PCRs and that
// this module does not know.
func (t *TPM) selections(r *reader) (l wire.PCRSelections) {
	for range r.Count(wire.MaxHashes) {
		s := wire.PCRSelection{Hash: wire.AlgID(r.U16()), Size: wire.PCRSelectMax}
		bits := r.Bytes(int(r.U8()))
		if len(bits) != len(s.Select) {
			r.refuse("a selection of PCRs of %d bytes", len(bits))
			return l
		}
		copy(s.Select[:], bits)
		l.List[l.Count] = s
		l.Count++
	}
	return l
}

// firstCommand is the code to which the first bit of a list belongs.
const firstCommand = wire.CCNVUndefineSpaceSpecial

// compressed are the commands of libtpms 0.9, first and last code of each run: before
// version 5 a list has bits for these alone.
var compressed = [][2]wire.CC{
	{0x11F, 0x122}, {0x124, 0x12E}, {0x130, 0x140}, {0x142, 0x159}, {0x15B, 0x15E},
	{0x160, 0x165}, {0x167, 0x174}, {0x176, 0x178}, {0x17A, 0x193}, {0x197, 0x197},
}

// commands reads a list of commands, one bit each.
func (t *TPM) commands(r *reader, version uint16) (set state.CommandBits) {
	bits := r.array(256)
	has := func(n int) bool { return n/8 < len(bits) && bits[n/8]>>(n%8)&1 != 0 }
	if version >= 5 {
		for n := range 8 * len(set) {
			if has(n) {
				set.Set(firstCommand + wire.CC(n))
			}
		}
		return set
	}
	n := 0
	for _, run := range compressed {
		for code := run[0]; code <= run[1]; code++ {
			if has(n) {
				set.Set(code)
			}
			n++
		}
	}
	return set
}

// orderly reads ORDERLY_DATA.
func (t *TPM) orderly(r *reader) {
	o := &t.State.Orderly
	version := r.begin(sOrderly)
	o.Clock, o.Safe = r.U64(), r.flag()
	t.generator(r)
	r.part = sOrderly.name
	r.block(func(r *reader) {
		o.SelfHealTimer, o.LockoutTimer, o.Time = int64(r.U64()), int64(r.U64()), r.U64()
	})
	r.end(version, nil)
}

// generator skips the state of the random generator: this TPM has one of its own.
func (t *TPM) generator(r *reader) {
	version := r.begin(sDRBG)
	r.U64() // reseedCounter
	r.U32() // magic
	r.array(256)
	const most = 64
	n := int(r.U16())
	if n > most {
		r.refuse("%d words", n)
		return
	}
	r.Bytes(4 * n)
	r.end(version, nil)
}

// shutdownState skips what TPM2_Shutdown(STATE) has saved.
func (t *TPM) shutdownState(r *reader) {
	version := r.begin(sReset)
	r.Digest() // nullProof
	r.Digest() // nullSeed
	r.U32()    // clearCount
	r.U64()    // objectContextID
	n := int(r.U16())
	if version >= 4 {
		r.Bytes(2*n + 2) // contextArray, and the mask of its slots
	} else {
		r.Bytes(n)
	}
	r.U64()      // contextCounter
	r.Digest()   // commandAuditDigest
	r.U64()      // restartCount, pcrCounter
	r.block(nil) // of TPM2_Commit
	r.end(version, nil)

	version = r.begin(sClear)
	r.Bytes(3) // flags of hierarchies
	r.U16()    // platformAlg
	r.Digest() // platformPolicy
	r.Digest() // platformAuth
	t.savedPCRs(r)
	r.part = sClear.name
	r.end(version, nil)
}

func (t *TPM) savedPCRs(r *reader) {
	version := r.begin(sPCRs)
	r.U16() // number of PCRs
	for range 2 * state.MaxBanks {
		alg := wire.AlgID(r.U16())
		if r.failed() || alg == wire.AlgNull {
			break
		}
		r.array(1 << 15)
	}
	r.end(version, nil)

	version = r.begin(sPCRAuth)
	const most = 24
	n := int(r.U16())
	if n > most {
		r.refuse("%d groups", n)
		return
	}
	for range n {
		r.Digest()
	}
	r.end(version, nil)
}
