package boot

import "encoding/binary"

// Command codes, capabilities and response codes (TPM 2.0 Library Part 2,
// sections "TPM_CC", "TPM_CAP", "TPM_PT" and "TPM_RC", rev 1.59). Everything
// is big-endian.
const (
	ccSelfTest      = 0x143
	ccStartup       = 0x144
	ccGetCapability = 0x17A
	ccGetRandom     = 0x17B
	ccPCRRead       = 0x17E
	ccPCRExtend     = 0x182

	capCommands      = 2
	capPCRs          = 5
	capTPMProperties = 6
	ptTotalCommands  = 0x129
	ccFirst          = 0x11F

	rcSuccess    = 0
	rcInitialize = 0x100
	rcFailure    = 0x101
	rcUpgrade    = 0x12D
	rcTesting    = 0x90A
	rcRetry      = 0x922

	tagNoSessions = 0x8001
	tagSessions   = 0x8002
	headerSize    = 10
	rsPassword    = 0x40000009
)

var commandNames = map[uint32]string{
	ccSelfTest: "SelfTest", ccStartup: "Startup", ccGetCapability: "GetCapability",
	ccGetRandom: "GetRandom", ccPCRRead: "PCR_Read", ccPCRExtend: "PCR_Extend",
}

func commandCode(command []byte) uint32 { return binary.BigEndian.Uint32(command[6:]) }

// command begins a command; finish fills in its size.
func command(tag uint16, code uint32) []byte {
	c := make([]byte, 0, 64)
	c = binary.BigEndian.AppendUint16(c, tag)
	c = binary.BigEndian.AppendUint32(c, 0)
	return binary.BigEndian.AppendUint32(c, code)
}

func finish(c []byte) []byte {
	binary.BigEndian.PutUint32(c[2:], uint32(len(c)))
	return c
}

func getCapability(capability, property, count uint32) []byte {
	c := command(tagNoSessions, ccGetCapability)
	c = binary.BigEndian.AppendUint32(c, capability)
	c = binary.BigEndian.AppendUint32(c, property)
	return finish(binary.BigEndian.AppendUint32(c, count))
}

func selfTest(full byte) []byte {
	return finish(append(command(tagNoSessions, ccSelfTest), full))
}

func startupClear() []byte {
	return finish(append(command(tagNoSessions, ccStartup), 0, 0)) // TPM_SU_CLEAR
}

func getRandom(n uint16) []byte {
	return finish(binary.BigEndian.AppendUint16(command(tagNoSessions, ccGetRandom), n))
}

// pcrRead asks for PCRs of one bank; three bytes of selection hold 24 PCRs.
func pcrRead(alg uint16, pcrs ...int) []byte {
	c := command(tagNoSessions, ccPCRRead)
	c = binary.BigEndian.AppendUint32(c, 1)
	c = binary.BigEndian.AppendUint16(c, alg)
	var selection [3]byte
	for _, n := range pcrs {
		selection[n/8] |= 1 << (n % 8)
	}
	c = append(c, 3)
	return finish(append(c, selection[:]...))
}

// pcrExtend extends one digest for each of the algorithms, with an empty
// password (Part 3, section "TPM2_PCR_Extend").
func pcrExtend(pcr int, algs []uint16, digests [][]byte) []byte {
	c := command(tagSessions, ccPCRExtend)
	c = binary.BigEndian.AppendUint32(c, uint32(pcr))
	c = binary.BigEndian.AppendUint32(c, 9) // size of the authorisation area
	c = binary.BigEndian.AppendUint32(c, rsPassword)
	c = append(c, 0, 0, 0, 0, 0) // nonce, attributes, password
	c = binary.BigEndian.AppendUint32(c, uint32(len(digests)))
	for i, d := range digests {
		c = binary.BigEndian.AppendUint16(c, algs[i])
		c = append(c, d...)
	}
	return finish(c)
}

// checkHeader gives the code of a response whose header is right
// (tpm_try_transmit: the size that was received must be the header's).
func checkHeader(response []byte) (code uint32, ok bool) {
	if len(response) < headerSize || int64(binary.BigEndian.Uint32(response[2:])) != int64(len(response)) {
		return 0, false
	}
	return binary.BigEndian.Uint32(response[6:]), true
}

// reader reads a response's parameters. What is not there makes it bad.
type reader struct {
	b   []byte
	bad bool
}

func parameters(response []byte) *reader {
	if len(response) < headerSize {
		return &reader{bad: true}
	}
	return &reader{b: response[headerSize:]}
}

func (r *reader) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// readCapability reads moreData and the capability, which must be the one asked
// for.
func (r *reader) readCapability(capability uint32) {
	r.u8()
	if r.u32() != capability {
		r.bad = true
	}
}

// bankSelection is an entry of TPM2_GetCapability(PCRS).
type bankSelection struct {
	alg       uint16
	allocated bool
}

// maxBanks bounds what is taken of a response: there are not so many hashes.
const maxBanks = 32

func readBanks(response []byte) (banks []bankSelection, ok bool) {
	r := parameters(response)
	r.readCapability(capPCRs)
	count := r.u32()
	if count > maxBanks {
		return nil, false
	}
	for range count {
		s := bankSelection{alg: r.u16()}
		for _, b := range r.bytes(int(r.u8())) {
			s.allocated = s.allocated || b != 0
		}
		banks = append(banks, s)
	}
	return banks, !r.bad
}

// readProperty reads one TPM property; ok is false if the response has none.
func readProperty(response []byte) (value uint32, present, ok bool) {
	r := parameters(response)
	r.readCapability(capTPMProperties)
	if r.u32() == 0 {
		return 0, false, !r.bad
	}
	r.u32()
	value = r.u32()
	return value, true, !r.bad
}

// readCommandCount reads how many commands the TPM has listed.
func readCommandCount(response []byte) (n uint32, ok bool) {
	r := parameters(response)
	r.readCapability(capCommands)
	n = r.u32()
	if int64(len(r.b)) < 4*int64(n) {
		r.bad = true
	}
	return n, !r.bad
}

// readPCRs reads the digests of TPM2_PCR_Read and which PCRs they are of.
func readPCRs(response []byte) (pcrs []int, digests [][]byte, ok bool) {
	r := parameters(response)
	r.u32() // pcrUpdateCounter
	if r.u32() != 1 {
		return nil, nil, false
	}
	r.u16()
	for i, b := range r.bytes(int(r.u8())) {
		for bit := range 8 {
			if b&(1<<bit) != 0 {
				pcrs = append(pcrs, 8*i+bit)
			}
		}
	}
	if n := r.u32(); n != uint32(len(pcrs)) {
		return nil, nil, false
	}
	for range pcrs {
		digests = append(digests, r.bytes(int(r.u16())))
	}
	return pcrs, digests, !r.bad
}
