package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Capability Commands".

// capList is a list being reported: it takes entries from the first that is
// asked for, up to a count and to what the buffer holds.
type capList struct {
	c       *call
	left    uint32 // entries that are still taken
	countAt int
	count   uint32
	more    bool // there was an entry that was not taken
}

// newCapList starts a list of entries of the given size in bytes.
func newCapList(c *call, count uint32, size int) capList {
	l := capList{c: c, left: min(count, uint32(maxCapData/size)), countAt: c.out.Len()}
	c.out.U32(0)
	return l
}

// room reports whether one more entry is taken, and counts it. The caller writes
// it then, or stops.
func (l *capList) room() bool {
	if l.left == 0 {
		l.more = true
		return false
	}
	l.left--
	l.count++
	l.c.out.SetU32(l.countAt, l.count)
	return true
}

// capability is one row of the table of capabilities: it writes the
// TPMU_CAPABILITIES and reports whether there is more. The code it fails with is
// about property, and bare.
type capability func(t *TPM, c *call, property, count uint32) (more bool, rc wire.RC)

// Capabilities that came after the others with what they report on. A TPM of an
// earlier kind does not know their numbers; a later one has an empty list of what
// it lacks.
const (
	// revisionACT is the revision of the library that brought TPM_CAP_ACT, times
	// 100.
	revisionACT = 159
	// commandSPDM is the command that came together with TPM_CAP_PUB_KEYS and
	// TPM_CAP_SPDM_SESSION_INFO.
	commandSPDM = wire.CCPolicyTransportSPDM
)

// capabilityOf finds the row, nil if the TPM has none. TPM_CAP_VENDOR_PROPERTY is
// absent, as there are no such properties.
func (t *TPM) capabilityOf(id wire.Cap) capability {
	switch id {
	case wire.CapAlgs:
		return (*TPM).capAlgs
	case wire.CapHandles:
		return (*TPM).capHandles
	case wire.CapCommands:
		return (*TPM).capCommands
	case wire.CapPPCommands:
		return (*TPM).capPPCommands
	case wire.CapAuditCommands:
		return (*TPM).capAuditCommands
	case wire.CapPCRs:
		return (*TPM).capPCRs
	case wire.CapTPMProperties:
		return (*TPM).capTPMProperties
	case wire.CapPCRProperties:
		return (*TPM).capPCRProperties
	case wire.CapECCCurves:
		return (*TPM).capECCCurves
	case wire.CapAuthPolicies:
		return (*TPM).capAuthPolicies
	case wire.CapACT:
		if t.config.Identity.Revision >= revisionACT {
			return (*TPM).capACT
		}
	case wire.CapPubKeys:
		if t.commands.lookup(commandSPDM) != nil {
			return (*TPM).capPubKeys
		}
	case wire.CapSPDMSessions:
		if t.commands.lookup(commandSPDM) != nil {
			return (*TPM).capSPDMSessions
		}
	}
	return nil
}

// getCapability is TPM2_GetCapability.
func (t *TPM) getCapability(c *call) wire.RC {
	id := wire.Cap(c.u32())
	report := t.capabilityOf(id)
	if report == nil {
		c.in.Fail(wire.RCValue)
	}
	property, count := c.u32(), c.u32()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	moreAt := c.out.Len()
	c.out.U8(0)
	c.out.U32(uint32(id))
	more, rc := report(t, c, property, count)
	if rc != wire.RCSuccess {
		return c.badParam(2, rc)
	}
	if more {
		c.out.SetU8(moreAt, 1)
	}
	return wire.RCSuccess
}

func (t *TPM) capAlgs(c *call, first, count uint32) (bool, wire.RC) {
	l := newCapList(c, count, 6)
	for _, a := range t.algs.Rows() {
		if uint32(a.ID) < first {
			continue
		}
		if !l.room() {
			break
		}
		c.out.U16(uint16(a.ID))
		c.out.U32(uint32(a.Attributes))
	}
	return l.more, wire.RCSuccess
}

