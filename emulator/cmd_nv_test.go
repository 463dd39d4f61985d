package emulator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// nvFirst is the index that tests define.
const nvFirst = wire.NVIndexFirst + 0x400000

// nvUsable are the attributes of an index that everyone may use.
const nvUsable = wire.NVOwnerRead | wire.NVOwnerWrite | wire.NVAuthRead | wire.NVAuthWrite | wire.NVPPRead | wire.NVPPWrite | wire.NVNoDA

// nvPublic is a wire.NVPublic with defaults for what is zero: nvFirst, SHA-256,
// nvUsable with locks, 8 bytes.
type nvPublic struct {
	index      wire.Handle
	alg        wire.AlgID
	attributes wire.NVAttributes
	policy     []byte
	size       int // -1 for 0
}

// define is TPM2_NV_DefineSpace by a hierarchy without authValue.
func define(by wire.Handle, p nvPublic, auth []byte) []byte {
	q := wire.NVPublic{Index: p.index, NameAlg: p.alg, Attributes: p.attributes, Policy: p.policy, Size: uint16(p.size)}
	if p.index == 0 {
		q.Index = nvFirst
	}
	if p.alg == 0 {
		q.NameAlg = wire.AlgSHA256
	}
	if p.attributes == 0 {
		q.Attributes = nvUsable | wire.NVWriteStClear | wire.NVReadStClear | wire.NVGlobalLock
	}
	switch p.size {
	case 0:
		q.Size = 8
	case -1:
		q.Size = 0
	}
	var w wire.Writer
	w.NVPublic(&q)
	return et.Command(wire.CCNVDefineSpace, handles{by}, et.NoAuth(), et.Sized(auth), w.Data())
}

// usable are the attributes with which an index of the type can be defined.
func usable(nt wire.NT) wire.NVAttributes {
	a := nvUsable | nt.Attributes() | wire.NVWriteStClear | wire.NVReadStClear
	if nt == wire.NTPinFail || nt == wire.NTPinPass {
		a &^= wire.NVAuthWrite
	}
	return a
}

// defined is TPM2_NV_DefineSpace of nvFirst by the owner, with an index of the
// type that has no authValue.
func defined(nt wire.NT) []byte {
	p := nvPublic{attributes: usable(nt)}
	if nt == wire.NTExtend {
		p.size = 32
	}
	return define(wire.RHOwner, p, nil)
}

// nvTypes are all types of indices.
var nvTypes = []wire.NT{wire.NTOrdinary, wire.NTCounter, wire.NTBits, wire.NTExtend, wire.NTPinFail, wire.NTPinPass}

// defineAll defines an index of every type, from nvFirst on.
func defineAll(tb testing.TB, tpm *et.TPM) {
	tb.Helper()
	for i, nt := range nvTypes {
		p := nvPublic{index: nvFirst + wire.Handle(i), attributes: usable(nt)}
		if nt == wire.NTExtend {
			p.size = 32
		}
		require.Equal(tb, wire.RCSuccess, send(tb, tpm, define(wire.RHOwner, p, nil)))
	}
}

func nvWrite(by, index wire.Handle, password, data []byte, offset uint16) []byte {
	return et.Command(wire.CCNVWrite, handles{by, index}, [][]byte{password}, et.Sized(data), et.U16(offset))
}

func nvRead(by, index wire.Handle, password []byte, size, offset uint16) []byte {
	return et.Command(wire.CCNVRead, handles{by, index}, [][]byte{password}, et.U16(size), et.U16(offset))
}

// nvDo is a command on an index, by itself, that has no parameters.
func nvDo(code wire.CC, index wire.Handle, params ...[]byte) []byte {
	return et.Command(code, handles{index, index}, et.NoAuth(), params...)
}

// contents are the data of nvFirst as the owner reads them.
func contents(tb testing.TB, tpm *et.TPM, size uint16) []byte {
	tb.Helper()
	rsp := tpm.Execute(0, nvRead(wire.RHOwner, nvFirst, nil, size, 0))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	return r.Sized(int(size))
}

