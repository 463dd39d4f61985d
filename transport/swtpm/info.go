package swtpm

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/swtpmd/swtpmd/transport/ask"
)

// Flags of GET_INFO: each adds one key to the JSON object that it answers.
const (
	InfoSpecification uint64 = 1 << iota // TPMSpecification
	InfoAttributes                       // TPMAttributes
	InfoFeatures                         // TPMFeatures
)

// infoChunk is the most bytes of text in one reply; a client asks for the rest
// with an offset.
const infoChunk = 3072

// getInfo describes the TPM as JSON. What is told is asked from the TPM with
// TPM2_GetCapability and TPM2_TestParms, so it must be running and started
// for any flag that asks for something; otherwise the result is SIZE, as when
// swtpm cannot make the text. Flags without meaning are ignored.
func (c *control) getInfo(req *request) Result {
	flags := binary.BigEndian.Uint64(req.payload)
	offset := int64(binary.BigEndian.Uint32(req.payload[8:]))
	text, err := c.s.info(flags)
	if err != nil {
		c.s.log.Warn("GET_INFO failed", "cause", err)
		return SizeError
	}
	text = append(text, 0) // the text ends as in C
	total := int64(len(text))
	if offset >= total {
		return BadParameter
	}
	piece := text[offset:min(total, offset+infoChunk)]
	req.reply = binary.BigEndian.AppendUint32(req.reply, uint32(total))
	req.reply = binary.BigEndian.AppendUint32(req.reply, uint32(len(piece)))
	req.reply = append(req.reply, piece...)
	return Success
}

// Info is the text of GET_INFO, taken apart. A nil part was not asked for.
type Info struct {
	Specification *InfoSpec  `json:"TPMSpecification,omitempty"`
	Attributes    *InfoAttrs `json:"TPMAttributes,omitempty"`
	Features      *InfoFeats `json:"TPMFeatures,omitempty"`
}

// InfoSpec is the TPM specification that a TPM follows.
type InfoSpec struct {
	Family   string `json:"family"`
	Level    uint32 `json:"level"`
	Revision uint32 `json:"revision"`
}

// InfoAttrs are the TPM's maker, version ("id:" and hexadecimal digits, as in
// an EK certificate: TCG EK Credential Profile, section "TPM attributes") and
// model.
type InfoAttrs struct {
	Manufacturer string `json:"manufacturer"`
	Version      string `json:"version"`
	Model        string `json:"model"`
}

// InfoFeats are key sizes in bits.
type InfoFeats struct {
	RSAKeySizes      []uint16 `json:"RSAKeySizes"`
	CamelliaKeySizes []uint16 `json:"CamelliaKeySizes"`
}

func (s *Server) info(flags uint64) ([]byte, error) {
	var info Info
	q := inquiry{ctx: s.ctx, tpm: ask.TPM{Device: questions{s}}}
	if flags&InfoSpecification != 0 {
		info.Specification = &InfoSpec{
			Family:   q.text(ptFamilyIndicator),
			Level:    q.property(ptLevel),
			Revision: q.property(ptRevision),
		}
	}
	if flags&InfoAttributes != 0 {
		info.Attributes = &InfoAttrs{
			Manufacturer: fmt.Sprintf("id:%08X", q.property(ptManufacturer)),
			Version:      fmt.Sprintf("id:%08X", q.property(ptFirmwareVersion1)),
			Model:        q.text(ptVendorString1, ptVendorString1+1, ptVendorString1+2, ptVendorString1+3),
		}
	}
	if flags&InfoFeatures != 0 {
		info.Features = &InfoFeats{
			RSAKeySizes:      q.supported(rsaParameters, 1024, 2048, 3072, 4096),
			CamelliaKeySizes: q.supported(camelliaParameters, 128, 192, 256),
		}
	}
	if q.err != nil {
		return nil, q.err
	}
	return json.Marshal(info)
}
