package emulator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

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
