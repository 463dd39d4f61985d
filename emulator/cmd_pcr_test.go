package emulator_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// allowed is the PC Client table, written as the localities that may.
type allowed struct{ extend, reset string }

func pcrAllowed(pcr int) allowed {
	switch {
	case pcr < 16:
		return allowed{"01234", ""}
	case pcr == 16, pcr == 23:
		return allowed{"01234", "0123"}
	case pcr == 17, pcr == 18:
		return allowed{"234", ""}
	case pcr == 19:
		return allowed{"23", ""}
	case pcr == 20:
		return allowed{"123", "2"}
	}
	return allowed{"2", "2"}
}

func noIncrement(pcr int) bool { return pcr == 16 || pcr == 21 || pcr == 22 || pcr == 23 }

func TestPCRLocalities(t *testing.T) {
	t.Parallel()
	for _, locality := range []uint8{0, 1, 2, 3, 4, 5, 31, 32, 255} {
		tpm := et.New(t)
		name := fmt.Sprint(locality)
		may := func(set string) wire.RC {
			if len(name) == 1 && bytes.Contains([]byte(set), []byte(name)) {
				return wire.RCSuccess
			}
			return wire.RCLocality
		}
		for pcr := range 24 {
			where := fmt.Sprintf("PCR %d at locality %d", pcr, locality)
			h, want := wire.Handle(pcr), may(pcrAllowed(pcr).extend)
			old, counter := readPCR(t, tpm, wire.AlgSHA256, pcr), updateCounter(t, tpm)
			assert.Equal(t, want, sendAt(t, tpm, locality, extend(h, ha(wire.AlgSHA256, 1))), where)
			assert.Equal(t, want, sendAt(t, tpm, locality, et.Command(wire.CCPCREvent, handles{h}, et.NoAuth(), et.Sized(nil))), where)
			now := updateCounter(t, tpm)
			if want == wire.RCSuccess {
				assert.NotEqual(t, old, readPCR(t, tpm, wire.AlgSHA256, pcr), where)
				if noIncrement(pcr) {
					assert.Equal(t, counter, now, where)
				} else {
					assert.Equal(t, counter+1+4, now, "%s: once per bank extended", where)
				}
			} else {
				assert.Equal(t, old, readPCR(t, tpm, wire.AlgSHA256, pcr), where)
				assert.Equal(t, counter, now, where)
			}
			want = may(pcrAllowed(pcr).reset)
			assert.Equal(t, want, sendAt(t, tpm, locality, et.Command(wire.CCPCRReset, handles{h}, et.NoAuth())), where)
			if want == wire.RCSuccess {
				assert.Equal(t, make([]byte, 32), readPCR(t, tpm, wire.AlgSHA256, pcr), where)
				assert.Equal(t, make([]byte, 20), readPCR(t, tpm, wire.AlgSHA1, pcr), where)
			}
		}
	}
}

func TestPCRExtend(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	c := extend(7, ha(wire.AlgSHA256, 1), ha(wire.AlgSHA1, 2), ha(wire.AlgSHA256, 3))
	rsp := tpm.Execute(0, c)
	assert.Equal(t, []byte{0x80, 2, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}, rsp)
	one := sha256.Sum256(append(make([]byte, 32), bytes.Repeat([]byte{1}, 32)...))
	two := sha256.Sum256(append(one[:], bytes.Repeat([]byte{3}, 32)...))
	assert.Equal(t, two[:], readPCR(t, tpm, wire.AlgSHA256, 7), "in the order of the list")
	other := sha1.Sum(append(make([]byte, 20), bytes.Repeat([]byte{2}, 20)...))
	assert.Equal(t, other[:], readPCR(t, tpm, wire.AlgSHA1, 7))
	assert.Equal(t, make([]byte, 48), readPCR(t, tpm, wire.AlgSHA384, 7), "a bank that is not named")

	for _, tc := range []struct {
		name string
		c    []byte
		want wire.RC
	}{
		{"NULL", extend(wire.RHNull, ha(wire.AlgSHA256, 1)), wire.RCSuccess},
		{"as many as there are hashes", extend(1, ha(wire.AlgSHA1, 1), ha(wire.AlgSHA1, 1), ha(wire.AlgSHA1, 1), ha(wire.AlgSHA1, 1)), wire.RCSuccess},
		{"one more", extend(1, ha(wire.AlgSHA1, 1), ha(wire.AlgSHA1, 1), ha(wire.AlgSHA1, 1), ha(wire.AlgSHA1, 1), ha(wire.AlgSHA1, 1)), wire.RCSize.Parameter(1)},
		{"hash that is off", extend(1, ha(wire.AlgSHA3_256, 1)), wire.RCHash.Parameter(1)},
		{"NULL hash", extend(1, wire.HA{Hash: wire.AlgNull}), wire.RCHash.Parameter(1)},
		{"short digest", extend(1, wire.HA{Hash: wire.AlgSHA1, Digest: make([]byte, 19)}), wire.RCInsufficient.Parameter(1)},
		{"long digest", extend(1, wire.HA{Hash: wire.AlgSHA1, Digest: make([]byte, 21)}), wire.RCSize},
	} {
		assert.Equal(t, tc.want, send(t, tpm, tc.c), tc.name)
	}
}

