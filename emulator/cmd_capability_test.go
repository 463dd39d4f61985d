package emulator_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// list asks for a capability and gives the entries as bytes, each of size.
func list(tb testing.TB, tpm *et.TPM, c wire.Cap, property, count uint32, size int) (entries [][]byte, more bool) {
	tb.Helper()
	rsp := tpm.Execute(0, getCapability(c, property, count))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	more = r.YesNo()
	require.EqualValues(tb, c, r.U32())
	for range r.U32() {
		entries = append(entries, r.Bytes(size))
	}
	require.Equal(tb, wire.RCSuccess, r.RC())
	require.Zero(tb, r.Len())
	return entries, more
}

// paged are the capabilities whose entries have one size and start with the
// number to go on from.
func paged() []struct {
	c     wire.Cap
	first uint32
	size  int
	key   func([]byte) uint32
} {
	u16 := func(b []byte) uint32 { return uint32(b[0])<<8 | uint32(b[1]) }
	u32 := func(b []byte) uint32 { return u16(b)<<16 | u16(b[2:]) }
	return []struct {
		c     wire.Cap
		first uint32
		size  int
		key   func([]byte) uint32
	}{
		{wire.CapAlgs, 0, 6, u16},
		{wire.CapHandles, uint32(wire.PCRFirst), 4, u32},
		{wire.CapHandles, uint32(wire.RHOwner), 4, u32},
		{wire.CapHandles, uint32(wire.TransientFirst), 4, u32},
		{wire.CapCommands, 0, 4, func(b []byte) uint32 { return u32(b) & 0xFFFF }},
		{wire.CapTPMProperties, uint32(wire.PTFixed), 8, u32},
		{wire.CapTPMProperties, uint32(wire.PTVar), 8, u32},
		{wire.CapPCRProperties, 0, 8, u32},
	}
}

// Reading page by page gives what reading at once gives, and moreData is right
// on every page.
func TestPaging(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	loadSequence(t, tpm, wire.AlgSHA1)
	loadSequence(t, tpm, wire.AlgSHA1)
	for _, p := range paged() {
		whole, more := list(t, tpm, p.c, p.first, 1000, p.size)
		require.NotEmpty(t, whole, p.c)
		require.False(t, more, p.c)
		for _, count := range []uint32{1, 2, 7} {
			var got [][]byte
			next := p.first
			for {
				page, more := list(t, tpm, p.c, next, count, p.size)
				require.LessOrEqual(t, len(page), int(count))
				got = append(got, page...)
				if !more {
					break
				}
				next = p.key(page[len(page)-1]) + 1
			}
			assert.Equal(t, whole, got, "capability %d by %d", p.c, count)
		}
		none, more := list(t, tpm, p.c, p.first, 0, p.size)
		assert.Empty(t, none)
		assert.True(t, more, "capability %d: count 0 and there is some", p.c)
	}
}

func TestCapabilityErrors(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for _, tc := range []struct {
		c        wire.Cap
		property uint32
		want     wire.RC
	}{
		{wire.CapACT, 0, wire.RCValue.Parameter(2)},
		{wire.CapACT, uint32(wire.RHACT0) - 1, wire.RCValue.Parameter(2)},
		{wire.CapACT, uint32(wire.RHACTF) + 1, wire.RCValue.Parameter(2)},
		{wire.CapPubKeys, 0x100, wire.RCValue.Parameter(2)},
		{wire.CapSPDMSessions, 1, wire.RCValue.Parameter(2)},
		{wire.CapSPDMSessions + 1, 0, wire.RCValue.Parameter(1)},
		{wire.CapVendorProperty, 0, wire.RCValue.Parameter(1)},
		{0xFFFFFFFF, 0, wire.RCValue.Parameter(1)},
		{wire.CapPCRs, 1, wire.RCValue.Parameter(2)},
		{wire.CapHandles, 0x04000000, wire.RCHandle.Parameter(2)},
		{wire.CapHandles, uint32(wire.HTAC) << 24, wire.RCHandle.Parameter(2)},
		{wire.CapHandles, 0xFFFFFFFF, wire.RCHandle.Parameter(2)},
		{wire.CapAuthPolicies, 0, wire.RCValue.Parameter(2)},
		{wire.CapAuthPolicies, 0x80000000, wire.RCValue.Parameter(2)},
	} {
		assert.Equal(t, tc.want, send(t, tpm, getCapability(tc.c, tc.property, 1)), "%d %x", tc.c, tc.property)
	}
}

