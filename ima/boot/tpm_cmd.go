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

	ccCreatePrimary    = 0x131
	ccContextLoad      = 0x161
	ccContextSave      = 0x162
	ccFlushContext     = 0x165
	ccStartAuthSession = 0x176

	capCommands      = 2
	capPCRs          = 5
	capTPMProperties = 6
	ptTotalCommands  = 0x129
	ccFirst          = 0x11F

	rcSuccess    = 0
	rcInitialize = 0x100
	rcFailure    = 0x101
	rcUpgrade    = 0x12D
	rcIntegrity  = 0x9F
	rcTesting    = 0x90A
	rcRetry      = 0x922

	tagNoSessions = 0x8001
	tagSessions   = 0x8002
	headerSize    = 10
	rsPassword    = 0x40000009
	rhNull        = 0x40000007
)

var commandNames = map[uint32]string{
	ccSelfTest: "SelfTest", ccStartup: "Startup", ccGetCapability: "GetCapability",
	ccGetRandom: "GetRandom", ccPCRRead: "PCR_Read", ccPCRExtend: "PCR_Extend",
	ccCreatePrimary: "CreatePrimary", ccContextLoad: "ContextLoad", ccContextSave: "ContextSave",
	ccFlushContext: "FlushContext", ccStartAuthSession: "StartAuthSession",
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
	c = binary.BigEndian.AppendUint32(c, 9) // size of the authorization area
	c = binary.BigEndian.AppendUint32(c, rsPassword)
	c = append(c, 0, 0, 0, 0, 0) // nonce, attributes, password
	c = binary.BigEndian.AppendUint32(c, uint32(len(digests)))
	for i, d := range digests {
		c = binary.BigEndian.AppendUint16(c, algs[i])
		c = append(c, d...)
	}
	return finish(c)
}

// nullTemplate is the public area of the kernel's null primary: a storage key on
// NIST P-256 with AES-128 in CFB mode (tpm2_create_primary).
var nullTemplate = []byte{
	0x00, 0x23, 0x00, 0x0B, // TPM_ALG_ECC, name in SHA-256
	0x00, 0x03, 0x04, 0x72, // decrypt, restricted, noDA, userWithAuth, sensitiveDataOrigin, fixedParent, fixedTPM
	0x00, 0x00, // no policy
	0x00, 0x06, 0x00, 0x80, 0x00, 0x43, // AES, 128 bits, CFB
	0x00, 0x10, 0x00, 0x03, 0x00, 0x10, // no scheme, NIST P-256, no KDF
	0x00, 0x00, 0x00, 0x00, // no point
}

// createNullPrimary makes a primary of the null hierarchy.
func createNullPrimary() []byte {
	c := command(tagSessions, ccCreatePrimary)
	c = binary.BigEndian.AppendUint32(c, rhNull)
	c = binary.BigEndian.AppendUint32(c, 9)
	c = binary.BigEndian.AppendUint32(c, rsPassword)
	c = append(c, 0, 0, 0, 0, 0)
	c = append(c, 0, 4, 0, 0, 0, 0) // no authValue, no data
	c = binary.BigEndian.AppendUint16(c, uint16(len(nullTemplate)))
	c = append(c, nullTemplate...)
	return finish(append(c, 0, 0, 0, 0, 0, 0)) // no outside information, no PCR
}

func contextSave(handle uint32) []byte {
	return finish(binary.BigEndian.AppendUint32(command(tagNoSessions, ccContextSave), handle))
}

func contextLoad(context []byte) []byte {
	return finish(append(command(tagNoSessions, ccContextLoad), context...))
}

func flushContext(handle uint32) []byte {
	return finish(binary.BigEndian.AppendUint32(command(tagNoSessions, ccFlushContext), handle))
}

// startAuthSession begins an HMAC session with a salt for the key at handle.
func startAuthSession(handle uint32) []byte {
	c := command(tagNoSessions, ccStartAuthSession)
	c = binary.BigEndian.AppendUint32(c, handle)
	c = binary.BigEndian.AppendUint32(c, rhNull)
	c = append(c, 0, 32)
	c = append(c, make([]byte, 32)...)                    // nonceCaller
	c = append(c, 0, 0, 0)                                // salt, sessionType
	c = append(c, 0, 0x06, 0, 0x80, 0, 0x43)              // AES, 128 bits, CFB
	return finish(binary.BigEndian.AppendUint16(c, 0x0B)) // SHA-256
}

// rcValue is a response code without the number of what it is about
// (tpm2_rc_value).
func rcValue(code int) int {
	if code > 0 && code&0x80 != 0 {
		return code & 0xBF
	}
	return code
}

// readHandle reads the handle with which a response begins.
func readHandle(response []byte) (handle uint32, ok bool) {
	r := parameters(response)
	handle = r.u32()
	return handle, !r.bad
}

// readCreatePrimary reads handle and name of a new primary.
func readCreatePrimary(response []byte) (handle uint32, name []byte, ok bool) {
	r := parameters(response)
	handle = r.u32()
	r.u32()               // size of the parameters
	r.bytes(int(r.u16())) // outPublic
	r.bytes(int(r.u16())) // creationData
	r.bytes(int(r.u16())) // creationHash
	r.u16()               // creationTicket: tag
	r.u32()               // hierarchy
	r.bytes(int(r.u16())) // digest
	name = r.bytes(int(r.u16()))
	return handle, name, !r.bad && len(name) > 0
}

// checkHeader returns the code of a response whose header is right
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
