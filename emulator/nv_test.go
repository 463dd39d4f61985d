package emulator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
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

// The checks of TPM2_NV_DefineSpace, each with what would fail behind it.
func TestNVDefineChecks(t *testing.T) {
	t.Parallel()
	const ok, pc = wire.RCSuccess, wire.NVPlatformCreate
	attr := func(a wire.NVAttributes) nvPublic { return nvPublic{attributes: a} }
	typed := func(nt wire.NT, a wire.NVAttributes) nvPublic { return attr(nvUsable | nt.Attributes() | a) }
	badPublic, badSize := wire.RCAttributes.Parameter(2), wire.RCSize.Parameter(2)
	pinAttr := wire.NVOwnerRead | wire.NVOwnerWrite | wire.NVNoDA
	for _, tc := range []struct {
		name string
		by   wire.Handle
		p    nvPublic
		auth int
		want wire.RC
	}{
		{"ordinary", wire.RHOwner, attr(nvUsable), 0, ok},
		{"by platform", wire.RHPlatform, attr(nvUsable | pc), 0, ok},
		{"empty", wire.RHOwner, nvPublic{size: -1}, 0, ok},
		{"largest", wire.RHOwner, nvPublic{size: 2048}, 0, ok},
		{"too large", wire.RHOwner, nvPublic{size: 2049}, 0, badSize},
		{"policy", wire.RHOwner, nvPublic{policy: make([]byte, 32)}, 0, ok},
		{"policy of other hash", wire.RHOwner, nvPublic{policy: make([]byte, 20), attributes: 1 << 4}, 33, badSize},
		{"policy larger than any hash", wire.RHOwner, nvPublic{policy: make([]byte, 65)}, 0, badSize},
		{"authValue", wire.RHOwner, nvPublic{}, 32, ok},
		{"authValue larger than a digest", wire.RHOwner, attr(3 << 4), 33, wire.RCSize.Parameter(1)},
		{"authValue larger than any digest", wire.RHOwner, nvPublic{}, 65, wire.RCSize.Parameter(1)},
		{"type 3", wire.RHOwner, nvPublic{attributes: nvUsable | 3<<4, size: 7}, 0, badPublic},
		{"type 15", wire.RHOwner, attr(nvUsable | 15<<4), 0, badPublic},
		{"counter", wire.RHOwner, typed(wire.NTCounter, 0), 0, ok},
		{"counter of 7", wire.RHOwner, nvPublic{attributes: nvUsable | wire.NTCounter.Attributes() | wire.NVClearStClear, size: 7}, 0, badSize},
		{"counter cleared", wire.RHOwner, typed(wire.NTCounter, wire.NVClearStClear|pc), 0, badPublic},
		{"bits", wire.RHOwner, typed(wire.NTBits, wire.NVClearStClear), 0, ok},
		{"bits of 9", wire.RHOwner, nvPublic{attributes: nvUsable | wire.NTBits.Attributes(), size: 9}, 0, badSize},
		{"extend", wire.RHOwner, nvPublic{attributes: nvUsable | wire.NTExtend.Attributes(), size: 32}, 0, ok},
		{"extend with SHA-1", wire.RHOwner, nvPublic{alg: wire.AlgSHA1, attributes: nvUsable | wire.NTExtend.Attributes(), size: 20}, 0, ok},
		{"extend of 8", wire.RHOwner, typed(wire.NTExtend, 0), 0, badSize},
		{"PIN fail", wire.RHOwner, attr(wire.NTPinFail.Attributes() | pinAttr), 0, ok},
		{"PIN fail with DA", wire.RHOwner, attr(wire.NTPinFail.Attributes() | pinAttr&^wire.NVNoDA), 0, badPublic},
		{"PIN fail of 4", wire.RHOwner, nvPublic{attributes: wire.NTPinFail.Attributes() | pinAttr, size: 4}, 0, badSize},
		{"PIN fail AUTHWRITE", wire.RHOwner, attr(wire.NTPinFail.Attributes() | pinAttr | wire.NVAuthWrite), 0, badPublic},
		{"PIN pass with DA", wire.RHOwner, attr(wire.NTPinPass.Attributes() | pinAttr&^wire.NVNoDA), 0, ok},
		{"PIN pass AUTHWRITE", wire.RHOwner, attr(wire.NTPinPass.Attributes() | pinAttr | wire.NVAuthWrite), 0, badPublic},
		{"PIN pass GLOBALLOCK", wire.RHOwner, attr(wire.NTPinPass.Attributes() | pinAttr | wire.NVGlobalLock), 0, badPublic},
		{"PIN pass WRITEDEFINE", wire.RHOwner, attr(wire.NTPinPass.Attributes() | pinAttr | wire.NVWriteDefine), 0, badPublic},
		{"written", wire.RHOwner, attr(nvUsable | wire.NVWritten | pc), 0, badPublic},
		{"write locked", wire.RHOwner, attr(nvUsable | wire.NVWriteLocked | pc), 0, badPublic},
		{"read locked", wire.RHOwner, attr(nvUsable | wire.NVReadLocked | pc), 0, badPublic},
		{"not readable", wire.RHOwner, attr(wire.NVOwnerWrite | pc), 0, badPublic},
		{"not writable", wire.RHOwner, attr(wire.NVOwnerRead | pc), 0, badPublic},
		{"by policy only", wire.RHOwner, attr(wire.NVPolicyRead | wire.NVPolicyWrite), 0, ok},
		{"by platform only", wire.RHOwner, attr(wire.NVPPRead | wire.NVPPWrite), 0, ok},
		{"by authValue only", wire.RHOwner, attr(wire.NVAuthRead | wire.NVAuthWrite), 0, ok},
		{"cleared and locked for ever", wire.RHOwner, attr(nvUsable | wire.NVClearStClear | wire.NVWriteDefine | pc), 0, badPublic},
		{"platform's by owner", wire.RHOwner, attr(nvUsable | pc | wire.NVPolicyDelete), 0, wire.RCAttributes.Handle(1)},
		{"owner's by platform", wire.RHPlatform, attr(nvUsable), 0, wire.RCAttributes.Handle(1)},
		{"POLICY_DELETE by owner", wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVPolicyDelete | wire.NVWriteAll, size: 2000}, 0, badPublic},
		{"POLICY_DELETE by platform", wire.RHPlatform, attr(nvUsable | pc | wire.NVPolicyDelete), 0, ok},
		{"WRITEALL", wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVWriteAll, size: 1024}, 0, ok},
		{"WRITEALL larger than the buffer", wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVWriteAll, size: 1025}, 0, badSize},
		{"endorsement", wire.RHEndorsement, nvPublic{}, 0, wire.RCValue.Handle(1)},
		{"no index", wire.RHOwner, nvPublic{index: 0x02000000}, 0, wire.RCValue.Parameter(2)},
		{"external index", wire.RHOwner, nvPublic{index: 0x11000000}, 0, wire.RCValue.Parameter(2)},
		{"no hash", wire.RHOwner, nvPublic{alg: wire.AlgNull}, 0, wire.RCHash.Parameter(2)},
		{"reserved attribute", wire.RHOwner, attr(nvUsable | 1<<8), 0, wire.RCReservedBits.Parameter(2)},
	} {
		tpm := et.New(t)
		auth := bytes.Repeat([]byte{1}, tc.auth)
		assert.Equal(t, tc.want, send(t, tpm, define(tc.by, tc.p, auth)), tc.name)
		n := uint32(0)
		if tc.want == ok {
			n = 1
			again := tc.p
			assert.Equal(t, wire.RCNVDefined, send(t, tpm, define(tc.by, again, auth)), tc.name)
		}
		assert.Equal(t, n, property(t, tpm, wire.PTHRNVIndex), tc.name)
	}
}