// A bank that is implemented but not allocated takes no digests.
func TestPCRExtendUnallocatedBank(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA256}, {Alg: wire.AlgSHA1, Unallocated: true}}}))
	counter := updateCounter(t, tpm)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, extend(1, ha(wire.AlgSHA1, 1), ha(wire.AlgSHA384, 1))))
	assert.Equal(t, counter, updateCounter(t, tpm))
	assert.Nil(t, readPCR(t, tpm, wire.AlgSHA1, 1))
	assert.Nil(t, readPCR(t, tpm, wire.AlgSHA384, 1))
	assert.NotNil(t, readPCR(t, tpm, wire.AlgSHA256, 1))
}

func TestPCREvent(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	data := bytes.Repeat([]byte("event"), 200)
	want := sha256.Sum256(data)
	rsp := tpm.Execute(0, et.Command(wire.CCPCREvent, handles{5}, et.NoAuth(), et.Sized(data)))
	d1, d3, d5 := sha1.Sum(data), sha512.Sum384(data), sha512.Sum512(data)
	assert.Equal(t, et.Digests(wire.HA{Hash: wire.AlgSHA1, Digest: d1[:]}, wire.HA{Hash: wire.AlgSHA256, Digest: want[:]},
		wire.HA{Hash: wire.AlgSHA384, Digest: d3[:]}, wire.HA{Hash: wire.AlgSHA512, Digest: d5[:]}), et.Parameters(rsp, false))
	pcr := sha256.Sum256(append(make([]byte, 32), want[:]...))
	assert.Equal(t, pcr[:], readPCR(t, tpm, wire.AlgSHA256, 5))

	for n, rc := range map[int]wire.RC{0: wire.RCSuccess, 1024: wire.RCSuccess, 1025: wire.RCSize.Parameter(1)} {
		assert.Equal(t, rc, send(t, tpm, et.Command(wire.CCPCREvent, handles{5}, et.NoAuth(), et.Sized(make([]byte, n)))), n)
	}
	counter := updateCounter(t, tpm)
	rsp = tpm.Execute(0, et.Command(wire.CCPCREvent, handles{wire.RHNull}, et.NoAuth(), et.Sized(data)))
	assert.Equal(t, want[:], et.Parameters(rsp, false)[4+2+20+2:][:32], "digests also without a PCR")
	assert.Equal(t, counter, updateCounter(t, tpm))
}

func TestPCRRead(t *testing.T) {
	t.Parallel()
	c := et.New(t).Client()
	read := func(list ...tpm2.TPMSPCRSelection) *tpm2.PCRReadResponse {
		rsp, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{PCRSelections: list}}.Execute(c)
		require.NoError(t, err)
		return rsp
	}
	sel := func(alg tpm2.TPMAlgID, pcrs ...uint) tpm2.TPMSPCRSelection {
		return tpm2.TPMSPCRSelection{Hash: alg, PCRSelect: tpm2.PCClientCompatible.PCRs(pcrs...)}
	}
	rsp := read(sel(tpm2.TPMAlgSHA256, 0, 1, 2, 3, 4, 5), sel(tpm2.TPMAlgSHA1, 20, 21, 22, 23))
	require.Len(t, rsp.PCRValues.Digests, 8, "never more than eight")
	assert.Equal(t, sel(tpm2.TPMAlgSHA1, 20, 21), rsp.PCRSelectionOut.PCRSelections[1], "and what was read is said")
	assert.Equal(t, bytes.Repeat([]byte{0xFF}, 20), rsp.PCRValues.Digests[7].Buffer)
	rsp = read()
	assert.Empty(t, rsp.PCRValues.Digests)
	rsp = read(sel(tpm2.TPMAlgSHA512, 23), sel(tpm2.TPMAlgSHA512, 23))
	assert.Len(t, rsp.PCRValues.Digests, 2, "a bank twice")

	tpm := et.New(t)
	for name, tc := range map[string]struct {
		p    []byte
		want wire.RC
	}{
		"five entries": {append(et.U32(5), bytes.Repeat([]byte{0, 0xB, 3, 1, 0, 0}, 5)...), wire.RCSize.Parameter(1)},
		"no hash":      {[]byte{0, 0, 0, 1, 0, 1, 3, 1, 0, 0}, wire.RCHash.Parameter(1)},
		"small select": {[]byte{0, 0, 0, 1, 0, 0xB, 2, 1, 0}, wire.RCValue.Parameter(1)},
		"large select": {[]byte{0, 0, 0, 1, 0, 0xB, 4, 1, 0, 0, 0}, wire.RCValue.Parameter(1)},
	} {
		assert.Equal(t, tc.want, send(t, tpm, et.Command(wire.CCPCRRead, nil, nil, tc.p)), name)
	}
}

