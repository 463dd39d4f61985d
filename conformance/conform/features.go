package conform

import (
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Features are what a TPM reports about itself, and what its transport can do.
type Features struct {
	// Commands has TPMA_CC by command code.
	Commands map[tpm2.TPMCC]uint32
	// Algs has TPMA_ALGORITHM by algorithm.
	Algs   map[tpm2.TPMAlgID]uint32
	Curves []tpm2.TPMECCCurve
	// Banks has how many PCRs of 0 to 23 there are by hash algorithm.
	Banks      map[tpm2.TPMAlgID]int
	Properties map[tpm2.TPMPT]uint32
	// Buffer is the size of the largest command or response that the TPM, and the way to it,
	// have room for.
	Buffer uint32

	Power, HashSequence, Localities bool
	// Control reports whether there is a control channel in swtpm's protocol.
	Control bool
	// ResourceManager reports whether a resource manager is between.
	ResourceManager bool
	// Locked says why a hierarchy cannot be used.
	Locked map[tpm2.TPMHandle]string
	// PCR reports whether PCR 16 and 23 are at their reset values.
	PCR bool
}

// Identity names a TPM.
type Identity struct {
	Manufacturer string `json:"manufacturer"`
	Vendor       string `json:"vendor"`
	Firmware     string `json:"firmware"`
	// Revision is that of the library specification, such as "1.59" or "185".
	Revision string `json:"revision"`
}

// Identity returns who made the TPM.
func (f *Features) Identity() Identity {
	vendor := ""
	for p := tpm2.TPMPTVendorString1; p <= tpm2.TPMPTVendorString4; p++ {
		vendor += printable(f.Properties[p])
	}
	return Identity{
		Manufacturer: printable(f.Properties[tpm2.TPMPTManufacturer]),
		Vendor:       vendor,
		Firmware:     fmt.Sprintf("%08x.%08x", f.Properties[tpm2.TPMPTFirmwareVersion1], f.Properties[tpm2.TPMPTFirmwareVersion2]),
		Revision:     revisionText(f.Properties[tpm2.TPMPTRevision]),
	}
}

// printable returns the characters in a property.
func printable(property uint32) string {
	var text []byte
	for _, c := range wire.U32(property) {
		if c >= ' ' && c <= '~' {
			text = append(text, c)
		}
	}
	return string(text)
}

// lacks returns what a case needs and the TPM does not have, "" if nothing.
func (f *Features) lacks(c *Case) string {
	for _, s := range [][]Step{c.Steps, c.After} {
		for i := range s {
			if text := f.stepLacks(&s[i]); text != "" {
				return text
			}
		}
	}
	n := &c.Needs
	for _, code := range n.Commands {
		if _, ok := f.Commands[code]; !ok {
			return "no TPM2_" + conformance.CommandName(uint32(code))
		}
	}
	for _, alg := range n.Algs {
		if _, ok := f.Algs[alg]; !ok {
			return "no algorithm " + AlgName(alg)
		}
	}
	for _, curve := range n.Curves {
		if !slices.Contains(f.Curves, curve) {
			return fmt.Sprintf("no curve %#x", uint16(curve))
		}
	}
	for _, set := range n.Sets {
		if f.Properties[parameterSets]&set.bit() == 0 {
			return "no " + set.String()
		}
	}
	for _, bank := range n.Banks {
		if f.Banks[bank] == 0 {
			return "no PCRs in the bank of " + AlgName(bank)
		}
	}
	switch {
	case f.Properties[tpm2.TPMPTRevision] < c.Section.Since:
		return "it is older than revision " + c.Section.Revision()
	case n.Power && !f.Power:
		return "no channel to reset it"
	case n.HashSequence && !f.HashSequence:
		return "no channel for the signals of a DRTM"
	case n.Localities && !f.Localities:
		return "no transport with localities"
	case n.PCR && !f.PCR:
		return "PCR 16 or 23 has been extended by somebody"
	case n.Objects > max(f.Properties[tpm2.TPMPTHRTransientMin], 3):
		return fmt.Sprintf("no room for %d objects", n.Objects)
	case n.Buffer > f.Buffer:
		return fmt.Sprintf("no room for %d octets in a command or a response", n.Buffer)
	case n.Other != nil:
		return n.Other(f)
	}
	return ""
}

func (f *Features) stepLacks(s *Step) string {
	if s.Action != 0 || s.Client != nil {
		return ""
	}
	if _, ok := f.Commands[s.Command]; !ok && !slices.Contains(s.Want, tpm2.TPMRCCommandCode) {
		return "no TPM2_" + conformance.CommandName(uint32(s.Command))
	}
	command, _ := conformance.Lookup(uint32(s.Command))
	for i := range min(command.Auths, len(s.Handles)) {
		if raw, ok := s.Handles[i].(Raw); ok && len(raw) == 4 {
			if why := f.Locked[tpm2.TPMHandle(wire.Number(raw))]; why != "" {
				return why
			}
		}
	}
	return ""
}

// AlgName returns the name of an algorithm.
func AlgName(alg tpm2.TPMAlgID) string {
	for _, known := range algNames {
		if known.alg == alg {
			return known.name
		}
	}
	return fmt.Sprintf("%#x", uint16(alg))
}

var algNames = []struct {
	alg  tpm2.TPMAlgID
	name string
}{
	{tpm2.TPMAlgRSA, "TPM_ALG_RSA"}, {tpm2.TPMAlgECC, "TPM_ALG_ECC"}, {tpm2.TPMAlgAES, "TPM_ALG_AES"},
	{tpm2.TPMAlgSHA1, "TPM_ALG_SHA1"}, {tpm2.TPMAlgSHA256, "TPM_ALG_SHA256"}, {tpm2.TPMAlgSHA384, "TPM_ALG_SHA384"},
	{tpm2.TPMAlgSHA512, "TPM_ALG_SHA512"}, {tpm2.TPMAlgHMAC, "TPM_ALG_HMAC"}, {tpm2.TPMAlgXOR, "TPM_ALG_XOR"},
	{tpm2.TPMAlgECDAA, "TPM_ALG_ECDAA"}, {tpm2.TPMAlgRSAPSS, "TPM_ALG_RSAPSS"}, {tpm2.TPMAlgOAEP, "TPM_ALG_OAEP"},
	{tpm2.TPMAlgCTR, "TPM_ALG_CTR"}, {tpm2.TPMAlgCBC, "TPM_ALG_CBC"}, {tpm2.TPMAlgECB, "TPM_ALG_ECB"}, {tpm2.TPMAlgOFB, "TPM_ALG_OFB"},
	{tpm2.TPMAlgCMAC, "TPM_ALG_CMAC"}, {tpm2.TPMAlgECSchnorr, "TPM_ALG_ECSCHNORR"}, {tpm2.TPMAlgRSAES, "TPM_ALG_RSAES"},
	{wire.AlgMLKEM, "TPM_ALG_MLKEM"}, {wire.AlgMLDSA, "TPM_ALG_MLDSA"}, {wire.AlgHashMLDSA, "TPM_ALG_HASH_MLDSA"},
	{wire.AlgEdDSA, "TPM_ALG_EDDSA"}, {wire.AlgHashEdDSA, "TPM_ALG_HASH_EDDSA"}, {wire.AlgHKDF, "TPM_ALG_HKDF"},
	{tpm2.TPMAlgSHA3256, "TPM_ALG_SHA3_256"}, {tpm2.TPMAlgSHA3384, "TPM_ALG_SHA3_384"}, {tpm2.TPMAlgSHA3512, "TPM_ALG_SHA3_512"},
	{tpm2.TPMAlgSHAKE256512, "TPM_ALG_SHAKE256_512"},
}
