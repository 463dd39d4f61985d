//go:build linux

package soak

import (
	"encoding/binary"
	"fmt"

	"github.com/swtpmd/swtpmd/conformance"
)

// Commands, handles and response codes that are used here (TPM 2.0 Library Part 2,
// sections "TPM_CC", "TPM_RH" and "TPM_RC", rev 1.59).
const (
	ccEvictControl     = 0x120
	ccNVUndefineSpace  = 0x122
	ccNVDefineSpace    = 0x12a
	ccCreatePrimary    = 0x131
	ccNVIncrement      = 0x134
	ccNVWrite          = 0x137
	ccNVRead           = 0x14e
	ccContextSave      = 0x162
	ccFlushContext     = 0x165
	ccReadPublic       = 0x173
	ccStartAuthSession = 0x176
	ccGetCapability    = 0x17a
	ccGetRandom        = 0x17b
	ccHash             = 0x17d
	ccPCRRead          = 0x17e
	ccPCRExtend        = 0x182

	rhOwner   = 0x40000001
	rhNull    = 0x40000007
	rhLockout = 0x4000000a

	algSHA256 = 0x000b

	rcSuccess         = 0x000
	rcFailure         = 0x101
	rcNVUninitialized = 0x14a
	rcNVDefined       = 0x14c
	rcHandle1         = 0x18b // TPM_RC_HANDLE of the first handle
	rcCanceled        = 0x909
	rcNVUnavailable   = 0x923

	// TPMA_NV: read and written with the index's own authorization, which is
	// empty, and without dictionary attack protection.
	nvAuthWrite, nvAuthRead, nvNoDA = 1 << 2, 1 << 18, 1 << 25
	// TPM_NT_COUNTER as TPMA_NV has it, and TPMA_NV_ORDERLY.
	nvCounter, nvOrderly = 1 << 4, 1 << 26

	// firstPersistent is a handle for the owner's persistent objects.
	firstPersistent = 0x81000100
)

// password is the authorization that is empty.
var password = conformance.Password(nil)

func command(code uint32, handles []uint32, sessions []conformance.Session, parameters []byte) []byte {
	p := conformance.Packet{Code: code, Handles: handles, Sessions: sessions, Parameters: parameters}
	return p.Bytes()
}

func numbers16(values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func numbers32(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// rc is the response code of a response, TPM_RC_FAILURE of one too short to have
// one.
func rc(response []byte) uint32 {
	if len(response) < conformance.HeaderSize {
		return rcFailure
	}
	return binary.BigEndian.Uint32(response[6:])
}

// codeError is a response code that was not expected.
type codeError struct {
	command string
	code    uint32
}

func (e *codeError) Error() string { return fmt.Sprintf("%s answered %#x", e.command, e.code) }

func getRandom(n uint16) []byte { return command(ccGetRandom, nil, nil, numbers16(n)) }

func pcrRead(pcr uint) []byte {
	selected := [3]byte{}
	selected[pcr/8] = 1 << (pcr % 8)
	b := append(numbers32(1), numbers16(algSHA256)...)
	return command(ccPCRRead, nil, nil, append(append(b, 3), selected[:]...))
}

func pcrExtend(pcr uint32, digest [32]byte) []byte {
	b := append(numbers32(1), numbers16(algSHA256)...)
	return command(ccPCRExtend, []uint32{pcr}, []conformance.Session{password}, append(b, digest[:]...))
}

func hash(data []byte) []byte {
	b := conformance.AppendSized(nil, data)
	return command(ccHash, nil, nil, append(append(b, numbers16(algSHA256)...), numbers32(rhNull)...))
}

// capability asks for up to count values from property on.
func capability(kind, property, count uint32) []byte {
	return command(ccGetCapability, nil, nil, numbers32(kind, property, count))
}

// nvDefine makes an ordinary index with these attributes, an authorization, and
// room for so many bytes.
func nvDefine(index, attributes uint32, auth []byte, size uint16) []byte {
	public := append(numbers32(index), numbers16(algSHA256)...)
	public = append(public, numbers32(attributes)...)
	public = append(public, numbers16(0, size)...)
	b := conformance.AppendSized(nil, auth)
	return command(ccNVDefineSpace, []uint32{rhOwner}, []conformance.Session{password}, conformance.AppendSized(b, public))
}

func nvUndefine(index uint32) []byte {
	return command(ccNVUndefineSpace, []uint32{rhOwner, index}, []conformance.Session{password}, nil)
}

func nvWrite(index uint32, data []byte) []byte {
	b := conformance.AppendSized(nil, data)
	return command(ccNVWrite, []uint32{index, index}, []conformance.Session{password}, append(b, 0, 0))
}

func nvIncrement(index uint32) []byte {
	return command(ccNVIncrement, []uint32{index, index}, []conformance.Session{password}, nil)
}

func nvRead(index uint32, auth []byte, size uint16) []byte {
	return command(ccNVRead, []uint32{index, index}, []conformance.Session{conformance.Password(auth)}, numbers16(size, 0))
}

// number returns the 64-bit number that an NV index holds, by the response to
// nvRead: 0 of one that was never written.
func number(response []byte) (uint64, error) {
	switch c := rc(response); c {
	case rcSuccess:
	case rcNVUninitialized:
		return 0, nil
	default:
		return 0, &codeError{"TPM2_NV_Read", c}
	}
	r, err := conformance.ParseResponse(ccNVRead, response)
	if err != nil {
		return 0, err
	}
	if len(r.Parameters) != 10 {
		return 0, fmt.Errorf("TPM2_NV_Read answered %d bytes of parameters instead of 10", len(r.Parameters))
	}
	return binary.BigEndian.Uint64(r.Parameters[2:]), nil
}

// eccPrimary makes a signing key for P-256 in a hierarchy: an object in one of few
// slots.
func eccPrimary(hierarchy uint32) []byte {
	sensitive := conformance.AppendSized(nil, numbers16(0, 0))
	const fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, sign = 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 10, 1 << 18
	public := append(numbers16(0x0023, algSHA256), numbers32(fixedTPM|fixedParent|sensitiveDataOrigin|userWithAuth|noDA|sign)...)
	// No policy; symmetric null, ECDSA with SHA-256, NIST P-256, KDF null; no point.
	public = append(public, numbers16(0, 0x0010, 0x0018, algSHA256, 0x0003, 0x0010, 0, 0)...)
	b := conformance.AppendSized(sensitive, public)
	b = append(append(b, numbers16(0)...), numbers32(0)...)
	return command(ccCreatePrimary, []uint32{hierarchy}, []conformance.Session{password}, b)
}

// startSession starts an HMAC session without key.
func startSession() []byte {
	b := conformance.AppendSized(nil, make([]byte, 16))
	b = append(b, numbers16(0)...) // no salt
	b = append(b, 0)               // HMAC
	return command(ccStartAuthSession, []uint32{rhNull, rhNull}, nil, append(b, numbers16(0x0010, algSHA256)...))
}

func contextSave(handle uint32) []byte { return command(ccContextSave, []uint32{handle}, nil, nil) }

func flush(handle uint32) []byte { return command(ccFlushContext, nil, nil, numbers32(handle)) }

// handle is the handle that a response has, 0 of a response without one.
func handle(response []byte) uint32 {
	if rc(response) != rcSuccess || len(response) < conformance.HeaderSize+4 {
		return 0
	}
	return binary.BigEndian.Uint32(response[conformance.HeaderSize:])
}