func TestSHA3Banks(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA3_256}, {Alg: wire.AlgSHA3_384}, {Alg: wire.AlgSHA256}}}))
	require.Equal(t, wire.RCSuccess, send(t, tpm, extend(4, ha(wire.AlgSHA3_256, 1), ha(wire.AlgSHA256, 1))))
	want := sha3.Sum256(append(make([]byte, 32), bytes.Repeat([]byte{1}, 32)...))
	assert.Equal(t, want[:], readPCR(t, tpm, wire.AlgSHA3_256, 4))
	assert.Equal(t, make([]byte, 48), readPCR(t, tpm, wire.AlgSHA3_384, 4))
	rsp := tpm.Execute(0, et.Command(wire.CCPCREvent, handles{5}, et.NoAuth(), et.Sized([]byte("e"))))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	assert.EqualValues(t, 3, r.U32(), "one digest per implemented bank")
	assert.Equal(t, wire.AlgSHA3_256, wire.AlgID(r.U16()), "in the order of the configuration")
}

// allocation is the answer to GetCapability(PCRS).
func allocation(tb testing.TB, tpm *et.TPM) []byte {
	return et.Parameters(tpm.Execute(0, getCapability(wire.CapPCRs, 0, 1)), false)[5:]
}

func selections(list ...[]byte) []byte {
	b := et.U32(uint32(len(list)))
	for _, s := range list {
		b = append(b, s[4:]...)
	}
	return b
}

func TestPCRAllocate(t *testing.T) {
	t.Parallel()
	all := make([]int, 24)
	for i := range all {
		all[i] = i
	}
	full := func(alg wire.AlgID) []byte { return et.Selection(alg, all...) }
	none := func(alg wire.AlgID) []byte { return et.Selection(alg) }
	const size = 24 * (20 + 32 + 48 + 64)
	answer := func(ok uint8, needed uint32) []byte {
		return append(append([]byte{ok, 0, 0, 0, 24}, et.U32(needed)...), et.U32(size)...)
	}
	for _, tc := range []struct {
		name   string
		p      []byte
		rc     wire.RC
		answer []byte
		next   []byte
	}{
		{"nothing", selections(), wire.RCSuccess, answer(1, size), selections(full(4), full(0xB), full(0xC), full(0xD))},
		{"one bank less", selections(none(4)), wire.RCSuccess, answer(1, size-24*20), selections(none(4), full(0xB), full(0xC), full(0xD))},
		{"only SHA-256", selections(none(4), none(0xC), none(0xD)), wire.RCSuccess, answer(1, 24*32), selections(none(4), full(0xB), none(0xC), none(0xD))},
		{"last entry counts", selections(none(4), full(4)), wire.RCSuccess, answer(1, size), selections(full(4), full(0xB), full(0xC), full(0xD))},
		{"two PCRs", selections(none(4), et.Selection(0xB, 0, 17), none(0xC), none(0xD)), wire.RCSuccess, answer(1, 64), selections(none(4), et.Selection(0xB, 0, 17), none(0xC), none(0xD))},
		{"in two banks", selections(et.Selection(4, 0), et.Selection(0xB, 17), none(0xC), none(0xD)), wire.RCSuccess, answer(1, 52), selections(et.Selection(4, 0), et.Selection(0xB, 17), none(0xC), none(0xD))},
		{"no PCR at all", selections(none(4), none(0xB), none(0xC), none(0xD)), wire.RCPCR, nil, nil},
		{"without PCR 0", selections(none(4), et.Selection(0xB, 1, 17), none(0xC), none(0xD)), wire.RCPCR, nil, nil},
		{"without PCR 17", selections(none(4), et.Selection(0xB, 0, 1), none(0xC), none(0xD)), wire.RCPCR, nil, nil},
		{"no hash", selections(et.Selection(wire.AlgSHA3_256, 0)), wire.RCHash.Parameter(1), nil, nil},
	} {
		tpm := et.New(t)
		before := allocation(t, tpm)
		rsp := tpm.Execute(0, et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), tc.p))
		require.Equal(t, tc.rc, et.ResponseCode(rsp), tc.name)
		assert.Equal(t, before, allocation(t, tpm), "%s: not before the next _TPM_Init", tc.name)
		if tc.rc != wire.RCSuccess {
			assert.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState), tc.name)
			continue
		}
		assert.Equal(t, tc.answer, et.Parameters(rsp, false), tc.name)
		assert.Equal(t, wire.RCType.Parameter(1), tpm.Shutdown(wire.SUState), "%s: no Resume into other banks", tc.name)
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
		for range 2 {
			require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
			assert.Equal(t, tc.next, allocation(t, tpm), tc.name)
		}
	}
}

