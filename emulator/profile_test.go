package emulator_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestProfiles(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"default", "hardware-like", "pc-client", "roomy", "tiny", "v185"}, emulator.Profiles())
	for _, name := range emulator.Profiles() {
		p, err := emulator.ProfileByName(name)
		require.NoError(t, err)
		assert.Equal(t, name, p.Name)
		assert.NotEmpty(t, p.Title)
		tpm := et.New(t, et.WithConfig(p.Config))
		assert.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCSelfTest, nil, nil, et.U8(1))), name)
	}
	_, err := emulator.ProfileByName("laptop")
	var unknown *emulator.UnknownProfileError
	require.ErrorAs(t, err, &unknown)
	assert.Contains(t, err.Error(), "tiny")
}

func TestHardwareLikeProfile(t *testing.T) {
	t.Parallel()
	p, err := emulator.ProfileByName("hardware-like")
	require.NoError(t, err)
	tpm := et.New(t, et.WithConfig(p.Config))
	for pt, want := range map[wire.PT]uint32{
		wire.PTRevision: 138, wire.PTYear: 2018, wire.PTManufacturer: 0x53574D44, wire.PTVendorTPMType: 0,
		wire.PTFirmwareVersion1: 7<<16 | 61, wire.PTFirmwareVersion2: 0,
		wire.PTPSFamilyIndicator: 1, wire.PTPSRevision: 0x104, wire.PTPSYear: 0,
		wire.PTInputBuffer: 1024, wire.PTMaxCommandSize: 1280, wire.PTMaxResponseSize: 1280, wire.PTMaxDigest: 32,
		wire.PTHRTransientMin: 3, wire.PTHRPersistentMin: 7, wire.PTActiveSessionsMax: 64, wire.PTNVIndexMax: 1664,
		wire.PTContextHash: uint32(wire.AlgSHA256), wire.PTContextSymSize: 128, wire.PTLoadedCurves: 2,
	} {
		assert.Equal(t, want, property(t, tpm, pt), pt)
	}
	banks := et.Parameters(tpm.Execute(0, getCapability(wire.CapPCRs, 0, 1)), false)
	assert.Equal(t, []byte{0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0xB, 3, 0xFF, 0xFF, 0xFF}, banks)
	assert.Equal(t, wire.RCCommandCode, send(t, tpm, et.Command(wire.CCPCRSetAuthValue, handles{20}, et.NoAuth(), et.Sized(nil))))
	assert.Equal(t, wire.RCHash.Parameter(1), send(t, tpm, extend(16, ha(wire.AlgSHA384, 1))), "no bank has the algorithm")
}

// A roomy TPM holds what it promises, all at once, hands it over, and refuses the next.
func TestRoomyProfile(t *testing.T) {
	t.Parallel()
	p, err := emulator.ProfileByName("roomy")
	require.NoError(t, err)
	tpm := et.New(t, et.WithConfig(p.Config))
	const objects, sessions, active, persistent = 256, 64, 256, 64
	for pt, want := range map[wire.PT]uint32{
		wire.PTHRTransientMin: objects, wire.PTHRLoadedMin: sessions, wire.PTActiveSessionsMax: active, wire.PTHRPersistentMin: persistent,
	} {
		assert.Equal(t, want, property(t, tpm, pt), pt)
	}
	for i := range wire.Handle(50) { // as many as the default profile has room for
		succeed(t, tpm, define(wire.RHOwner, nvPublic{index: 0x01800000 + i, size: 2048}, nil))
	}
	saved := saveContext(t, tpm, load(t, tpm, storagePrimary()))
	for i := range persistent {
		succeed(t, tpm, evict(wire.RHOwner, object, 0x81000000+wire.Handle(i)))
	}
	for i := 1; i < objects; i++ {
		rc, h := loadContext(tpm, saved)
		require.Equal(t, wire.RCSuccess, rc, i)
		require.Equal(t, wire.Handle(0x80000000+i), h)
	}
	for i := range sessions {
		kind := []wire.SE{wire.SEHMAC, wire.SEPolicy, wire.SETrial}[i%3]
		require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(kind)), i)
	}
	full := func(tpm *et.TPM) {
		rc, _ := loadContext(tpm, saved)
		assert.Equal(t, wire.RCObjectMemory, rc)
		assert.Equal(t, wire.RCSessionMemory, send(t, tpm, startSession(wire.SEHMAC)))
		assert.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCReadPublic, handles{0x80000000 + objects - 1}, nil)))
		// A persistent object takes a slot while it is used.
		flush(t, tpm, 0x80000000)
		assert.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCReadPublic, handles{0x81000000 + persistent - 1}, nil)))
		rc, _ = loadContext(tpm, saved)
		assert.Equal(t, wire.RCSuccess, rc)
	}
	full(tpm)
	permanent, volatile, err := tpm.SaveState()
	require.NoError(t, err)
	other := et.New(t, et.WithConfig(p.Config))
	require.NoError(t, other.LoadState(permanent, volatile))
	full(other)
	// A session that is saved makes room for another one, until there are no handles.
	for i := sessions; i < active; i++ {
		saveContext(t, tpm, sessionHandle(i-sessions))
		require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEHMAC)), i)
	}
	saveContext(t, tpm, sessionHandle(active-sessions))
	assert.Equal(t, wire.RCSessionHandles, send(t, tpm, startSession(wire.SEHMAC)))
}

