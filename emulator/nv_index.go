package emulator

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// NV indices as Part 1, chapter "NV Memory", describes them: where they are,
// who may use them, how their data change. Their commands are in cmd_nv.go and
// cmd_nv_define.go.

// What an index takes of the NV memory and of the memory for orderly indices,
// in bytes, besides its data. Both are the reference implementation's, so that
// as many indices fit here as there.
const (
	nvIndexOverhead   = 152
	nvOrderlyOverhead = 12
)

// orderlyCount is the number of bits of an orderly counter that are not
// written to NV with every increment: TPM_PT_ORDERLY_COUNT.
const orderlyCount = 0xFF

// nvPosition is where an index is in the list, or would have to be.
func (t *TPM) nvPosition(h wire.Handle) (int, bool) {
	t.call.lookups++
	list := t.s.NV.Indices // by index, because an element is large
	return sort.Find(len(list), func(i int) int { return cmp.Compare(h, list[i].Handle) })
}

// nvPublic is the public area of an index. It aliases the index.
func nvPublic(n *state.NVIndex) wire.NVPublic {
	return wire.NVPublic{Index: n.Handle, NameAlg: n.NameAlg, Attributes: n.Attributes,
		Policy: n.Policy.Bytes(), Size: uint16(len(n.Data))}
}

// appendNVName appends the Name of an index: nameAlg and the digest of the
// public area (Part 1, section "Names").
func appendNVName(dst []byte, n *state.NVIndex) []byte {
	var space [4 + 2 + 4 + 2 + wire.MaxDigest + 2]byte
	w := wire.NewWriter(space[:0])
	public := nvPublic(n)
	w.NVPublicArea(&public)
	return appendName(dst, n.NameAlg, w.Data())
}

// isPIN reports whether the index counts its authorizations.
func isPIN(n *state.NVIndex) bool {
	nt := n.Attributes.Type()
	return nt == wire.NTPinFail || nt == wire.NTPinPass
}

// pin is the TPMS_NV_PIN_COUNTER_PARAMETERS in a PIN index.
func pin(n *state.NVIndex) (count, limit uint32) {
	return binary.BigEndian.Uint32(n.Data), binary.BigEndian.Uint32(n.Data[4:])
}

// nvAuthAvailable reports whether the authValue of the index authorizes the
// command (Part 1, section "Authorization of NV Indices"): by AUTHWRITE or
// AUTHREAD, and that of a PIN index as long as its count is below its limit.
func nvAuthAvailable(cmd *Command, n *state.NVIndex) bool {
	switch {
	case cmd.WritesIndex:
		return n.Attributes&wire.NVAuthWrite != 0
	case isPIN(n):
		count, limit := pin(n)
		return n.Written() && count < limit
	}
	return n.Attributes&wire.NVAuthRead != 0
}

// nvChangeable is the last check before data change: what is not orderly
// needs NV, and what is makes a shutdown that came before undone.
func (t *TPM) nvChangeable(n *state.NVIndex) wire.RC {
	if n.Orderly() {
		return t.changeOrderly()
	}
	return t.needNV()
}

// nvStore puts data into the index at offset. The caller has checked the range,
// and nvChangeable. What the first write does not cover is as NV that was erased,
// or of an index with a meaning of its own, or in RAM, zero. An orderly index is
// not written to NV before the next commit.
func (t *TPM) nvStore(n *state.NVIndex, offset int, data []byte) {
	if !n.Written() {
		clear(n.Data)
		if n.Attributes.Type() == wire.NTOrdinary && !n.Orderly() {
			for i := range n.Data {
				n.Data[i] = 0xFF // a zero hash would be the policy of a session that asserts nothing
			}
		}
		n.Attributes |= wire.NVWritten
		// Lost, the first value of an orderly counter would be given twice.
		if n.Attributes.Type() == wire.NTCounter {
			t.saveIndices()
		}
	}
	copy(n.Data[offset:], data)
	if !n.Orderly() {
		t.saveIndices()
	}
}

