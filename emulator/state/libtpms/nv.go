package libtpms

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/big"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// inRAM is what the memory for orderly indices has of one: its attributes and data.
type inRAM struct {
	attributes wire.NVAttributes
	data       []byte
}

// orderlyRAM reads the memory for orderly indices: entries until one of size 0, or
// until the memory of which the entries are an image is full.
func (t *TPM) orderlyRAM(r *reader) map[wire.Handle]inRAM {
	const header = 12 // octets of an entry in that memory, besides its data
	list := map[wire.Handle]inRAM{}
	version := r.begin(sOrderlyRAM)
	room := int64(r.U32())
	for used := int64(0); !r.failed() && used+header <= room; {
		size := r.U32()
		if size == 0 {
			break
		}
		handle, attributes := wire.Handle(r.U32()), wire.NVAttributes(r.U32())
		data := r.array(1 << 15)
		if _, twice := list[handle]; twice || len(list) == state.MaxNVIndices {
			r.refuse("0x%08x is one too many", uint32(handle))
		}
		list[handle] = inRAM{attributes, data}
		used += header + int64(len(data))
	}
	r.end(version, nil)
	return list
}

// nv reads the NV memory: indices and persistent objects in any order, and the
// highest value of a counter that was undefined.
func (t *TPM) nv(r *reader, ram map[wire.Handle]inRAM) {
	version := r.begin(sNV)
	r.U64() // size of the memory
	s := t.State
	for !r.failed() && r.U32() != 0 {
		switch handle := wire.Handle(r.U32()); handle.Type() {
		case wire.HTNVIndex:
			index := t.index(r, ram)
			if len(s.NV.Indices) == state.MaxNVIndices {
				r.refuse("it has more than %d indices", state.MaxNVIndices)
			}
			s.NV.Indices = append(s.NV.Indices, index)
		case wire.HTPersistent:
			object := t.object(r, handle)
			if len(s.Objects.List) == state.MaxPersistentObjects {
				r.refuse("it has more than %d persistent objects", state.MaxPersistentObjects)
			}
			s.Objects.List = append(s.Objects.List, object)
		default:
			r.refuse("0x%08x is neither an index nor a persistent object", uint32(handle))
		}
		r.part = sNV.name
	}
	s.NV.MaxCounter = r.U64()
	r.end(version, nil)
	slices.SortFunc(s.NV.Indices, func(a, b state.NVIndex) int { return cmp.Compare(a.Handle, b.Handle) })
	slices.SortFunc(s.Objects.List, func(a, b state.PersistentObject) int { return cmp.Compare(a.Handle, b.Handle) })
	for i := 1; i < len(s.NV.Indices); i++ {
		if s.NV.Indices[i-1].Handle == s.NV.Indices[i].Handle {
			r.refuse("NV index 0x%08x is there twice", uint32(s.NV.Indices[i].Handle))
		}
	}
	for i := 1; i < len(s.Objects.List); i++ {
		if s.Objects.List[i-1].Handle == s.Objects.List[i].Handle {
			r.refuse("persistent object 0x%08x is there twice", uint32(s.Objects.List[i].Handle))
		}
	}
}

// index reads an NV index with its data.
func (t *TPM) index(r *reader, ram map[wire.Handle]inRAM) (n state.NVIndex) {
	version := r.begin(sIndex)
	n.Handle, n.NameAlg, n.Attributes = wire.Handle(r.U32()), wire.AlgID(r.U16()), wire.NVAttributes(r.U32())
	n.Policy.Set(r.Digest())
	size := int(r.U16())
	n.Auth.Set(authValue(r.Digest()))
	r.end(version, nil)
	stored := r.U32()
	if r.failed() {
		return n
	}
	if uint64(stored) > uint64(r.Len()) {
		r.refuse("0x%08x announces %d bytes of data, %d are left", uint32(n.Handle), stored, r.Len())
		return n
	}
	data := r.Bytes(int(stored))
	if n.Attributes&wire.NVOrderly != 0 {
		in, ok := ram[n.Handle]
		if !ok {
			r.refuse("0x%08x is orderly, and its data are not there", uint32(n.Handle))
			return n
		}
		n.Attributes, data = in.attributes, in.data
	}
	if len(data) < size {
		r.refuse("0x%08x has %d bytes of data, not %d", uint32(n.Handle), len(data), size)
		return n
	}
	if n.Attributes&wire.NVReserved != 0 || n.Handle.Type() != wire.HTNVIndex {
		r.refuse("0x%08x has attributes 0x%08x", uint32(n.Handle), uint32(n.Attributes))
	}
	n.Data = slices.Clone(data[:size])
	if n.Attributes.Type() != wire.NTOrdinary && n.Attributes.Type() != wire.NTExtend && size != 8 {
		r.refuse("0x%08x has %d bytes of data for its type", uint32(n.Handle), size)
	}
	return n
}