// The size in a TPM2B_NV_PUBLIC must be that of what is in it.
func TestNVPublicSize(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	c := define(wire.RHOwner, nvPublic{}, nil)
	const at = 10 + 4 + 4 + 9 + 2 // header, handle, session, authValue
	require.EqualValues(t, 14, binary.BigEndian.Uint16(c[at:]))
	for size, want := range map[uint16]wire.RC{0: wire.RCSize.Parameter(2), 13: wire.RCSize.Parameter(2), 15: wire.RCSize.Parameter(2), 0xFFFF: wire.RCSize.Parameter(2), 14: wire.RCSuccess} {
		d := bytes.Clone(c)
		binary.BigEndian.PutUint16(d[at:], size)
		assert.Equal(t, want, send(t, tpm, d), size)
	}
}

func TestNVDefineHierarchyOff(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	off := func(h wire.Handle) []byte {
		return et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, et.NoAuth(), et.U32(uint32(h)), et.U8(0))
	}
	platform := nvPublic{index: nvFirst + 1, attributes: nvUsable | wire.NVPlatformCreate}
	readPublic := func(h wire.Handle) wire.RC { return send(t, tpm, et.Command(wire.CCNVReadPublic, handles{h}, nil)) }
	succeed(t, tpm, define(wire.RHOwner, nvPublic{}, nil), define(wire.RHPlatform, platform, nil), off(wire.RHPlatformNV))
	platform.index++
	platform.attributes = nvUsable // which would fail behind
	assert.Equal(t, wire.RCHierarchy.Handle(1), send(t, tpm, define(wire.RHPlatform, platform, nil)))
	assert.Equal(t, wire.RCHandle.Handle(1), readPublic(nvFirst+1))
	assert.Equal(t, wire.RCSuccess, readPublic(nvFirst))
	succeed(t, tpm, off(wire.RHOwner))
	assert.Equal(t, wire.RCHandle.Handle(1), readPublic(nvFirst))
	assert.Equal(t, wire.RCHandle.Handle(1), readPublic(nvFirst+3), "not defined")
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, wire.RCSuccess, readPublic(nvFirst))
	assert.Equal(t, wire.RCSuccess, readPublic(nvFirst+1))
}