// nvStoreU64 puts the value into an index of eight bytes.
func (t *TPM) nvStoreU64(n *state.NVIndex, value uint64) {
	t.nvStore(n, 0, binary.BigEndian.AppendUint64(nil, value))
}

// countPIN records an authorization with the authValue of an index, whatever
// becomes of the command (Part 1, section "PIN Fail" and "PIN Pass"). For other
// indices and before the first write it does nothing.
func (t *TPM) countPIN(n *state.NVIndex, success bool) {
	if !isPIN(n) || !n.Written() {
		return
	}
	count, limit := pin(n)
	switch {
	case n.Attributes.Type() == wire.NTPinFail && success:
		count = 0
	case n.Attributes.Type() == wire.NTPinFail || success:
		count++
	}
	t.nvStoreU64(n, uint64(count)<<32|uint64(limit))
}

// nvUndefine removes the index at a position of the list. The value of
// a counter is kept, so that no later counter repeats it.
func (t *TPM) nvUndefine(i int) {
	v := &t.s.NV
	if n := &v.Indices[i]; n.Attributes.Type() == wire.NTCounter && n.Written() {
		v.MaxCounter = max(v.MaxCounter, binary.BigEndian.Uint64(n.Data))
	}
	v.Indices = slices.Delete(v.Indices, i, i+1)
	t.save()
}

// nvClearOwner removes what the owner has defined.
func (t *TPM) nvClearOwner() {
	for i := len(t.s.NV.Indices) - 1; i >= 0; i-- {
		if t.s.NV.Indices[i].Attributes&wire.NVPlatformCreate == 0 {
			t.nvUndefine(i)
		}
	}
}

// nvStartup is the part of TPM2_Startup (Part 1, section "NV Index States"):
// locks that do not outlast it go, and so does what is written in indices that
// are to be cleared. A counter that was not saved skips what it may have been.
func (t *TPM) nvStartup(kind startupKind, orderly bool) {
	if kind == startupResume {
		return
	}
	for i := range t.s.NV.Indices {
		n := &t.s.NV.Indices[i]
		n.Attributes &^= wire.NVReadLocked
		counter := n.Attributes.Type() == wire.NTCounter
		if !counter && (n.Attributes&wire.NVClearStClear != 0 || n.Orderly() && kind == startupReset) {
			n.Attributes &^= wire.NVWritten
		}
		if !n.Written() || n.Attributes&wire.NVWriteDefine == 0 {
			n.Attributes &^= wire.NVWriteLocked
		}
		if counter && n.Orderly() && !orderly {
			n.Data[7] |= orderlyCount
		}
	}
}

// nvFree gives the bytes that are free for indices and persistent objects, and
// for the data of orderly indices.
func (t *TPM) nvFree() (memory, orderly int) {
	memory, orderly = int(t.config.Limits.NVMemory), int(t.config.Limits.NVOrderlyMemory)
	memory -= persistentUsed(t.s.Objects.List)
	for i := range t.s.NV.Indices {
		n := &t.s.NV.Indices[i]
		m, o := nvSize(n.Attributes, len(n.Data))
		memory, orderly = memory-m, orderly-o
	}
	return memory, orderly
}

// nvSize gives the bytes that an index with so many bytes of data takes.
func nvSize(a wire.NVAttributes, size int) (memory, orderly int) {
	if a&wire.NVOrderly != 0 {
		return nvIndexOverhead, nvOrderlyOverhead + size
	}
	return nvIndexOverhead + size, 0
}

// nvCounters is TPM_PT_NV_COUNTERS.
func (t *TPM) nvCounters() uint32 {
	count := uint32(0)
	for i := range t.s.NV.Indices {
		if t.s.NV.Indices[i].Attributes.Type() == wire.NTCounter {
			count++
		}
	}
	return count
}

// nvCountersAvailable is TPM_PT_NV_COUNTERS_AVAIL: how many orderly counters
// can still be defined.
func (t *TPM) nvCountersAvailable() uint32 {
	memory, orderly := t.nvFree()
	m, o := nvSize(wire.NVOrderly, 8)
	return uint32(min(memory/m, orderly/o))
}
