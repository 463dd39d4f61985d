package wire

import "slices"

// MaxDigest is the size in bytes of the largest digest (SHA-512), which bounds
// nonces, authorization values and policies.
const MaxDigest = 64

// MinAuthArea is the size in bytes of the smallest authorization area: one
// TPMS_AUTH_COMMAND with empty nonce and hmac.
const MinAuthArea = 9

// AuthCommand is a TPMS_AUTH_COMMAND (Part 2, section "TPMS_AUTH_COMMAND").
// Decoded byte strings alias the input.
type AuthCommand struct {
	Session    Handle
	Nonce      []byte
	Attributes SessionAttributes
	HMAC       []byte // the password where Session is TPM_RS_PW
}

// AuthCommand takes a TPMS_AUTH_COMMAND: TPM_RC_VALUE for a handle that is
// neither TPM_RS_PW nor one of so many sessions, TPM_RC_SIZE for a nonce or hmac longer than
// the largest digest, TPM_RC_RESERVED_BITS for attribute bits 3 and 4.
func (r *Reader) AuthCommand(a *AuthCommand, sessions uint32) {
	a.Session = Handle(r.U32())
	switch a.Session.Type() {
	case HTHMACSession, HTPolicySession:
		if a.Session.Index() >= sessions {
			r.Fail(RCValue)
		}
	default:
		if a.Session != RSPW {
			r.Fail(RCValue)
		}
	}
	a.Nonce = r.Digest()
	a.Attributes = SessionAttributes(r.U8())
	if a.Attributes&SessionReserved != 0 {
		r.Fail(RCReservedBits)
	}
	a.HMAC = r.Digest()
}

// AuthCommand appends a TPMS_AUTH_COMMAND.
func (w *Writer) AuthCommand(a *AuthCommand) {
	w.U32(uint32(a.Session))
	w.Sized(a.Nonce)
	w.U8(uint8(a.Attributes))
	w.Sized(a.HMAC)
}

// AuthResponse is a TPMS_AUTH_RESPONSE (Part 2, section "TPMS_AUTH_RESPONSE").
type AuthResponse struct {
	Nonce      []byte
	Attributes SessionAttributes
	HMAC       []byte
}

// AuthResponse appends a TPMS_AUTH_RESPONSE.
func (w *Writer) AuthResponse(a *AuthResponse) {
	w.Sized(a.Nonce)
	w.U8(uint8(a.Attributes))
	w.Sized(a.HMAC)
}

// Ticket is one of the TPMT_TK_* structures (Part 2, section "Tickets"); Tag
// says which. A decoded Digest aliases the input.
type Ticket struct {
	Tag       ST
	Hierarchy Handle
	Hash      AlgID // of TPM_ST_DIGEST_VERIFIED: what the digest is of; TPM_ALG_NULL in its NULL Ticket
	Digest    []byte
}

// Ticket takes the TPMT_TK_* that has one of tags: TPM_RC_TAG for another tag,
// TPM_RC_VALUE for what is no hierarchy, TPM_RC_HASH for the hash of
// TPM_ST_DIGEST_VERIFIED, which with the null hierarchy may be TPM_ALG_NULL,
// TPM_RC_SIZE for a digest longer than the largest.
func (r *Reader) Ticket(t *Ticket, tags ...ST) {
	t.Tag = ST(r.U16())
	if !slices.Contains(tags, t.Tag) {
		r.Fail(RCTag)
	}
	t.Hierarchy = r.hierarchy()
	t.Hash = 0
	if t.Tag == STDigestVerified {
		t.Hash = r.HashAlg(t.Hierarchy == RHNull)
	}
	t.Digest = r.Digest()
}

// Ticket appends a TPMT_TK_*.
func (w *Writer) Ticket(t *Ticket) {
	w.U16(uint16(t.Tag))
	w.U32(uint32(t.Hierarchy))
	if t.Tag == STDigestVerified {
		w.U16(uint16(t.Hash))
	}
	w.Sized(t.Digest)
}

// ClockInfo is a TPMS_CLOCK_INFO (Part 2, section "TPMS_CLOCK_INFO").
type ClockInfo struct {
	Clock        uint64 // milliseconds of operation
	ResetCount   uint32
	RestartCount uint32
	Safe         bool
}

// TimeInfo is a TPMS_TIME_INFO (Part 2, section "TPMS_TIME_INFO").
type TimeInfo struct {
	Time  uint64 // milliseconds since power-on
	Clock ClockInfo
}

// ClockInfo appends a TPMS_CLOCK_INFO.
func (w *Writer) ClockInfo(c *ClockInfo) {
	w.U64(c.Clock)
	w.U32(c.ResetCount)
	w.U32(c.RestartCount)
	w.YesNo(c.Safe)
}

// TimeInfo appends a TPMS_TIME_INFO.
func (w *Writer) TimeInfo(t *TimeInfo) {
	w.U64(t.Time)
	w.ClockInfo(&t.Clock)
}
