package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Integrity Collection (PCR)".

// maxReadPCRs bounds the digests of one TPM2_PCR_Read: the size of a
// TPML_DIGEST (Part 2, section "TPML_DIGEST").
const maxReadPCRs = 8

// mayExtend checks that the command's locality may extend the PCR, and
// announces the change.
func (t *TPM) mayExtend(c *call, pcr wire.Handle) wire.RC {
	a := &pcrTable[pcr]
	if a.extend&wire.LocalityBit(c.locality) == 0 {
		return wire.RCLocality
	}
	if a.saved {
		return t.changeOrderly()
	}
	return wire.RCSuccess
}

// pcrExtend is TPM2_PCR_Extend.
func (t *TPM) pcrExtend(c *call) wire.RC {
	c.next().DigestValues(&c.digests)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	pcr := c.entities[0].handle
	if pcr == wire.RHNull {
		return wire.RCSuccess
	}
	if rc := t.mayExtend(c, pcr); rc != wire.RCSuccess {
		return rc
	}
	for i := range c.digests.Slice() {
		t.extendPCR(int(pcr), c.digests.List[i].Hash, c.digests.List[i].Digest)
	}
	return wire.RCSuccess
}

// pcrEvent is TPM2_PCR_Event.
func (t *TPM) pcrEvent(c *call) wire.RC {
	data := c.buffer()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	pcr := c.entities[0].handle
	if pcr != wire.RHNull {
		if rc := t.mayExtend(c, pcr); rc != wire.RCSuccess {
			return rc
		}
	}
	digests := c.digestSpace[:0]
	c.digests.Count = 0
	for _, b := range t.config.Banks {
		at := len(digests)
		digests = crypt.Digest(b.Alg, digests, data)
		c.addDigest(b.Alg, digests[at:])
	}
	t.eventDigests(c, pcr)
	return wire.RCSuccess
}

// addDigest appends to the list of digests of the call.
func (c *call) addDigest(alg wire.AlgID, digest []byte) {
	c.digests.List[c.digests.Count] = wire.HA{Hash: alg, Digest: digest}
	c.digests.Count++
}

// eventDigests extends the PCR, unless it is TPM_RH_NULL, with the digests of
// the call and makes them the response.
func (t *TPM) eventDigests(c *call, pcr wire.Handle) {
	if pcr != wire.RHNull {
		for _, d := range c.digests.Slice() {
			t.extendPCR(int(pcr), d.Hash, d.Digest)
		}
	}
	c.out.DigestValues(c.digests.Slice())
}

// pcrRead is TPM2_PCR_Read.
func (t *TPM) pcrRead(c *call) wire.RC {
	sel := &c.selections
	c.next().PCRSelections(sel)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	n := 0
	for i := range sel.Slice() {
		s := &sel.List[i]
		b := t.bank(s.Hash)
		for pcr := range wire.PCRCount {
			switch {
			case !s.Select.Has(pcr):
			case b == nil || !b.Allocated.Has(pcr) || n == maxReadPCRs:
				s.Select.Clear(pcr)
			default:
				n++
			}
		}
	}
	c.out.U32(t.s.Reset.PCRUpdateCounter)
	c.out.PCRSelections(sel.Slice())
	c.out.U32(uint32(n))
	for i := range sel.Slice() {
		b := t.bank(sel.List[i].Hash)
		for pcr := range wire.PCRCount {
			if sel.List[i].Select.Has(pcr) {
				c.out.Sized(b.Value(pcr))
			}
		}
	}
	return wire.RCSuccess
}

// pcrReset is TPM2_PCR_Reset.
func (t *TPM) pcrReset(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	pcr := int(c.entities[0].handle)
	// Locality 4 resets with a hash sequence, not with this command.
	if c.locality == 4 || pcrTable[pcr].reset&wire.LocalityBit(c.locality) == 0 {
		return wire.RCLocality
	}
	if pcrTable[pcr].saved {
		if rc := t.changeOrderly(); rc != wire.RCSuccess {
			return rc
		}
	}
	t.setPCR(pcr, 0, 0)
	t.pcrChanged(pcr)
	return wire.RCSuccess
}

// pcrAllocate is TPM2_PCR_Allocate. A bank that the request does not name keeps
// the allocation that is in force now, whatever an earlier request has asked for
// the next _TPM_Init; of several entries for a bank the last one counts. Banks that are
// not implemented cannot be allocated: allocationSuccess is NO.
func (t *TPM) pcrAllocate(c *call) wire.RC {
	c.next().PCRSelections(&c.selections)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	next := t.s.Volatile.PCRs.Allocation()
	possible := true
	for _, want := range c.selections.Slice() {
		known := false
		for i := range next.Slice() {
			if next.List[i].Hash == want.Hash {
				next.List[i], known = want, true
			}
		}
		possible = possible && (known || want.Select == wire.PCRSelect{})
	}
	needed, available, complete := allocationSize(next.Slice())
	if !complete {
		return wire.RCPCR
	}
	if possible {
		t.changePersistent().Allocation = next
		t.s.Volatile.Reconfigured = true
		if t.resumable() { // not with banks in which nothing is measured
			t.withdrawShutdown()
		}
	}
	c.out.YesNo(possible)
	c.out.U32(wire.PCRCount)
	c.out.U32(needed)
	c.out.U32(available)
	return wire.RCSuccess
}

// allocationSize gives the bytes that an allocation takes and that there are,
// and whether it has the PCRs that hash sequences of locality 4 need.
func allocationSize(list []wire.PCRSelection) (needed, available uint32, complete bool) {
	var hcrtm, drtm bool
	for _, s := range list {
		size := uint32(crypt.HashSize(s.Hash))
		available += wire.PCRCount * size
		for pcr := range wire.PCRCount {
			if s.Select.Has(pcr) {
				needed += size
			}
		}
		hcrtm = hcrtm || s.Select.Has(pcrHCRTM)
		drtm = drtm || s.Select.Has(pcrDRTM)
	}
	return needed, available, hcrtm && drtm
}

// pcrSetAuthPolicy is TPM2_PCR_SetAuthPolicy.
func (t *TPM) pcrSetAuthPolicy(c *call) wire.RC {
	digest := c.digest()
	alg := c.hashAlg(true)
	pcr := c.handle(HandlePCR)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	if len(digest) != t.algs.DigestSize(alg) {
		return c.badParam(1, wire.RCSize)
	}
	group := pcrTable[pcr].policyGroup
	if group == 0 {
		return c.badParam(3, wire.RCValue)
	}
	p := state.Policy{Alg: alg}
	p.Digest.Set(digest)
	t.changePersistent().PCRPolicy[group-1] = p
	return wire.RCSuccess
}

// pcrSetAuthValue is TPM2_PCR_SetAuthValue.
func (t *TPM) pcrSetAuthValue(c *call) wire.RC {
	auth := c.auth()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	group := pcrTable[c.entities[0].handle].authGroup
	if group == 0 {
		return wire.RCValue
	}
	if rc := t.changeOrderly(); rc != wire.RCSuccess {
		return rc
	}
	t.s.Clear.PCRAuth[group-1].Set(auth)
	return wire.RCSuccess
}
