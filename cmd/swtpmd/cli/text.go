package cli

import (
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
)

// Plural returns a number with what it counts.
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// ParseHex decodes hex digits, with 0x before them or not.
func ParseHex(digits string) ([]byte, error) {
	if len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits = digits[2:]
	}
	return hex.DecodeString(digits)
}

// commandNames is the name column of the emulator's command table.
var commandNames = sync.OnceValue(func() map[wire.CC]string {
	names := map[wire.CC]string{}
	for _, c := range emulator.Commands() {
		names[c.Code] = "TPM2_" + c.Name
	}
	return names
})

// CommandName returns the name of a command code, such as TPM2_Quote, or its number if
// it has none.
func CommandName(code uint32) string {
	if name, ok := commandNames()[wire.CC(code)]; ok {
		return name
	}
	if code == faults.InitSignal {
		return "_TPM_Init"
	}
	return wire.CC(code).String()
}
