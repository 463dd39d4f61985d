package faults

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/swtpmd/swtpmd/transport"
)

// WrongSize has the TPM execute the command, and makes the size field of its response
// larger or smaller than the response is.
type WrongSize struct {
	By int // bytes; not 0
}

var sizeKind = Kind{
	Word: "size", Value: "±N", Group: Bytes,
	Doc:     "The TPM executes the command, and the size field of its response says N bytes more (+N) or fewer (-N) than come, and 0 at least.",
	Example: "ReadClock#4: size=+2",
	Dangerous: "a client that believes the field waits for bytes that do not come, or leaves bytes for the next " +
		"response; with a field below the 10 bytes of a header QEMU 7.2 gives its guest an error of TPM 1.2 and goes on",
	parse: parseSize,
}

func parseSize(value string) (Fault, error) {
	by, err := strconv.Atoi(value)
	if err != nil || value[0] != '+' && value[0] != '-' || by == 0 || by > maxBytes || by < -maxBytes {
		return nil, errSize
	}
	return WrongSize{by}, nil
}

var errSize = errors.New("the difference is written +N or -N, with a number of bytes from 1 to " + strconv.Itoa(maxBytes))

func (WrongSize) kind() *Kind      { return &sizeKind }
func (s WrongSize) String() string { return fmt.Sprintf("size=%+d", s.By) }

func (s WrongSize) check(*Plan, *Rule) string {
	if s.By == 0 || s.By > maxBytes || s.By < -maxBytes {
		return errSize.Error()
	}
	return ""
}

func (s WrongSize) apply(x *exchange) ([]byte, error) {
	return x.change(func(response []byte) ([]byte, string) {
		h, ok := transport.ParseHeader(response)
		if !ok {
			return response, ""
		}
		wrong := uint32(max(0, int64(h.Size)+int64(s.By)))
		binary.BigEndian.PutUint32(response[2:], wrong)
		return response, fmt.Sprintf("size %d in place of %d", wrong, h.Size)
	})
}
