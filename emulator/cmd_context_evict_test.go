package emulator_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, evictPackets) }

// Persistent handles of the owner and of the platform.
const (
	ours       = wire.PersistentFirst + 1
	platformPH = wire.PlatformPersist + 1
)

func evictPackets() []packet {
	return []packet{
		{name: "EvictControl", code: wire.CCEvictControl, bytes: evict(wire.RHOwner, key, ours), before: [][]byte{storagePrimary()}},
	}
}

// evict is TPM2_EvictControl.
func evict(auth, object, persistent wire.Handle) []byte {
	return et.Command(wire.CCEvictControl, handles{auth, object}, et.NoAuth(), et.U32(uint32(persistent)))
}

// primaryOf is a storage primary of a hierarchy.
func primaryOf(hierarchy wire.Handle) []byte {
	return bytes.Replace(storagePrimary(), et.U32(uint32(wire.RHOwner)), et.U32(uint32(hierarchy)), 1)
}

func TestEvictControl(t *testing.T) {
	t.Parallel()
	tpm := with(t, storagePrimary())
	readPublic := func(h wire.Handle) []byte {
		return tpm.Execute(0, et.Command(wire.CCReadPublic, handles{h}, nil))
	}
	want := readPublic(key)
	avail := property(t, tpm, wire.PTHRPersistentAvail)
	require.Equal(t, wire.RCSuccess, send(t, tpm, evict(wire.RHOwner, key, ours)))
	assert.Equal(t, want, readPublic(ours))
	assert.Equal(t, want, readPublic(key), "the transient one stays")
	assert.EqualValues(t, 1, property(t, tpm, wire.PTHRPersistent))
	assert.Equal(t, avail-1, property(t, tpm, wire.PTHRPersistentAvail))
	list := et.Parameters(tpm.Execute(0, getCapability(wire.CapHandles, uint32(wire.PersistentFirst), 10)), false)
	assert.Equal(t, append([]byte{0, 0, 0, 0, 1, 0, 0, 0, 1}, et.U32(uint32(ours))...), list)
	flush(t, tpm, key)

	// It is there after a power cut, and works as a parent.
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, want, readPublic(ours))
	succeed(t, tpm, create(ours, eccSigning().template(made), "", ""))
	assert.Equal(t, wire.RCHandle.Handle(2), send(t, tpm, evict(wire.RHOwner, ours, ours+1)), "removed by its own handle only")
	require.Equal(t, wire.RCSuccess, send(t, tpm, evict(wire.RHOwner, ours, ours)))
	assert.Equal(t, wire.RCHandle.Handle(1), et.ResponseCode(readPublic(ours)))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, wire.RCHandle.Handle(1), et.ResponseCode(readPublic(ours)))
	assert.Equal(t, avail, property(t, tpm, wire.PTHRPersistentAvail))
}

func TestEvictControlRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before  [][]byte
		command []byte
		want    wire.RC
	}{
		"a sequence":               {[][]byte{startHash()}, evict(wire.RHOwner, key, ours), wire.RCAttributes.Handle(2)},
		"an object without secret": {[][]byte{loadExternalPublic(eccSigning(), wire.RHOwner)}, evict(wire.RHOwner, key, ours), wire.RCAttributes.Handle(2)},
		"of the null hierarchy":    {[][]byte{loadExternal(eccSigning())}, evict(wire.RHOwner, key, ours), wire.RCAttributes.Handle(2)},
		"the platform's by owner":  {[][]byte{primaryOf(wire.RHPlatform)}, evict(wire.RHOwner, key, ours), wire.RCHierarchy.Handle(2)},
		"the owner's by platform":  {[][]byte{storagePrimary()}, evict(wire.RHPlatform, key, platformPH), wire.RCHierarchy.Handle(2)},
		"range of the platform":    {[][]byte{storagePrimary()}, evict(wire.RHOwner, key, platformPH), wire.RCRange.Parameter(1)},
		"range of the owner":       {[][]byte{primaryOf(wire.RHPlatform)}, evict(wire.RHPlatform, key, ours), wire.RCRange.Parameter(1)},
		"no persistent handle":     {[][]byte{storagePrimary()}, evict(wire.RHOwner, key, key), wire.RCValue.Parameter(1)},
		"taken":                    {[][]byte{storagePrimary(), evict(wire.RHOwner, key, ours)}, evict(wire.RHOwner, key, ours), wire.RCNVDefined},
		"not there":                {nil, evict(wire.RHOwner, ours, ours), wire.RCHandle.Handle(2)},
		"no hierarchy":             {[][]byte{storagePrimary()}, evict(wire.RHEndorsement, key, ours), wire.RCValue.Handle(1)},
	} {
		assert.Equal(t, tc.want, send(t, with(t, tc.before...), tc.command), name)
	}
	tpm := with(t, storagePrimary())
	tpm.Store.SetWritable(state.ErrRateLimited)
	assert.Equal(t, wire.RCNVRate, send(t, tpm, evict(wire.RHOwner, key, ours)))
}

