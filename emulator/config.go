package emulator

import (
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Config says what kind of TPM it is. A zero field takes its default, so the
// zero Config is a TPM like swtpm's.
type Config struct {
	// Identity is the maker and the versions that TPM2_GetCapability reports; zero is DefaultIdentity.
	Identity Identity
	// Limits are sizes and counts; zero is DefaultLimits. Where one is set, all
	// have to be.
	Limits Limits
	// Algorithms are switched on, in any order; decoders refuse all others, and
	// TPM2_GetCapability does not list them. Nil means DefaultAlgorithms and the
	// hash algorithm of every bank, without SM2 if Curves leave its curve out.
	Algorithms []wire.AlgID
	// Curves are the elliptic curves that are on, in any order. Nil means
	// DefaultCurves, or none without ECC.
	Curves []wire.Curve
	// RSABits and AESBits are the accepted key sizes in bits, in any order. Nil
	// means 1,024, 2,048 and 3,072, and 128 and 256, as swtpm 0.7.1 has them.
	RSABits, AESBits []uint16
	// MLKEMSets are the parameter sets of ML-KEM, and MLDSASets those of both types of
	// ML-DSA keys, in any order. Nil means all, if Algorithms have such keys.
	MLKEMSets []wire.MLKEMParameterSet
	MLDSASets []wire.MLDSAParameterSet
	// NoExternalMu refuses keys with allowExternalMu, which sign a µ that somebody else
	// has computed, with TPM_RC_EXT_MU.
	NoExternalMu bool
	// Banks are the implemented PCR banks in the order in which they are
	// reported. None means those of SHA-1, SHA-256, SHA-384 and SHA-512 that are
	// on, all allocated.
	Banks []Bank
	// Commands are switched on, in any order. All others answer
	// TPM_RC_COMMAND_CODE, and TPM2_GetCapability does not list them. Nil means
	// all that are implemented, without those of version 185 of the library unless
	// Identity.Revision is that. TPM2_Startup, TPM2_GetCapability and the commands
	// for testing are always needed.
	Commands []wire.CC
	// NeedsTest makes TPM2_GetTestResult answer TPM_RC_NEEDS_TEST in testResult
	// until every algorithm has been tested (Part 3, "TPM2_GetTestResult").
	// Otherwise testResult is TPM_RC_SUCCESS from the start on, which tpm2-tools
	// and others need and libtpms answers.
	NeedsTest bool
	// CheckErrors makes the TPM compare its state before and after every
	// command, and panic if one that answered an error changed anything but
	// what the specification lets it change, if a change of persistent state
	// was not marked for the Store, or if an object is another one than a
	// restored state would have. It is slow and meant for tests.
	CheckErrors bool
}

// Bank is one implemented PCR bank.
type Bank struct {
	Alg wire.AlgID
	// Unallocated leaves the bank without PCRs in a new TPM, until
	// TPM2_PCR_Allocate gives it some.
	Unallocated bool
}

// Identity is what the fixed properties of TPM2_GetCapability tell about the
// maker and the specification (Part 2, section "TPM_PT (Property Tag)").
type Identity struct {
	Manufacturer string // at most 4 ASCII characters
	Vendor       string // at most 16 ASCII characters, four properties
	TPMType      uint32
	Firmware     uint64 // both halves of the firmware version

	// Revision is that of the library specification, times 100; from 184 on it is the
	// version itself. From 185 on a TPM behaves as version 185 of the library says
	// (March 2026), see docs/deviations.md; Algorithms have to name what is new.
	Revision  uint32
	DayOfYear uint32 // from version 185 on TPM_PT_ERRATA: how many errata are followed
	Year      uint32

	PSFamily    uint32 // of the platform specification: 1 is PC Client
	PSLevel     uint32
	PSRevision  uint32
	PSDayOfYear uint32
	PSYear      uint32
}

// DefaultIdentity is that of a software TPM: its vendor string is the one by
// which tools recognize swtpm.
func DefaultIdentity() Identity {
	return Identity{
		Manufacturer: "SWMD",
		Vendor:       "SW   TPM",
		TPMType:      1,
		Firmware:     1 << 32,
		Revision:     164,
		DayOfYear:    75,
		Year:         2021,
		PSFamily:     specFamily,
		PSRevision:   164,
		PSDayOfYear:  75,
		PSYear:       2021,
	}
}

// ConfigError says which field of a Config makes no TPM.
type ConfigError struct {
	Field string
	Value any
	Hint  string // what would be right
	Err   error  // the cause, if it is another package's
}

// Error names the field and the remedy.
func (e *ConfigError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("emulator config: %s: %v", e.Field, e.Err)
	}
	return fmt.Sprintf("emulator config: %s is %v: %s", e.Field, e.Value, e.Hint)
}

// Unwrap gives the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

func defaultBanks() []Bank {
	return []Bank{{Alg: wire.AlgSHA1}, {Alg: wire.AlgSHA256}, {Alg: wire.AlgSHA384}, {Alg: wire.AlgSHA512}}
}

// withDefaults fills in zero fields.
func (c Config) withDefaults() Config {
	if c.Identity == (Identity{}) {
		c.Identity = DefaultIdentity()
	}
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits()
	}
	if len(c.Banks) == 0 {
		c.Banks = slices.DeleteFunc(defaultBanks(), func(b Bank) bool { return c.Algorithms != nil && !slices.Contains(c.Algorithms, b.Alg) })
	}
	c.Banks = slices.Clone(c.Banks)
	if c.Algorithms == nil {
		c.Algorithms = DefaultAlgorithms()
		if c.Curves != nil && !slices.Contains(c.Curves, wire.CurveSM2P256) { // the only curve of SM2
			c.Algorithms = slices.DeleteFunc(c.Algorithms, func(alg wire.AlgID) bool { return alg == wire.AlgSM2 })
		}
		for _, b := range c.Banks {
			if crypt.HashSize(b.Alg) != 0 {
				c.Algorithms = append(c.Algorithms, b.Alg)
			}
		}
	}
	if c.Curves == nil && slices.Contains(c.Algorithms, wire.AlgECC) {
		c.Curves = DefaultCurves()
	}
	if c.RSABits == nil {
		c.RSABits = []uint16{1024, 2048, 3072}
	}
	if c.AESBits == nil {
		c.AESBits = []uint16{128, 256}
	}
	c.Algorithms, c.Curves = slices.Clone(c.Algorithms), slices.Clone(c.Curves)
	c.RSABits, c.AESBits = slices.Clone(c.RSABits), slices.Clone(c.AESBits)
	c.MLKEMSets, c.MLDSASets = slices.Clone(c.MLKEMSets), slices.Clone(c.MLDSASets)
	c.Commands = slices.Clone(c.Commands)
	return c
}

// version185 is the version of the library that brought post-quantum keys.
const version185 = 185

// hasVersion185 reports whether a TPM behaves as version 185 of the library says
// where older ones say something else.
func (c *Config) hasVersion185() bool { return c.Identity.Revision >= version185 }

// specFamily is "2.0" as a property: TPM_SPEC_FAMILY.
const specFamily = 0x322E3000
