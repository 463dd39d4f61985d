package conformance_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance"
)

// recorder is a transport of go-tpm that keeps the command and has no answer.
type recorder struct{ command []byte }

var errNoAnswer = errors.New("no answer")

func (r *recorder) Send(command []byte) ([]byte, error) {
	r.command = command
	return nil, errNoAnswer
}

// TestPacketsAreThoseOfGoTPM holds our layout against another author's.
func TestPacketsAreThoseOfGoTPM(t *testing.T) {
	t.Parallel()
	digest := make([]byte, 32)
	digest[0] = 0xab
	owner := tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth([]byte("secret"))}
	for _, c := range []struct {
		name    string
		execute func(*recorder) error
		packet  conformance.Packet
	}{
		{
			"no sessions",
			func(r *recorder) error { _, err := tpm2.GetRandom{BytesRequested: 16}.Execute(r); return err },
			conformance.Packet{Code: 0x17b, Parameters: []byte{0, 16}},
		},
		{
			"a handle and an empty password",
			func(r *recorder) error {
				_, err := tpm2.PCRExtend{
					PCRHandle: tpm2.AuthHandle{Handle: 10, Auth: tpm2.PasswordAuth(nil)},
					Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{
						HashAlg: tpm2.TPMAlgSHA256, Digest: digest,
					}}},
				}.Execute(r)
				return err
			},
			conformance.Packet{
				Code: 0x182, Handles: []uint32{10},
				Sessions:   []conformance.Session{conformance.Password(nil)},
				Parameters: append([]byte{0, 0, 0, 1, 0, 0x0b}, digest...),
			},
		},
		{
			"a password",
			func(r *recorder) error {
				_, err := tpm2.HierarchyChangeAuth{AuthHandle: owner, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("new")}}.Execute(r)
				return err
			},
			conformance.Packet{
				Code: 0x129, Handles: []uint32{0x40000001},
				Sessions:   []conformance.Session{conformance.Password([]byte("secret"))},
				Parameters: conformance.AppendSized(nil, []byte("new")),
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var r recorder
			require.ErrorIs(t, c.execute(&r), errNoAnswer)
			assert.Equal(t, hex.EncodeToString(r.command), hex.EncodeToString(c.packet.Bytes()))
			code, ok := conformance.CommandCode(c.packet.Bytes())
			assert.True(t, ok)
			assert.Equal(t, c.packet.Code, code)
		})
	}
}

func TestPacketsCanBeWrong(t *testing.T) {
	t.Parallel()
	one, big := uint32(1), uint32(0xffffffff)
	p := conformance.Packet{Code: 0x17b, Tag: conformance.Sessions, WrongSize: &big, WrongAuthSize: &one, Parameters: []byte{7}}
	assert.Equal(t, "8002ffffffff0000017b0000000107", hex.EncodeToString(p.Bytes()))
	p = conformance.Packet{Code: 0x17b, Tag: conformance.NoSessions, Sessions: []conformance.Session{{Handle: 0x40000009}}}
	assert.Equal(t, "8001000000170000017b00000009400000090000000000", hex.EncodeToString(p.Bytes()))
	_, ok := conformance.CommandCode(p.Bytes()[:9])
	assert.False(t, ok)
}

func TestParseResponse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code uint32
		raw  string
		want conformance.Response
	}{
		"error":      {0x17b, "80010000000a00000101", conformance.Response{Tag: 0x8001, Code: 0x101}},
		"bad tag":    {0x17b, "00c40000000a0000001e", conformance.Response{Tag: 0xc4, Code: 0x1e}},
		"parameters": {0x17b, "80010000000e0000000000020102", conformance.Response{Tag: 0x8001, Parameters: []byte{0, 2, 1, 2}}},
		"handle":     {0x186, "80010000000e0000000080000000", conformance.Response{Tag: 0x8001, Handle: 0x80000000, HasHandle: true, Parameters: []byte{}}},
		"session": {0x182, "80020000001300000000000000000000010000", conformance.Response{
			Tag: 0x8002, Parameters: []byte{}, Sessions: []conformance.Session{{Nonce: []byte{}, Attributes: 1, HMAC: []byte{}}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := hex.DecodeString(c.raw)
			require.NoError(t, err)
			got, err := conformance.ParseResponse(c.code, raw)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestParseResponseRefusesWhatIsMalformed(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"short":                    "80010000000a000000",
		"size field":               "80010000000b00000000",
		"error with parameters":    "80010000000b0000010100",
		"error with sessions":      "80020000000a00000101",
		"tag":                      "80030000000a00000000",
		"no parameterSize":         "80020000000c000000000000",
		"parameterSize too large":  "80020000000e0000000000000001",
		"session cut":              "8002000000120000000000000000000001" + "00",
		"four sessions":            "800200000022000000000000000000000100000000010000000001000000000100" + "00",
		"nonce beyond the end":     "800200000013000000000000000000ff010000",
		"attributes beyond theend": "80020000001000000000000000000000",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := hex.DecodeString(raw)
			require.NoError(t, err)
			_, err = conformance.ParseResponse(0x182, b)
			var malformed *conformance.MalformedError
			require.ErrorAs(t, err, &malformed)
			assert.Equal(t, "PCR_Extend", malformed.Command)
		})
	}
	_, err := conformance.ParseResponse(0x186, []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 1, 2})
	assert.ErrorContains(t, err, "no room for the handle")
}

func FuzzParseResponse(f *testing.F) {
	f.Add(uint32(0x182), []byte{0x80, 2, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0})
	f.Add(uint32(0x186), []byte{0x80, 1, 0, 0, 0, 14, 0, 0, 0, 0, 0x80, 0, 0, 0})
	f.Fuzz(func(t *testing.T, code uint32, raw []byte) {
		r, err := conformance.ParseResponse(code, raw)
		if err != nil {
			return
		}
		n := conformance.HeaderSize + len(r.Parameters)
		if r.HasHandle {
			n += 4
		}
		if r.Tag == conformance.Sessions {
			n += 4
		}
		for _, s := range r.Sessions {
			n += 5 + len(s.Nonce) + len(s.HMAC)
		}
		assert.Len(t, raw, n, "every byte is accounted for")
	})
}

func TestCommandsAreInOrderAndFound(t *testing.T) {
	t.Parallel()
	all := conformance.Commands()
	require.NotEmpty(t, all)
	for i, c := range all {
		if i > 0 {
			assert.Less(t, all[i-1].Code, c.Code)
		}
		found, ok := conformance.Lookup(c.Code)
		assert.True(t, ok)
		assert.Equal(t, c, found)
		assert.LessOrEqual(t, c.Auths, len(c.Handles))
	}
	_, ok := conformance.Lookup(0x123)
	assert.False(t, ok)
	assert.Equal(t, "0x123", conformance.CommandName(0x123))
	assert.Equal(t, "GetRandom", conformance.CommandName(uint32(tpm2.TPMCCGetRandom)))
	all[0].Name = "mine"
	assert.NotEqual(t, "mine", conformance.Commands()[0].Name, "callers get their own list")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "TPM_RC_SUCCESS", conformance.Describe(0))
	assert.Contains(t, conformance.Describe(0x1c4), "TPM_RC_VALUE (parameter 1)")
}
