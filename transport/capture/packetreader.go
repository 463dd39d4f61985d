package capture

import "encoding/binary"

// flow is one direction of a TCP connection.
type flow struct {
	from, to         [16]byte
	fromPort, toPort uint16
}

func (f flow) reverse() flow { return flow{f.to, f.from, f.toPort, f.fromPort} }

// parsed is a packet of TCP, taken apart.
type parsed struct {
	flow    flow
	seq     uint32
	flags   byte
	payload []byte
}

// parse takes a packet apart. ok is false if it is not TCP, is a fragment, or was cut.
func parse(link uint16, data []byte) (p parsed, ok bool) {
	data, ok = network(link, data)
	if !ok || len(data) == 0 {
		return p, false
	}
	var tcp []byte
	switch data[0] >> 4 {
	case 4:
		tcp, ok = p.ipv4(data)
	case 6:
		tcp, ok = p.ipv6(data)
	default:
		return p, false
	}
	if !ok || len(tcp) < tcpHeader {
		return p, false
	}
	offset := int(tcp[12]>>4) * 4
	if offset < tcpHeader || offset > len(tcp) {
		return p, false
	}
	p.flow.fromPort, p.flow.toPort = binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:])
	p.seq, p.flags, p.payload = binary.BigEndian.Uint32(tcp[4:]), tcp[13], tcp[offset:]
	return p, true
}

// network takes the header of the link off.
func network(link uint16, data []byte) ([]byte, bool) {
	header, kind := 0, -1
	switch link {
	case linkRaw, linkIPv4, linkIPv6:
	case linkLoopback:
		header = 4
	case linkEthernet:
		header, kind = 14, 12
	case linkCooked:
		header, kind = 16, 14
	default:
		return nil, false
	}
	if len(data) < header {
		return nil, false
	}
	if kind >= 0 {
		const ipv4, ipv6 = 0x0800, 0x86DD
		if t := binary.BigEndian.Uint16(data[kind:]); t != ipv4 && t != ipv6 {
			return nil, false
		}
	}
	return data[header:], true
}

// ipv4 returns what a packet of IPv4 carries, if that is TCP.
func (p *parsed) ipv4(data []byte) ([]byte, bool) {
	if len(data) < ipHeader {
		return nil, false
	}
	header, total := int(data[0]&0xF)*4, int(binary.BigEndian.Uint16(data[2:]))
	fragment := binary.BigEndian.Uint16(data[6:])&0x3FFF != 0 // more of them, or not the first
	if header < ipHeader || total < header || total > len(data) || fragment || data[9] != protocolTCP {
		return nil, false
	}
	copy(p.flow.from[:], data[12:16])
	copy(p.flow.to[:], data[16:20])
	return data[header:total], true
}

// ipv6 returns what a packet of IPv6 without extension headers carries, if that is TCP.
func (p *parsed) ipv6(data []byte) ([]byte, bool) {
	const header = 40
	if len(data) < header {
		return nil, false
	}
	length := int(binary.BigEndian.Uint16(data[4:]))
	if length > len(data)-header || data[6] != protocolTCP {
		return nil, false
	}
	copy(p.flow.from[:], data[8:24])
	copy(p.flow.to[:], data[24:40])
	return data[header : header+length], true
}
