package capture

import "encoding/binary"

// Flags of TCP (RFC 9293, section 3.1).
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagPSH = 0x08
	flagACK = 0x10
)

const (
	ipHeader    = 20
	tcpHeader   = 20
	protocolTCP = 6
	// mostPayload is how much of a TPM's response one packet carries: a size that the
	// length field of IPv4 (RFC 791, 16 bits) has room for.
	mostPayload = 1 << 15
)

// localhost is the address of both ends.
var localhost = [4]byte{127, 0, 0, 1}

// segment is a packet of TCP over IPv4.
type segment struct {
	from, to uint16 // ports
	seq, ack uint32
	flags    byte
	payload  []byte
}

// append appends the packet. Without checksums those fields are 0, which Wireshark
// takes for a network card that computes them.
func (s *segment) append(dst []byte, checksums bool) []byte {
	start := len(dst)
	dst = append(dst, 0x45, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(ipHeader+tcpHeader+len(s.payload)))
	dst = append(dst, 0, 0, 0x40, 0, 64, protocolTCP, 0, 0) // no fragments; 64 hops
	dst = append(append(dst, localhost[:]...), localhost[:]...)
	dst = binary.BigEndian.AppendUint16(dst, s.from)
	dst = binary.BigEndian.AppendUint16(dst, s.to)
	dst = binary.BigEndian.AppendUint32(dst, s.seq)
	dst = binary.BigEndian.AppendUint32(dst, s.ack)
	dst = append(dst, tcpHeader/4<<4, s.flags, 0xFF, 0xFF, 0, 0, 0, 0) // window, checksum, urgent
	dst = append(dst, s.payload...)
	if checksums {
		ip, tcp := dst[start:start+ipHeader], dst[start+ipHeader:]
		binary.BigEndian.PutUint16(ip[10:], ^fold(sum(0, ip)))
		pseudo := sum(sum(0, ip[12:20]), []byte{0, protocolTCP, byte(len(tcp) >> 8), byte(len(tcp))})
		binary.BigEndian.PutUint16(tcp[16:], ^fold(sum(pseudo, tcp)))
	}
	return dst
}

// sum adds 16-bit words, the last of which may lack a byte (RFC 1071).
func sum(before uint64, data []byte) uint64 {
	for ; len(data) > 1; data = data[2:] {
		before += uint64(data[0])<<8 | uint64(data[1])
	}
	if len(data) == 1 {
		before += uint64(data[0]) << 8
	}
	return before
}

func fold(sum uint64) uint16 {
	for sum > 0xFFFF {
		sum = sum&0xFFFF + sum>>16
	}
	return uint16(sum)
}
