package emulator_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// generated starts a structure that the TPM has made.
var generated = []byte("\xFFTCG")

// ticket is a TPMT_TK_HASHCHECK behind a digest in response parameters.
func ticket(tb testing.TB, params []byte) (digest []byte, hierarchy wire.Handle, hmac []byte) {
	tb.Helper()
	r := wire.NewReader(params, nil)
	digest = r.Sized(wire.MaxDigest)
	require.EqualValues(tb, wire.STHashCheck, r.U16())
	hierarchy = wire.Handle(r.U32())
	hmac = r.Sized(wire.MaxDigest)
	require.Equal(tb, wire.RCSuccess, r.RC())
	require.Zero(tb, r.Len())
	return digest, hierarchy, hmac
}

func hashCommand(data []byte, alg wire.AlgID, hierarchy wire.Handle) []byte {
	return et.Command(wire.CCHash, nil, nil, et.Sized(data), et.U16(uint16(alg)), et.U32(uint32(hierarchy)))
}

func TestHash(t *testing.T) {
	t.Parallel()
	c := et.New(t).Client()
	for _, hierarchy := range []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatform, tpm2.TPMRHNull} {
		rsp, err := tpm2.Hash{Data: tpm2.TPM2BMaxBuffer{Buffer: []byte("abc")}, HashAlg: tpm2.TPMAlgSHA384, Hierarchy: hierarchy}.Execute(c)
		require.NoError(t, err)
		want := sha512.Sum384([]byte("abc"))
		assert.Equal(t, want[:], rsp.OutHash.Buffer)
		assert.Equal(t, hierarchy, rsp.Validation.Hierarchy)
		if hierarchy == tpm2.TPMRHNull {
			assert.Empty(t, rsp.Validation.Digest.Buffer)
		} else {
			assert.Len(t, rsp.Validation.Digest.Buffer, 64)
		}
	}
	tpm := et.New(t)
	for _, tc := range []struct {
		name string
		c    []byte
		want wire.RC
	}{
		{"largest", hashCommand(make([]byte, 1024), wire.AlgSHA1, wire.RHNull), wire.RCSuccess},
		{"too large", hashCommand(make([]byte, 1025), wire.AlgSHA1, wire.RHNull), wire.RCSize.Parameter(1)},
		{"no hash", hashCommand(nil, wire.AlgRSA, wire.RHNull), wire.RCHash.Parameter(2)},
		{"NULL hash", hashCommand(nil, wire.AlgNull, wire.RHNull), wire.RCHash.Parameter(2)},
		{"lockout is no hierarchy", hashCommand(nil, wire.AlgSHA1, wire.RHLockout), wire.RCValue.Parameter(3)},
	} {
		assert.Equal(t, tc.want, send(t, tpm, tc.c), tc.name)
	}
}

// A ticket says that a digest is safe to sign: there is none for what starts
// like a structure of the TPM. It is bound to hierarchy, algorithm and digest.
func TestHashTickets(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	seen := map[string]bool{}
	for _, data := range []string{"", "a", "\xFFTC", "abcd"} {
		for _, alg := range []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256} {
			for _, h := range []wire.Handle{wire.RHOwner, wire.RHPlatform} {
				_, hierarchy, hmac := ticket(t, et.Parameters(tpm.Execute(0, hashCommand([]byte(data), alg, h)), false))
				assert.Equal(t, h, hierarchy)
				assert.Len(t, hmac, 64)
				assert.False(t, seen[string(hmac)])
				seen[string(hmac)] = true
				_, _, again := ticket(t, et.Parameters(tpm.Execute(0, hashCommand([]byte(data), alg, h)), false))
				assert.Equal(t, hmac, again)
			}
		}
	}
	for _, data := range [][]byte{generated, append(generated[:4:4], 1, 2)} {
		_, hierarchy, hmac := ticket(t, et.Parameters(tpm.Execute(0, hashCommand(data, wire.AlgSHA256, wire.RHOwner)), false))
		assert.Equal(t, wire.RHNull, hierarchy)
		assert.Empty(t, hmac)
	}
}

func sequenceUpdate(h wire.Handle, password, data []byte) []byte {
	return et.Command(wire.CCSequenceUpdate, handles{h}, [][]byte{password}, et.Sized(data))
}

func complete(h wire.Handle, data []byte, hierarchy wire.Handle) []byte {
	return et.Command(wire.CCSequenceComplete, handles{h}, [][]byte{pw}, et.Sized(data), et.U32(uint32(hierarchy)))
}

func eventComplete(pcr, h wire.Handle, data []byte) []byte {
	return et.Command(wire.CCEventSequenceComplete, handles{pcr, h}, [][]byte{nil, pw}, et.Sized(data))
}

