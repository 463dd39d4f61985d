package emulator

import (
	"bytes"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Policies on a comparison with a value of the TPM, which must be true at the
// moment of the assertion.

// comparison is what these commands begin with.
type comparison struct {
	operand   []byte // operandB
	offset    uint16 // of operandA in the value
	operation wire.EO
}

// comparison takes the three parameters.
func (c *call) comparison() comparison {
	return comparison{operand: c.next().Operand(), offset: c.u16(), operation: c.next().EO()}
}

// inRange reports whether offset is one of the value, and whether the octets of an
// operand are there.
func (p *comparison) inRange(value []byte) (offset, operand bool) {
	left := len(value) - int(p.offset)
	return left >= 0, left >= len(p.operand)
}

// holds reports whether the comparison with a value that is long enough is true.
func (p *comparison) holds(value []byte) bool {
	a, b := value[p.offset:][:len(p.operand)], p.operand
	switch p.operation {
	case wire.EOEq:
		return bytes.Equal(a, b)
	case wire.EONeq:
		return !bytes.Equal(a, b)
	case wire.EOSignedGT:
		return compareSigned(a, b) > 0
	case wire.EOUnsignedGT:
		return bytes.Compare(a, b) > 0
	case wire.EOSignedLT:
		return compareSigned(a, b) < 0
	case wire.EOUnsignedLT:
		return bytes.Compare(a, b) < 0
	case wire.EOSignedGE:
		return compareSigned(a, b) >= 0
	case wire.EOUnsignedGE:
		return bytes.Compare(a, b) >= 0
	case wire.EOSignedLE:
		return compareSigned(a, b) <= 0
	case wire.EOUnsignedLE:
		return bytes.Compare(a, b) <= 0
	case wire.EOBitSet:
		return masked(a, b, 0xFF)
	case wire.EOBitClear:
		return masked(a, b, 0)
	}
	return false
}

// compareSigned compares numbers of the same size in two's complement.
func compareSigned(a, b []byte) int {
	if len(a) != 0 && (a[0]^b[0])&0x80 != 0 {
		return int(b[0]>>7) - int(a[0]>>7)
	}
	return bytes.Compare(a, b)
}

// masked reports whether the bits of a that are set in mask are those of octet.
func masked(a, mask []byte, octet byte) bool {
	for i, m := range mask {
		if a[i]&m != octet&m {
			return false
		}
	}
	return true
}

// args appends the digest of the comparison, and of what else it is about.
func (p *comparison) args(dst []byte, alg wire.AlgID, more ...uint32) []byte {
	var space [wire.MaxOperand + 2 + 2 + 2*4]byte
	b := append(space[:0], p.operand...)
	b = binary.BigEndian.AppendUint16(b, p.offset)
	b = binary.BigEndian.AppendUint16(b, uint16(p.operation))
	for _, m := range more {
		b = binary.BigEndian.AppendUint32(b, m)
	}
	return crypt.Digest(alg, dst, b)
}

// policyNV is TPM2_PolicyNV.
func (t *TPM) policyNV(c *call) wire.RC {
	p := c.comparison()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	n, s := c.entities[1].index, c.entities[2].session
	if !trial(s) {
		if rc := nvReadable(c, 0, n); rc != wire.RCSuccess {
			return rc
		}
		if rc := p.check(c, n.Data); rc != wire.RCSuccess {
			return rc
		}
	}
	args := p.args(c.digestSpace[:0], s.AuthHash)
	t.extendPolicy(s, wire.CCPolicyNV, args, appendNVName(args[len(args):], n))
	return wire.RCSuccess
}

// check is the code for a comparison with the value: TPM_RC_POLICY if it is not
// true.
func (p *comparison) check(c *call, value []byte) wire.RC {
	offset, operand := p.inRange(value)
	switch {
	case !offset:
		return c.badParam(2, wire.RCValue)
	case !operand:
		return c.badParam(1, wire.RCSize)
	case !p.holds(value):
		return wire.RCPolicy
	}
	return wire.RCSuccess
}

// policyCounterTimer is TPM2_PolicyCounterTimer: a comparison with the
// TPMS_TIME_INFO, which has to be within it in a trial session too. Time and
// Clock, its first two numbers, stand still without NV.
func (t *TPM) policyCounterTimer(c *call) wire.RC {
	p := c.comparison()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	w := wire.NewWriter(c.digestSpace[:0])
	w.TimeInfo(&wire.TimeInfo{Time: t.s.Volatile.Time, Clock: t.clockInfo()})
	offset, operand := p.inRange(w.Data())
	switch {
	case !offset:
		return c.badParam(2, wire.RCValue)
	case !operand:
		return wire.RCRange
	}
	s := c.entities[0].session
	if !trial(s) {
		if p.offset < 8+8 {
			if rc := t.needNV(); rc != wire.RCSuccess {
				return rc
			}
		}
		if !p.holds(w.Data()) {
			return wire.RCPolicy
		}
	}
	t.extendPolicy(s, wire.CCPolicyCounterTimer, p.args(c.digestSpace[:0], s.AuthHash))
	return wire.RCSuccess
}

// policyCapability is TPM2_PolicyCapability (rev 1.83).
func (t *TPM) policyCapability(c *call) wire.RC {
	p := c.comparison()
	id := wire.Cap(c.u32())
	if id > wire.CapSPDMSessions && id != wire.CapVendorProperty {
		c.in.Fail(wire.RCValue)
	}
	property := c.u32()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	if !trial(s) {
		if rc := t.checkCapability(c, &p, id, property); rc != wire.RCSuccess {
			return rc
		}
	}
	t.extendPolicy(s, wire.CCPolicyCapability, p.args(c.digestSpace[:0], s.AuthHash, uint32(id), property))
	return wire.RCSuccess
}

// checkCapability is the code for a comparison with what TPM2_GetCapability
// gives for one property, written where a response would be. What does not exist
// is unequal to anything. The PCR banks are no property of their own.
func (t *TPM) checkCapability(c *call, p *comparison, id wire.Cap, property uint32) wire.RC {
	report := t.capabilityOf(id)
	if report == nil || id == wire.CapPCRs {
		return c.badParam(4, wire.RCValue)
	}
	before := c.out
	_, rc := report(t, c, property, 1)
	list := c.out.Data()[before.Len():]
	c.out = before
	if rc != wire.RCSuccess {
		return c.badParam(5, rc)
	}
	value := capabilityValue(id, property, list)
	if value == nil {
		if p.operation != wire.EONeq {
			return wire.RCPolicy
		}
		return wire.RCSuccess
	}
	return p.check(c, value)
}

// capabilityValue is the entry of a property in a list of at most one entry,
// which starts with what property names; nil if it is another's. A session is
// listed with the kind of its handle, which the handle that asks for it does not
// have.
func capabilityValue(id wire.Cap, property uint32, list []byte) []byte {
	count, entry := binary.BigEndian.Uint32(list), list[4:]
	if count == 0 {
		return nil
	}
	var first uint32
	switch id {
	case wire.CapAlgs, wire.CapECCCurves:
		first = uint32(binary.BigEndian.Uint16(entry))
	case wire.CapCommands:
		first = uint32(binary.BigEndian.Uint16(entry[2:]))
	case wire.CapHandles:
		h := wire.Handle(binary.BigEndian.Uint32(entry))
		if h.Index() != wire.Handle(property).Index() {
			return nil
		}
		return binary.BigEndian.AppendUint32(nil, property)
	default:
		first = binary.BigEndian.Uint32(entry)
	}
	if first != property {
		return nil
	}
	return entry
}
