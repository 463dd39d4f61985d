package ima

import "encoding/binary"

// ByteOrder is the order in which a kernel writes the integers of a list and of
// the template data it hashes.
type ByteOrder uint8

const (
	// LittleEndian is the native order of x86, arm64 and ppc64le.
	LittleEndian ByteOrder = iota
	// BigEndian is the native order of s390x and of big-endian ppc64.
	BigEndian
	// Canonical is the order of any kernel booted with ima_canonical_fmt.
	Canonical = LittleEndian
)

// NativeOrder is the order of the machine this program runs on.
func NativeOrder() ByteOrder {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return BigEndian
	}
	return LittleEndian
}

func (o ByteOrder) String() string {
	if o == BigEndian {
		return "big-endian"
	}
	return "little-endian"
}

func (o ByteOrder) uint16(b []byte) uint16 {
	if o == BigEndian {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (o ByteOrder) uint32(b []byte) uint32 {
	if o == BigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (o ByteOrder) appendUint16(dst []byte, v uint16) []byte {
	if o == BigEndian {
		return binary.BigEndian.AppendUint16(dst, v)
	}
	return binary.LittleEndian.AppendUint16(dst, v)
}

func (o ByteOrder) appendUint32(dst []byte, v uint32) []byte {
	if o == BigEndian {
		return binary.BigEndian.AppendUint32(dst, v)
	}
	return binary.LittleEndian.AppendUint32(dst, v)
}

func (o ByteOrder) putUint32(b []byte, v uint32) {
	if o == BigEndian {
		binary.BigEndian.PutUint32(b, v)
		return
	}
	binary.LittleEndian.PutUint32(b, v)
}
