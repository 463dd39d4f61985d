package emulator

import (
	"encoding/binary"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Non-volatile Storage": the commands that use indices.

// nvReadable checks that handle i of the command, which has authorized it, may
// read the index, and that there is something to read.
func nvReadable(c *call, i int, n *state.NVIndex) wire.RC {
	a := n.Attributes
	switch {
	case a&wire.NVReadLocked != 0:
		return wire.RCNVLocked
	case !nvAuthorized(&c.entities[i], n, wire.NVOwnerRead, wire.NVPPRead):
		return wire.RCNVAuthorization
	case !n.Written():
		return wire.RCNVUninitialized
	}
	return wire.RCSuccess
}

// nvWritable checks that what has authorized the command may write the index.
func nvWritable(c *call, n *state.NVIndex) wire.RC {
	switch {
	case n.Attributes&wire.NVWriteLocked != 0:
		return wire.RCNVLocked
	case !nvAuthorized(&c.entities[0], n, wire.NVOwnerWrite, wire.NVPPWrite):
		return wire.RCNVAuthorization
	}
	return wire.RCSuccess
}

// nvReadOnly is TPM_RC_READ_ONLY in read-only mode, unless what changes of the
// index is gone with the next TPM Reset or TPM Restart anyway.
func (t *TPM) nvReadOnly(n *state.NVIndex) wire.RC {
	const passing = wire.NVOrderly | wire.NVClearStClear
	if t.s.Clear.ReadOnly && n.Attributes&passing != passing {
		return wire.RCReadOnly
	}
	return wire.RCSuccess
}

// nvAuthorized reports whether the entity that has authorized the command may use
// the index: the index itself, as the session area has found, or a hierarchy
// with its attribute. Another index may not.
func nvAuthorized(auth *entity, n *state.NVIndex, owner, platform wire.NVAttributes) bool {
	switch auth.handle {
	case wire.RHOwner:
		return n.Attributes&owner != 0
	case wire.RHPlatform:
		return n.Attributes&platform != 0
	}
	return auth.index == n
}

// nvUpdate is what the commands that write have in common: it ends the
// parameters and gives the index if the command may write it. An index of
// another type than these is wrong.
func (t *TPM) nvUpdate(c *call, wrong wire.RC, types ...wire.NT) (*state.NVIndex, wire.RC) {
	if rc := c.done(); rc != wire.RCSuccess {
		return nil, rc
	}
	n := c.entities[1].index
	if rc := t.nvReadOnly(n); rc != wire.RCSuccess {
		return nil, rc
	}
	if rc := nvWritable(c, n); rc != wire.RCSuccess {
		return nil, rc
	}
	if !slices.Contains(types, n.Attributes.Type()) {
		return nil, wrong
	}
	return n, wire.RCSuccess
}

// nvReadPublic is TPM2_NV_ReadPublic.
func (t *TPM) nvReadPublic(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	public := nvPublic(c.entities[0].index)
	area := c.out.Len() + sizeField
	c.out.NVPublic(&public)
	c.nameOf(public.NameAlg, area)
	return wire.RCSuccess
}

// nvReadPublic2 is TPM2_NV_ReadPublic2 (rev 1.83).
func (t *TPM) nvReadPublic2(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	public := nvPublic(c.entities[0].index)
	area := c.out.Len() + sizeField + handleTypeField
	c.out.NVPublic2(&public)
	c.nameOf(public.NameAlg, area)
	return wire.RCSuccess
}

// Sizes of what a TPM2B_NV_PUBLIC and a TPM2B_NV_PUBLIC_2 have before the
// TPMS_NV_PUBLIC (Part 2, chapter "NV Storage Structures").
const (
	sizeField       = 2
	handleTypeField = 1
)

// nameOf responds with the Name of the index whose TPMS_NV_PUBLIC is the end of the
// response, from this offset on.
func (c *call) nameOf(alg wire.AlgID, area int) {
	c.out.Sized(appendName(c.digestSpace[:0], alg, c.out.Data()[area:]))
}

// nvWrite is TPM2_NV_Write.
func (t *TPM) nvWrite(c *call) wire.RC {
	data := c.sized(int(t.config.Limits.NVBuffer))
	offset := int(c.u16())
	n, rc := t.nvUpdate(c, wire.RCAttributes, wire.NTOrdinary, wire.NTPinFail, wire.NTPinPass)
	switch {
	case rc != wire.RCSuccess:
		return rc
	case offset > len(n.Data):
		return c.badParam(2, wire.RCValue)
	case len(data) > len(n.Data)-offset,
		n.Attributes&wire.NVWriteAll != 0 && len(data) < len(n.Data):
		return wire.RCNVRange
	}
	if rc := t.nvChangeable(n); rc != wire.RCSuccess {
		return rc
	}
	t.nvStore(n, offset, data)
	return wire.RCSuccess
}

// nvIncrement is TPM2_NV_Increment. The first value of a counter is larger than
// that of any counter which was undefined.
func (t *TPM) nvIncrement(c *call) wire.RC {
	n, rc := t.nvUpdate(c, c.badHandle(2, wire.RCAttributes), wire.NTCounter)
	if rc != wire.RCSuccess {
		return rc
	}
	count := t.s.NV.MaxCounter
	if n.Written() {
		count = binary.BigEndian.Uint64(n.Data)
	}
	count++
	if !n.Written() || count&orderlyCount == 0 {
		if rc := t.needNV(); rc != wire.RCSuccess {
			return rc
		}
	}
	if rc := t.nvChangeable(n); rc != wire.RCSuccess {
		return rc
	}
	if count&orderlyCount == 0 {
		// From here on what NV holds of an orderly counter, with its low bits
		// set, would be too small.
		t.saveIndices()
	}
	t.nvStoreU64(n, count)
	return wire.RCSuccess
}

// nvSetBits is TPM2_NV_SetBits.
func (t *TPM) nvSetBits(c *call) wire.RC {
	bits := c.u64()
	n, rc := t.nvUpdate(c, c.badHandle(2, wire.RCAttributes), wire.NTBits)
	if rc != wire.RCSuccess {
		return rc
	}
	if rc := t.nvChangeable(n); rc != wire.RCSuccess {
		return rc
	}
	if n.Written() {
		bits |= binary.BigEndian.Uint64(n.Data)
	}
	t.nvStoreU64(n, bits)
	return wire.RCSuccess
}

// nvExtend is TPM2_NV_Extend.
func (t *TPM) nvExtend(c *call) wire.RC {
	data := c.sized(int(t.config.Limits.NVBuffer))
	n, rc := t.nvUpdate(c, c.badHandle(2, wire.RCAttributes), wire.NTExtend)
	if rc != wire.RCSuccess {
		return rc
	}
	if rc := t.nvChangeable(n); rc != wire.RCSuccess {
		return rc
	}
	if !n.Written() {
		clear(n.Data)
	}
	t.nvStore(n, 0, crypt.Digest(n.NameAlg, c.digestSpace[:0], append(slices.Clone(n.Data), data...)))
	return wire.RCSuccess
}

// nvWriteLock is TPM2_NV_WriteLock. To lock what is locked is no error.
func (t *TPM) nvWriteLock(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	n := c.entities[1].index
	if rc := t.nvReadOnly(n); rc != wire.RCSuccess {
		return rc
	}
	switch rc := nvWritable(c, n); {
	case rc == wire.RCNVLocked:
		return wire.RCSuccess
	case rc != wire.RCSuccess:
		return rc
	case n.Attributes&(wire.NVWriteDefine|wire.NVWriteStClear) == 0:
		return c.badHandle(2, wire.RCAttributes)
	}
	return t.nvLock(wire.NVWriteLocked, n)
}

// nvReadLock is TPM2_NV_ReadLock. It takes an index that was never written.
func (t *TPM) nvReadLock(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	n := c.entities[1].index
	if rc := t.nvReadOnly(n); rc != wire.RCSuccess {
		return rc
	}
	switch rc := nvReadable(c, 0, n); {
	case rc == wire.RCNVLocked:
		return wire.RCSuccess
	case rc != wire.RCSuccess && rc != wire.RCNVUninitialized:
		return rc
	case n.Attributes&wire.NVReadStClear == 0:
		return c.badHandle(2, wire.RCAttributes)
	}
	return t.nvLock(wire.NVReadLocked, n)
}

// nvLockInNV reports whether a lock of the index must be in NV: that of an orderly
// one is in RAM, unless it is to be there for ever, or TPM2_Shutdown has saved
// the index already.
func (t *TPM) nvLockInNV(n *state.NVIndex) bool {
	return !n.Orderly() || n.Attributes&wire.NVWriteDefine != 0 || t.s.Persistent.Shutdown != state.ShutdownNone
}

// nvLock sets a lock of indices, of all or of none.
func (t *TPM) nvLock(lock wire.NVAttributes, list ...*state.NVIndex) wire.RC {
	inNV := slices.ContainsFunc(list, t.nvLockInNV)
	if inNV {
		if rc := t.needNV(); rc != wire.RCSuccess {
			return rc
		}
	}
	for _, n := range list {
		n.Attributes |= lock
	}
	if inNV {
		t.saveIndices()
	}
	return wire.RCSuccess
}

// nvGlobalWriteLock is TPM2_NV_GlobalWriteLock.
func (t *TPM) nvGlobalWriteLock(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var list []*state.NVIndex
	for i := range t.s.NV.Indices {
		if n := &t.s.NV.Indices[i]; n.Attributes&(wire.NVGlobalLock|wire.NVWriteLocked) == wire.NVGlobalLock {
			list = append(list, n)
		}
	}
	return t.nvLock(wire.NVWriteLocked, list...)
}

// nvRead is TPM2_NV_Read.
func (t *TPM) nvRead(c *call) wire.RC {
	size, offset := int(c.u16()), int(c.u16())
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	n := c.entities[1].index
	if rc := nvReadable(c, 0, n); rc != wire.RCSuccess {
		return rc
	}
	switch {
	case size > int(t.config.Limits.NVBuffer):
		return c.badParam(1, wire.RCValue)
	case offset > len(n.Data):
		return c.badParam(2, wire.RCValue)
	case size > len(n.Data)-offset:
		return wire.RCNVRange
	}
	c.out.Sized(n.Data[offset : offset+size])
	return wire.RCSuccess
}
