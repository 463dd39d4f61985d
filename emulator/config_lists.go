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
		c.Commands = Offered().Commands
	}
	slices.Sort(c.Commands)
	return c
}

// Offered returns all algorithms, curves, key sizes and commands that a Config can
// have. Its other fields are zero.
func Offered() Config {
	c := Config{Curves: crypt.Curves()}
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
		}
	}
	for i := range commandTable {
		if commandTable[i].Implemented() {
			c.Commands = append(c.Commands, commandTable[i].Code)
		}
	}
	return c
}

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