// The Name is nameAlg and the digest of the public area: an independent
// implementation comes to the same.
func TestNVReadPublic(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	policy := sha256.Sum256([]byte("policy"))
	succeed(t, tpm, define(wire.RHOwner, nvPublic{size: 100, policy: policy[:]}, nil))
	rsp, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(nvFirst)}.Execute(tpm.Client())
	require.NoError(t, err)
	public, err := rsp.NVPublic.Contents()
	require.NoError(t, err)
	assert.Equal(t, tpm2.TPMHandle(nvFirst), public.NVIndex)
	assert.EqualValues(t, 100, public.DataSize)
	assert.Equal(t, policy[:], public.AuthPolicy.Buffer)
	name, err := tpm2.NVName(public)
	require.NoError(t, err)
	assert.Equal(t, name.Buffer, rsp.NVName.Buffer)
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte("x"), 0))
	rsp, err = tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(nvFirst)}.Execute(tpm.Client())
	require.NoError(t, err)
	assert.NotEqual(t, name.Buffer, rsp.NVName.Buffer, "the first write changes the Name")
}

// Who may do what, by the attributes.
func TestNVAuthorisation(t *testing.T) {
	t.Parallel()
	const other = nvFirst + 1
	for _, tc := range []struct {
		attribute wire.NVAttributes
		by        wire.Handle
		read      bool // the attribute is for reading
		without   wire.RC
	}{
		{wire.NVOwnerRead, wire.RHOwner, true, wire.RCNVAuthorization},
		{wire.NVPPRead, wire.RHPlatform, true, wire.RCNVAuthorization},
		{wire.NVAuthRead, nvFirst, true, wire.RCAuthUnavailable.Session(1)},
		{wire.NVOwnerWrite, wire.RHOwner, false, wire.RCNVAuthorization},
		{wire.NVPPWrite, wire.RHPlatform, false, wire.RCNVAuthorization},
		{wire.NVAuthWrite, nvFirst, false, wire.RCAuthUnavailable.Session(1)},
	} {
		for _, has := range []bool{true, false} {
			// Another way to read and write is always there.
			a := wire.NVPolicyRead | wire.NVPolicyWrite | wire.NVWriteStClear | wire.NVReadStClear
			want := tc.without
			if has {
				a, want = a|tc.attribute, wire.RCSuccess
			}
			tpm := et.New(t)
			succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: a}, nil), define(wire.RHOwner, nvPublic{index: other}, nil))
			on := func(code wire.CC, params ...[]byte) wire.RC {
				return send(t, tpm, et.Command(code, handles{tc.by, nvFirst}, et.NoAuth(), params...))
			}
			foreign := func(code wire.CC, params ...[]byte) wire.RC {
				return send(t, tpm, et.Command(code, handles{other, nvFirst}, et.NoAuth(), params...))
			}
			if tc.read {
				if has {
					want = wire.RCNVUninitialized
				}
				assert.Equal(t, want, on(wire.CCNVRead, et.U16(1), et.U16(0)), tc)
				if has {
					want = wire.RCSuccess
				}
				assert.Equal(t, want, on(wire.CCNVReadLock), tc)
			} else {
				assert.Equal(t, want, on(wire.CCNVWrite, et.Sized([]byte{1}), et.U16(0)), tc)
				assert.Equal(t, want, on(wire.CCNVWriteLock), tc)
			}
			if !has {
				assert.Equal(t, wire.RCNVAuthorization, foreign(wire.CCNVRead, et.U16(1), et.U16(0)))
				assert.Equal(t, wire.RCNVAuthorization, foreign(wire.CCNVReadLock))
				assert.Equal(t, wire.RCNVAuthorization, foreign(wire.CCNVWrite, et.Sized([]byte{1}), et.U16(0)))
				assert.Equal(t, wire.RCNVAuthorization, foreign(wire.CCNVWriteLock))
			}
		}
	}
}

