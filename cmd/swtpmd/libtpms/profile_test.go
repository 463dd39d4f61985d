package libtpms_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/libtpms"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// config returns the TPM that a profile makes.
func config(t *testing.T, text string) emulator.Config {
	t.Helper()
	name, profile, err := libtpms.Parse([]byte(text))
	require.NoError(t, err, text)
	require.NotNil(t, profile, text)
	p, err := emulator.ParseProfile("test", profile)
	require.NoError(t, err, "%s", profile)
	assert.Equal(t, name, p.Name)
	_, err = emulator.New(emulator.Platform{}, p.Config)
	require.NoError(t, err)
	return p.Config.Full()
}

func TestProfilesOfLibtpms(t *testing.T) {
	null := config(t, `{"Name":"null"}`)
	assert.NotContains(t, null.Commands, wire.CCECCEncrypt)
	assert.NotContains(t, null.Commands, wire.CCNVDefineSpace2, "libtpms has none")
	assert.Contains(t, null.Commands, wire.CCCertifyX509)
	assert.Equal(t, []uint16{128, 256}, null.AESBits)
	assert.Equal(t, []uint16{1024, 2048, 3072}, null.RSABits)
	assert.Len(t, null.Banks, 4)
	first := config(t, `{"Name":"default-v1","Description":"words"}`)
	assert.Contains(t, first.Commands, wire.CCECCEncrypt)
	assert.Contains(t, first.Commands, wire.CCPolicyParameters)
	third := config(t, `{"Name":"custom","StateFormatLevel":3}`)
	assert.Contains(t, third.Commands, wire.CCECCEncrypt)
	assert.NotContains(t, third.Commands, wire.CCPolicyParameters)

	const needed = "hmac,aes,keyedhash,kdf1-sp800-108,cfb,symcipher,sha256,null,hmac-min-key-size=1,"
	own := config(t, `{"Name":"custom:small","Algorithms":"`+needed+`rsa,rsa-min-size=2048,rsassa,oaep,mgf1,aes-min-size=256,ecc,ecc-nist,ecc-bn-p256,ecc-min-size=256,ecdsa,ecdh,kdf1-sp800-56a","Attributes":""}`)
	assert.Equal(t, []uint16{2048, 3072}, own.RSABits)
	assert.Equal(t, []uint16{256}, own.AESBits)
	assert.Equal(t, []wire.Curve{wire.CurveNISTP256, wire.CurveNISTP384, wire.CurveNISTP521, wire.CurveBNP256}, own.Curves)
	assert.Equal(t, []emulator.Bank{{Alg: wire.AlgSHA256}}, own.Banks)
	assert.NotContains(t, own.Algorithms, wire.AlgECDAA)
	few := config(t, `{"Name":"custom","Commands":"0x142-0x144,0x17a,0x17c"}`)
	assert.NotContains(t, few.Commands, wire.CCCreatePrimary)
}

// A name that is none of libtpms's is for the emulator to know.
func TestOtherNames(t *testing.T) {
	name, profile, err := libtpms.Parse([]byte(`{"Name":"tiny"}`))
	require.NoError(t, err)
	assert.Equal(t, "tiny", name)
	assert.Nil(t, profile)
	for _, name := range libtpms.Names {
		text, err := libtpms.Named(name)
		require.NoError(t, err)
		assert.NotEmpty(t, text, name)
	}
}

func TestWhatCannotBeCarried(t *testing.T) {
	for text, says := range map[string]string{
		``:                                   "no profile in JSON",
		`[]`:                                 "no profile in JSON",
		`{"Name":"null"} more`:               "after the JSON object",
		`{}`:                                 "Name: it is missing",
		`{"Name":"null","Colour":"red"}`:     "Colour",
		`{"Name":"null","Algorithms":"rsa"}`: "only the profile custom",
		`{"Name":"default-v1","StateFormatLevel":7}`:                "only the profile custom",
		`{"Name":"custom\nomit Startup"}`:                           "no name has",
		`{"Name":"custom","StateFormatLevel":9}`:                    "the levels are 1 to 7",
		`{"Name":"custom","Attributes":"no-sha1-signing"}`:          "no-sha1-signing",
		`{"Name":"custom","Algorithms":"rsa,camellia"}`:             `"camellia": this TPM does not have it`,
		`{"Name":"custom","Algorithms":"rsa,rsa"}`:                  "twice",
		`{"Name":"custom","Algorithms":"rsa-min-size=x"}`:           "no number of bits",
		`{"Name":"custom","Algorithms":"tdes-min-size=128"}`:        "does not have it",
		`{"Name":"custom","Algorithms":"rsa"}`:                      "makes no TPM",
		`{"Name":"custom","Commands":"0x1ff"}`:                      "does not have the command 0x1ff",
		`{"Name":"custom","Commands":"0x144,0x143-0x144"}`:          "twice",
		`{"Name":"custom","Commands":"0x150-0x14f"}`:                "no code of a command",
		`{"Name":"custom","Commands":"0x144"}`:                      "",
		`{"Name":"custom","StateFormatLevel":2,"Commands":"0x199"}`: "takes the StateFormatLevel 3",
		`{"Name":"` + strings.Repeat("x", 1<<17) + `"}`:             "at most 65536",
	} {
		_, _, err := libtpms.Parse([]byte(text))
		var wrong *libtpms.Error
		require.ErrorAs(t, err, &wrong, text[:min(len(text), 80)])
		assert.ErrorContains(t, err, says)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"Name":"custom","StateFormatLevel":5,"Algorithms":"rsa,ecc-nist,aes-min-size=128","Commands":"0x11f-0x122,0x124"}`))
	f.Add([]byte(`{"Name":"null"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		name, profile, err := libtpms.Parse(text)
		if err != nil || profile == nil {
			return
		}
		p, err := emulator.ParseProfile("fuzz", profile)
		require.NoError(t, err)
		require.Equal(t, name, p.Name)
	})
}
