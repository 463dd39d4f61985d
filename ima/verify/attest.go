package verify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"filippo.io/mldsa"

	"github.com/swtpmd/swtpmd/ima"
)

// Attest is a TPMS_ATTEST of the type TPM_ST_ATTEST_QUOTE: what TPM2_Quote signs
// (TPM 2.0 Library Part 2, sections "TPMS_ATTEST" and "TPMS_QUOTE_INFO",
// rev 1.59).
type Attest struct {
	// QualifiedSigner is the qualified name of the key, a TPM2B_NAME without
	// its size. It is passed through: only who knows the key's ancestors can
	// check it.
	QualifiedSigner ima.Hex `json:"qualified_signer"`
	// ExtraData is the nonce of who asked for the quote.
	ExtraData ima.Hex   `json:"extra_data"`
	Clock     ClockInfo `json:"clock"`
	// FirmwareVersion is the TPM's. For keys outside the endorsement and
	// platform hierarchies it is obfuscated, as are the two counts.
	FirmwareVersion uint64 `json:"firmware_version"`
	// Selections are the PCRs quoted, in the order in which PCRDigest is
	// computed.
	Selections []Selection `json:"selections"`
	// PCRDigest is the digest of the PCRs' values, with the hash of the
	// signature, and with the key's nameAlg for ML-DSA.
	PCRDigest ima.Hex `json:"pcr_digest"`
}

// ClockInfo is a TPMS_CLOCK_INFO.
type ClockInfo struct {
	Clock        uint64 `json:"clock_ms"` // milliseconds that the TPM had power
	ResetCount   uint32 `json:"reset_count"`
	RestartCount uint32 `json:"restart_count"`
	// Safe reports that no greater Clock has been reported before.
	Safe bool `json:"safe"`
}

// Selection is a TPMS_PCR_SELECTION.
type Selection struct {
	AlgID uint16 `json:"alg_id"`
	// Bank is the hash of AlgID, zero for one that the kernel does not have.
	Bank ima.HashAlgo `json:"bank,omitempty"`
	PCRs []int        `json:"pcrs"`
}

// Signature is a TPMT_SIGNATURE of RSASSA, RSAPSS, ECDSA or, since version 185, ML-DSA
// (Part 2, section "TPMT_SIGNATURE").
type Signature struct {
	// AlgID is the scheme: TPM_ALG_RSASSA, TPM_ALG_RSAPSS, TPM_ALG_ECDSA or
	// TPM_ALG_MLDSA.
	AlgID uint16
	// HashID is the hash, a TPM_ALG_ID; 0 for ML-DSA, which has none.
	HashID uint16
	// RSA is the signature of the first two, R and S the one of ECDSA, MLDSA that of
	// ML-DSA as FIPS 204 encodes it.
	RSA, R, S, MLDSA []byte
}

// AttestError says where a TPMS_ATTEST or TPMT_SIGNATURE is none.
type AttestError struct {
	Structure string // "TPMS_ATTEST" or "TPMT_SIGNATURE"
	Offset    int    // in bytes
	Item      string // such as "extraData"
	Err       error
}

func (e *AttestError) Error() string {
	return fmt.Sprintf("%s, byte %d: %s: %v", e.Structure, e.Offset, e.Item, e.Err)
}

func (e *AttestError) Unwrap() error { return e.Err }

var (
	// ErrNotGenerated reports that the structure does not begin with
	// TPM_GENERATED_VALUE: no TPM has made it, although one may have signed
	// it.
	ErrNotGenerated = errors.New("not TPM_GENERATED_VALUE, so not made by a TPM")
	// ErrNotQuote reports that a TPM attests to something else.
	ErrNotQuote = errors.New("not TPM_ST_ATTEST_QUOTE")
)

// Constants of Part 2.
const (
	tpmGenerated  = 0xff544347
	stAttestQuote = 0x8018

	algRSASSA = 0x0014
	algRSAPSS = 0x0016
	algECDSA  = 0x0018
	algMLDSA  = 0x00a1

	// Bounds of buffers, in bytes: a name is an algorithm and a digest, so is
	// a TPM2B_DATA; an RSA key has at most 4096 bits here and in all TPMs
	// known, an ECC parameter at most 521.
	nameMax      = 2 + 64
	dataMax      = 2 + 64
	digestMax    = 64
	rsaMax       = 512
	eccMax       = 66
	selectionMax = 16 // banks
	selectMax    = 4  // bytes of a bit map, three in a TPM of 24 PCRs
)

// mldsaSets are those of TPMI_MLDSA_PARAMETER_SET (version 185).
var mldsaSets = map[uint16]mldsa.Parameters{1: mldsa.MLDSA44(), 2: mldsa.MLDSA65(), 3: mldsa.MLDSA87()}

