package imatrace

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Layout is where members of structures are and which values enumerators have, from the
// kernel's BTF (Documentation/bpf/btf.rst).
type Layout struct {
	types   []btfType // by type ID; the first is void
	strings []byte
	structs map[string]int // first type ID of a struct, by name
	enums   map[string]int // values of enumerators, by name
}

// btfType is a type with what is needed of it.
type btfType struct {
	kind    uint32
	name    string
	ref     uint32 // the type that it stands for
	members []btfMember
}

type btfMember struct {
	name   string
	typeID uint32
	bits   uint32 // offset
}

// The kinds of include/uapi/linux/btf.h that matter here.
const (
	kindInt       = 1
	kindArray     = 3
	kindStruct    = 4
	kindUnion     = 5
	kindEnum      = 6
	kindTypedef   = 8
	kindVolatile  = 9
	kindConst     = 10
	kindRestrict  = 11
	kindFuncProto = 13
	kindVar       = 14
	kindDatasec   = 15
	kindDeclTag   = 17
	kindTypeTag   = 18
	kindEnum64    = 19
)

// LayoutError reports that the BTF is none, or lacks a member.
type LayoutError struct{ What string }

func (e *LayoutError) Error() string { return "the kernel's BTF: " + e.What }

const btfMagic = 0xeb9f

// btfHeader is struct btf_header.
type btfHeader struct {
	Magic                                    uint16
	Version, Flags                           uint8
	HdrLen, TypeOff, TypeLen, StrOff, StrLen uint32
}

// ParseBTF reads the content of a .BTF section of a little-endian kernel.
func ParseBTF(data []byte) (*Layout, error) {
	var h btfHeader
	if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, &h); err != nil || h.Magic != btfMagic {
		return nil, &LayoutError{"no header"}
	}
	types, ok := part(data, uint64(h.HdrLen)+uint64(h.TypeOff), uint64(h.TypeLen))
	if !ok {
		return nil, &LayoutError{"the types are beyond the end"}
	}
	l := &Layout{types: make([]btfType, 1), structs: map[string]int{}, enums: map[string]int{}}
	if l.strings, ok = part(data, uint64(h.HdrLen)+uint64(h.StrOff), uint64(h.StrLen)); !ok {
		return nil, &LayoutError{"the strings are beyond the end"}
	}
	for len(types) > 0 {
		var err error
		if types, err = l.readType(types); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func part(data []byte, off, size uint64) ([]byte, bool) {
	if off > uint64(len(data)) || size > uint64(len(data))-off {
		return nil, false
	}
	return data[off : off+size], true
}

// itemSizes are the sizes of what follows a type of a kind, once for each of its items;
// onceSizes of what follows it once.
var (
	itemSizes = map[uint32]int{kindStruct: 12, kindUnion: 12, kindEnum: 8, kindFuncProto: 8, kindDatasec: 12, kindEnum64: 12}
	onceSizes = map[uint32]int{kindInt: 4, kindArray: 12, kindVar: 4, kindDeclTag: 4}
)

// readType reads struct btf_type and what follows it.
func (l *Layout) readType(data []byte) (rest []byte, err error) {
	le := binary.LittleEndian
	if len(data) < 12 {
		return nil, &LayoutError{fmt.Sprintf("type %d is cut off", len(l.types))}
	}
	info := le.Uint32(data[4:])
	kind, count, bitfields := info>>24&0x1f, int(info&0xffff), info>>31 == 1
	t := btfType{kind: kind, name: l.text(le.Uint32(data)), ref: le.Uint32(data[8:])}
	size := onceSizes[kind] + count*itemSizes[kind]
	if data = data[12:]; len(data) < size {
		return nil, &LayoutError{fmt.Sprintf("type %d (%s) is cut off", len(l.types), t.name)}
	}
	items := data[:size]
	switch kind {
	case kindStruct, kindUnion:
		for ; len(items) > 0; items = items[12:] {
			m := btfMember{name: l.text(le.Uint32(items)), typeID: le.Uint32(items[4:]), bits: le.Uint32(items[8:])}
			if bitfields {
				m.bits &= 0xffffff
			}
			t.members = append(t.members, m)
		}
		if _, known := l.structs[t.name]; !known && kind == kindStruct {
			l.structs[t.name] = len(l.types)
		}
	case kindEnum:
		for ; len(items) > 0; items = items[8:] {
			l.enums[l.text(le.Uint32(items))] = int(int32(le.Uint32(items[4:])))
		}
	}
	l.types = append(l.types, t)
	return data[size:], nil
}

// text returns the string at an offset, empty if there is none.
func (l *Layout) text(off uint32) string {
	if uint64(off) >= uint64(len(l.strings)) {
		return ""
	}
	text, _, _ := bytes.Cut(l.strings[off:], []byte{0})
	return string(text)
}

// Enum returns the value of an enumerator.
func (l *Layout) Enum(name string) (value int, ok bool) {
	value, ok = l.enums[name]
	return value, ok
}

// Offset returns where a member of a struct is, in bytes. The members of path are each in
// the one before.
func (l *Layout) Offset(structName string, path ...string) (int, error) {
	id, ok := l.structs[structName]
	if !ok {
		return 0, &LayoutError{"no struct " + structName}
	}
	at, bits := uint32(id), uint32(0)
	for _, name := range path {
		member, ok := l.member(l.resolve(at), name, 0)
		if !ok || member.bits%8 != 0 {
			return 0, &LayoutError{fmt.Sprintf("no member %s in struct %s", name, structName)}
		}
		bits += member.bits
		at = member.typeID
	}
	return int(bits / 8), nil
}

// nestingMax bounds how deep types refer to types.
const nestingMax = 16

// resolve passes over typedefs and qualifiers.
func (l *Layout) resolve(id uint32) uint32 {
	for range nestingMax {
		if uint64(id) >= uint64(len(l.types)) {
			return 0
		}
		switch l.types[id].kind {
		case kindTypedef, kindVolatile, kindConst, kindRestrict, kindTypeTag:
			id = l.types[id].ref
		default:
			return id
		}
	}
	return 0
}

// member finds a member, also in structs and unions without a name.
func (l *Layout) member(id uint32, name string, depth int) (btfMember, bool) {
	if depth > nestingMax || uint64(id) >= uint64(len(l.types)) {
		return btfMember{}, false
	}
	for _, m := range l.types[id].members {
		if m.name == name {
			return m, true
		}
		if m.name != "" {
			continue
		}
		if inner, ok := l.member(l.resolve(m.typeID), name, depth+1); ok {
			inner.bits += m.bits
			return inner, true
		}
	}
	return btfMember{}, false
}
