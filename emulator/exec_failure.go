package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What a TPM in failure mode answers (Part 1, section "Failure Mode").

// executeInFailure answers the two commands that failure mode leaves: Part 3,
// sections "TPM2_GetTestResult" and "TPM2_GetCapability", without sessions and
// of exactly the right size. Everything else is TPM_RC_FAILURE.
func (t *TPM) executeInFailure(command []byte) []byte {
	r := wire.NewReader(command, nil)
	tag, size, code := wire.ST(r.U16()), r.U32(), wire.CC(r.U32())
	if r.RC() != wire.RCSuccess || tag != wire.STNoSessions || uint64(size) != uint64(len(command)) {
		return t.errorResponse(wire.RCFailure)
	}
	w := wire.NewWriter(t.out[:responseHeader])
	switch {
	case code == wire.CCGetTestResult && r.Len() == 0:
		w.Sized([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(t.s.Volatile.FailureCode)})
		w.U32(uint32(wire.RCFailure))
	case code == wire.CCGetCapability && r.Len() == 12 && wire.Cap(r.U32()) == wire.CapTPMProperties:
		t.failureProperty(&w, wire.PT(r.U32()), r.U32())
	default:
		return t.errorResponse(wire.RCFailure)
	}
	return finishResponse(&w, wire.STNoSessions)
}

// failureProperty gives at most one of the properties that tell the maker: the
// first one from pt on.
func (t *TPM) failureProperty(w *wire.Writer, pt wire.PT, count uint32) {
	pt = max(pt, wire.PTManufacturer)
	if pt > wire.PTFirmwareVersion2 {
		count = 0
	}
	w.YesNo(pt < wire.PTFirmwareVersion2)
	w.U32(uint32(wire.CapTPMProperties))
	w.U32(min(count, 1))
	if count > 0 {
		value, _ := t.property(pt)
		w.U32(uint32(pt))
		w.U32(value)
	}
}