// capHandles lists the handles of one type that name something, from property
// on. A handle is compared without its type.
func (t *TPM) capHandles(c *call, property, count uint32) (bool, wire.RC) {
	first := wire.Handle(property)
	l := newCapList(c, count, 4)
	var list []wire.Handle
	switch first.Type() {
	case wire.HTPCR:
		for pcr := range wire.Handle(wire.PCRCount) {
			list = append(list, wire.PCRFirst+pcr)
		}
	case wire.HTTransient:
		for i := range t.s.Volatile.Objects {
			if t.slots[i] != nil {
				list = append(list, wire.TransientFirst+wire.Handle(i))
			}
		}
	case wire.HTPermanent:
		list = permanentHandles[:]
	case wire.HTNVIndex:
		for i := range t.s.NV.Indices {
			list = append(list, t.s.NV.Indices[i].Handle)
		}
	case wire.HTPersistent:
		for i := range t.s.Objects.List {
			list = append(list, t.s.Objects.List[i].Handle)
		}
	case wire.HTHMACSession: // TPM_HT_LOADED_SESSION
		for _, a := range t.s.Reset.ActiveSessions {
			if a.Slot != 0 {
				list = append(list, t.s.Volatile.Sessions[a.Slot-1].Handle)
			}
		}
	case wire.HTPolicySession: // TPM_HT_SAVED_SESSION
		for i, a := range t.s.Reset.ActiveSessions {
			if a.Context != 0 {
				list = append(list, wire.HMACFirst+wire.Handle(i))
			}
		}
	default:
		return false, wire.RCHandle
	}
	for _, h := range list {
		if h.Index() < first.Index() {
			continue
		}
		if !l.room() {
			break
		}
		c.out.U32(uint32(h))
	}
	return l.more, wire.RCSuccess
}

// permanentHandles are those that a command can name, in ascending order.
var permanentHandles = [...]wire.Handle{
	wire.RHOwner, wire.RHNull, wire.RSPW, wire.RHLockout, wire.RHEndorsement, wire.RHPlatform, wire.RHPlatformNV,
}

func (t *TPM) capCommands(c *call, first, count uint32) (bool, wire.RC) {
	l := newCapList(c, count, 4)
	for _, cmd := range t.commands.byCode {
		if cmd != nil && uint32(cmd.Code) >= first {
			if !l.room() {
				break
			}
			c.out.U32(uint32(cmd.Attributes()))
		}
	}
	return l.more, wire.RCSuccess
}

// capPPCommands lists the commands that need physical presence now.
func (t *TPM) capPPCommands(c *call, first, count uint32) (bool, wire.RC) {
	return t.listCodes(c, first, count, t.presenceRequired)
}

// capAuditCommands lists the commands under audit.
func (t *TPM) capAuditCommands(c *call, first, count uint32) (bool, wire.RC) {
	return t.listCodes(c, first, count, t.commandAudited)
}

func (t *TPM) listCodes(c *call, first, count uint32, which func(*Command) bool) (bool, wire.RC) {
	l := newCapList(c, count, 4)
	for _, cmd := range t.commands.byCode {
		if cmd != nil && uint32(cmd.Code) >= first && which(cmd) {
			if !l.room() {
				break
			}
			c.out.U32(uint32(cmd.Code))
		}
	}
	return l.more, wire.RCSuccess
}

// capPCRs gives the allocation in force: all banks for any count but 0.
func (t *TPM) capPCRs(c *call, property, count uint32) (bool, wire.RC) {
	if property != 0 {
		return false, wire.RCValue
	}
	if count == 0 {
		c.out.PCRSelections(nil)
		return true, wire.RCSuccess
	}
	pcrs := &t.s.Volatile.PCRs
	c.out.U32(uint32(pcrs.Count))
	for i := range pcrs.Banks[:pcrs.Count] {
		bank := &pcrs.Banks[i]
		c.out.PCRSelection(&wire.PCRSelection{Hash: bank.Alg, Size: wire.PCRSelectMax, Select: bank.Allocated})
	}
	return false, wire.RCSuccess
}

