package emulator

import (
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What a Config can have, must have, and has, for those who tell others about it.

// Full returns c with what its zero fields stand for. Commands are in ascending order.
func (c Config) Full() Config {
	c = c.withDefaults()
	if c.Commands == nil {
		c.Commands = defaultCommands(c.hasVersion185())
	}
	if slices.Contains(c.Algorithms, wire.AlgMLKEM) && c.MLKEMSets == nil {
		c.MLKEMSets = Offered().MLKEMSets
	}
	if (slices.Contains(c.Algorithms, wire.AlgMLDSA) || slices.Contains(c.Algorithms, wire.AlgHashMLDSA)) && c.MLDSASets == nil {
		c.MLDSASets = Offered().MLDSASets
	}
	slices.Sort(c.Commands)
	return c
}

// Offered returns all algorithms, curves, key sizes, parameter sets and commands that a
// Config can have, with the version of the library and the limits that they need. Its
// other fields are zero.
func Offered() Config {
	c := Config{Curves: crypt.Curves(), Identity: DefaultIdentity(), Limits: DefaultLimits()}
	c.Identity.Revision = version185
	c.Limits.Buffer, c.Limits.ObjectContext = maxBuffer, largeObjectContext
	for _, a := range crypt.Algorithms() {
		if !a.Supported {
			continue
		}
		c.Algorithms = append(c.Algorithms, a.ID)
		switch a.ID {
		case wire.AlgRSA:
			c.RSABits = a.KeyBits
		case wire.AlgAES:
			c.AESBits = a.KeyBits
		case wire.AlgMLKEM:
			for _, set := range a.ParameterSets {
				c.MLKEMSets = append(c.MLKEMSets, wire.MLKEMParameterSet(set))
			}
		case wire.AlgMLDSA:
			for _, set := range a.ParameterSets {
				c.MLDSASets = append(c.MLDSASets, wire.MLDSAParameterSet(set))
			}
		}
	}
	c.Commands = defaultCommands(true)
	return c
}

// defaultCommands are those of a Config that names none, in ascending order: all that
// are implemented, those of version 185 only where the TPM is one of that.
func defaultCommands(version185 bool) (codes []wire.CC) {
	for i := range commandTable {
		if c := &commandTable[i]; c.Implemented() && (version185 || c.Since != since185) {
			codes = append(codes, c.Code)
		}
	}
	return codes
}

// since185 is Command.Since of the commands of version 185.
const since185 = "185"

// Needed returns the algorithms and commands that no Config is without. Its other
// fields are zero.
func Needed() Config {
	c := Config{Commands: slices.Clone(neededCommands[:])}
	for _, d := range dependencies {
		if d.alg == wire.AlgNull {
			c.Algorithms = append(c.Algorithms, d.needs)
		}
	}
	return c
}
