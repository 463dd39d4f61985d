package emulator_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

type handles = []wire.Handle

// seq is the handle of the sequence object that withSequence loads, and pw its
// password.
const seq = wire.TransientFirst

var pw = []byte("pw")

// packet is a well-formed command that succeeds on a fresh TPM.
type packet struct {
	name     string
	code     wire.CC
	bytes    []byte
	sequence wire.AlgID // a sequence object of this algorithm must be loaded first
	before   [][]byte   // commands that must have succeeded first
	presence bool       // physical presence must be asserted
	newer    bool       // the TPM must be one of version 185

	// state is changed after all that, nil for what commands alone can do.
	state func(*state.State)
}

// packetLists are the lists of packets of the test files, one for a chapter or
// a few.
var packetLists = []func() []packet{basicPackets}

// packets has one packet at least for every implemented command;
// TestPacketsCoverTheTable sees to that.
func packets() []packet {
	var all []packet
	for _, list := range packetLists {
		all = append(all, list()...)
	}
	return all
}

// basicPackets are those of the commands that need neither sessions nor objects.
func basicPackets() []packet {
	null := et.U32(uint32(wire.RHNull))
	noAuth := et.NoAuth()
	platform, owner, lockout := handles{wire.RHPlatform}, handles{wire.RHOwner}, handles{wire.RHLockout}
	index := handles{nvFirst, nvFirst}
	return []packet{
		{name: "Shutdown", code: wire.CCShutdown, bytes: et.Command(wire.CCShutdown, nil, nil, et.U16(0))},
		{name: "SelfTest", code: wire.CCSelfTest, bytes: et.Command(wire.CCSelfTest, nil, nil, et.U8(1))},
		{name: "IncrementalSelfTest", code: wire.CCIncrementalSelfTest, bytes: et.Command(wire.CCIncrementalSelfTest, nil, nil, et.U32(1), et.U16(uint16(wire.AlgSHA256)))},
		{name: "GetTestResult", code: wire.CCGetTestResult, bytes: et.Command(wire.CCGetTestResult, nil, nil)},
		{name: "GetCapability", code: wire.CCGetCapability, bytes: et.Command(wire.CCGetCapability, nil, nil, et.U32(6), et.U32(0x106), et.U32(1))},
		{name: "TestParms", code: wire.CCTestParms},
		{name: "GetRandom", code: wire.CCGetRandom, bytes: et.Command(wire.CCGetRandom, nil, nil, et.U16(8))},
		{name: "StirRandom", code: wire.CCStirRandom, bytes: et.Command(wire.CCStirRandom, nil, nil, et.Sized([]byte("abc")))},
		{name: "PCR_Read", code: wire.CCPCRRead, bytes: et.Command(wire.CCPCRRead, nil, nil, et.Selection(wire.AlgSHA256, 0, 10))},
		{name: "PCR_Extend", code: wire.CCPCRExtend, bytes: et.Command(wire.CCPCRExtend, handles{10}, noAuth, et.Digests(ha(wire.AlgSHA256, 1), ha(wire.AlgSHA1, 2)))},
		{name: "PCR_Event", code: wire.CCPCREvent, bytes: et.Command(wire.CCPCREvent, handles{11}, noAuth, et.Sized([]byte("event")))},
		{name: "PCR_Reset", code: wire.CCPCRReset, bytes: et.Command(wire.CCPCRReset, handles{16}, noAuth)},
		{name: "PCR_Allocate", code: wire.CCPCRAllocate, bytes: et.Command(wire.CCPCRAllocate, platform, noAuth, et.Selection(wire.AlgSHA256, 0, 1, 17))},
		{name: "PCR_SetAuthPolicy", code: wire.CCPCRSetAuthPolicy, bytes: et.Command(wire.CCPCRSetAuthPolicy, platform, noAuth, et.Sized(make([]byte, 32)), et.U16(uint16(wire.AlgSHA256)), et.U32(20))},
		{name: "PCR_SetAuthValue", code: wire.CCPCRSetAuthValue, bytes: et.Command(wire.CCPCRSetAuthValue, handles{20}, noAuth, et.Sized(nil))},
		{name: "ReadClock", code: wire.CCReadClock, bytes: et.Command(wire.CCReadClock, nil, nil)},
		{name: "ClockSet", code: wire.CCClockSet, bytes: et.Command(wire.CCClockSet, owner, noAuth, et.U64(1<<40))},
		{name: "ClockRateAdjust", code: wire.CCClockRateAdjust, bytes: et.Command(wire.CCClockRateAdjust, owner, noAuth, et.U8(0))},
		{name: "HierarchyChangeAuth", code: wire.CCHierarchyChangeAuth, bytes: et.Command(wire.CCHierarchyChangeAuth, owner, noAuth, et.Sized(nil))},
		{name: "HierarchyControl", code: wire.CCHierarchyControl, bytes: et.Command(wire.CCHierarchyControl, platform, noAuth, et.U32(uint32(wire.RHOwner)), et.U8(1))},
		{name: "Hash", code: wire.CCHash, bytes: et.Command(wire.CCHash, nil, nil, et.Sized([]byte("abc")), et.U16(uint16(wire.AlgSHA256)), null)},
		{name: "HashSequenceStart", code: wire.CCHashSequenceStart, bytes: et.Command(wire.CCHashSequenceStart, nil, nil, et.Sized(pw), et.U16(uint16(wire.AlgSHA256)))},
		{name: "SequenceUpdate", code: wire.CCSequenceUpdate, bytes: et.Command(wire.CCSequenceUpdate, handles{seq}, [][]byte{pw}, et.Sized([]byte("abcd"))), sequence: wire.AlgSHA256},
		{name: "SequenceComplete", code: wire.CCSequenceComplete, bytes: et.Command(wire.CCSequenceComplete, handles{seq}, [][]byte{pw}, et.Sized([]byte("abcd")), null), sequence: wire.AlgSHA256},
		{name: "EventSequenceComplete", code: wire.CCEventSequenceComplete, bytes: et.Command(wire.CCEventSequenceComplete, handles{16, seq}, [][]byte{nil, pw}, et.Sized([]byte("abcd"))), sequence: wire.AlgNull},
		{name: "FlushContext", code: wire.CCFlushContext, bytes: et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(seq))), sequence: wire.AlgSHA256},
		{name: "NV_DefineSpace", code: wire.CCNVDefineSpace, bytes: define(wire.RHOwner, nvPublic{policy: make([]byte, 32)}, pw)},
		{name: "NV_UndefineSpace", code: wire.CCNVUndefineSpace, bytes: et.Command(wire.CCNVUndefineSpace, handles{wire.RHOwner, nvFirst}, noAuth), before: [][]byte{defined(0)}},
		{name: "NV_ReadPublic", code: wire.CCNVReadPublic, bytes: et.Command(wire.CCNVReadPublic, handles{nvFirst}, nil), before: [][]byte{defined(0)}},
		{name: "NV_Write", code: wire.CCNVWrite, bytes: et.Command(wire.CCNVWrite, index, noAuth, et.Sized([]byte("abcd")), et.U16(4)), before: [][]byte{defined(0)}},
		{name: "NV_Increment", code: wire.CCNVIncrement, bytes: et.Command(wire.CCNVIncrement, index, noAuth), before: [][]byte{defined(wire.NTCounter)}},
		{name: "NV_Extend", code: wire.CCNVExtend, bytes: et.Command(wire.CCNVExtend, index, noAuth, et.Sized([]byte("abcd"))), before: [][]byte{defined(wire.NTExtend)}},
		{name: "NV_SetBits", code: wire.CCNVSetBits, bytes: et.Command(wire.CCNVSetBits, index, noAuth, et.U64(5)), before: [][]byte{defined(wire.NTBits)}},
		{name: "NV_WriteLock", code: wire.CCNVWriteLock, bytes: et.Command(wire.CCNVWriteLock, index, noAuth), before: [][]byte{defined(0)}},
		{name: "NV_GlobalWriteLock", code: wire.CCNVGlobalWriteLock, bytes: et.Command(wire.CCNVGlobalWriteLock, owner, noAuth), before: [][]byte{defined(0)}},
		{name: "NV_Read", code: wire.CCNVRead, bytes: et.Command(wire.CCNVRead, index, noAuth, et.U16(4), et.U16(2)), before: [][]byte{defined(0), nvWrite(nvFirst, nvFirst, nil, make([]byte, 8), 0)}},
		{name: "NV_ReadLock", code: wire.CCNVReadLock, bytes: et.Command(wire.CCNVReadLock, index, noAuth), before: [][]byte{defined(0)}},
		{name: "DictionaryAttackLockReset", code: wire.CCDictionaryAttackLockReset, bytes: et.Command(wire.CCDictionaryAttackLockReset, lockout, noAuth)},
		{name: "DictionaryAttackParameters", code: wire.CCDictionaryAttackParameters, bytes: et.Command(wire.CCDictionaryAttackParameters, lockout, noAuth, et.U32(3), et.U32(10), et.U32(100))},
		{name: "Clear", code: wire.CCClear, bytes: et.Command(wire.CCClear, lockout, noAuth)},
		{name: "ClearControl", code: wire.CCClearControl, bytes: et.Command(wire.CCClearControl, lockout, noAuth, et.U8(1))},
		{name: "ChangePPS", code: wire.CCChangePPS, bytes: et.Command(wire.CCChangePPS, platform, noAuth)},
		{name: "ChangeEPS", code: wire.CCChangeEPS, bytes: et.Command(wire.CCChangeEPS, platform, noAuth)},
		{name: "SetPrimaryPolicy", code: wire.CCSetPrimaryPolicy, bytes: et.Command(wire.CCSetPrimaryPolicy, owner, noAuth, et.Sized(make([]byte, 20)), et.U16(uint16(wire.AlgSHA1)))},
		{name: "PP_Commands", code: wire.CCPPCommands, bytes: ppCommands([]wire.CC{wire.CCClear}, []wire.CC{wire.CCChangeEPS, wire.CCCreate}), presence: true},
	}
}