// sessionHandle is that of the session which TestRoomyProfile starts as the ith.
func sessionHandle(i int) wire.Handle {
	if i < 64 && i%3 != 0 {
		return wire.PolicyFirst + wire.Handle(i)
	}
	return wire.HMACFirst + wire.Handle(i)
}

// What a profile does not say is as in the zero Config, and what the default one
// says too.
func TestDefaultProfileIsTheZeroConfig(t *testing.T) {
	t.Parallel()
	list := func(c emulator.Config) [][]byte {
		tpm := et.New(t, et.WithConfig(c))
		var all [][]byte
		for _, q := range []struct {
			c     wire.Cap
			first uint32
		}{{wire.CapAlgs, 0}, {wire.CapCommands, 0}, {wire.CapPPCommands, 0}, {wire.CapPCRs, 0}, {wire.CapECCCurves, 0},
			{wire.CapTPMProperties, uint32(wire.PTFixed)}, {wire.CapTPMProperties, uint32(wire.PTVar)}} {
			all = append(all, tpm.Execute(0, getCapability(q.c, q.first, 1000)))
		}
		return all
	}
	zero := list(emulator.Config{})
	for name, text := range map[string]string{"one line": "profile mine", "the default one": ""} {
		if text == "" {
			b, err := emulator.ProfileFile("default")
			require.NoError(t, err)
			text = string(b)
		}
		p, err := emulator.ParseProfile(name, []byte(text))
		require.NoError(t, err)
		assert.Equal(t, zero, list(p.Config), name)
	}
}

func TestParseProfile(t *testing.T) {
	t.Parallel()
	p, err := emulator.ParseProfile("mine.profile", []byte(`# a comment
profile mine title="a #1 TPM"   # and one behind
identity vendor="A B" firmware=1.2.3.65535 type=0x10
limits	transient=8 buffer=0x1000
algorithms ECC ECDH ECDSA KDF1_SP800_56A AES CFB SHA256
algorithms HMAC KEYEDHASH KDF1_SP800_108
curves NIST_P521 NIST_P256
bits aes 256
bank SHA256 unallocated
bank SHA3_384
algorithms SHA3_384
omit GetRandom
omit ReadClock NV_Certify
`))
	require.NoError(t, err)
	c := p.Config
	assert.Equal(t, "mine", p.Name)
	assert.Equal(t, "a #1 TPM", p.Title)
	assert.Equal(t, "A B", c.Identity.Vendor)
	assert.Equal(t, "SWMD", c.Identity.Manufacturer)
	assert.EqualValues(t, 0x000100020003FFFF, c.Identity.Firmware)
	assert.EqualValues(t, 16, c.Identity.TPMType)
	assert.EqualValues(t, 8, c.Limits.Transient)
	assert.EqualValues(t, 7, c.Limits.Persistent)
	assert.Len(t, c.Algorithms, 11)
	assert.Equal(t, []wire.Curve{wire.CurveNISTP521, wire.CurveNISTP256}, c.Curves)
	assert.Equal(t, []uint16{256}, c.AESBits)
	assert.Nil(t, c.RSABits)
	assert.Equal(t, []emulator.Bank{{Alg: wire.AlgSHA256, Unallocated: true}, {Alg: wire.AlgSHA3_384}}, c.Banks)
	assert.NotContains(t, c.Commands, wire.CCGetRandom)
	assert.NotContains(t, c.Commands, wire.CCReadClock)
	assert.Contains(t, c.Commands, wire.CCPCRExtend)
}