// The platform removes what it likes, and keeps its own objects in its own
// range, where they are hidden with its hierarchy.
func TestEvictControlOfThePlatform(t *testing.T) {
	t.Parallel()
	tpm := with(t, storagePrimary(), evict(wire.RHOwner, key, ours), primaryOf(wire.RHPlatform), evict(wire.RHPlatform, key+1, platformPH))
	succeed(t, tpm, evict(wire.RHPlatform, ours, ours))
	assert.Equal(t, wire.RCHierarchy.Handle(2), send(t, tpm, evict(wire.RHOwner, platformPH, platformPH)))
	flush(t, tpm, key)
	public := et.Command(wire.CCReadPublic, handles{platformPH}, nil)
	succeed(t, tpm, public, et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, et.NoAuth(), et.U32(uint32(wire.RHPlatform)), et.U8(0)))
	assert.Equal(t, wire.RCHandle.Handle(1), send(t, tpm, public))
	assert.Equal(t, wire.RCReferenceH0, send(t, tpm, et.Command(wire.CCReadPublic, handles{key + 1}, nil)), "what was loaded is flushed")
}

// Objects of the endorsement hierarchy are hidden with it, but the owner can
// still remove them.
func TestEvictedEndorsementObjects(t *testing.T) {
	t.Parallel()
	tpm := with(t, primaryOf(wire.RHEndorsement), evict(wire.RHOwner, key, ours))
	flush(t, tpm, key)
	succeed(t, tpm, et.Command(wire.CCHierarchyControl, handles{wire.RHEndorsement}, et.NoAuth(), et.U32(uint32(wire.RHEndorsement)), et.U8(0)))
	assert.Equal(t, wire.RCHandle.Handle(1), send(t, tpm, et.Command(wire.CCReadPublic, handles{ours}, nil)))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, evict(wire.RHOwner, ours, ours)))
}

// TPM2_Clear removes what the owner and the endorsement hierarchy have, and
// TPM2_ChangePPS what the platform has.
func TestHierarchiesTakeTheirObjectsWithThem(t *testing.T) {
	t.Parallel()
	there := func(tpm *et.TPM, h wire.Handle) bool {
		return send(t, tpm, et.Command(wire.CCReadPublic, handles{h}, nil)) == wire.RCSuccess
	}
	for code, left := range map[wire.CC][3]bool{
		wire.CCClear:     {false, false, true},
		wire.CCChangeEPS: {true, false, true},
		wire.CCChangePPS: {true, true, false},
	} {
		tpm := with(t, primaryOf(wire.RHOwner), evict(wire.RHOwner, key, ours), primaryOf(wire.RHEndorsement), evict(wire.RHOwner, key+1, ours+1))
		flush(t, tpm, key)
		succeed(t, tpm, primaryOf(wire.RHPlatform), evict(wire.RHPlatform, key, platformPH), et.Command(code, handles{wire.RHPlatform}, et.NoAuth()))
		for i, h := range []wire.Handle{ours, ours + 1, platformPH} {
			assert.Equal(t, left[i], there(tpm, h), "%v %v", code, h)
		}
		assert.Equal(t, left[1], there(tpm, key+1), "and what is loaded")
		assert.Equal(t, left[2], there(tpm, key))
	}
}

// A persistent object takes a slot for the time of a command.
func TestPersistentObjectsTakeSlots(t *testing.T) {
	t.Parallel()
	tpm := with(t, storagePrimary(), evict(wire.RHOwner, key, ours))
	public := et.Command(wire.CCReadPublic, handles{ours}, nil)
	createChild := create(ours, eccSigning().template(made), "", "")
	succeed(t, tpm, createChild, startHash(), public)
	assert.Equal(t, wire.RCObjectMemory, send(t, tpm, createChild), "the child takes another")
	succeed(t, tpm, startHash())
	assert.Equal(t, wire.RCObjectMemory, send(t, tpm, public))
	assert.EqualValues(t, 0, property(t, tpm, wire.PTHRTransientAvail))
}

// A persistent object is copied into the first free slot, so a new object gets
// the next one. The signals of locality 4 come when the slot is free again.
func TestSlotsBesidesPersistentObjects(t *testing.T) {
	t.Parallel()
	tpm := with(t, storagePrimary(), evict(wire.RHOwner, key, ours), et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(key))))
	response := tpm.Execute(0, createLoaded(ours, eccSigning().template(made).publicArea(), "", ""))
	require.Equal(t, wire.RCSuccess, et.ResponseCode(response))
	assert.Equal(t, wire.TransientFirst+1, et.ResponseHandle(response))
	succeed(t, tpm, startHash(), et.Command(wire.CCReadPublic, handles{ours}, nil))
	require.NoError(t, tpm.HashStart())
	succeed(t, tpm, et.Command(wire.CCReadPublic, handles{wire.TransientFirst + 1}, nil))
	assert.EqualValues(t, 1, property(t, tpm, wire.PTHRTransientAvail), "nothing was evicted")
}

// NV memory is promised to so many objects, and has room for more.
func TestPersistentObjectsHaveRoom(t *testing.T) {
	t.Parallel()
	limits := emulator.DefaultLimits()
	limits.NVMemory, limits.Persistent = 4190, 1
	tpm := et.New(t, et.WithConfig(emulator.Config{Limits: limits}))
	succeed(t, tpm, storagePrimary())
	assert.EqualValues(t, 2, property(t, tpm, wire.PTHRPersistentAvail))
	assert.Equal(t, wire.RCNVSpace, send(t, tpm, define(wire.RHOwner, nvPublic{size: 2048}, nil)), "for an index that would take the promised room")
	succeed(t, tpm, evict(wire.RHOwner, key, ours), evict(wire.RHOwner, key, ours+1))
	assert.Equal(t, wire.RCNVSpace, send(t, tpm, evict(wire.RHOwner, key, ours+2)))
	succeed(t, tpm, define(wire.RHOwner, nvPublic{size: 8}, nil))
}