func counter(tb testing.TB, tpm *et.TPM) uint64 {
	tb.Helper()
	return binary.BigEndian.Uint64(contents(tb, tpm, 8))
}

// attributes are those that TPM2_NV_ReadPublic gives for nvFirst.
func attributes(tb testing.TB, tpm *et.TPM) wire.NVAttributes {
	tb.Helper()
	rsp := tpm.Execute(0, et.Command(wire.CCNVReadPublic, handles{nvFirst}, nil))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	r.Bytes(2 + 4 + 2)
	return wire.NVAttributes(r.U32())
}

func succeed(tb testing.TB, tpm *et.TPM, commands ...[]byte) {
	tb.Helper()
	for _, c := range commands {
		require.Equal(tb, wire.RCSuccess, send(tb, tpm, c))
	}
}

func TestNVRanges(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name         string
		size, offset uint16
		write, read  wire.RC
	}{
		{"all", 100, 0, wire.RCSuccess, wire.RCSuccess},
		{"part", 10, 90, wire.RCSuccess, wire.RCSuccess},
		{"nothing", 0, 0, wire.RCSuccess, wire.RCSuccess},
		{"nothing at the end", 0, 100, wire.RCSuccess, wire.RCSuccess},
		{"one too many", 11, 90, wire.RCNVRange, wire.RCNVRange},
		{"behind the end", 1, 100, wire.RCNVRange, wire.RCNVRange},
		{"far behind", 0, 101, wire.RCValue.Parameter(2), wire.RCValue.Parameter(2)},
		{"offset 65535", 1, 0xFFFF, wire.RCValue.Parameter(2), wire.RCValue.Parameter(2)},
		{"buffer", 1024, 0, wire.RCNVRange, wire.RCNVRange},
		{"more than the buffer", 1025, 101, wire.RCSize.Parameter(1), wire.RCValue.Parameter(1)},
	} {
		tpm := et.New(t)
		succeed(t, tpm, define(wire.RHOwner, nvPublic{size: 100}, nil))
		data := bytes.Repeat([]byte{7}, int(tc.size))
		assert.Equal(t, wire.RCNVUninitialized, send(t, tpm, nvRead(nvFirst, nvFirst, nil, tc.size, tc.offset)), "%s: before the first write", tc.name)
		assert.Equal(t, tc.write, send(t, tpm, nvWrite(nvFirst, nvFirst, nil, data, tc.offset)), tc.name)
		succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, nil, 0))
		rsp := tpm.Execute(0, nvRead(nvFirst, nvFirst, nil, tc.size, tc.offset))
		assert.Equal(t, tc.read, et.ResponseCode(rsp), tc.name)
		if tc.read == wire.RCSuccess {
			assert.Equal(t, et.Sized(data), et.Parameters(rsp, false), tc.name)
		}
	}
}

func TestNVWriteAll(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVWriteAll}, nil))
	assert.Equal(t, wire.RCNVRange, send(t, tpm, nvWrite(nvFirst, nvFirst, nil, make([]byte, 7), 0)))
	assert.Equal(t, wire.RCNVRange, send(t, tpm, nvWrite(nvFirst, nvFirst, nil, make([]byte, 8), 1)))
	assert.Equal(t, wire.RCNVRange, send(t, tpm, nvWrite(nvFirst, nvFirst, nil, make([]byte, 7), 1)))
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, make([]byte, 8), 0))
}

