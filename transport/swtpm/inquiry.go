package swtpm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// infoTime limits the time of one question.
const infoTime = 10 * time.Second

// Properties and algorithms of TPM 2.0 Library Part 2 (rev 1.59), sections "TPM_PT"
// and "TPM_ALG_ID".
const (
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

// questions sends the commands of the server itself, each with a limit of time. The
// faults let them pass.
type questions struct{ *Server }

// Send executes a command.
func (q questions) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(transport.WithProbe(ctx), infoTime)
	defer cancel()
	return q.device.Send(ctx, locality, command)
}

// inquiry asks a TPM about itself. The first error ends it: later questions
// are not asked.
type inquiry struct {
	ctx context.Context
	tpm ask.TPM
	err error
}

// property reads one TPM_PT.
func (q *inquiry) property(tag uint32) (value uint32) {
	if q.err == nil {
		value, q.err = q.tpm.Property(q.ctx, wire.PT(tag))
	}
	return value
}

// text reads properties that hold four characters each.
func (q *inquiry) text(tags ...uint32) string {
	var text []byte
	for _, tag := range tags {
		text = binary.BigEndian.AppendUint32(text, q.property(tag))
	}
	return string(bytes.TrimSpace(bytes.ReplaceAll(text, []byte{0}, nil)))
}

// supported returns the key sizes that TPM2_TestParms takes.
func (q *inquiry) supported(parameters func(bits uint16) []byte, sizes ...uint16) []uint16 {
	found := []uint16{}
	for _, bits := range sizes {
		if q.err != nil {
			return nil
		}
		err := q.tpm.TestParms(q.ctx, parameters(bits))
		var rc wire.RC
		switch {
		case err == nil:
			found = append(found, bits)
		case !errors.As(err, &rc) || transport.ClassOf(uint32(rc)) != transport.ClassParameter:
			// Not about the parameters: the TPM is not started, say.
			q.err = err
		}
	}
	return found
}

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
