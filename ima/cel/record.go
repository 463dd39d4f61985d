package cel

import (
	"fmt"

	"github.com/swtpmd/swtpmd/ima"
)

// Encoding is one of the encodings of a log.
type Encoding uint8

const (
	// TLV is CEL-TLV: type (u8), length (u32, big-endian), value; nested.
	TLV Encoding = iota + 1
	// JSON is CEL-JSON: an array of objects, or the objects one after the
	// other (RFC 7464 with its separators, or one a line).
	JSON
	// CBOR is CEL-CBOR: an array of maps in deterministic encoding (RFC 8949,
	// section 4.2.1), or the maps one after the other (RFC 8742).
	CBOR
)

var encodingNames = [...]string{TLV: "cel-tlv", JSON: "cel-json", CBOR: "cel-cbor"}

func (e Encoding) String() string {
	if e > 0 && int(e) < len(encodingNames) {
		return encodingNames[e]
	}
	return fmt.Sprintf("Encoding(%d)", uint8(e))
}

// MarshalText returns "cel-tlv", "cel-json" or "cel-cbor".
func (e Encoding) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (e *Encoding) UnmarshalText(text []byte) error {
	for i, name := range encodingNames {
		if name != "" && name == string(text) {
			*e = Encoding(i)
			return nil
		}
	}
	return fmt.Errorf("no encoding %q; there are cel-tlv, cel-json and cel-cbor", text)
}

// ContentType says what a record is about (TPMI_CEL_CONTENT_TYPE).
type ContentType uint64

const (
	// Management is about the log itself.
	Management ContentType = 4
	// PCClient is an event of the firmware (TCG_PCR_EVENT2).
	PCClient ContentType = 5
	// IMATemplate is a record of IMA.
	IMATemplate ContentType = 7
	// IMATLV is a record of IMA in a form that no kernel writes.
	IMATLV ContentType = 8
	// Systemd is an event of systemd.
	Systemd ContentType = 11
)

var contentNames = map[ContentType]string{
	Management: "cel", PCClient: "pcclient_std", IMATemplate: "ima_template", IMATLV: "ima_tlv", Systemd: "systemd",
}

func (c ContentType) String() string {
	if name, ok := contentNames[c]; ok {
		return name
	}
	return fmt.Sprintf("content type %d", uint64(c))
}

// contentByName finds a content type by its name in CEL-JSON.
func contentByName(name []byte) (ContentType, bool) {
	for c, n := range contentNames {
		if n == string(name) {
			return c, true
		}
	}
	return 0, false
}

// Record is one record of a log (TPMS_CEL_EVENT). What a Reader has put there
// holds until its next Read.
type Record struct {
	// Number is the record's (recnum). It counts the records of the PCR from
	// 0, or those of the log.
	Number uint64
	// PCR is the index of the PCR, or that of an NV index if NV.
	PCR uint32
	NV  bool
	// Digests are what was extended, one for each bank.
	Digests []Digest
	Type    ContentType
	// Template is template_name, EventType event_type. Data is template_data
	// or event_data, and nil for other types.
	Template  []byte
	EventType uint32
	Data      []byte

	buf  []byte // what Digests and Data are of
	name []byte // what Template is of, but in CEL-TLV
}

// Digest is a digest of a bank (TPMT_HA).
type Digest struct {
	AlgID uint16 // TPM_ALG_ID
	Sum   []byte
}

const (
	// digestsMax bounds the banks of a record, digestMax a digest in bytes.
	digestsMax = 16
	digestMax  = 64
	// nameMax bounds a template's name in bytes: the longest format there is.
	nameMax = 15*(16+1) - 1
)

// limits are those of a Reader.
type limits struct {
	data int // bytes of template_data or event_data
}

// digestSize is the size of a digest of a TPM_ALG_ID, 0 for one that is not known.
func digestSize(id uint16) int { return hashOf(id).Size() }

// hashOf returns the kernel's hash of a TPM_ALG_ID, zero for one that it does not
// have.
func hashOf(id uint16) ima.HashAlgo {
	for _, a := range algorithms {
		if a.id == id {
			return a.hash
		}
	}
	return 0
}

// algorithms are the hashes of TCG's registry with their names in CEL-JSON.
var algorithms = [...]struct {
	id   uint16
	hash ima.HashAlgo
	name string
}{
	{0x0004, ima.SHA1, "sha1"},
	{0x000b, ima.SHA256, "sha256"},
	{0x000c, ima.SHA384, "sha384"},
	{0x000d, ima.SHA512, "sha512"},
	{0x0012, ima.SM3, "sm3_256"},
	{0x0027, ima.SHA3_256, "sha3_256"},
	{0x0028, ima.SHA3_384, "sha3_384"},
	{0x0029, ima.SHA3_512, "sha3_512"},
}

// check refuses what the information model does not have.
func (r *Record) check() (item string, err error) {
	if len(r.Digests) == 0 {
		return "digests", fmt.Errorf("there are none")
	}
	for i, d := range r.Digests {
		for _, other := range r.Digests[:i] {
			if other.AlgID == d.AlgID {
				return "digests", fmt.Errorf("TPM_ALG_ID 0x%04x comes twice", d.AlgID)
			}
		}
		if size := digestSize(d.AlgID); len(d.Sum) == 0 || len(d.Sum) > digestMax || size > 0 && size != len(d.Sum) {
			return "digests", fmt.Errorf("%d bytes for a digest of TPM_ALG_ID 0x%04x", len(d.Sum), d.AlgID)
		}
	}
	return "", nil
}
