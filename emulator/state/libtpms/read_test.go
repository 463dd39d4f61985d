package libtpms_test

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/state/libtpms"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// file returns a file of Debian 12's swtpm 0.7.1 with libtpms 0.9.2. The first one is
// of a TPM with two endorsement keys and their certificates, two storage keys, an NV
// index of each type, authValues, a policy, and TPM2_Shutdown(CLEAR) at its end.
func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/libtpms-0.9.2" + name + ".permall")
	require.NoError(t, err)
	return b
}

// What is read is what tpm2-tools have shown of the TPM.
func TestRead(t *testing.T) {
	tpm, err := libtpms.Read(file(t, ""), nil)
	require.NoError(t, err)
	assert.Empty(t, tpm.OldSeeds)
	assert.False(t, tpm.Suspended)
	s := tpm.State
	p := &s.Persistent
	assert.Equal(t, "own endo lock", string(p.OwnerAuth.Bytes())+" "+string(p.EndorsementAuth.Bytes())+" "+string(p.LockoutAuth.Bytes()))
	for _, seed := range []state.TPM2B{p.EPSeed, p.SPSeed, p.PPSeed, p.EHProof, p.SHProof, p.PHProof} {
		assert.EqualValues(t, 64, seed.Size)
	}
	assert.EqualValues(t, 5, p.MaxTries)
	assert.EqualValues(t, 100, p.RecoveryTime)
	assert.EqualValues(t, 200, p.LockoutRecovery)
	assert.True(t, p.LockoutAuthEnabled)
	assert.Equal(t, state.ShutdownClear, p.Shutdown)
	assert.EqualValues(t, 2, p.ResetCount)
	assert.Equal(t, state.Policy{Alg: wire.AlgSHA256, Digest: state.TPM2B{Size: 32}}, p.OwnerPolicy)
	assert.Equal(t, state.Policy{Alg: wire.AlgNull}, p.LockoutPolicy)
	assert.True(t, p.AuditCommands.Has(wire.CCGetRandom))
	assert.True(t, p.AuditCommands.Has(wire.CCSetCommandCodeAuditStatus), "always audited")
	assert.False(t, p.AuditCommands.Has(wire.CCPCRRead))
	assert.Greater(t, s.Orderly.Clock, uint64(12354))
	assert.True(t, s.Orderly.Safe)

	banks := map[wire.AlgID]bool{}
	for _, b := range p.Allocation.Slice() {
		banks[b.Hash] = b.Select != wire.PCRSelect{}
	}
	assert.Equal(t, map[wire.AlgID]bool{wire.AlgSHA1: false, wire.AlgSHA256: true, wire.AlgSHA384: true, wire.AlgSHA512: false}, banks)

	data := map[wire.Handle]string{}
	for _, x := range s.NV.Indices {
		data[x.Handle] = hex.EncodeToString(x.Data)
		assert.Equal(t, x.Handle != 0x01800007, x.Written(), "0x%08x", uint32(x.Handle))
	}
	require.Len(t, data, 10)
	assert.Equal(t, hex.EncodeToString([]byte("sixteen bytes !!")), data[0x01800001])
	assert.Equal(t, "0000000000000002", data[0x01800002])
	assert.Equal(t, "0000000000000005", data[0x01800003])
	assert.Equal(t, "0000000000000001", data[0x01800005], "an orderly counter")
	assert.Equal(t, hex.EncodeToString([]byte("abcd")), data[0x01800006], "orderly data")
	assert.Equal(t, "idx", string(s.NV.Indices[0].Auth.Bytes()))

	var handles []wire.Handle
	for _, o := range s.Objects.List {
		handles = append(handles, o.Handle)
		want := wire.RHOwner
		if o.Handle >= 0x81010000 {
			want = wire.RHEndorsement
		}
		assert.Equal(t, want, o.Object.Hierarchy)
		assert.Equal(t, state.ObjectPrimary, o.Object.Flags)
	}
	assert.Equal(t, []wire.Handle{0x81000001, 0x81000002, 0x81010001, 0x81010016}, handles)
	// It is a state that this module can store.
	again, err := state.Decode(s.Encode(nil))
	require.NoError(t, err)
	assert.Equal(t, s.Objects, again.Objects)
}

func TestReadEncrypted(t *testing.T) {
	key := make([]byte, 32)
	key[31] = 7
	passphrase, err := pbkdf2.Key(sha512.New, "secretpass", []byte("swtpm"), 1000, 16)
	require.NoError(t, err)
	for name, key := range map[string][]byte{"-aes256": key, "-passphrase": passphrase} {
		blob := file(t, name)
		tpm, err := libtpms.Read(blob, key)
		require.NoError(t, err, name)
		assert.EqualValues(t, 64, tpm.State.Persistent.EPSeed.Size)
		_, err = libtpms.Read(blob, nil)
		require.ErrorIs(t, err, libtpms.ErrEncrypted)
		wrong := bytes.Clone(key)
		wrong[0] ^= 1
		_, err = libtpms.Read(blob, wrong)
		require.ErrorIs(t, err, libtpms.ErrKey)
		_, err = libtpms.Read(blob, key[:len(key)-1])
		require.ErrorIs(t, err, libtpms.ErrKey)
	}
	_, err = libtpms.Read(file(t, ""), key)
	require.ErrorIs(t, err, libtpms.ErrNotEncrypted)
}

