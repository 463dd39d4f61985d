package capture

import "encoding/binary"

// Types of blocks (draft-ietf-opsawg-pcapng, section "Block Types").
const (
	blockSection    = 0x0A0D0D0A
	blockInterface  = 1
	blockPacket     = 2 // obsolete
	blockSimple     = 3
	blockStatistics = 5
	blockEnhanced   = 6
)

// Codes of options, of those blocks that have them (section "Options").
const (
	optionEnd        = 0
	optionComment    = 1
	optionUser       = 4 // shb_userappl
	optionName       = 2 // if_name
	optionResolution = 9 // if_tsresol
	optionDropped    = 5 // isb_ifdrop
)

const (
	byteOrder    = 0x1A2B3C4D
	majorVersion = 1
	// unknownLength is the length of a section that nobody has counted.
	unknownLength = ^uint64(0)
	// nanoseconds is if_tsresol of 10^-9 s.
	nanoseconds = 9
)

// Link types (tcpdump.org, "Link-layer header types").
const (
	linkLoopback = 0 // a family in the order of some host
	linkEthernet = 1
	linkRaw      = 101
	linkCooked   = 113
	linkIPv4     = 228
	linkIPv6     = 229
)

// block is a block that is written: in the order of bytes of the machines that read
// most captures.
type block struct {
	buf   []byte
	start int
}

// begin appends the head of a block to dst.
func begin(dst []byte, kind uint32) block {
	b := block{buf: dst, start: len(dst)}
	b.u32(kind)
	b.u32(0)
	return b
}

func (b *block) u16(v uint16) { b.buf = binary.LittleEndian.AppendUint16(b.buf, v) }
func (b *block) u32(v uint32) { b.buf = binary.LittleEndian.AppendUint32(b.buf, v) }
func (b *block) u64(v uint64) { b.buf = binary.LittleEndian.AppendUint64(b.buf, v) }

// pad fills up to a multiple of 32 bits.
func (b *block) pad() {
	for (len(b.buf)-b.start)%4 != 0 {
		b.buf = append(b.buf, 0)
	}
}

// option appends an option.
func (b *block) option(code uint16, value []byte) {
	b.u16(code)
	b.u16(uint16(len(value)))
	b.buf = append(b.buf, value...)
	b.pad()
}

// comment appends a comment, cut to what an option takes.
func (b *block) comment(text string) {
	const most = 1 << 12
	b.option(optionComment, []byte(text[:min(len(text), most)]))
}

// end appends the tail of the block, writes its length and returns all.
func (b *block) end() []byte {
	length := uint32(len(b.buf) - b.start + 4)
	b.u32(length)
	binary.LittleEndian.PutUint32(b.buf[b.start+4:], length)
	return b.buf
}

// appendHead appends the beginning of a section, and its one interface.
func appendHead(dst []byte) []byte {
	s := begin(dst, blockSection)
	s.u32(byteOrder)
	s.u16(majorVersion)
	s.u16(0)
	s.u64(unknownLength)
	s.option(optionUser, []byte("swtpmd"))
	s.option(optionEnd, nil)
	i := begin(s.end(), blockInterface)
	i.u16(linkRaw)
	i.u16(0) // reserved
	i.u32(0) // packets are never cut
	i.option(optionName, []byte("TPM"))
	i.option(optionResolution, []byte{nanoseconds})
	i.option(optionEnd, nil)
	return i.end()
}

// time appends a time as two words, the upper one first.
func (b *block) time(nanos uint64) {
	b.u32(uint32(nanos >> 32))
	b.u32(uint32(nanos))
}

// appendStatistics appends how many packets of the section are not there.
func appendStatistics(dst []byte, nanos, dropped uint64) []byte {
	b := begin(dst, blockStatistics)
	b.u32(0) // the interface
	b.time(nanos)
	b.option(optionDropped, binary.LittleEndian.AppendUint64(nil, dropped))
	b.option(optionEnd, nil)
	return b.end()
}
