package boot

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/transport"
)

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

	headerSize = transport.HeaderSize
	rsPassword = 0x40000009
	rhNull     = 0x40000007
)

var commandNames = map[uint32]string{
	ccSelfTest: "SelfTest", ccStartup: "Startup", ccGetCapability: "GetCapability",
	ccGetRandom: "GetRandom", ccPCRRead: "PCR_Read", ccPCRExtend: "PCR_Extend",
	ccCreatePrimary: "CreatePrimary", ccContextLoad: "ContextLoad", ccContextSave: "ContextSave",
	ccFlushContext: "FlushContext", ccStartAuthSession: "StartAuthSession",
}

func commandCode(command []byte) uint32 {
	code, _ := transport.CommandCode(command)
	return code
}

// unauthorized returns a command without sessions.
func unauthorized(code uint32, pieces ...[]byte) []byte {
	return transport.NewCommand(transport.TagNoSessions, code, pieces...)
}

// authorized returns a command with one handle, which an empty password authorizes.
func authorized(code, handle uint32, pieces ...[]byte) []byte {
	c := transport.AppendHeader(make([]byte, 0, 128), transport.Header{Tag: transport.TagSessions, Code: code})
	c = binary.BigEndian.AppendUint32(c, handle)
	c = binary.BigEndian.AppendUint32(c, 9) // size of the authorization area
	c = binary.BigEndian.AppendUint32(c, rsPassword)
	c = append(c, 0, 0, 0, 0, 0) // nonce, attributes, password
	for _, piece := range pieces {
		c = append(c, piece...)
	}
	transport.SetSize(c)
	return c
}

func u16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func getCapability(capability, property, count uint32) []byte {
	return unauthorized(ccGetCapability, u32(capability), u32(property), u32(count))
}

func selfTest(full byte) []byte { return unauthorized(ccSelfTest, []byte{full}) }

func startupClear() []byte { return unauthorized(ccStartup, []byte{0, 0}) } // TPM_SU_CLEAR

func getRandom(n uint16) []byte { return unauthorized(ccGetRandom, u16(n)) }

// pcrRead asks for PCRs of one bank; three bytes of selection hold 24 PCRs.
func pcrRead(alg uint16, pcrs ...int) []byte {
	selection := []byte{3, 0, 0, 0}
	for _, n := range pcrs {
		selection[1+n/8] |= 1 << (n % 8)
	}
	return unauthorized(ccPCRRead, u32(1), u16(alg), selection)
}

// pcrExtend extends one digest for each of the algorithms, with an empty
// password (Part 3, section "TPM2_PCR_Extend").
func pcrExtend(pcr int, algs []uint16, digests [][]byte) []byte {
	list := binary.BigEndian.AppendUint32(make([]byte, 0, 128), uint32(len(digests)))
	for i, d := range digests {
		list = binary.BigEndian.AppendUint16(list, algs[i])
		list = append(list, d...)
	}
	return authorized(ccPCRExtend, uint32(pcr), list)
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
	return authorized(ccCreatePrimary, rhNull,
		[]byte{0, 4, 0, 0, 0, 0}, // no authValue, no data
		u16(uint16(len(nullTemplate))), nullTemplate,
		[]byte{0, 0, 0, 0, 0, 0}) // no outside information, no PCR
}

func contextSave(handle uint32) []byte { return unauthorized(ccContextSave, u32(handle)) }

func contextLoad(context []byte) []byte { return unauthorized(ccContextLoad, context) }

func flushContext(handle uint32) []byte { return unauthorized(ccFlushContext, u32(handle)) }

// startAuthSession begins an HMAC session with a salt for the key at handle.
func startAuthSession(handle uint32) []byte {
	return unauthorized(ccStartAuthSession, u32(handle), u32(rhNull),
		[]byte{0, 32}, make([]byte, 32), // nonceCaller
		[]byte{0, 0, 0},                   // salt, sessionType
		[]byte{0, 0x06, 0, 0x80, 0, 0x43}, // AES, 128 bits, CFB
		u16(0x0B))                         // SHA-256
}

// rcValue is a response code without the number of what it is about
// (tpm2_rc_value).
func rcValue(code int) int {
	if code > 0 {
		return int(transport.RCBase(uint32(code)))
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
	h, ok := transport.ParseHeader(response)
	return h.Code, ok && uint64(h.Size) == uint64(len(response))
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
