package daemon

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/libtpms"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// defaultProfile is what a TPM has without --profile.
const defaultProfile = "default"

// Describe returns what GET_INFO and --print-info tell of a TPM of this profile, without
// making it.
func Describe(chosen *cli.Profile) (*swtpm.Description, error) {
	return DescribeProfile(&emulator.Profile{Name: chosen.Name(), Title: chosen.Title(), Config: chosen.Config()})
}

// DescribeProfile is Describe. A profile without a name is the default one.
func DescribeProfile(chosen *emulator.Profile) (*swtpm.Description, error) {
	id := chosen.Config.Full().Identity
	if chosen.Name == "" {
		var err error
		if chosen, err = emulator.ProfileByName(defaultProfile); err != nil {
			return nil, err
		}
	}
	return &swtpm.Description{
		Revision:     id.Revision,
		Manufacturer: binary.BigEndian.Uint32(append([]byte(id.Manufacturer), 0, 0, 0, 0)),
		Firmware:     uint32(id.Firmware >> 32),
		Model:        id.Vendor,
		Implemented:  featuresOf(emulator.Offered()),
		Needed:       featuresOf(emulator.Needed()),
		Profile:      profileOf(chosen),
		Profiles:     offered,
	}, nil
}

// offered are the profiles that come with the program.
var offered = sync.OnceValue(func() (all []swtpm.Profile) {
	add := func(p *emulator.Profile, err error) {
		if err != nil {
			panic(err) // of a file that comes with the program
		}
		all = append(all, profileOf(p))
	}
	for _, name := range libtpms.Names {
		text, err := libtpms.Named(name)
		if err != nil {
			panic(err)
		}
		add(emulator.ParseProfile(name, text))
	}
	for _, name := range emulator.Profiles() {
		add(emulator.ProfileByName(name))
	}
	return all
})

func profileOf(p *emulator.Profile) swtpm.Profile {
	return swtpm.Profile{Name: p.Name, Description: p.Title, Features: featuresOf(p.Config.Full())}
}

func featuresOf(c emulator.Config) swtpm.Features {
	if !slices.Contains(c.Algorithms, wire.AlgRSA) {
		c.RSABits = nil
	}
	return swtpm.Features{Algorithms: c.Algorithms, Curves: c.Curves, RSABits: c.RSABits, AESBits: c.AESBits, Commands: c.Commands}
}
