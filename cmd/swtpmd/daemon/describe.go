package daemon

import (
	"encoding/binary"
	"slices"

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
	config := chosen.Config.Full()
	id := config.Identity
	active := swtpm.Profile{Name: chosen.Name, Description: chosen.Title, Features: featuresOf(config)}
	d := &swtpm.Description{
		Revision:     id.Revision,
		Manufacturer: binary.BigEndian.Uint32(append([]byte(id.Manufacturer), 0, 0, 0, 0)),
		Firmware:     uint32(id.Firmware >> 32),
		Model:        id.Vendor,
		Implemented:  featuresOf(emulator.Offered()),
		Needed:       featuresOf(emulator.Needed()),
		Profile:      active,
	}
	for _, name := range libtpms.Names {
		text, err := libtpms.Named(name)
		if err != nil {
			return nil, err
		}
		p, err := emulator.ParseProfile(name, text)
		if err != nil {
			return nil, err
		}
		d.Profiles = append(d.Profiles, swtpm.Profile{Name: p.Name, Description: p.Title, Features: featuresOf(p.Config.Full())})
	}
	for _, name := range emulator.Profiles() {
		p, err := emulator.ProfileByName(name)
		if err != nil {
			return nil, err
		}
		one := swtpm.Profile{Name: p.Name, Description: p.Title, Features: featuresOf(p.Config.Full())}
		d.Profiles = append(d.Profiles, one)
		if chosen.Name == "" && name == defaultProfile {
			d.Profile = one
		}
	}
	return d, nil
}

func featuresOf(c emulator.Config) swtpm.Features {
	if !slices.Contains(c.Algorithms, wire.AlgRSA) {
		c.RSABits = nil
	}
	return swtpm.Features{Algorithms: c.Algorithms, Curves: c.Curves, RSABits: c.RSABits, AESBits: c.AESBits, Commands: c.Commands}
}
