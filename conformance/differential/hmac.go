package differential

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	_ "crypto/sha1" // the hash algorithms of sessions
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// Secret is the authorization value with which the HMAC of a session is made.
type Secret struct {
	// Session is the handle of an HMAC session, neither bound nor salted.
	Session uint32
	// Auth is the value of the entity it authorizes, without zeros at its end.
	Auth []byte
}

// liveSession is what a caller knows of a session on one device.
type liveSession struct {
	hash     crypto.Hash
	nonceTPM []byte
}

// caller is the caller's side of the sessions on one device: nonces are the
// device's own, so a script cannot have the HMACs in it (TPM 2.0 Library Part
// 1, section "Session-Based Authorizations").
type caller struct {
	sessions map[uint32]*liveSession
}

// sessionHashes are the hash algorithms sessions are made with here.
var sessionHashes = map[tpm2.TPMAlgID]crypto.Hash{
	tpm2.TPMAlgSHA1: crypto.SHA1, tpm2.TPMAlgSHA256: crypto.SHA256,
	tpm2.TPMAlgSHA384: crypto.SHA384, tpm2.TPMAlgSHA512: crypto.SHA512,
}

// signed fills in the HMACs of the sessions of a command for which there are
// secrets. What cannot be taken apart stays as it is.
func (c *caller) signed(command []byte, secrets []Secret) []byte {
	raw := bytes.Clone(command)
	area, ok := sessionsOf(raw)
	if !ok {
		return raw
	}
	for _, s := range area {
		live := c.sessions[s.Handle]
		auth, known := secretOf(secrets, s.Handle)
		if live == nil || !known || len(s.HMAC) != live.hash.Size() {
			continue
		}
		sent, ok := takeApart(raw)
		if !ok {
			return raw
		}
		mac := hmac.New(live.hash.New, auth)
		mac.Write(live.commandHash(sent))
		mac.Write(s.Nonce)
		mac.Write(live.nonceTPM)
		mac.Write([]byte{s.Attributes})
		copy(s.HMAC, mac.Sum(nil)) // into raw
	}
	return raw
}

// commandHash is cpHash. The names of PCRs and permanent entities are their
// handles, the name of a sequence object is empty.
func (l *liveSession) commandHash(p conformance.Packet) []byte {
	h := l.hash.New()
	h.Write(u32(p.Code))
	for _, handle := range p.Handles {
		if handle>>24 != 0x80 {
			h.Write(u32(handle))
		}
	}
	h.Write(p.Parameters)
	return h.Sum(nil)
}

func secretOf(secrets []Secret, session uint32) ([]byte, bool) {
	for _, s := range secrets {
		if s.Session == session {
			return s.Auth, true
		}
	}
	return nil, false
}

// sessionsOf gives the authorization area of a command; nonces and HMACs are
// slices of raw.
func sessionsOf(raw []byte) ([]conformance.Session, bool) {
	code, ok := conformance.CommandCode(raw)
	command, known := conformance.Lookup(code)
	if !ok || !known || number(raw[:2]) != uint32(conformance.Sessions) {
		return nil, false
	}
	at := conformance.HeaderSize + 4*len(command.Handles)
	if len(raw) < at+4 || uint64(number(raw[at:at+4])) > uint64(len(raw)-at-4) {
		return nil, false
	}
	area := raw[at+4 : at+4+int(number(raw[at:at+4]))]
	var sessions []conformance.Session
	for len(area) > 0 {
		if len(area) < 4 {
			return nil, false
		}
		s := conformance.Session{Handle: binary.BigEndian.Uint32(area)}
		if s.Nonce, area, ok = conformance.CutSized(area[4:]); !ok || len(area) == 0 {
			return nil, false
		}
		s.Attributes, area = area[0], area[1:]
		if s.HMAC, area, ok = conformance.CutSized(area); !ok {
			return nil, false
		}
		sessions = append(sessions, s)
	}
	return sessions, true
}

// observe takes the answer to a command in: new sessions, new nonces. It gives
// what is wrong with the answer's HMACs, or "".
func (c *caller) observe(command, raw []byte, secrets []Secret) string {
	code, ok := conformance.CommandCode(command)
	if !ok {
		return ""
	}
	response, err := conformance.ParseResponse(code, raw)
	if err != nil || response.Code != 0 {
		return ""
	}
	problem := c.renew(code, command, response, secrets)
	if tpm2.TPMCC(code) == tpm2.TPMCCStartAuthSession {
		c.start(command, response)
	}
	return problem
}

// start remembers a new session.
func (c *caller) start(command []byte, response conformance.Response) {
	sent, ok := takeApart(command)
	if !ok || len(sent.Parameters) < 2 {
		return
	}
	alg := tpm2.TPMAlgID(binary.BigEndian.Uint16(sent.Parameters[len(sent.Parameters)-2:]))
	nonce, _, ok := conformance.CutSized(response.Parameters)
	if hash, known := sessionHashes[alg]; ok && known {
		c.sessions[response.Handle] = &liveSession{hash: hash, nonceTPM: bytes.Clone(nonce)}
	}
}

// renew takes the new nonces of sessions that go on, and checks the HMACs.
func (c *caller) renew(code uint32, command []byte, response conformance.Response, secrets []Secret) string {
	area, ok := sessionsOf(command)
	if !ok || len(area) != len(response.Sessions) {
		return ""
	}
	problem := ""
	for i, sent := range area {
		live := c.sessions[sent.Handle]
		if live == nil {
			continue
		}
		got := response.Sessions[i]
		if auth, known := secretOf(secrets, sent.Handle); known && !live.answers(code, command, response, sent, got, auth) {
			problem = "the HMAC in the answer is wrong"
		}
		live.nonceTPM = bytes.Clone(got.Nonce)
		if got.Attributes&conformance.ContinueSession == 0 {
			delete(c.sessions, sent.Handle)
		}
	}
	return problem
}

// answers checks the HMAC of an answer. A command that changes the value it is
// authorized with is answered with the new one.
func (l *liveSession) answers(code uint32, command []byte, response conformance.Response, sent, got conformance.Session, auth []byte) bool {
	switch p, _ := takeApart(command); tpm2.TPMCC(code) {
	case tpm2.TPMCCHierarchyChanegAuth, tpm2.TPMCCPCRSetAuthValue:
		auth = stripped(p.Parameters)
	case tpm2.TPMCCClear:
		if p.Handles[0] == uint32(tpm2.TPMRHLockout) {
			auth = nil
		}
	}
	h := l.hash.New()
	h.Write(u32(0))
	h.Write(u32(code))
	h.Write(response.Parameters)
	mac := hmac.New(l.hash.New, auth)
	mac.Write(h.Sum(nil))
	mac.Write(got.Nonce)
	mac.Write(sent.Nonce)
	mac.Write([]byte{got.Attributes})
	return hmac.Equal(mac.Sum(nil), got.HMAC)
}