// ppCommands is TPM2_PP_Commands.
func ppCommands(set, clear []wire.CC) []byte {
	var w wire.Writer
	for _, list := range [][]wire.CC{set, clear} {
		w.U32(uint32(len(list)))
		for _, code := range list {
			w.U32(uint32(code))
		}
	}
	return et.Command(wire.CCPPCommands, handles{wire.RHPlatform}, et.NoAuth(), w.Data())
}

// ha is a TPMT_HA with a digest of equal octets.
func ha(alg wire.AlgID, octet byte) wire.HA {
	n := map[wire.AlgID]int{wire.AlgSHA1: 20, wire.AlgSHA256: 32, wire.AlgSHA384: 48, wire.AlgSHA512: 64, wire.AlgSHA3_256: 32, wire.AlgSHA3_384: 48}[alg]
	return wire.HA{Hash: alg, Digest: bytes.Repeat([]byte{octet}, n)}
}

// startSequence is the command with which loadSequence does it.
func startSequence(alg wire.AlgID) []byte {
	return et.Command(wire.CCHashSequenceStart, nil, nil, et.Sized(pw), et.U16(uint16(alg)))
}

// loadSequence loads a sequence object with password pw; TPM_ALG_NULL makes it
// an event sequence.
func loadSequence(tb testing.TB, tpm *et.TPM, alg wire.AlgID) wire.Handle {
	tb.Helper()
	rsp := tpm.Execute(0, startSequence(alg))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	return et.ResponseHandle(rsp)
}

