package swtpm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// infoTime is how long one question may take in the device.
const infoTime = 10 * time.Second

// Commands and constants of TPM 2.0 Library Part 2 (rev 1.59), sections
// "TPM_CC", "TPM_CAP", "TPM_PT" and "TPM_ALG_ID".
const (
	ccGetCapability = 0x17A
	ccTestParms     = 0x18A

	capTPMProperties = 6

	ptFamilyIndicator  = 0x100
	ptLevel            = 0x101
	ptRevision         = 0x102
	ptManufacturer     = 0x105
	ptVendorString1    = 0x106
	ptFirmwareVersion1 = 0x10B

	algRSA       = 0x0001
	algNull      = 0x0010
	algSymCipher = 0x0025
	algCamellia  = 0x0026
	algCFB       = 0x0043
)

// inquiry asks a TPM about itself. The first error ends it: later questions
// are not asked.
type inquiry struct {
	send func(command []byte) ([]byte, error)
	err  error
}

// ask sends a command without handles and sessions, and returns the response
// code and the response parameters.
func (q *inquiry) ask(code uint32, parameters []byte) (uint32, []byte) {
	if q.err != nil {
		return 0, nil
	}
	command := binary.BigEndian.AppendUint16(nil, transport.TagNoSessions)
	command = binary.BigEndian.AppendUint32(command, uint32(transport.HeaderSize+len(parameters)))
	command = binary.BigEndian.AppendUint32(command, code)
	response, err := q.send(append(command, parameters...))
	switch {
	case err != nil:
		q.err = fmt.Errorf("TPM command 0x%X: %w", code, err)
	case len(response) < transport.HeaderSize:
		q.err = fmt.Errorf("TPM command 0x%X: response of %d bytes", code, len(response))
	default:
		return binary.BigEndian.Uint32(response[6:]), response[transport.HeaderSize:]
	}
	return 0, nil
}

// property reads one TPM_PT.
func (q *inquiry) property(tag uint32) uint32 {
	parameters := binary.BigEndian.AppendUint32(nil, capTPMProperties)
	parameters = binary.BigEndian.AppendUint32(parameters, tag)
	parameters = binary.BigEndian.AppendUint32(parameters, 1)
	code, answer := q.ask(ccGetCapability, parameters)
	if q.err != nil {
		return 0
	}
	// moreData, capability, count, then the first TPMS_TAGGED_PROPERTY.
	const size = 1 + 4 + 4 + 8
	switch {
	case code != transport.RCSuccess:
		q.err = fmt.Errorf("TPM2_GetCapability: response code 0x%X", code)
	case len(answer) < size || binary.BigEndian.Uint32(answer[9:]) != tag:
		q.err = fmt.Errorf("TPM2_GetCapability: no property 0x%X", tag)
	default:
		return binary.BigEndian.Uint32(answer[13:])
	}
	return 0
}

// text reads properties that hold four characters each.
func (q *inquiry) text(tags ...uint32) string {
	var text []byte
	for _, tag := range tags {
		text = binary.BigEndian.AppendUint32(text, q.property(tag))
	}
	return string(bytes.TrimSpace(bytes.ReplaceAll(text, []byte{0}, nil)))
}

// supported says which key sizes TPM2_TestParms takes.
func (q *inquiry) supported(parameters func(bits uint16) []byte, sizes ...uint16) []uint16 {
	found := []uint16{}
	for _, bits := range sizes {
		code, _ := q.ask(ccTestParms, parameters(bits))
		switch {
		case q.err != nil:
			return nil
		case code == transport.RCSuccess:
			found = append(found, bits)
		case code&rcFormat1 == 0:
			// Not about the parameters: the TPM is not started, say.
			q.err = fmt.Errorf("TPM2_TestParms: response code 0x%X", code)
		}
	}
	return found
}

// rcFormat1 is set in response codes about a handle, session or parameter.
const rcFormat1 = 0x080

// rsaParameters is a TPMT_PUBLIC_PARMS: a plain RSA key.
func rsaParameters(bits uint16) []byte {
	var b []byte
	for _, v := range []uint16{algRSA, algNull, algNull, bits, 0, 0} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// camelliaParameters is a TPMT_PUBLIC_PARMS: a Camellia key for CFB mode.
func camelliaParameters(bits uint16) []byte {
	var b []byte
	for _, v := range []uint16{algSymCipher, algCamellia, bits, algCFB} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}