func TestNVPassword(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{}, append(bytes.Clone(pw), 0, 0)))
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte{1}, 0)))
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, pw, []byte{1}, 0), nvRead(nvFirst, nvFirst, pw, 8, 0))
	assert.Equal(t, []byte{1, 0, 0, 0, 0, 0, 0, 0}, contents(t, tpm, 8), "what the first write leaves out is zero")
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	succeed(t, tpm, nvRead(nvFirst, nvFirst, pw, 8, 0))
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

// No value of a counter comes twice, whatever is undefined in between.
func TestNVCounterFirstValue(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	increment := nvDo(wire.CCNVIncrement, nvFirst)
	undefine := et.Command(wire.CCNVUndefineSpace, handles{wire.RHOwner, nvFirst}, et.NoAuth())
	succeed(t, tpm, defined(wire.NTCounter), increment, increment, increment)
	assert.EqualValues(t, 3, counter(t, tpm))
	succeed(t, tpm, undefine, defined(wire.NTCounter))
	assert.Equal(t, wire.RCNVUninitialized, send(t, tpm, nvRead(nvFirst, nvFirst, nil, 8, 0)))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	succeed(t, tpm, increment)
	assert.EqualValues(t, 4, counter(t, tpm))
	succeed(t, tpm, undefine, defined(wire.NTCounter), undefine, defined(wire.NTCounter), increment)
	assert.EqualValues(t, 5, counter(t, tpm), "a counter that was never written leaves nothing behind")
}

// An orderly counter may skip values when power is lost, but repeats none.
func TestNVOrderlyCounter(t *testing.T) {
	t.Parallel()
	for _, increments := range []int{1, 5, 255, 256, 300} {
		for name, tc := range map[string]struct {
			shutdown bool
			kind     wire.SU
			want     uint64
		}{
			"shutdown": {true, wire.SUClear, uint64(increments)},
			"state":    {true, wire.SUState, uint64(increments)},
			"power":    {false, wire.SUClear, uint64(increments) | 0xFF},
		} {
			tpm := et.New(t, et.Unchecked())
			succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTCounter) | wire.NVOrderly}, nil))
			for range increments {
				succeed(t, tpm, nvDo(wire.CCNVIncrement, nvFirst))
			}
			if tc.shutdown {
				require.Equal(t, wire.RCSuccess, tpm.Shutdown(tc.kind))
			}
			require.Equal(t, wire.RCSuccess, tpm.Restart(tc.kind))
			assert.Equal(t, tc.want, counter(t, tpm), "%s after %d", name, increments)
		}
	}
}