// ParseAttest reads a TPMS_ATTEST, without the size of a TPM2B_ATTEST before it
// and with nothing after it. The error is an AttestError.
func ParseAttest(b []byte) (*Attest, error) {
	d := &attestDecoder{structure: "TPMS_ATTEST", b: b}
	if magic := d.uint32("magic"); magic != tpmGenerated {
		d.fail(4, ErrNotGenerated)
	}
	if tag := d.uint16("type"); tag != stAttestQuote {
		d.fail(2, ErrNotQuote)
	}
	a := &Attest{
		QualifiedSigner: d.sized("qualifiedSigner", nameMax),
		ExtraData:       d.sized("extraData", dataMax),
		Clock:           ClockInfo{Clock: d.uint64("clock"), ResetCount: d.uint32("resetCount"), RestartCount: d.uint32("restartCount"), Safe: d.yesNo("safe")},
		FirmwareVersion: d.uint64("firmwareVersion"),
		Selections:      d.selections(),
		PCRDigest:       d.sized("pcrDigest", digestMax),
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return a, nil
}

// ParseSignature reads a TPMT_SIGNATURE with nothing after it. The error is an
// AttestError.
func ParseSignature(b []byte) (*Signature, error) {
	d := &attestDecoder{structure: "TPMT_SIGNATURE", b: b}
	s := &Signature{AlgID: d.uint16("sigAlg")}
	switch s.AlgID {
	case algRSASSA, algRSAPSS:
		s.HashID = d.uint16("hash")
		s.RSA = d.sized("sig", rsaMax)
	case algECDSA:
		s.HashID = d.uint16("hash")
		s.R = d.sized("signatureR", eccMax)
		s.S = d.sized("signatureS", eccMax)
	case algMLDSA:
		s.MLDSA = d.sized("sig", mldsa.MLDSA87SignatureSize)
	default:
		d.fail(2, fmt.Errorf("scheme 0x%04x; taken are RSASSA, RSAPSS, ECDSA and ML-DSA", s.AlgID))
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return s, nil
}

// attestDecoder reads big-endian structures. After an error it gives zeros, and
// end gives the error.
type attestDecoder struct {
	structure string
	b         []byte
	at        int
	item      string
	err       error
}

// take returns the next n bytes, nil if there are fewer.
func (d *attestDecoder) take(n int, item string) []byte {
	if d.err != nil {
		return nil
	}
	d.item = item
	if n > len(d.b)-d.at {
		d.fail(0, io.ErrUnexpectedEOF)
		return nil
	}
	d.at += n
	return d.b[d.at-n : d.at : d.at]
}

// fail notes an error of the item that began n bytes ago.
func (d *attestDecoder) fail(n int, err error) {
	if d.err == nil {
		d.err = &AttestError{Structure: d.structure, Offset: d.at - n, Item: d.item, Err: err}
	}
}

func (d *attestDecoder) uint8(item string) uint8 {
	if b := d.take(1, item); b != nil {
		return b[0]
	}
	return 0
}

func (d *attestDecoder) uint16(item string) uint16 {
	if b := d.take(2, item); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *attestDecoder) uint32(item string) uint32 {
	if b := d.take(4, item); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *attestDecoder) uint64(item string) uint64 {
	if b := d.take(8, item); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// yesNo reads a TPMI_YES_NO.
func (d *attestDecoder) yesNo(item string) bool {
	v := d.uint8(item)
	if v > 1 {
		d.fail(1, fmt.Errorf("%d is neither NO (0) nor YES (1)", v))
	}
	return v == 1
}

// sized reads a TPM2B of at most limit bytes.
func (d *attestDecoder) sized(item string, limit int) []byte {
	n := int(d.uint16(item))
	if n > limit {
		d.fail(2, fmt.Errorf("%d bytes, there can be %d", n, limit))
	}
	return d.take(n, item)
}

// selections reads a TPML_PCR_SELECTION.
func (d *attestDecoder) selections() []Selection {
	n := d.uint32("pcrSelect")
	if n > selectionMax {
		d.fail(4, fmt.Errorf("%d banks, there can be %d", n, selectionMax))
		return nil
	}
	var list []Selection
	for range n {
		s := Selection{AlgID: d.uint16("pcrSelect hash")}
		s.Bank = bankByAlgID(s.AlgID)
		size := int(d.uint8("sizeofSelect"))
		if size > selectMax {
			d.fail(1, fmt.Errorf("%d bytes, there can be %d", size, selectMax))
		}
		s.PCRs = selected(d.take(size, "pcrSelect bits"))
		list = append(list, s)
	}
	return list
}

func (d *attestDecoder) end() error {
	if d.err == nil && d.at < len(d.b) {
		d.item = "end"
		d.fail(0, fmt.Errorf("%d bytes follow", len(d.b)-d.at))
	}
	return d.err
}

// bankByAlgID returns the kernel's hash of a TPM_ALG_ID, zero if it has none.
func bankByAlgID(id uint16) ima.HashAlgo {
	for _, h := range bankHashes {
		if ima.BankOf(h).AlgID == id {
			return h
		}
	}
	return 0
}