// Attributes of an object outside its public area, as bits of a UINT32.
const (
	objectPublicOnly  = 1 << 0
	objectEndorsement = 1 << 1
	objectPlatform    = 1 << 2
	objectOwner       = 1 << 3
	objectPrimary     = 1 << 5
	objectTemporary   = 1 << 6
	objectStClear     = 1 << 7
	objectSequence    = 7 << 8
	objectOccupied    = 1 << 15
	objectExternal    = 1 << 17
)

// object reads a persistent object.
func (t *TPM) object(r *reader, handle wire.Handle) state.PersistentObject {
	p := state.PersistentObject{Handle: handle, Object: state.Object{Kind: state.ObjectLoaded}}
	version := r.begin(sAnyObject)
	attributes := r.U32()
	if r.failed() {
		return p
	}
	if attributes&objectOccupied == 0 || attributes&(objectSequence|objectTemporary|objectStClear|objectPublicOnly) != 0 {
		r.refuse("0x%08x has the attributes 0x%08x, which are none of a persistent object", uint32(handle), attributes)
		return p
	}
	o := &p.Object
	switch {
	case attributes&objectEndorsement != 0:
		o.Hierarchy = wire.RHEndorsement
	case attributes&objectPlatform != 0:
		o.Hierarchy = wire.RHPlatform
	case attributes&objectOwner != 0:
		o.Hierarchy = wire.RHOwner
	default:
		r.refuse("0x%08x is in no hierarchy", uint32(handle))
	}
	if attributes&objectPrimary != 0 {
		o.Flags |= state.ObjectPrimary
	}
	if attributes&objectExternal != 0 {
		o.Flags |= state.ObjectExternal
	}
	t.areas(r, &p)
	r.end(version, nil)
	return p
}

// areas reads OBJECT: the public and the sensitive area, what libtpms has computed of
// an RSA key, and the Names.
func (t *TPM) areas(r *reader, p *state.PersistentObject) {
	o := &p.Object
	version := r.begin(sObject)
	var public wire.Public
	r.Public(&public, true)
	sensitive := wire.Sensitive{Type: wire.AlgID(r.U16()), Auth: authValue(r.Digest()), Seed: r.Digest(), Data: r.Sized(wire.MaxRSAPrivate)}
	r.block(nil) // the private exponent
	o.QualifiedName = slices.Clone(r.Sized(wire.MaxName))
	r.U32() // the handle
	o.Name = slices.Clone(r.Sized(wire.MaxName))
	r.end(version, nil)
	if r.failed() {
		return
	}
	if sensitive.Type != public.Parms.Type {
		r.refuse("0x%08x has a sensitive area of another type", uint32(p.Handle))
		return
	}
	if public.Parms.Type == wire.AlgRSA && !prime(&public, &sensitive) {
		r.refuse("0x%08x is an RSA key whose prime does not divide its modulus", uint32(p.Handle))
		return
	}
	w := wire.NewWriter(nil)
	w.Public(&public)
	o.Public = w.Data()
	w = wire.NewWriter(nil)
	w.Sensitive(&sensitive)
	o.Sensitive = w.Data()
	name := crypt.Digest(public.NameAlg, binary.BigEndian.AppendUint16(nil, uint16(public.NameAlg)), o.Public)
	if public.NameAlg != wire.AlgNull && !bytes.Equal(name, o.Name) {
		r.refuse("the Name of 0x%08x is another one's", uint32(p.Handle))
	}
}

// prime leaves one prime of an RSA key in its sensitive area, where later versions may
// have more of it, and reports whether it divides the modulus.
func prime(public *wire.Public, sensitive *wire.Sensitive) bool {
	size := int(public.Parms.KeyBits) / 16
	if size == 0 || len(sensitive.Data) < size || len(sensitive.Data)%size != 0 {
		return false
	}
	sensitive.Data = sensitive.Data[:size]
	p, n := new(big.Int).SetBytes(sensitive.Data), new(big.Int).SetBytes(public.Unique)
	return p.Sign() > 0 && new(big.Int).Mod(n, p).Sign() == 0
}