// capTPMProperties lists properties of the group that the first one is in.
func (t *TPM) capTPMProperties(c *call, property, count uint32) (bool, wire.RC) {
	l := newCapList(c, count, 8)
	first := max(wire.PT(property), wire.PTFixed)
	if first >= wire.PTVar+wire.PTGroup {
		return false, wire.RCSuccess
	}
	for pt := first; pt < first/wire.PTGroup*wire.PTGroup+wire.PTGroup; pt++ {
		value, ok := t.property(pt)
		if !ok {
			continue
		}
		if !l.room() {
			break
		}
		c.out.U32(uint32(pt))
		c.out.U32(value)
	}
	return l.more, wire.RCSuccess
}

func (t *TPM) capPCRProperties(c *call, first, count uint32) (bool, wire.RC) {
	l := newCapList(c, count, 4+1+wire.PCRSelectMax)
	for _, p := range pcrProperties {
		if uint32(p.tag) < first {
			continue
		}
		if !l.room() {
			break
		}
		var sel wire.PCRSelect
		for pcr := range pcrTable {
			if p.has(&pcrTable[pcr]) {
				sel.Set(pcr)
			}
		}
		c.out.U32(uint32(p.tag))
		c.out.U8(wire.PCRSelectMax)
		c.out.Bytes(sel[:])
	}
	return l.more, wire.RCSuccess
}

func (t *TPM) capECCCurves(c *call, first, count uint32) (bool, wire.RC) {
	l := newCapList(c, count, 2)
	for _, curve := range t.algs.Curves() {
		if uint32(curve) < first {
			continue
		}
		if !l.room() {
			break
		}
		c.out.U16(uint16(curve))
	}
	return l.more, wire.RCSuccess
}

// capAuthPolicies lists the policies of the permanent handles that can have
// one; without a policy the hash algorithm is TPM_ALG_NULL.
func (t *TPM) capAuthPolicies(c *call, property, count uint32) (bool, wire.RC) {
	if wire.Handle(property).Type() != wire.HTPermanent {
		return false, wire.RCValue
	}
	l := newCapList(c, count, 4+2+wire.MaxDigest)
	for _, h := range permanentHandles {
		_, p := t.hierarchyAuth(h)
		if h < wire.Handle(property) || p == nil {
			continue
		}
		if !l.room() {
			break
		}
		c.out.U32(uint32(h))
		c.out.HA(wire.HA{Hash: p.Alg, Digest: p.Digest.Bytes()})
	}
	return l.more, wire.RCSuccess
}

// capACT lists the authenticated countdown timers, of which there are none, from
// a TPM_RH_ACT_x on.
func (t *TPM) capACT(c *call, property, _ uint32) (bool, wire.RC) {
	if h := wire.Handle(property); h < wire.RHACT0 || h > wire.RHACTF {
		return false, wire.RCValue
	}
	return emptyList(c)
}

// maxPubKey is the last TPM_PUB_KEY (Part 2, rev 1.84, section "TPM_PUB_KEY").
const maxPubKey = 0xFF

// capPubKeys lists the keys with which the TPM makes secure channels: it makes
// none.
func (t *TPM) capPubKeys(c *call, property, _ uint32) (bool, wire.RC) {
	if property > maxPubKey {
		return false, wire.RCValue
	}
	return emptyList(c)
}

// capSPDMSessions describes the secure channel that the command came through:
// there is none. property is reserved.
func (t *TPM) capSPDMSessions(c *call, property, _ uint32) (bool, wire.RC) {
	if property != 0 {
		return false, wire.RCValue
	}
	return emptyList(c)
}

func emptyList(c *call) (bool, wire.RC) {
	c.out.U32(0)
	return false, wire.RCSuccess
}

// testParms is TPM2_TestParms: what decodes is supported, except combinations
// that no key can have.
func (t *TPM) testParms(c *call) wire.RC {
	var p wire.PublicParms
	c.next().PublicParms(&p)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := checkCurveParms(&p); rc != wire.RCSuccess {
		return c.badParam(1, rc)
	}
	return wire.RCSuccess
}