// Every message names the file, the line, what is wrong and what would be right.
func TestProfileErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string // after the profile line
		line int
		want string
	}{
		{"profil x", 2, `directive "profil": there is no such directive: choose algorithms, bank`},
		{"profile again", 2, "a file begins with its one profile line"},
		{"identity", 0, ""},
		{"identity maker=X", 2, `identity: key "maker": there is no such key: choose firmware, manufacturer, type, vendor`},
		{"identity vendor", 2, `identity: word "vendor": it is no key=value`},
		{"identity vendor=A vendor=B", 2, "it comes twice"},
		{"identity vendor=\"Ä\"", 2, "not ASCII"},
		{"identity manufacturer=12345", 2, "identity: key manufacturer: 12345 makes no TPM: at most 4 characters"},
		{"identity firmware=7.63", 2, "no version such as"},
		{"identity firmware=1.2.3.65536", 2, "each part is from 0 to 65535"},
		{"specification revision=1.38", 2, `key "revision": "1.38" is no number`},
		{"limits transient=4294967296", 2, "is no number from 0 to 4294967295"},
		{"\nlimits transient=2", 3, "limits: key transient: 2 makes no TPM: 3 to 256"},
		{"limits buffer=512", 2, "limits: key buffer: 512 makes no TPM"},
		{"algorithms", 2, "algorithms: it needs names"},
		{"algorithms TDES", 2, `algorithms: "TDES": there is none of that name`},
		{"algorithms SHA256 SHA256", 2, "it comes twice"},
		{"algorithms SHA256", 2, "algorithms: without HMAC makes no TPM: add it"},
		{"curves P256", 2, "choose among [NIST_P192"},
		{"bits", 2, "it begins with aes, rsa"},
		{"bits des 56", 2, "it begins with aes, rsa"},
		{"bits rsa many", 2, "key sizes such as"},
		{"bits rsa 512", 2, "bits rsa: RSA with 512 bits is not supported: choose among [1024"},
		{"bank", 2, "it has the name of a hash"},
		{"bank SHA1 off", 2, "may say unallocated"},
		{"bank MD5", 2, `bank "MD5": there is no algorithm of that name`},
		{"bank RSA", 2, "bank: RSA is not supported as PCR bank"},
		{"bank SHA1\nbank SHA1", 3, "name each bank once"},
		{"commands NV_Certify2", 2, "there is none of that name: swtpmd commands lists"},
		{"commands GetRandom", 2, "commands: without Startup makes no TPM"},
		{"omit Startup", 2, "without Startup"},
		{"omit Nothing", 2, "there is none of that name"},
		{"commands Startup\nomit ReadClock", 3, "commands in line 2 has named others"},
		{"omit ReadClock\ncommands Startup", 3, "omit in line 2 has named others"},
		{"identity vendor=\"x", 2, "a quotation mark is not closed"},
		{"identity \x01", 2, "a character that is no text"},
	} {
		p, err := emulator.ParseProfile("mine.profile", []byte("profile mine\n"+tc.text))
		if tc.want == "" {
			assert.NoError(t, err, tc.text)
			continue
		}
		assert.Nil(t, p)
		var wrong *emulator.ProfileError
		if assert.ErrorAs(t, err, &wrong, tc.text) {
			assert.Equal(t, "mine.profile", wrong.File)
			assert.Equal(t, tc.line, wrong.Line, tc.text)
			assert.Contains(t, err.Error(), tc.want, tc.text)
			assert.True(t, strings.HasPrefix(err.Error(), "mine.profile:"), err.Error())
		}
	}
	for text, want := range map[string]string{
		"":                             "there is no profile line",
		"# only a comment\n":           "there is no profile line",
		"identity vendor=x":            "a file begins with its one profile line",
		"profile":                      "it needs a name",
		"profile title=x":              "it needs a name",
		"profile x color=red":          "there is no such key: choose title",
		strings.Repeat("#", 1<<16) + x: "at most 65536",
	} {
		_, err := emulator.ParseProfile("f", []byte(text))
		assert.ErrorContains(t, err, want)
	}
}

const x = "#"

func FuzzProfile(f *testing.F) {
	for _, name := range emulator.Profiles() {
		text, err := emulator.ProfileFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("profile x\nlimits transient=256 active-sessions=1024\nbits rsa 4096\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		p, err := emulator.ParseProfile("fuzz", text)
		if !bytes.Equal(before, text) {
			t.Fatal("the text has changed")
		}
		if err != nil {
			var wrong *emulator.ProfileError
			if !assert.ErrorAs(t, err, &wrong) || wrong.Line < 0 || wrong.Line > 1+bytes.Count(text, []byte("\n")) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		tpm := et.New(t, et.WithConfig(p.Config))
		if rc := send(t, tpm, getCapability(wire.CapTPMProperties, uint32(wire.PTFixed), 1000)); rc != wire.RCSuccess {
			t.Fatalf("a profile makes a TPM that cannot say what it is: %v", rc)
		}
	})
}
