package emulatortest

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Command puts a command together from its handles, one password session for
// every password, and its parameters. Without passwords it has no sessions.
func Command(code wire.CC, handles []wire.Handle, passwords [][]byte, params ...[]byte) []byte {
	var sessions []wire.AuthCommand
	for _, p := range passwords {
		sessions = append(sessions, wire.AuthCommand{Session: wire.RSPW, Attributes: wire.SessionContinue, HMAC: p})
	}
	return CommandWithSessions(code, handles, sessions, params...)
}

// CommandWithSessions is Command with sessions of any kind.
func CommandWithSessions(code wire.CC, handles []wire.Handle, sessions []wire.AuthCommand, params ...[]byte) []byte {
	var w wire.Writer
	tag := wire.STNoSessions
	if len(sessions) > 0 {
		tag = wire.STSessions
	}
	w.U16(uint16(tag))
	w.U32(0)
	w.U32(uint32(code))
	for _, h := range handles {
		w.U32(uint32(h))
	}
	if len(sessions) > 0 {
		at := w.Len()
		w.U32(0)
		for i := range sessions {
			w.AuthCommand(&sessions[i])
		}
		w.SetU32(at, uint32(w.Len()-at-4))
	}
	for _, p := range params {
		w.Bytes(p)
	}
	w.SetU32(2, uint32(w.Len()))
	return w.Data()
}

// NoAuth is one empty password.
func NoAuth() [][]byte { return [][]byte{nil} }

// U8 is a parameter of one octet.
func U8(v uint8) []byte { return []byte{v} }

// U16 is a parameter of two octets.
func U16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

// U32 is a parameter of four octets.
func U32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// U64 is a parameter of eight octets.
func U64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// Sized is a TPM2B parameter.
func Sized(p []byte) []byte { return append(U16(uint16(len(p))), p...) }

// Digests is a TPML_DIGEST_VALUES parameter.
func Digests(list ...wire.HA) []byte {
	var w wire.Writer
	w.DigestValues(list)
	return w.Data()
}

// Selection is a TPML_PCR_SELECTION parameter that selects PCRs of one bank.
func Selection(alg wire.AlgID, pcrs ...int) []byte {
	s := wire.PCRSelection{Hash: alg, Size: wire.PCRSelectMax}
	for _, p := range pcrs {
		s.Select.Set(p)
	}
	var w wire.Writer
	w.PCRSelections([]wire.PCRSelection{s})
	return w.Data()
}

// ResponseCode is the code in a response, TPM_RC_FAILURE for what is too short
// to be one.
func ResponseCode(response []byte) wire.RC {
	r := wire.NewReader(response, nil)
	r.U16()
	r.U32()
	rc := wire.RC(r.U32())
	if r.RC() != wire.RCSuccess {
		return wire.RCFailure
	}
	return rc
}

// Parameters are the parameters of a successful response, without handle and
// sessions; nil for an error.
func Parameters(response []byte, responseHandle bool) []byte {
	r := wire.NewReader(response, nil)
	tag := wire.ST(r.U16())
	r.U32()
	if wire.RC(r.U32()) != wire.RCSuccess {
		return nil
	}
	if responseHandle {
		r.U32()
	}
	if tag == wire.STSessions {
		return r.Bytes(int(r.U32()))
	}
	return r.Rest()
}

// ResponseHandle is the handle of a successful response that has one.
func ResponseHandle(response []byte) wire.Handle {
	if len(response) < 14 {
		return wire.RHUnassigned
	}
	return wire.Handle(binary.BigEndian.Uint32(response[10:]))
}