// Which command changes which type.
func TestNVTypesAndCommands(t *testing.T) {
	t.Parallel()
	for _, nt := range nvTypes {
		tpm := et.New(t)
		succeed(t, tpm, defined(nt))
		for code, tc := range map[wire.CC]struct {
			params []byte
			types  []wire.NT
			wrong  wire.RC
		}{
			wire.CCNVWrite:     {append(et.Sized(make([]byte, 8)), 0, 0), []wire.NT{wire.NTOrdinary, wire.NTPinFail, wire.NTPinPass}, wire.RCAttributes},
			wire.CCNVIncrement: {nil, []wire.NT{wire.NTCounter}, wire.RCAttributes.Handle(2)},
			wire.CCNVSetBits:   {et.U64(1), []wire.NT{wire.NTBits}, wire.RCAttributes.Handle(2)},
			wire.CCNVExtend:    {et.Sized([]byte("x")), []wire.NT{wire.NTExtend}, wire.RCAttributes.Handle(2)},
		} {
			want := tc.wrong
			for _, right := range tc.types {
				if nt == right {
					want = wire.RCSuccess
				}
			}
			assert.Equal(t, want, send(t, tpm, et.Command(code, handles{wire.RHOwner, nvFirst}, et.NoAuth(), tc.params)), "type %d, command %x", nt, code)
		}
		assert.NotZero(t, attributes(t, tpm)&wire.NVWritten, nt)
	}
}

func TestNVBits(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	set := func(v uint64) []byte { return nvDo(wire.CCNVSetBits, nvFirst, et.U64(v)) }
	succeed(t, tpm, defined(wire.NTBits), set(0))
	assert.Zero(t, counter(t, tpm), "no bits are enough to write it")
	succeed(t, tpm, set(1<<63|5), set(2))
	assert.EqualValues(t, uint64(1<<63|7), counter(t, tpm))
}

func TestNVExtend(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	extend := func(data []byte) []byte { return nvDo(wire.CCNVExtend, nvFirst, et.Sized(data)) }
	succeed(t, tpm, defined(wire.NTExtend), extend([]byte("one")))
	want := sha256.Sum256(append(make([]byte, 32), "one"...))
	assert.Equal(t, want[:], contents(t, tpm, 32))
	succeed(t, tpm, extend(bytes.Repeat([]byte("two"), 300)))
	want = sha256.Sum256(append(want[:], bytes.Repeat([]byte("two"), 300)...))
	assert.Equal(t, want[:], contents(t, tpm, 32))
	assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, extend(make([]byte, 1025))))
}

func TestNVLocks(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	write, read := nvWrite(nvFirst, nvFirst, nil, []byte{1}, 0), nvRead(nvFirst, nvFirst, nil, 1, 0)
	writeLock, readLock := nvDo(wire.CCNVWriteLock, nvFirst), nvDo(wire.CCNVReadLock, nvFirst)
	succeed(t, tpm, defined(0), write, writeLock, writeLock, read)
	assert.Equal(t, wire.RCNVLocked, send(t, tpm, write))
	assert.Equal(t, wire.RCNVLocked, send(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte{1}, 99)), "before the range")
	succeed(t, tpm, readLock, readLock)
	assert.Equal(t, wire.RCNVLocked, send(t, tpm, read))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	succeed(t, tpm, read, write)

	tpm = et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: nvUsable}, nil))
	assert.Equal(t, wire.RCAttributes.Handle(2), send(t, tpm, writeLock))
	assert.Equal(t, wire.RCAttributes.Handle(2), send(t, tpm, readLock))
}