// fresh is a TPM on which the packet succeeds.
func (p packet) fresh(tb testing.TB, opts ...et.Option) *et.TPM {
	tb.Helper()
	opts = append([]et.Option{et.WithSeed(1)}, opts...) // the packets are those of one TPM
	if p.newer {
		opts = append([]et.Option{et.WithConfig(v185Config(tb))}, opts...)
	}
	tpm := et.New(tb, opts...)
	if p.sequence != 0 {
		require.Equal(tb, seq, loadSequence(tb, tpm, p.sequence))
	}
	tpm.Presence.Assert(p.presence)
	for _, c := range p.before {
		require.Equal(tb, wire.RCSuccess, send(tb, tpm, c), p.name)
	}
	if p.state != nil {
		changeState(tb, tpm, p.state)
	}
	return tpm
}

// changeState changes the state of a TPM between two commands.
func changeState(tb testing.TB, tpm *et.TPM, change func(*state.State)) {
	tb.Helper()
	snapshot, err := tpm.Snapshot()
	require.NoError(tb, err)
	s, err := state.Decode(snapshot)
	require.NoError(tb, err)
	change(s)
	require.NoError(tb, tpm.Restore(s.EncodeSnapshot(nil)))
}

// send executes a command at locality 0 and gives its code.
func send(tb testing.TB, tpm *et.TPM, command []byte) wire.RC {
	tb.Helper()
	return et.ResponseCode(tpm.Execute(0, command))
}

// sendAt is send at another locality.
func sendAt(tb testing.TB, tpm *et.TPM, locality uint8, command []byte) wire.RC {
	tb.Helper()
	return et.ResponseCode(tpm.Execute(locality, command))
}

// resize gives a command of other length the right commandSize.
func resize(command []byte) []byte {
	if len(command) >= 6 {
		copy(command[2:], et.U32(uint32(len(command))))
	}
	return command
}

// readPCR gives one PCR of one bank.
func readPCR(tb testing.TB, tpm *et.TPM, alg wire.AlgID, pcr int) []byte {
	tb.Helper()
	rsp := tpm.Execute(0, et.Command(wire.CCPCRRead, nil, nil, et.Selection(alg, pcr)))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	r.Bytes(4 + 4 + 2 + 1 + 3)
	if r.U32() == 0 {
		return nil
	}
	return r.Sized(wire.MaxDigest)
}

// updateCounter gives pcrUpdateCounter.
func updateCounter(tb testing.TB, tpm *et.TPM) uint32 {
	tb.Helper()
	r := wire.NewReader(et.Parameters(tpm.Execute(0, et.Command(wire.CCPCRRead, nil, nil, et.U32(0))), false), nil)
	return r.U32()
}

// property gives one TPM_PT.
func property(tb testing.TB, tpm *et.TPM, pt wire.PT) uint32 {
	tb.Helper()
	rsp := tpm.Execute(0, getCapability(wire.CapTPMProperties, uint32(pt), 1))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	r.Bytes(1 + 4)
	require.EqualValues(tb, 1, r.U32())
	require.EqualValues(tb, pt, r.U32())
	return r.U32()
}

func getCapability(c wire.Cap, property, count uint32) []byte {
	return et.Command(wire.CCGetCapability, nil, nil, et.U32(uint32(c)), et.U32(property), et.U32(count))
}

func extend(pcr wire.Handle, list ...wire.HA) []byte {
	return et.Command(wire.CCPCRExtend, handles{pcr}, et.NoAuth(), et.Digests(list...))
}