// Of two requests the second counts, from the allocation in force.
func TestPCRAllocateTwice(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	before := allocation(t, tpm)
	for _, p := range [][]byte{et.Selection(wire.AlgSHA1), selections()} {
		require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), p)))
	}
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, before, allocation(t, tpm))
}

// A bank that the TPM does not implement cannot be allocated, though its hash
// is known: allocationSuccess is NO and nothing changes.
func TestPCRAllocateUnimplementedBank(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA256}}}))
	rsp := tpm.Execute(0, et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), et.Selection(wire.AlgSHA1, 0, 17)))
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	assert.Equal(t, []byte{0, 0, 0, 0, 24, 0, 0, 3, 0, 0, 0, 3, 0}, et.Parameters(rsp, false))
	assert.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
}

// A PCR that is not allocated is as if it were not there.
func TestAllocatedPCRsOnly(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), et.Selection(wire.AlgSHA256, 0, 17))))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, extend(7, ha(wire.AlgSHA256, 1))))
	assert.Nil(t, readPCR(t, tpm, wire.AlgSHA256, 7))
	assert.NotNil(t, readPCR(t, tpm, wire.AlgSHA1, 7))
	assert.NotNil(t, readPCR(t, tpm, wire.AlgSHA256, 17))
}

// Another configuration finds the allocation of the banks it knows, and the
// saved PCRs of those.
func TestConfigurationChange(t *testing.T) {
	t.Parallel()
	store := &et.Store{}
	tpm := et.New(t, et.WithStore(store))
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), selections(et.Selection(wire.AlgSHA1), et.Selection(wire.AlgSHA256, 0, 3, 17)))))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	require.Equal(t, wire.RCSuccess, send(t, tpm, extend(3, ha(wire.AlgSHA256, 1))))
	value := readPCR(t, tpm, wire.AlgSHA256, 3)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))

	other := et.New(t, et.WithStore(store), et.WithoutStartup(), et.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA256}}}))
	require.Equal(t, wire.RCSuccess, other.Startup(0, wire.SUState))
	assert.Equal(t, value, readPCR(t, other, wire.AlgSHA256, 3))
	assert.Nil(t, readPCR(t, other, wire.AlgSHA256, 4))
	require.NoError(t, other.PowerOff())
	other = et.New(t, et.WithStore(store), et.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA3_256}, {Alg: wire.AlgSHA256}}}))
	assert.NotNil(t, readPCR(t, other, wire.AlgSHA256, 3))
	assert.Nil(t, readPCR(t, other, wire.AlgSHA256, 4))
	assert.Equal(t, make([]byte, 32), readPCR(t, other, wire.AlgSHA3_256, 3))
}