// Only the first value and every 256th one of an orderly counter is written.
func TestNVOrderlyCommits(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.Unchecked())
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTCounter) | wire.NVOrderly}, nil))
	before := tpm.Store.Commits()
	for range 600 {
		succeed(t, tpm, nvDo(wire.CCNVIncrement, nvFirst))
	}
	assert.Equal(t, 3, tpm.Store.Commits()-before)

	tpm = et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVOrderly}, nil))
	before = tpm.Store.Commits()
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte("abc"), 0))
	assert.Equal(t, before, tpm.Store.Commits())
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	before = tpm.Store.Commits()
	succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte("abd"), 0))
	assert.Equal(t, before+1, tpm.Store.Commits(), "the shutdown is undone")
	require.NoError(t, tpm.Init())
	assert.Equal(t, wire.RCValue.Parameter(1), tpm.Startup(0, wire.SUState))
}

// What a power cycle leaves of the states of an index.
func TestNVStartup(t *testing.T) {
	t.Parallel()
	const w, wl, rl = wire.NVWritten, wire.NVWriteLocked, wire.NVReadLocked
	const orderly, stClear, wdef = wire.NVOrderly, wire.NVClearStClear, wire.NVWriteDefine
	for _, tc := range []struct {
		name                  string
		attributes            wire.NVAttributes
		write                 bool
		reset, restart, after wire.NVAttributes // of WRITTEN and the locks, after Reset, Restart, Resume
	}{
		{"ordinary", 0, true, w, w, w | wl | rl},
		{"ordinary, not written", 0, false, 0, 0, wl | rl},
		{"WRITEDEFINE", wdef, true, w | wl, w | wl, w | wl | rl},
		{"WRITEDEFINE, not written", wdef, false, 0, 0, wl | rl},
		{"CLEAR_STCLEAR", stClear, true, 0, 0, w | wl | rl},
		{"orderly", orderly, true, 0, w, w | wl | rl},
		{"orderly WRITEDEFINE", orderly | wdef, true, 0, w | wl, w | wl | rl},
		{"orderly CLEAR_STCLEAR", orderly | stClear, true, 0, 0, w | wl | rl},
		{"counter", wire.NTCounter.Attributes(), true, w, w, w | wl | rl},
		{"orderly counter", wire.NTCounter.Attributes() | orderly, true, w, w, w | wl | rl},
		{"orderly bits", wire.NTBits.Attributes() | orderly, true, 0, w, w | wl | rl},
	} {
		for _, cycle := range []struct {
			name              string
			shutdown, startup wire.SU
			want              wire.NVAttributes
		}{
			{"Reset", wire.SUClear, wire.SUClear, tc.reset},
			{"Restart", wire.SUState, wire.SUClear, tc.restart},
			{"Resume", wire.SUState, wire.SUState, tc.after},
		} {
			tpm := et.New(t)
			succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVWriteStClear | wire.NVReadStClear | tc.attributes}, nil))
			if tc.write {
				switch tc.attributes.Type() {
				case wire.NTCounter:
					succeed(t, tpm, nvDo(wire.CCNVIncrement, nvFirst))
				case wire.NTBits:
					succeed(t, tpm, nvDo(wire.CCNVSetBits, nvFirst, et.U64(1)))
				default:
					succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte{1}, 0))
				}
			}
			succeed(t, tpm, nvDo(wire.CCNVWriteLock, nvFirst), nvDo(wire.CCNVReadLock, nvFirst))
			require.Equal(t, wire.RCSuccess, tpm.Shutdown(cycle.shutdown))
			require.Equal(t, wire.RCSuccess, tpm.Restart(cycle.startup))
			assert.Equal(t, cycle.want, attributes(t, tpm)&(w|wl|rl), "%s, TPM %s", tc.name, cycle.name)
		}
	}
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

