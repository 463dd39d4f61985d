package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, sections "_TPM_Hash_Start", "_TPM_Hash_Data" and "_TPM_Hash_End": the
// signals of locality 4.

// HashStart is _TPM_Hash_Start: it begins an H-CRTM measurement before
// TPM2_Startup, a DRTM measurement after it. It needs an object slot and takes
// the first one if none is free. It fails with ErrNoPower, and with a
// *FailureError in failure mode.
func (t *TPM) HashStart() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.signalable(); err != nil {
		return err
	}
	t.abortDRTM()
	v := &t.s.Volatile
	sequence := state.Object{Kind: state.ObjectEventSequence}
	t.startHashes(&sequence, t.bankAlgs())
	t.call.borrowed = 0 // the command before is over
	h, o := t.takeSlot(&sequence)
	if o == nil {
		h = wire.TransientFirst
		t.fillSlot(0, &sequence)
	}
	v.DRTMSlot = uint16(h.Index() + 1)
	if !t.s.Persistent.Established {
		t.changePersistent().Established = true
		t.commitSignal()
	}
	return nil
}

// HashData is _TPM_Hash_Data. Without a hash sequence, because none was started
// or a command ended it, it does nothing. It fails as HashStart does.
func (t *TPM) HashData(data []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.signalable(); err != nil {
		return err
	}
	if o := t.drtmSequence(); o != nil {
		t.updateHashes(o, data)
	}
	return nil
}

// HashEnd is _TPM_Hash_End: the digests go into PCR 0 before TPM2_Startup, and
// after it into PCR 17, with the dynamic PCRs reset to zero first. Without a
// hash sequence it does nothing. It fails as HashStart does.
func (t *TPM) HashEnd() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.signalable(); err != nil {
		return err
	}
	v, o := &t.s.Volatile, t.drtmSequence()
	if o == nil {
		return nil
	}
	pcr := pcrHCRTM
	if v.Started {
		pcr = pcrDRTM
		for i := range pcrTable {
			if pcrTable[i].dynamic() {
				t.setPCR(i, 0, 0)
			}
		}
		t.s.Reset.RestartCount++
	} else {
		v.HCRTM = true
		t.setPCR(pcrHCRTM, 0, 4)
	}
	for i, alg := range t.bankAlgs() {
		t.extendPCR(pcr, alg, finishHash(&o.Hashes[i], nil))
	}
	t.abortDRTM()
	t.commitSignal()
	return nil
}

// signalable is the error of a platform signal that cannot be taken.
func (t *TPM) signalable() error {
	if !t.powered.Load() {
		return ErrNoPower
	}
	return t.failure
}

// drtmSequence is the running hash sequence of locality 4, else nil.
func (t *TPM) drtmSequence() *state.Object {
	v := &t.s.Volatile
	if v.DRTMSlot == 0 {
		return nil
	}
	return &v.Objects[v.DRTMSlot-1]
}

// abortDRTM ends a hash sequence of locality 4 without a result, as every
// command does.
func (t *TPM) abortDRTM() {
	if v := &t.s.Volatile; v.DRTMSlot != 0 {
		t.flushObject(wire.TransientFirst + wire.Handle(v.DRTMSlot-1))
		v.DRTMSlot = 0
	}
}