func TestPCRSetAuthPolicy(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	set := func(n int, alg wire.AlgID, pcr uint32) wire.RC {
		return send(t, tpm, et.Command(wire.CCPCRSetAuthPolicy, handles{wire.RHPlatform}, et.NoAuth(), et.Sized(make([]byte, n)), et.U16(uint16(alg)), et.U32(pcr)))
	}
	assert.Equal(t, wire.RCSize.Parameter(1), set(31, wire.AlgSHA256, 20))
	assert.Equal(t, wire.RCSize.Parameter(1), set(32, wire.AlgNull, 20))
	assert.Equal(t, wire.RCSize.Parameter(1), set(65, wire.AlgSHA512, 20))
	assert.Equal(t, wire.RCHash.Parameter(2), set(32, wire.AlgRSA, 20))
	assert.Equal(t, wire.RCValue.Parameter(3), set(32, wire.AlgSHA256, 19))
	assert.Equal(t, wire.RCValue.Parameter(3), set(32, wire.AlgSHA256, 24))
	assert.Equal(t, wire.RCValue.Parameter(3), set(32, wire.AlgSHA256, uint32(wire.RHNull)))
	auth := func(h wire.Handle) wire.RC {
		return send(t, tpm, et.Command(wire.CCPCRSetAuthValue, handles{h}, et.NoAuth(), et.Sized(nil)))
	}
	require.Equal(t, wire.RCSuccess, auth(20))
	require.Equal(t, wire.RCSuccess, set(32, wire.AlgSHA256, 21))
	for _, h := range []wire.Handle{20, 21, 22} {
		assert.Equal(t, wire.RCAuthType, auth(h), "a PCR of the group needs its policy now")
	}
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, wire.RCAuthType, auth(20), "the policy persists")
	require.Equal(t, wire.RCSuccess, set(0, wire.AlgNull, 22))
	assert.Equal(t, wire.RCSuccess, auth(20))
}

func TestPCRSetAuthValue(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	set := func(h wire.Handle, password, value []byte) wire.RC {
		return send(t, tpm, et.Command(wire.CCPCRSetAuthValue, handles{h}, [][]byte{password}, et.Sized(value)))
	}
	assert.Equal(t, wire.RCValue, set(19, nil, nil), "PCR 19 is in no group")
	assert.Equal(t, wire.RCSize.Parameter(1), set(20, nil, make([]byte, 65)))
	require.Equal(t, wire.RCSuccess, set(20, nil, []byte("secret\x00\x00")))
	ext := func(h wire.Handle, password string) wire.RC {
		return sendAt(t, tpm, 2, et.Command(wire.CCPCRExtend, handles{h}, [][]byte{[]byte(password)}, et.Digests()))
	}
	for _, h := range []wire.Handle{20, 21, 22} {
		assert.Equal(t, wire.RCBadAuth.Session(1), ext(h, ""))
		assert.Equal(t, wire.RCSuccess, ext(h, "secret"))
		assert.Equal(t, wire.RCSuccess, ext(h, "secret\x00"))
	}
	assert.Equal(t, wire.RCSuccess, ext(19, ""))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, wire.RCSuccess, ext(20, ""), "a TPM Reset empties it")
}

// A shutdown with TPM_SU_STATE does not outlast a new allocation: a bank that
// comes with a TPM Resume would be empty, as if nothing had been measured.
func TestAllocationAfterShutdown(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA256}, {Alg: wire.AlgSHA384, Unallocated: true}}}))
	succeed(t, tpm, extend(3, ha(wire.AlgSHA256, 1)))
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	succeed(t, tpm, et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), et.Selection(wire.AlgSHA384, 3)))
	require.Equal(t, wire.RCValue.Parameter(1), tpm.Restart(wire.SUState))
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
}

// Neither does it outlast banks that another Config brings.
func TestBanksOfAnotherConfigAfterShutdown(t *testing.T) {
	t.Parallel()
	store := &et.Store{}
	start := func(banks ...emulator.Bank) *et.TPM {
		return et.New(t, et.WithStore(store), et.WithoutStartup(), et.WithConfig(emulator.Config{Banks: banks}))
	}
	sha256, sha384 := emulator.Bank{Alg: wire.AlgSHA256}, emulator.Bank{Alg: wire.AlgSHA384}
	tpm := start(sha256)
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	for _, tc := range []struct {
		banks []emulator.Bank
		want  wire.RC
	}{
		{[]emulator.Bank{sha256}, wire.RCSuccess},
		{[]emulator.Bank{sha256, {Alg: wire.AlgSHA512, Unallocated: true}}, wire.RCSuccess},
		{[]emulator.Bank{sha256, sha384}, wire.RCValue.Parameter(1)},
	} {
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		require.NoError(t, tpm.PowerOff())
		tpm = start(tc.banks...)
		require.Equal(t, tc.want, tpm.Startup(0, wire.SUState), "%v", tc.banks)
	}
}