func TestNVUndefine(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	undefine := func(by, h wire.Handle) wire.RC {
		return send(t, tpm, et.Command(wire.CCNVUndefineSpace, handles{by, h}, et.NoAuth()))
	}
	platform := func(n wire.Handle, a wire.NVAttributes) []byte {
		return define(wire.RHPlatform, nvPublic{index: nvFirst + n, attributes: nvUsable | wire.NVPlatformCreate | a}, nil)
	}
	succeed(t, tpm, define(wire.RHOwner, nvPublic{}, nil), platform(1, 0), platform(2, wire.NVPolicyDelete))
	assert.Equal(t, wire.RCNVAuthorization, undefine(wire.RHOwner, nvFirst+1))
	assert.Equal(t, wire.RCAttributes.Handle(2), undefine(wire.RHPlatform, nvFirst+2))
	assert.Equal(t, wire.RCAttributes.Handle(2), undefine(wire.RHOwner, nvFirst+2))
	assert.Equal(t, wire.RCHandle.Handle(2), undefine(wire.RHOwner, nvFirst+9))
	assert.Equal(t, wire.RCSuccess, undefine(wire.RHPlatform, nvFirst))
	assert.Equal(t, wire.RCSuccess, undefine(wire.RHPlatform, nvFirst+1))
	assert.EqualValues(t, 1, property(t, tpm, wire.PTHRNVIndex))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 1, property(t, tpm, wire.PTHRNVIndex))

	// What needs the ADMIN role needs a policy session.
	assert.Equal(t, wire.RCAuthType.Session(1), send(t, tpm, et.Command(wire.CCNVUndefineSpaceSpecial, handles{nvFirst + 2, wire.RHPlatform}, [][]byte{nil, nil})))
	assert.Equal(t, wire.RCAuthType.Session(1), send(t, tpm, et.Command(wire.CCNVChangeAuth, handles{nvFirst + 2}, et.NoAuth(), et.Sized(pw))))
}

// A PIN fail index counts failures up to its limit; success forgives them.
func TestNVPinFail(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	set := func(count, limit uint32) []byte {
		return nvWrite(wire.RHOwner, nvFirst, nil, append(et.U32(count), et.U32(limit)...), 0)
	}
	try := func(password []byte) wire.RC { return send(t, tpm, nvRead(nvFirst, nvFirst, password, 8, 0)) }
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTPinFail) &^ wire.NVAuthRead}, pw))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw), "before the first write")
	succeed(t, tpm, set(0, 3))
	assert.Equal(t, wire.RCBadAuth.Session(1), try(nil))
	assert.Equal(t, wire.RCBadAuth.Session(1), try([]byte("pW")))
	assert.Equal(t, append(et.U32(2), et.U32(3)...), contents(t, tpm, 8))
	assert.Equal(t, wire.RCSuccess, try(pw))
	assert.Equal(t, append(et.U32(0), et.U32(3)...), contents(t, tpm, 8))
	for range 3 {
		assert.Equal(t, wire.RCBadAuth.Session(1), try(nil))
	}
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw), "not even the right one, and for ever")
	succeed(t, tpm, set(2, 3))
	assert.Equal(t, wire.RCSuccess, try(pw))
	assert.Zero(t, property(t, tpm, wire.PTLockoutCounter))
	succeed(t, tpm, set(0, 0))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw))
}

// A PIN pass index counts successes, also of commands that fail behind them.
func TestNVPinPass(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(wire.NTPinPass)}, pw))
	try := func(password []byte) wire.RC { return send(t, tpm, nvRead(nvFirst, nvFirst, password, 8, 0)) }
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw))
	succeed(t, tpm, nvWrite(wire.RHOwner, nvFirst, nil, append(et.U32(0), et.U32(3)...), 0))
	assert.Equal(t, wire.RCSuccess, try(pw))
	assert.Equal(t, wire.RCBadAuth.Session(1), try(nil))
	assert.Equal(t, append(et.U32(1), et.U32(3)...), contents(t, tpm, 8), "neither a failure nor the owner counts")
	assert.Equal(t, wire.RCNVRange, send(t, tpm, nvRead(nvFirst, nvFirst, pw, 9, 0)))
	assert.Equal(t, append(et.U32(2), et.U32(3)...), contents(t, tpm, 8))
	assert.Equal(t, wire.RCSuccess, try(pw))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), try(pw))
	assert.Equal(t, append(et.U32(3), et.U32(3)...), contents(t, tpm, 8))
}

// What cannot be counted is not tried.
func TestNVPinWithoutNV(t *testing.T) {
	t.Parallel()
	for _, nt := range []wire.NT{wire.NTPinFail, wire.NTPinPass} {
		tpm := et.New(t)
		succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: usable(nt)}, pw),
			nvWrite(wire.RHOwner, nvFirst, nil, append(et.U32(0), et.U32(3)...), 0))
		tpm.Store.SetWritable(state.ErrRateLimited)
		assert.Equal(t, wire.RCNVRate, send(t, tpm, nvRead(nvFirst, nvFirst, pw, 8, 0)))
		assert.Equal(t, wire.RCNVRate, send(t, tpm, nvRead(nvFirst, nvFirst, nil, 8, 0)))
		assert.Equal(t, append(et.U32(0), et.U32(3)...), contents(t, tpm, 8))
	}
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