// Files of libtpms 0.11 (commit 2d9b00c4) have profiles, longer lists and other
// versions of most structures. These are of TPMs with a storage key of P-256, a key of
// RSA 2048, two indices, TPM2_GetRandom audited, and TPM2_Shutdown(STATE) at the end.
func TestReadNewer(t *testing.T) {
	for _, profile := range []string{"default-v1", "default-v2"} {
		blob, err := os.ReadFile("testdata/libtpms-0.11-" + profile + ".permall")
		require.NoError(t, err)
		tpm, err := libtpms.Read(blob, nil)
		require.NoError(t, err, profile)
		assert.Contains(t, tpm.Profile, `"Name":"`+profile+`"`)
		assert.True(t, tpm.Suspended)
		assert.Empty(t, tpm.OldSeeds)
		s := tpm.State
		assert.Equal(t, state.ShutdownClear, s.Persistent.Shutdown)
		assert.True(t, s.Persistent.AuditCommands.Has(wire.CCGetRandom))
		assert.False(t, s.Persistent.AuditCommands.Has(wire.CCGetCapability))
		require.Len(t, s.Objects.List, 2)
		assert.Equal(t, wire.RHOwner, s.Objects.List[0].Object.Hierarchy)
		assert.Equal(t, wire.RHEndorsement, s.Objects.List[1].Object.Hierarchy)
		require.Len(t, s.NV.Indices, 2)
		assert.Equal(t, "abcd", string(s.NV.Indices[0].Data))
		assert.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 1}, s.NV.Indices[1].Data)
	}
}

// A file of the backend file:// has the same state in it.
func TestReadLinear(t *testing.T) {
	blob, err := os.ReadFile("testdata/swtpm-0.7.1-linear")
	require.NoError(t, err)
	tpm, err := libtpms.Read(blob, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 64, tpm.State.Persistent.EPSeed.Size)
	for _, at := range []int{8, 12, 15, 16, 17, 19} {
		bad := bytes.Clone(blob)
		bad[at] ^= 0xFF
		_, err := libtpms.Read(bad, nil)
		var format *libtpms.FormatError
		require.ErrorAs(t, err, &format, "%d", at)
	}
	_, err = libtpms.Read(blob[:200], nil)
	assert.Error(t, err)
}

// Damage is refused with the structure that has it.
func TestReadDamaged(t *testing.T) {
	blob := file(t, "")
	for n := range len(blob) {
		if n > 700 && n%97 != 0 {
			continue
		}
		_, err := libtpms.Read(blob[:n], nil)
		var format *libtpms.FormatError
		require.ErrorAs(t, err, &format, "%d bytes", n)
		// The frame agrees that there is less.
		if n >= 16 {
			short := bytes.Clone(blob[:n])
			binary.BigEndian.PutUint32(short[6:], uint32(n))
			binary.BigEndian.PutUint32(short[12:], uint32(n-16))
			_, err = libtpms.Read(short, nil)
			require.ErrorAs(t, err, &format, "%d bytes", n)
		}
	}
	for what, change := range map[string]struct {
		at    int
		value byte
	}{
		"header":                 {1, 9},
		"state":                  {18, 0},
		"compile-time constants": {26, 0},
		"persistent data":        {0x206 + 3, 0},
	} {
		bad := bytes.Clone(blob)
		bad[change.at] ^= 0x40
		bad[change.at] |= change.value
		_, err := libtpms.Read(bad, nil)
		var format *libtpms.FormatError
		require.ErrorAs(t, err, &format, what)
		assert.Equal(t, what, format.Part)
	}
}

func FuzzRead(f *testing.F) {
	key := make([]byte, 32)
	key[31] = 7
	f.Add(file(f, ""), false)
	f.Add(file(f, "-aes256"), true)
	f.Add([]byte{2, 1, 0, 10, 0, 0, 0, 0, 0, 10}, false)
	for _, name := range []string{"libtpms-0.11-default-v2.permall", "swtpm-0.7.1-linear"} {
		blob, err := os.ReadFile("testdata/" + name)
		require.NoError(f, err)
		f.Add(blob, false)
	}
	f.Fuzz(func(t *testing.T, blob []byte, encrypted bool) {
		k := key
		if !encrypted {
			k = nil
		}
		tpm, err := libtpms.Read(blob, k)
		if err != nil {
			assert.Nil(t, tpm)
			return
		}
		_, err = state.Decode(tpm.State.Encode(nil))
		require.NoError(t, err, "what is read can be stored")
	})
}