func TestNVGlobalWriteLock(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	global := et.Command(wire.CCNVGlobalWriteLock, handles{wire.RHPlatform}, et.NoAuth())
	with := func(n wire.Handle, a wire.NVAttributes) []byte {
		return define(wire.RHOwner, nvPublic{index: nvFirst + n, attributes: nvUsable | a}, nil)
	}
	write := func(n wire.Handle) wire.RC { return send(t, tpm, nvWrite(nvFirst+n, nvFirst+n, nil, []byte{1}, 0)) }
	succeed(t, tpm, with(0, wire.NVGlobalLock), with(1, 0), with(2, wire.NVGlobalLock|wire.NVOrderly), with(3, wire.NVGlobalLock|wire.NVWriteDefine))
	for n := range wire.Handle(4) {
		require.Equal(t, wire.RCSuccess, write(n))
	}
	before := tpm.Store.Commits()
	succeed(t, tpm, global)
	assert.Equal(t, before+1, tpm.Store.Commits())
	succeed(t, tpm, global)
	assert.Equal(t, before+1, tpm.Store.Commits(), "nothing is left to lock")
	assert.Equal(t, []wire.RC{wire.RCNVLocked, wire.RCSuccess, wire.RCNVLocked, wire.RCNVLocked}, []wire.RC{write(0), write(1), write(2), write(3)})
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, []wire.RC{wire.RCSuccess, wire.RCSuccess, wire.RCSuccess, wire.RCNVLocked}, []wire.RC{write(0), write(1), write(2), write(3)})
}

// Without NV nothing that must be in it changes.
func TestIndicesWithoutNV(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][]byte{
		"define":      define(wire.RHOwner, nvPublic{index: nvFirst + 9}, nil),
		"undefine":    et.Command(wire.CCNVUndefineSpace, handles{wire.RHOwner, nvFirst}, et.NoAuth()),
		"write":       nvWrite(nvFirst, nvFirst, nil, []byte{1}, 0),
		"increment":   nvDo(wire.CCNVIncrement, nvFirst+1),
		"bits":        nvDo(wire.CCNVSetBits, nvFirst+2, et.U64(1)),
		"extend":      nvDo(wire.CCNVExtend, nvFirst+3, et.Sized(nil)),
		"write lock":  nvDo(wire.CCNVWriteLock, nvFirst),
		"read lock":   nvDo(wire.CCNVReadLock, nvFirst),
		"global lock": et.Command(wire.CCNVGlobalWriteLock, handles{wire.RHOwner}, et.NoAuth()),
		"lock reset":  et.Command(wire.CCDictionaryAttackLockReset, handles{wire.RHLockout}, et.NoAuth()),
		"parameters":  et.Command(wire.CCDictionaryAttackParameters, handles{wire.RHLockout}, et.NoAuth(), et.U32(1), et.U32(1), et.U32(1)),
	} {
		tpm := et.New(t)
		defineAll(t, tpm)
		succeed(t, tpm, define(wire.RHOwner, nvPublic{index: nvFirst + 8}, nil)) // with GLOBALLOCK
		tpm.Store.SetWritable(state.ErrUnavailable)
		assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, c), name)
		tpm.Store.SetWritable(nil)
		assert.Equal(t, wire.RCSuccess, send(t, tpm, c), name)
	}
	tpm := et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVOrderly | wire.NVWriteStClear}, nil))
	tpm.Store.SetWritable(state.ErrUnavailable)
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte{1}, 0), nvDo(wire.CCNVWriteLock, nvFirst))
}

// The values of an orderly counter that have to be in NV need it, so that a
// power cut repeats none.
func TestOrderlyCounterNeedsNV(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	increment := nvDo(wire.CCNVIncrement, nvFirst)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTCounter) | wire.NVOrderly}, nil))
	unavailable := func() {
		t.Helper()
		tpm.Store.SetWritable(state.ErrUnavailable)
		assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, increment))
		tpm.Store.SetWritable(nil)
	}
	unavailable() // the first one
	for range 0xFF {
		succeed(t, tpm, increment)
	}
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, increment), "the low bits roll over")
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCGetRandom, nil, nil, et.U16(1))))
	tpm.Store.SetWritable(nil)
	require.EqualValues(t, 0xFF, counter(t, tpm))
	succeed(t, tpm, increment)
	tpm.Store.SetWritable(state.ErrUnavailable)
	succeed(t, tpm, increment)
	seen := counter(t, tpm)
	tpm.Store.SetWritable(nil)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	succeed(t, tpm, increment)
	assert.Greater(t, counter(t, tpm), seen)
}