// NV has an end, and what is undefined is free again.
func TestNVSpace(t *testing.T) {
	t.Parallel()
	limits := emulator.DefaultLimits()
	limits.NVMemory, limits.NVOrderlyMemory = 1000, 60
	tpm := et.New(t, et.WithConfig(emulator.Config{Limits: limits}))
	def := func(n wire.Handle, size int, a wire.NVAttributes) wire.RC {
		return send(t, tpm, define(wire.RHOwner, nvPublic{index: nvFirst + n, size: size, attributes: nvUsable | a}, nil))
	}
	avail := func() uint32 { return property(t, tpm, wire.PTNVCountersAvail) }
	assert.EqualValues(t, 3, avail(), "60 bytes hold three orderly counters")
	assert.Equal(t, wire.RCNVSpace, def(0, 849, 0))
	assert.Equal(t, wire.RCNVSpace, def(0, 49, wire.NVOrderly))
	assert.Equal(t, wire.RCSuccess, def(0, 848, 0))
	assert.Zero(t, avail())
	assert.Equal(t, wire.RCNVSpace, def(1, -1, 0))
	succeed(t, tpm, et.Command(wire.CCNVUndefineSpace, handles{wire.RHOwner, nvFirst}, et.NoAuth()))
	assert.Equal(t, wire.RCSuccess, def(0, 48, wire.NVOrderly))
	assert.Zero(t, avail())
	assert.Equal(t, wire.RCSuccess, def(1, 8, wire.NTCounter.Attributes()))
	assert.EqualValues(t, 1, property(t, tpm, wire.PTNVCounters))
	assert.Equal(t, wire.RCNVSpace, def(2, 8, wire.NTCounter.Attributes()|wire.NVOrderly))
}

func TestNVHandles(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	assert.EqualValues(t, 25, property(t, tpm, wire.PTNVCountersAvail))
	for _, n := range []wire.Handle{5, 1, 3, 0xBFFFFF} {
		succeed(t, tpm, define(wire.RHOwner, nvPublic{index: nvFirst + n}, nil))
	}
	got := func(from wire.Handle, count uint32) (hs []wire.Handle, more bool) {
		entries, more := list(t, tpm, wire.CapHandles, uint32(from), count, 4)
		for _, e := range entries {
			hs = append(hs, wire.Handle(binary.BigEndian.Uint32(e))-nvFirst)
		}
		return hs, more
	}
	hs, more := got(wire.NVIndexFirst, 100)
	assert.Equal(t, []wire.Handle{1, 3, 5, 0xBFFFFF}, hs)
	assert.False(t, more)
	hs, more = got(nvFirst+2, 2)
	assert.Equal(t, []wire.Handle{3, 5}, hs)
	assert.True(t, more)
	assert.EqualValues(t, 4, property(t, tpm, wire.PTHRNVIndex))
}

// A lock of an orderly index is lost with the power like its data, but not over
// a shutdown that came before it, and not if it is to be there for ever.
func TestNVOrderlyLocks(t *testing.T) {
	t.Parallel()
	const locks = wire.NVWriteLocked | wire.NVReadLocked
	tpm := et.New(t)
	writeLock, readLock := nvDo(wire.CCNVWriteLock, nvFirst), nvDo(wire.CCNVReadLock, nvFirst)
	a := usable(wire.NTCounter) | wire.NVOrderly
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: a}, nil), nvDo(wire.CCNVIncrement, nvFirst))
	commits := tpm.Store.Commits()
	succeed(t, tpm, writeLock)
	assert.Equal(t, commits, tpm.Store.Commits())
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, readLock))
	tpm.Store.SetWritable(nil)
	succeed(t, tpm, writeLock, readLock)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUState), "the shutdown still counts")
	assert.Equal(t, locks, attributes(t, tpm)&locks)

	tpm = et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: a | wire.NVWriteDefine}, nil), nvDo(wire.CCNVIncrement, nvFirst), writeLock)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, wire.NVWriteLocked, attributes(t, tpm)&locks)
}
