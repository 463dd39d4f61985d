package emulator

import (
	"errors"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The PCRs of the two hash sequences of locality 4 (Part 1, section "PCR
// Attributes"; PC Client Platform TPM Profile, section "PCR Requirements").
const (
	pcrHCRTM = 0
	pcrDRTM  = 17
)

// pcrAttributes is one row of the table of PCRs.
type pcrAttributes struct {
	saved       bool                    // kept by TPM2_Shutdown(STATE)
	reset       wire.LocalityAttributes // localities that may reset it
	extend      wire.LocalityAttributes // localities that may extend it
	noIncrement bool                    // extending it leaves pcrUpdateCounter alone
	authGroup   uint8                   // number of its authorization group, 0 for none
	policyGroup uint8                   // number of its policy group, 0 for none
}

const (
	loc0 = 1 << iota
	loc1
	loc2
	loc3
	loc4
	locAll = loc0 | loc1 | loc2 | loc3 | loc4
)

var staticPCR = pcrAttributes{saved: true, extend: locAll}

// pcrTable is the table "PCR Attributes" of the PC Client Platform TPM Profile.
// NO_INCREMENT and the groups, which the profile leaves open, are as swtpm has
// them.
var pcrTable = [wire.PCRCount]pcrAttributes{
	0: staticPCR, 1: staticPCR, 2: staticPCR, 3: staticPCR,
	4: staticPCR, 5: staticPCR, 6: staticPCR, 7: staticPCR,
	8: staticPCR, 9: staticPCR, 10: staticPCR, 11: staticPCR,
	12: staticPCR, 13: staticPCR, 14: staticPCR, 15: staticPCR,

	16: {reset: loc0 | loc1 | loc2 | loc3, extend: locAll, noIncrement: true},
	17: {reset: loc4, extend: loc2 | loc3 | loc4},
	18: {reset: loc4, extend: loc2 | loc3 | loc4},
	19: {reset: loc4, extend: loc2 | loc3},
	20: {reset: loc2 | loc4, extend: loc1 | loc2 | loc3, authGroup: 1, policyGroup: 1},
	21: {reset: loc2 | loc4, extend: loc2, noIncrement: true, authGroup: 1, policyGroup: 1},
	22: {reset: loc2 | loc4, extend: loc2, noIncrement: true, authGroup: 1, policyGroup: 1},
	23: {reset: loc0 | loc1 | loc2 | loc3, extend: locAll, noIncrement: true},
}

// dynamic reports whether a PCR belongs to the dynamic root of trust: all ones
// after TPM2_Startup, zero after a hash sequence of locality 4.
func (a *pcrAttributes) dynamic() bool { return a.reset&loc4 != 0 }

// allocateBanks gives the PCR banks the allocation that is in force from this
// _TPM_Init on, in the order of the configuration. A bank that the stored
// allocation does not know, because the configuration has changed, gets what
// the configuration says.
func (t *TPM) allocateBanks() {
	p, v := &t.s.Persistent, &t.s.Volatile
	var next wire.PCRSelections
	v.PCRs = state.PCRs{Count: len(t.config.Banks)}
	for i, b := range t.config.Banks {
		sel := wire.PCRSelection{Hash: b.Alg, Size: wire.PCRSelectMax}
		if !b.Unallocated {
			sel.Select = wire.AllPCRs()
		}
		if j := slices.IndexFunc(p.Allocation.Slice(), func(s wire.PCRSelection) bool { return s.Hash == b.Alg }); j >= 0 {
			sel = p.Allocation.List[j]
		}
		next.List[i] = sel
		v.PCRs.Banks[i] = state.NewBank(b.Alg, uint8(crypt.HashSize(b.Alg)), sel.Select)
	}
	next.Count = len(t.config.Banks)
	t.resumeKnownBanks()
	if next != p.Allocation {
		t.changePersistent().Allocation = next
	}
}

// resumeKnownBanks lets a TPM Resume be only where every allocated bank was there
// before: in one that another Config has brought nothing would be measured.
func (t *TPM) resumeKnownBanks() {
	for _, b := range t.s.Volatile.PCRs.Slice() {
		if t.resumable() && b.Allocated != (wire.PCRSelect{}) && t.s.Clear.PCRs.Bank(b.Alg) == nil {
			t.changePersistent().Shutdown = state.ShutdownNone
		}
	}
}

// bank is the implemented bank of an algorithm, else nil.
func (t *TPM) bank(alg wire.AlgID) *state.Bank { return t.s.Volatile.PCRs.Bank(alg) }

// extendPCR extends a PCR in one bank, if it is allocated there.
func (t *TPM) extendPCR(pcr int, alg wire.AlgID, digest []byte) {
	b := t.bank(alg)
	if b == nil || !b.Allocated.Has(pcr) {
		return
	}
	crypt.Extend(alg, b.Value(pcr), digest)
	t.pcrChanged(pcr)
}

// pcrChanged counts a change of a PCR, which policies can refer to. What the
// H-CRTM measures before TPM2_Startup is not counted: the counter is made or
// brought back by TPM2_Startup.
func (t *TPM) pcrChanged(pcr int) {
	if pcrTable[pcr].noIncrement || !t.s.Volatile.Started {
		return
	}
	t.s.Reset.PCRUpdateCounter++
	if t.s.Persistent.Shutdown == state.ShutdownState {
		// What TPM2_Shutdown saved would bring counters back to values that
		// have been seen, also the restart count of a DRTM sequence, so the
		// new ones are saved with it.
		t.save()
	}
	if t.s.Reset.PCRUpdateCounter == 0 {
		t.fail(failCounter, errors.New("pcrUpdateCounter would wrap"))
	}
}

// setPCR gives a PCR the same octets in all banks in which it is allocated,
// except the last octet.
func (t *TPM) setPCR(pcr int, octet, last byte) {
	banks := t.s.Volatile.PCRs.Slice()
	for i := range banks {
		b := &banks[i]
		if !b.Allocated.Has(pcr) {
			continue
		}
		v := b.Value(pcr)
		for j := range v {
			v[j] = octet
		}
		v[len(v)-1] = last
	}
}

// pcrStartup gives the PCRs their values at TPM2_Startup. A Resume brings back
// what was saved. Otherwise the dynamic ones are ones, the others zero, and
// the last octet of PCR 0 is the locality of the startup, unless the H-CRTM
// has measured into it.
func (t *TPM) pcrStartup(kind startupKind, locality uint8) {
	v, saved := &t.s.Volatile, &t.s.Clear.PCRs
	if kind == startupReset {
		t.s.Reset.PCRUpdateCounter = 0
	}
	for pcr := range pcrTable {
		a := &pcrTable[pcr]
		if kind == startupResume && a.saved {
			for i := range v.PCRs.Slice() {
				b := &v.PCRs.Banks[i]
				if old := saved.Bank(b.Alg); old != nil {
					copy(b.Value(pcr), old.Value(pcr))
				}
			}
			continue
		}
		t.pcrChanged(pcr)
		switch {
		case pcr == pcrHCRTM && v.HCRTM:
		case pcr == pcrHCRTM:
			t.setPCR(pcr, 0, locality)
		case a.dynamic():
			t.setPCR(pcr, 0xFF, 0xFF)
		default:
			t.setPCR(pcr, 0, 0)
		}
	}
}

// savePCRs keeps the PCRs for a Resume.
func (t *TPM) savePCRs() { t.s.Clear.PCRs = t.s.Volatile.PCRs.Saved() }

// digestPCRs appends the digest of the PCRs of a selection, from which it takes
// those that are not there (Part 1, section "Selecting Multiple PCR").
func (t *TPM) digestPCRs(dst []byte, alg wire.AlgID, sel *wire.PCRSelections) []byte {
	values := t.hashing[:0]
	for i := range sel.Slice() {
		s := &sel.List[i]
		b := t.bank(s.Hash)
		for pcr := range wire.PCRCount {
			switch {
			case !s.Select.Has(pcr):
			case b == nil || !b.Allocated.Has(pcr):
				s.Select.Clear(pcr)
			default:
				values = append(values, b.Value(pcr)...)
			}
		}
	}
	return crypt.Digest(alg, dst, values)
}
