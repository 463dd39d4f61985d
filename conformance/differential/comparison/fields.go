package comparison

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// difference compares two fields of a kind. same reports whether all input
// to them is equal. The result is "" if there is no difference.
func difference(k wire.Kind, ours, theirs []byte, same bool) string {
	equal := bytes.Equal(ours, theirs)
	switch k {
	case wire.Number1, wire.Number2, wire.Number4, wire.Number8:
		if !equal {
			return exact(ours, theirs)
		}
	case wire.Determined, wire.Rest:
		if same && !equal {
			return exact(ours, theirs)
		}
	case wire.Drawn:
		if len(ours) != len(theirs) {
			return fmt.Sprintf("size: ours %d bytes, theirs %d", len(ours), len(theirs))
		}
	case wire.Ticket:
		if len(ours) != len(theirs) || !bytes.Equal(ours[:8], theirs[:8]) {
			return fmt.Sprintf("ticket: ours %s, theirs %s", excerpt(ours), excerpt(theirs))
		}
	case wire.Signed, wire.SignedAttest:
		return compareSignatures(ours, theirs, same && k == wire.Signed)
	case wire.Attest:
		return compareAttest(ours[2:], theirs[2:], same)
	case wire.Context:
		return exact(ours[:wire.ContextHead], theirs[:wire.ContextHead])
	case wire.Time:
		return Clocks(ours, theirs)
	}
	return ""
}

// compareSignatures compares scheme and hash, and all of a signature that
// follows from the key and what is signed.
func compareSignatures(ours, theirs []byte, same bool) string {
	a, b := (&wire.Cursor{Rest: ours}).Signature(), (&wire.Cursor{Rest: theirs}).Signature()
	if a.Scheme != b.Scheme || a.Hash != b.Hash {
		return fmt.Sprintf("signature: ours %#x %#x, theirs %#x %#x", uint16(a.Scheme), uint16(a.Hash), uint16(b.Scheme), uint16(b.Hash))
	}
	if same && (a.Scheme == tpm2.TPMAlgRSASSA || a.Scheme == tpm2.TPMAlgHMAC) {
		return exact(ours, theirs)
	}
	return ""
}

// compareAttest compares two TPMS_ATTEST but for time, the counts that are
// obfuscated, and the firmware version. Names and qualified names are checked
// by the caller.
func compareAttest(ours, theirs []byte, same bool) string {
	a, okA := wire.ParseAttest(ours)
	b, okB := wire.ParseAttest(theirs)
	switch {
	case !okA || !okB:
		return fmt.Sprintf("attestation: ours %s, theirs %s", excerpt(ours), excerpt(theirs))
	case a.Magic != b.Magic || a.Kind != b.Kind:
		return fmt.Sprintf("attestation: ours %#x %#x, theirs %#x %#x", a.Magic, uint16(a.Kind), b.Magic, uint16(b.Kind))
	case !same:
		return ""
	case !bytes.Equal(a.ExtraData, b.ExtraData):
		return fmt.Sprintf("extra data: ours %x, theirs %x", a.ExtraData, b.ExtraData)
	case a.Kind == tpm2.TPMSTAttestSessionAudit:
		return exact(a.Attested[:1], b.Attested[:1]) // the digest is over random answers, too
	case a.Kind == tpm2.TPMSTAttestTime || a.Kind == tpm2.TPMSTAttestCertify:
		return "" // the caller has compared it
	case !bytes.Equal(a.Attested, b.Attested):
		return "attested: " + exact(a.Attested, b.Attested)
	}
	return ""
}

// exact compares parameters byte by byte.
func exact(ours, theirs []byte) string {
	if bytes.Equal(ours, theirs) {
		return ""
	}
	at := 0
	for at < len(ours) && at < len(theirs) && ours[at] == theirs[at] {
		at++
	}
	return fmt.Sprintf("parameters: %d and %d bytes, from byte %d on ours %s, theirs %s", len(ours), len(theirs), at, excerpt(ours[at:]), excerpt(theirs[at:]))
}

// excerpt writes a few bytes.
func excerpt(b []byte) string {
	if len(b) > 8 {
		return hex.EncodeToString(b[:8]) + "…"
	}
	return wire.Hex(b)
}
