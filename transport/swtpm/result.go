package swtpm

import "fmt"

// Result is the first word of a control reply. The numbers are TPM 1.2 result
// codes (TPM Main Part 2, section "Return Codes").
type Result uint32

// The results that a server gives.
const (
	Success      Result = 0x00
	BadParameter Result = 0x03 // the payload is too short or too long, or a value in it is out of range
	Fail         Result = 0x09 // the TPM failed to do it
	BadOrdinal   Result = 0x0A // no such request, or not while the TPM is running (or not running)
	KeyNotFound  Result = 0x0D // a state blob is encrypted and there is no key
	SizeError    Result = 0x17 // GET_INFO: the text cannot be made
	IOError      Result = 0x1F // SET_DATAFD: there is a data channel already
	EncryptError Result = 0x20
	DecryptError Result = 0x21
	// BadKeyProperty is a state blob that is encrypted with a key of another size.
	BadKeyProperty Result = 0x28
	BadLocality    Result = 0x3D
	// Retry is set in results that are not fatal: GET_STATEBLOB of a state
	// that does not exist.
	Retry Result = 0x800
)

var resultNames = map[Result]string{
	Success:        "SUCCESS",
	BadParameter:   "BAD_PARAMETER",
	Fail:           "FAIL",
	BadOrdinal:     "BAD_ORDINAL",
	KeyNotFound:    "KEYNOTFOUND",
	SizeError:      "SIZE",
	IOError:        "IOERROR",
	EncryptError:   "ENCRYPT_ERROR",
	DecryptError:   "DECRYPT_ERROR",
	BadKeyProperty: "BAD_KEY_PROPERTY",
	BadLocality:    "BAD_LOCALITY",
	Retry:          "RETRY",
}

// String returns the name of the result.
func (r Result) String() string {
	if name, ok := resultNames[r]; ok {
		return name
	}
	return fmt.Sprintf("result 0x%X", uint32(r))
}

// Capability is a set of bits of the word that GET_CAPABILITY answers.
type Capability uint32

// The capability bits.
const (
	CapInit Capability = 1 << iota
	CapShutdown
	CapGetTPMEstablished
	CapSetLocality
	CapHashing
	CapCancelTPMCmd
	CapStoreVolatile
	CapResetTPMEstablished
	CapGetStateBlob
	CapSetStateBlob
	CapStop
	CapGetConfig
	CapSetDataFD
	CapSetBufferSize
	CapGetInfo
	CapSendCommandHeader // the data channel takes the 9-byte prefix
	CapLockStorage
)

// QEMURequires are the bits without which QEMU's tpm-emulator backend refuses
// a TPM 2.0 (backends/tpm/tpm_emulator.c: tpm_emulator_check_caps).
const QEMURequires = CapInit | CapShutdown | CapGetTPMEstablished | CapSetLocality |
	CapResetTPMEstablished | CapStop | CapSetDataFD | CapSetBufferSize

// InitDeleteVolatile is the flag of INIT that deletes the stored volatile
// state after it has been loaded.
const InitDeleteVolatile uint32 = 1