func TestHashSequence(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		blocks []string
		last   string
		ticket bool
	}{
		{"no data", nil, "", false},
		{"only last", nil, "abcd", true},
		{"short only", nil, "abc", false},
		{"blocks", []string{"abcd", "ef"}, "g", true},
		{"short first block", []string{"abc", "defg"}, "h", false},
		{"empty first block", []string{"", "abcd"}, "", false},
		{"generated", []string{"\xFFTCG", "x"}, "", false},
		{"generated later", []string{"abcd", "\xFFTCG"}, "\xFFTCG", true},
		{"generated last", nil, "\xFFTCGx", false},
	} {
		tpm := et.New(t)
		h := loadSequence(t, tpm, wire.AlgSHA256)
		all := ""
		for _, b := range tc.blocks {
			require.Equal(t, wire.RCSuccess, send(t, tpm, sequenceUpdate(h, pw, []byte(b))), tc.name)
			all += b
		}
		rsp := tpm.Execute(0, complete(h, []byte(tc.last), wire.RHOwner))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
		digest, hierarchy, hmac := ticket(t, et.Parameters(rsp, false))
		want := sha256.Sum256([]byte(all + tc.last))
		assert.Equal(t, want[:], digest, tc.name)
		if tc.ticket {
			assert.Equal(t, wire.RHOwner, hierarchy, tc.name)
			_, _, same := ticket(t, et.Parameters(tpm.Execute(0, hashCommand([]byte(all+tc.last), wire.AlgSHA256, wire.RHOwner)), false))
			assert.Equal(t, same, hmac, "%s: as TPM2_Hash makes it", tc.name)
		} else {
			assert.Equal(t, wire.RHNull, hierarchy, tc.name)
			assert.Empty(t, hmac, tc.name)
		}
		assert.Equal(t, wire.RCReferenceH0, send(t, tpm, sequenceUpdate(h, pw, nil)), "it is gone")
	}
}

func TestSequenceErrors(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	hash, event := loadSequence(t, tpm, wire.AlgSHA1), loadSequence(t, tpm, wire.AlgNull)
	for _, tc := range []struct {
		name string
		c    []byte
		want wire.RC
	}{
		{"wrong password", sequenceUpdate(hash, nil, nil), wire.RCBadAuth.Session(1)},
		{"too long", sequenceUpdate(hash, pw, make([]byte, 1025)), wire.RCSize.Parameter(1)},
		{"complete an event sequence", complete(event, nil, wire.RHNull), wire.RCMode.Handle(1)},
		{"bad hierarchy", complete(hash, nil, wire.RHLockout), wire.RCValue.Parameter(2)},
		{"hash sequence as event", eventComplete(16, hash, nil), wire.RCMode.Handle(2)},
		{"PCR of another locality", eventComplete(17, event, nil), wire.RCLocality},
		{"start with no hash", et.Command(wire.CCHashSequenceStart, nil, nil, et.Sized(nil), et.U16(1)), wire.RCHash.Parameter(2)},
		{"start with long password", et.Command(wire.CCHashSequenceStart, nil, nil, et.Sized(make([]byte, 65)), et.U16(4)), wire.RCSize.Parameter(1)},
		{"third slot", et.Command(wire.CCHashSequenceStart, nil, nil, et.Sized(nil), et.U16(4)), wire.RCSuccess},
		{"no fourth slot", et.Command(wire.CCHashSequenceStart, nil, nil, et.Sized(nil), et.U16(4)), wire.RCObjectMemory},
		{"it works after all that", sequenceUpdate(hash, pw, []byte("x")), wire.RCSuccess},
	} {
		assert.Equal(t, tc.want, send(t, tpm, tc.c), tc.name)
	}
}

func TestEventSequence(t *testing.T) {
	t.Parallel()
	for _, pcr := range []wire.Handle{9, wire.RHNull} {
		tpm := et.New(t)
		h := loadSequence(t, tpm, wire.AlgNull)
		for range 3 {
			require.Equal(t, wire.RCSuccess, send(t, tpm, sequenceUpdate(h, pw, bytes.Repeat([]byte("d"), 1000))))
		}
		rsp := tpm.Execute(0, eventComplete(pcr, h, []byte("end")))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
		digest := sha256.Sum256(append(bytes.Repeat([]byte("d"), 3000), "end"...))
		params := et.Parameters(rsp, false)
		assert.Equal(t, []byte{0, 0, 0, 4}, params[:4])
		assert.Equal(t, digest[:], params[4+2+20+2:][:32])
		want := make([]byte, 32)
		if pcr != wire.RHNull {
			sum := sha256.Sum256(append(want, digest[:]...))
			want = sum[:]
		}
		assert.Equal(t, want, readPCR(t, tpm, wire.AlgSHA256, 9))
		assert.Equal(t, wire.RCReferenceH0, send(t, tpm, sequenceUpdate(h, pw, nil)), "it is gone")
	}
}

func TestFlushContext(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	flush := func(h wire.Handle) wire.RC {
		return send(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(h))))
	}
	h := loadSequence(t, tpm, wire.AlgSHA1)
	other := loadSequence(t, tpm, wire.AlgSHA1)
	assert.EqualValues(t, 1, property(t, tpm, wire.PTHRTransientAvail))
	assert.Equal(t, wire.RCSuccess, flush(h))
	assert.Equal(t, wire.RCHandle.Parameter(1), flush(h))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, sequenceUpdate(other, pw, nil)))
	assert.Equal(t, h, loadSequence(t, tpm, wire.AlgSHA1), "the lowest free handle is next")
	for _, bad := range []wire.Handle{0, wire.RHOwner, wire.RSPW, 0x01000000, 0x81000000, 0x80000003, 0x02000040} {
		assert.Equal(t, wire.RCValue.Parameter(1), flush(bad), bad)
	}
	for _, absent := range []wire.Handle{0x80000002, 0x02000000, 0x0300003F} {
		assert.Equal(t, wire.RCHandle.Parameter(1), flush(absent), absent)
	}
}
