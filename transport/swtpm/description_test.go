package swtpm_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// described is a small TPM with everything that a text can have.
var described = swtpm.Description{
	Revision: 164, Manufacturer: 0x1014, Firmware: 0x20191023, Model: "swtpm",
	Implemented: swtpm.Features{
		Algorithms: []wire.AlgID{wire.AlgECC, wire.AlgRSA, wire.AlgSHA1, wire.AlgHMAC, wire.AlgAES, wire.AlgCamellia, wire.AlgKDF1_SP800_56A, wire.AlgSHA3_256},
		Curves:     []wire.Curve{wire.CurveSM2P256, wire.CurveNISTP192, wire.CurveNISTP256, wire.CurveBNP256, wire.CurveBNP638},
		RSABits:    []uint16{2048, 1024, 3072, 4096}, AESBits: []uint16{128, 192, 256}, CamelliaBits: []uint16{128, 256},
		Commands: []wire.CC{0x122, 0x11F, 0x120, 0x121, 0x124, 0x144, 0x145, 0x199},
	},
	Needed: swtpm.Features{
		Algorithms: []wire.AlgID{wire.AlgHMAC, wire.AlgAES}, Curves: []wire.Curve{wire.CurveNISTP256},
		Commands: []wire.CC{0x144},
	},
	Profile: swtpm.Profile{Name: "small", Description: "a <small> \"one\"", Features: swtpm.Features{
		Algorithms: []wire.AlgID{wire.AlgECC, wire.AlgRSA, wire.AlgHMAC, wire.AlgAES},
		Curves:     []wire.Curve{wire.CurveNISTP192, wire.CurveNISTP256, wire.CurveBNP256},
		RSABits:    []uint16{2048, 4096}, AESBits: []uint16{128},
		Commands: []wire.CC{0x144, 0x145, 0x11F},
	}},
}

// TestDescription: the members of swtpm, their order and forms, as swtpm prints them.
func TestDescription(t *testing.T) {
	t.Parallel()
	const (
		specification = `"TPMSpecification":{"family":"2.0","level":0,"revision":164}`
		attributes    = `"TPMAttributes":{"manufacturer":"id:00001014","version":"id:20191023","model":"swtpm"}`
		features      = `"TPMFeatures":{"RSAKeySizes":[2048,4096],"CamelliaKeySizes":[]}`
		algorithms    = `"RuntimeAlgorithms":{` +
			`"Implemented":"rsa,rsa-min-size=1024,sha1,hmac,hmac-min-key-size=1,aes,aes-min-size=128,null,kdf1-sp800-56a,` +
			`ecc,ecc-min-size=192,ecc-nist,ecc-bn,ecc-nist-p192,ecc-nist-p256,ecc-bn-p256,ecc-bn-p638,ecc-sm2-p256,` +
			`camellia,camellia-min-size=128,sha3-256",` +
			`"CanBeDisabled":"rsa,sha1,kdf1-sp800-56a,ecc,ecc-nist,ecc-bn,ecc-nist-p192,ecc-bn-p256,ecc-bn-p638,ecc-sm2-p256,camellia,sha3-256",` +
			`"Enabled":"rsa,rsa-min-size=2048,hmac,aes,aes-min-size=128,null,ecc,ecc-min-size=192,ecc-nist,ecc-nist-p192,ecc-nist-p256,ecc-bn-p256",` +
			`"Disabled":"sha1,kdf1-sp800-56a,ecc-bn,ecc-bn-p638,ecc-sm2-p256,camellia,sha3-256"}`
		commands = `"RuntimeCommands":{"Implemented":"0x11f-0x122,0x124,0x144-0x145,0x199",` +
			`"CanBeDisabled":"0x11f-0x122,0x124,0x145,0x199","Enabled":"0x11f,0x144-0x145","Disabled":"0x120-0x122,0x124,0x199"}`
		own     = `"RuntimeAttributes":{"Implemented":"","CanBeDisabled":"","Enabled":"","Disabled":""}`
		profile = `{"Name":"small","StateFormatLevel":8,"Commands":"0x11f,0x144-0x145",` +
			`"Algorithms":"rsa,rsa-min-size=2048,hmac,aes,aes-min-size=128,null,ecc,ecc-min-size=192,ecc-nist,ecc-bn-p256",` +
			`"Description":"a <small> \"one\""}`
	)
	d := described
	d.Profiles = func() []swtpm.Profile { return []swtpm.Profile{d.Profile, d.Profile} }
	for _, c := range []struct {
		version swtpm.Version
		flags   uint64
		stopped bool
		want    string
	}{
		{want: ``},
		{flags: 0x100, want: ``},
		{flags: 1, want: specification},
		{flags: 7, want: specification + "," + attributes + "," + features},
		{flags: swtpm.InfoRuntimeAttributes | swtpm.InfoActiveProfile, want: own + `,"ActiveProfile":` + profile},
		{flags: swtpm.InfoActiveProfile, stopped: true, want: ``},
		{flags: swtpm.InfoAvailableProfiles, stopped: true, want: `"AvailableProfiles":[` + profile + "," + profile + `]`},
		{flags: ^uint64(0), want: specification + "," + attributes + "," + features + "," + algorithms + "," + commands + "," + own +
			`,"ActiveProfile":` + profile + `,"AvailableProfiles":[` + profile + "," + profile + `]`},
		{version: swtpm.V0_7, flags: ^uint64(0), want: specification + "," + attributes + "," + features},
	} {
		text, err := d.Text(c.version, c.flags, !c.stopped)
		require.NoError(t, err)
		assert.Equal(t, "{"+c.want+"}", string(text), "%v %#x", c.version, c.flags)
		assert.True(t, json.Valid(text))
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, v := range swtpm.Versions() {
		parsed, err := swtpm.ParseVersion(v.String())
		require.NoError(t, err)
		assert.Equal(t, v, parsed)
		assert.Equal(t, v.String(), v.Release()[:len(v.String())])
	}
	for _, text := range []string{"", "0.1", "0.10.0", "0.7.1", "0.11", "V0_7"} {
		_, err := swtpm.ParseVersion(text)
		assert.IsType(t, &swtpm.UnknownVersionError{}, err, text)
		assert.ErrorContains(t, err, "choose 0.7 or 0.10")
	}
}
