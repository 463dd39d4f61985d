package swtpm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Flags of GET_INFO: each adds one member to the JSON object that it answers.
const (
	InfoSpecification     uint64 = 1 << iota // TPMSpecification
	InfoAttributes                           // TPMAttributes
	InfoFeatures                             // TPMFeatures
	InfoAlgorithms                           // RuntimeAlgorithms
	InfoCommands                             // RuntimeCommands
	InfoActiveProfile                        // ActiveProfile
	InfoAvailableProfiles                    // AvailableProfiles
	InfoRuntimeAttributes                    // RuntimeAttributes

	infoAll = 1<<iota - 1
)

// Description is what a program knows of the TPM that it makes, power or not. GET_INFO
// and swtpm's --print-info tell it, so that no TPM is asked for it.
type Description struct {
	Revision     uint32 // of the TPM 2.0 Library specification, times 100
	Level        uint32 // of the specification
	Manufacturer uint32 // TPM_PT_MANUFACTURER
	Firmware     uint32 // TPM_PT_FIRMWARE_VERSION_1
	Model        string // TPM_PT_VENDOR_STRING_1 to 4

	// Implemented is what TPMs of this program can have, Needed what none is without.
	Implemented, Needed Features
	// Profile is what the TPM has.
	Profile Profile
	// Profiles returns those that a new TPM can have. It is called when a client asks; nil
	// is none.
	Profiles func() []Profile
}

// Features are algorithms and commands, in any order.
type Features struct {
	Algorithms []wire.AlgID
	Curves     []wire.Curve
	// RSABits, AESBits and CamelliaBits are key sizes.
	RSABits, AESBits, CamelliaBits []uint16
	Commands                       []wire.CC
}

// Profile is a kind of TPM.
type Profile struct {
	Name        string
	Description string // in a sentence
	Features    Features
}

// Info is the text of GET_INFO, taken apart. A nil part was not asked for.
type Info struct {
	Specification     *InfoSpec     `json:"TPMSpecification,omitempty"`
	Attributes        *InfoAttrs    `json:"TPMAttributes,omitempty"`
	Features          *InfoFeats    `json:"TPMFeatures,omitempty"`
	Algorithms        *InfoSets     `json:"RuntimeAlgorithms,omitempty"`
	Commands          *InfoSets     `json:"RuntimeCommands,omitempty"`
	RuntimeAttributes *InfoSets     `json:"RuntimeAttributes,omitempty"`
	ActiveProfile     *InfoProfile  `json:"ActiveProfile,omitempty"`
	AvailableProfiles []InfoProfile `json:"AvailableProfiles,omitempty"`
}

// InfoSpec is the TPM specification that a TPM follows.
type InfoSpec struct {
	Family   string `json:"family"`
	Level    uint32 `json:"level"`
	Revision uint32 `json:"revision"`
}

// InfoAttrs are the TPM's maker, version ("id:" and hexadecimal digits, as in
// an EK certificate: TCG EK Credential Profile, section "TPM attributes") and
// model.
type InfoAttrs struct {
	Manufacturer string `json:"manufacturer"`
	Version      string `json:"version"`
	Model        string `json:"model"`
}

// InfoFeats are key sizes in bits.
type InfoFeats struct {
	RSAKeySizes      []uint16 `json:"RSAKeySizes"`
	CamelliaKeySizes []uint16 `json:"CamelliaKeySizes"`
}

// InfoSets are words separated by commas, names of algorithms or ranges of command codes:
// those that the program has, and what the TPM makes of them.
type InfoSets struct {
	Implemented, CanBeDisabled, Enabled, Disabled string
}

// InfoProfile is a kind of TPM; Commands and Algorithms are as in InfoSets.
type InfoProfile struct {
	Name             string
	StateFormatLevel int
	Commands         string
	Algorithms       string
	Attributes       string `json:",omitempty"`
	Description      string `json:",omitempty"`
}