// A TPM has an empty list of what it lacks, unless it is of a time that knew
// nothing of it.
func TestCapabilitiesOfWhatIsLacking(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		profile string
		c       wire.Cap
		knows   bool
	}{
		{"default", wire.CapACT, true},
		{"pc-client", wire.CapACT, true},
		{"hardware-like", wire.CapACT, false},
		{"default", wire.CapPubKeys, true},
		{"pc-client", wire.CapPubKeys, false},
		{"default", wire.CapSPDMSessions, true},
		{"pc-client", wire.CapSPDMSessions, false},
	} {
		p, err := emulator.ProfileByName(tc.profile)
		require.NoError(t, err)
		tpm := et.New(t, et.WithConfig(p.Config))
		properties := map[wire.Cap][]uint32{
			wire.CapACT: {uint32(wire.RHACT0), uint32(wire.RHACTF)}, wire.CapPubKeys: {0, 0xFF}, wire.CapSPDMSessions: {0},
		}
		for _, property := range properties[tc.c] {
			for _, count := range []uint32{0, 1, 1000} {
				if !tc.knows {
					assert.Equal(t, wire.RCValue.Parameter(1), send(t, tpm, getCapability(tc.c, property, count)), "%s %d", tc.profile, tc.c)
					continue
				}
				entries, more := list(t, tpm, tc.c, property, count, 1)
				assert.Empty(t, entries)
				assert.False(t, more)
			}
		}
	}
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	algorithms := func() (ids []wire.AlgID) {
		entries, _ := list(t, tpm, wire.CapAlgs, 0, 1000, 6)
		for _, e := range entries {
			ids = append(ids, wire.AlgID(binary.BigEndian.Uint16(e)))
		}
		return ids
	}
	assert.True(t, slices.IsSorted(algorithms()))
	assert.ElementsMatch(t, emulator.DefaultAlgorithms(), algorithms())
	got, _ := list(t, tpm, wire.CapAlgs, 0xB, 3, 6)
	assert.Equal(t, [][]byte{{0, 0xB, 0, 0, 0, 4}, {0, 0xC, 0, 0, 0, 4}, {0, 0xD, 0, 0, 0, 4}}, got)
	curves, _ := list(t, tpm, wire.CapECCCurves, 0, 1000, 2)
	assert.Equal(t, [][]byte{{0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {0, 0x10}, {0, 0x11}, {0, 0x20}}, curves)

	tpm = et.New(t, et.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA3_256}}}))
	assert.ElementsMatch(t, append(emulator.DefaultAlgorithms(), wire.AlgSHA3_256), algorithms(), "a bank switches its hash on")
	assert.Equal(t, wire.RCSuccess, send(t, tpm, hashCommand(nil, wire.AlgSHA3_256, wire.RHNull)))
}

func TestHandles(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	handlesFrom := func(h wire.Handle) []wire.Handle {
		entries, _ := list(t, tpm, wire.CapHandles, uint32(h), 1000, 4)
		hs := []wire.Handle{}
		for _, e := range entries {
			r := wire.NewReader(e, nil)
			hs = append(hs, wire.Handle(r.U32()))
		}
		return hs
	}
	assert.Len(t, handlesFrom(0), 24)
	assert.Equal(t, []wire.Handle{22, 23}, handlesFrom(22))
	assert.Empty(t, handlesFrom(24))
	assert.Equal(t, []wire.Handle{wire.RHOwner, wire.RHNull, wire.RSPW, wire.RHLockout, wire.RHEndorsement, wire.RHPlatform, wire.RHPlatformNV}, handlesFrom(0x40000000))
	for _, h := range []wire.Handle{wire.NVIndexFirst, wire.HMACFirst, wire.PolicyFirst, wire.PersistentFirst, wire.TransientFirst} {
		assert.Empty(t, handlesFrom(h), h)
	}
	a, b := loadSequence(t, tpm, wire.AlgSHA1), loadSequence(t, tpm, wire.AlgNull)
	assert.Equal(t, []wire.Handle{a, b}, handlesFrom(wire.TransientFirst))
	require.NoError(t, tpm.HashStart())
	assert.Equal(t, []wire.Handle{a, b}, handlesFrom(wire.TransientFirst), "the sequence of locality 4 has no handle")
}

// The masks that swtpm 0.7.1 reports, low octet first.
func TestPCRProperties(t *testing.T) {
	t.Parallel()
	want := map[wire.PTPCR][3]byte{
		wire.PTPCRSave:     {0xFF, 0xFF, 0x00},
		wire.PTPCRExtendL0: {0xFF, 0xFF, 0x81}, wire.PTPCRResetL0: {0, 0, 0x81},
		wire.PTPCRExtendL1: {0xFF, 0xFF, 0x91}, wire.PTPCRResetL1: {0, 0, 0x81},
		wire.PTPCRExtendL2: {0xFF, 0xFF, 0xFF}, wire.PTPCRResetL2: {0, 0, 0xF1},
		wire.PTPCRExtendL3: {0xFF, 0xFF, 0x9F}, wire.PTPCRResetL3: {0, 0, 0x81},
		wire.PTPCRExtendL4: {0xFF, 0xFF, 0x87}, wire.PTPCRResetL4: {0, 0, 0x7E},
		wire.PTPCRNoIncrement: {0, 0, 0xE1}, wire.PTPCRDRTMReset: {0, 0, 0x7E},
		wire.PTPCRPolicy: {0, 0, 0x70}, wire.PTPCRAuth: {0, 0, 0x70},
	}
	entries, _ := list(t, et.New(t), wire.CapPCRProperties, 0, 1000, 8)
	require.Len(t, entries, len(want))
	for _, e := range entries {
		r := wire.NewReader(e, nil)
		tag := wire.PTPCR(r.U32())
		require.EqualValues(t, 3, r.U8())
		assert.Equal(t, want[tag], [3]byte(r.Rest()), "property 0x%02X", uint32(tag))
	}
}

