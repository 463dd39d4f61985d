package comparison

import (
	"fmt"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// clockTolerance is how far apart the clocks of two devices may be, in
// milliseconds: scripts are played one after the other, and the machine may be
// busy.
const clockTolerance = 60_000

// Clocks compares two TPMS_TIME_INFO: time and clock within a minute, reset count,
// restart count and safe exactly. It describes the difference, "" if there is none.
func Clocks(ours, theirs []byte) string {
	if len(ours) != 25 || len(theirs) != 25 {
		return fmt.Sprintf("TPMS_TIME_INFO has 25 bytes: ours %x, theirs %x", ours, theirs)
	}
	for _, field := range []struct {
		name string
		at   int
	}{{"time", 0}, {"clock", 8}} {
		a := uint64(wire.Number(ours[field.at:field.at+4]))<<32 | uint64(wire.Number(ours[field.at+4:field.at+8]))
		b := uint64(wire.Number(theirs[field.at:field.at+4]))<<32 | uint64(wire.Number(theirs[field.at+4:field.at+8]))
		if max(a, b)-min(a, b) > clockTolerance {
			return fmt.Sprintf("%s: ours %d ms, theirs %d ms", field.name, a, b)
		}
	}
	return exact(ours[16:], theirs[16:])
}