// Text returns the JSON text that GET_INFO of a version of swtpm has for the flags, in
// swtpm's order of members. Flags without meaning add nothing. The active profile is
// that of a TPM which has been started; before, swtpm has none.
func (d *Description) Text(v Version, flags uint64, started bool) ([]byte, error) {
	flags &= releases[v].info
	if !started {
		flags &^= InfoActiveProfile
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d.info(flags)); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// info fills in the members that the flags select.
func (d *Description) info(flags uint64) *Info {
	has := &d.Profile.Features
	i := new(Info)
	if flags&InfoSpecification != 0 {
		i.Specification = &InfoSpec{Family: "2.0", Level: d.Level, Revision: d.Revision}
	}
	if flags&InfoAttributes != 0 {
		i.Attributes = &InfoAttrs{
			Manufacturer: fmt.Sprintf("id:%08X", d.Manufacturer),
			Version:      fmt.Sprintf("id:%08X", d.Firmware),
			Model:        d.Model,
		}
	}
	if flags&InfoFeatures != 0 {
		i.Features = &InfoFeats{RSAKeySizes: sizes(has.RSABits), CamelliaKeySizes: sizes(has.CamelliaBits)}
	}
	if flags&InfoAlgorithms != 0 {
		all := &d.Implemented
		i.Algorithms = &InfoSets{
			Implemented:   algorithmWords(all, all, listAll),
			CanBeDisabled: algorithmWords(all, &d.Needed, listOthers),
			Enabled:       algorithmWords(all, has, listThese),
			Disabled:      algorithmWords(all, has, listOthers),
		}
	}
	if flags&InfoCommands != 0 {
		all := d.Implemented.Commands
		i.Commands = &InfoSets{
			Implemented:   commandRanges(all),
			CanBeDisabled: commandRanges(without(all, d.Needed.Commands)),
			Enabled:       commandRanges(has.Commands),
			Disabled:      commandRanges(without(all, has.Commands)),
		}
	}
	if flags&InfoRuntimeAttributes != 0 {
		i.RuntimeAttributes = new(InfoSets)
	}
	if flags&InfoActiveProfile != 0 {
		i.ActiveProfile = d.profile(&d.Profile)
	}
	if flags&InfoAvailableProfiles != 0 && d.Profiles != nil {
		for _, p := range d.Profiles() {
			i.AvailableProfiles = append(i.AvailableProfiles, *d.profile(&p))
		}
	}
	return i
}

func (d *Description) profile(p *Profile) *InfoProfile {
	return &InfoProfile{
		Name:             p.Name,
		StateFormatLevel: p.Features.stateFormatLevel(),
		Commands:         commandRanges(p.Features.Commands),
		Algorithms:       algorithmWords(&d.Implemented, &p.Features, listProfile),
		Description:      p.Description,
	}
}

// stateFormatLevel is the level of libtpms' state format that has all of the features
// (swtpm(8), "--profile").
func (f *Features) stateFormatLevel() int {
	level := 1
	for _, need := range []struct {
		level int
		met   bool
	}{
		{3, slices.Contains(f.Commands, wire.CCECCEncrypt) || slices.Contains(f.Commands, wire.CCECCDecrypt)},
		{4, slices.Contains(f.AESBits, 192) || slices.Contains(f.CamelliaBits, 192)},
		{5, slices.Contains(f.Commands, wire.CCPolicyCapability) || slices.Contains(f.Commands, wire.CCPolicyParameters)},
		{8, slices.Contains(f.RSABits, 4096)},
	} {
		if need.met {
			level = need.level
		}
	}
	return level
}

// sizes is a list for JSON, never null.
func sizes(bits []uint16) []uint16 { return append([]uint16{}, slices.Sorted(slices.Values(bits))...) }

func without[T comparable](all, these []T) (rest []T) {
	for _, v := range all {
		if !slices.Contains(these, v) {
			rest = append(rest, v)
		}
	}
	return rest
}

// commandRanges writes command codes as ascending ranges, such as "0x11f-0x122,0x124".
func commandRanges(codes []wire.CC) string {
	codes = slices.Compact(slices.Sorted(slices.Values(codes)))
	var words []string
	for len(codes) > 0 {
		n := 1
		for n < len(codes) && codes[n] == codes[0]+wire.CC(n) {
			n++
		}
		word := fmt.Sprintf("0x%x", uint32(codes[0]))
		if n > 1 {
			word += fmt.Sprintf("-0x%x", uint32(codes[n-1]))
		}
		words, codes = append(words, word), codes[n:]
	}
	return strings.Join(words, ",")
}
