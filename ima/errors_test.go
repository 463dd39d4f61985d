package ima_test

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/ima"
)

// Each error names what is wrong, and where there is a remedy, that too.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		`record 2, byte 7: PCR: unexpected EOF`:                                &ima.ListError{Record: 2, Offset: 7, Item: "PCR", Err: io.ErrUnexpectedEOF},
		`record 2, line 3: fields: no`:                                         &ima.ListError{Record: 2, Offset: 7, Line: 3, Item: "fields", Err: errors.New("no")},
		`template ima-ng: field n-ng at byte 4 of the template data: is empty`: &ima.FieldError{Template: "ima-ng", Field: "n-ng", Offset: 4, Reason: "is empty"},
		`template format "x": field "y": no`:                                   &ima.TemplateFormatError{Format: "x", Field: "y", Reason: "no"},
		`template format "x": no`:                                              &ima.TemplateFormatError{Format: "x", Reason: "no"},
		`unknown hash algorithm "x"; the kernel's names are those of crypto/hash_info.c, such as sha1, sha256, sha384`: &ima.UnknownHashError{Name: "x"},
		`hash algorithm streebog256 cannot be computed here; leave its bank out to use the others`:                     &ima.UnavailableHashError{Algo: ima.Streebog256},
		`PCR 24: a TPM has PCR 0 to 23, so the record was never extended`:                                              &ima.PCRIndexError{PCR: 24},
		`PCR 4 of bank sha256 cannot be read: unexpected EOF`:                                                          &ima.PCRReadError{Bank: ima.BankOf(ima.SHA256), Index: 4, Err: io.ErrUnexpectedEOF},
	} {
		assert.EqualError(t, err, want)
	}
	assert.ErrorIs(t, &ima.PCRReadError{Err: io.ErrUnexpectedEOF}, io.ErrUnexpectedEOF)
}

func TestStrings(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "HashAlgo(99)", ima.HashAlgo(99).String())
	assert.Equal(t, "little-endian", ima.Canonical.String())
	assert.Equal(t, "big-endian", ima.BigEndian.String())
	assert.Equal(t, "padded sha1 digests, violations too", ima.PaddedSHA1Violation.String())
	assert.Equal(t, "Digests(9)", ima.Digests(9).String())
	assert.Equal(t, "record 2, line 3: the record spans 2 lines, as its name has a newline; no template digest proves it",
		(&ima.Ambiguity{Record: 2, Line: 3, Lines: 2}).String())
	assert.Equal(t, binary.NativeEndian.Uint16([]byte{1, 0}) == 1, ima.NativeOrder() == ima.LittleEndian)
	_, err := ima.HashAlgo(0).MarshalText()
	assert.Error(t, err)
}