func TestAllocatedBanks(t *testing.T) {
	t.Parallel()
	c := et.New(t).Client()
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, PropertyCount: 1}.Execute(c)
	require.NoError(t, err)
	sel, err := rsp.CapabilityData.Data.AssignedPCR()
	require.NoError(t, err)
	require.Len(t, sel.PCRSelections, 4, "all banks whatever the count")
	assert.Equal(t, tpm2.TPMAlgSHA1, sel.PCRSelections[0].Hash)
	assert.Equal(t, []byte{0xFF, 0xFF, 0xFF}, sel.PCRSelections[0].PCRSelect)
	rsp, err = tpm2.GetCapability{Capability: tpm2.TPMCapPCRs}.Execute(c)
	require.NoError(t, err)
	assert.True(t, rsp.MoreData)
}

func TestAuthPolicies(t *testing.T) {
	t.Parallel()
	entries, more := list(t, et.New(t), wire.CapAuthPolicies, 0x40000000, 1000, 6)
	assert.False(t, more)
	want := [][]byte{}
	for _, h := range []wire.Handle{wire.RHOwner, wire.RHLockout, wire.RHEndorsement, wire.RHPlatform} {
		want = append(want, append(et.U32(uint32(h)), 0, 0x10))
	}
	assert.Equal(t, want, entries, "none has a policy")
}

func TestFixedProperties(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for pt, want := range map[wire.PT]uint32{
		wire.PTFamilyIndicator: 0x322E3000, wire.PTLevel: 0, wire.PTRevision: 164, wire.PTDayOfYear: 75, wire.PTYear: 2021,
		wire.PTVendorString1: 0x53572020, wire.PTVendorString2: 0x2054504D, wire.PTVendorString3: 0, wire.PTVendorString4: 0,
		wire.PTInputBuffer: 1024, wire.PTHRTransientMin: 3, wire.PTHRPersistentMin: 7, wire.PTHRLoadedMin: 3,
		wire.PTActiveSessionsMax: 64, wire.PTPCRCount: 24, wire.PTPCRSelectMin: 3, wire.PTContextGapMax: 0xFFFF,
		wire.PTNVIndexMax: 2048, wire.PTMemory: 6, wire.PTClockUpdate: 4096, wire.PTContextHash: 0xD,
		wire.PTContextSym: 6, wire.PTContextSymSize: 256, wire.PTMaxCommandSize: 4096, wire.PTMaxResponseSize: 4096,
		wire.PTMaxDigest: 64, wire.PTNVBufferMax: 1024, wire.PTMaxCapBuffer: 1024,
		wire.PTPermanent: 0x400, wire.PTStartupClear: 0x8000000F, wire.PTLoadedCurves: 8,
		wire.PTMaxAuthFail: 3, wire.PTLockoutInterval: 1000, wire.PTLockoutRecovery: 1000,
	} {
		assert.Equal(t, want, property(t, tpm, pt), "0x%03X", uint32(pt))
	}
	groups := map[uint32]int{0: 46, 0x100: 46, 0x115: 25, 0x12E: 1, 0x12F: 0, 0x1FF: 0, 0x200: 21, 0x214: 1, 0x215: 0, 0x300: 0, 0xFFFFFFFF: 0}
	for first, n := range groups {
		entries, more := list(t, tpm, wire.CapTPMProperties, first, 1000, 8)
		assert.Len(t, entries, n, "0x%03X", first)
		assert.False(t, more)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithConfig(emulator.Config{Identity: emulator.Identity{Manufacturer: "AB", Vendor: "0123456789abcdef", Firmware: 0x0102030405060708, TPMType: 9}}))
	for pt, want := range map[wire.PT]uint32{
		wire.PTManufacturer: 0x41420000, wire.PTVendorString1: 0x30313233, wire.PTVendorString4: 0x63646566,
		wire.PTFirmwareVersion1: 0x01020304, wire.PTFirmwareVersion2: 0x05060708, wire.PTVendorTPMType: 9,
	} {
		assert.Equal(t, want, property(t, tpm, pt), "0x%03X", uint32(pt))
	}
}
