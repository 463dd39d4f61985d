package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// execute runs one command. The order of its checks is the one of Part 3,
// chapter "Command Processing". The result is valid until the next command.
func (t *TPM) execute(locality uint8, command []byte) []byte {
	if t.failure != nil {
		return t.executeInFailure(command)
	}
	t.begin()
	c := &t.call
	c.start(t, locality)
	var before []byte
	if t.config.CheckErrors {
		before = t.s.EncodeSnapshot(nil)
	}
	rc := t.run(c, command)
	var response []byte
	if rc == wire.RCSuccess && t.failure == nil {
		response = c.respond() // it audits the command, which must be committed
	}
	if t.config.CheckErrors {
		t.checkState(c, rc, before)
	}
	t.endChanges()
	if t.failure != nil {
		return t.errorResponse(wire.RCFailure)
	}
	if rc != wire.RCSuccess {
		return t.errorResponse(rc)
	}
	return response
}

// begin does what every command starts with, before it is looked at: it reads the time
// once, has Clock run if NV can be written, and ends a hash sequence of locality 4.
func (t *TPM) begin() {
	t.beginChanges()
	t.now = t.platform.Clock.Now()
	if t.s.Volatile.Started && t.clockRuns() {
		t.advanceTime()
		t.daRecord()
	}
	t.abortDRTM()
}

// run takes the command through the checks and executes it.
func (t *TPM) run(c *call, command []byte) wire.RC {
	if rc := t.header(c, command); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.handleArea(c); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.authArea(c); rc != wire.RCSuccess {
		return rc
	}
	c.reserve(t.out)
	t.beginAction()
	return c.cmd.run(t, c)
}

// header decodes the command header and looks up the command.
func (t *TPM) header(c *call, command []byte) wire.RC {
	c.in = wire.NewReader(command, t.algs.Selectors())
	c.tag = wire.ST(c.in.U16())
	if c.in.RC() == wire.RCSuccess && c.tag != wire.STSessions && c.tag != wire.STNoSessions {
		return badTag(c.tag)
	}
	size := c.in.U32()
	if c.in.RC() == wire.RCSuccess && (uint64(size) != uint64(len(command)) || size > t.size) {
		return wire.RCCommandSize
	}
	code := wire.CC(c.in.U32())
	if rc := c.in.RC(); rc != wire.RCSuccess {
		return rc
	}
	c.cmd = t.commands.lookup(code)
	if c.cmd == nil {
		return wire.RCCommandCode
	}
	if t.s.Volatile.Started == (code == wire.CCStartup) {
		return wire.RCInitialize
	}
	if t.s.Clear.ReadOnly && c.cmd.RefusedInReadOnlyMode {
		return wire.RCReadOnly
	}
	return wire.RCSuccess
}

// badTag is the answer to a tag that is not a TPM 2.0 command's. For the tags
// of TPM 1.2 commands it is a deviation: TPM_RC_BAD_TAG comes with the response
// tag of TPM 1.2 (Part 2, section "TPM_ST"), which OVMF takes for a TPM 1.2 that
// has answered (OvmfPkg/Tcg/Tcg2Config/Tpm12Support.c).
func badTag(tag wire.ST) wire.RC {
	if wire.STTPM12Command <= tag && tag <= wire.STTPM12AuthCommand2 {
		return wire.RCValue
	}
	return wire.RCBadTag
}

// errorResponse is the ten bytes of a response without success. Its tag never
// says that there are sessions; for a bad tag it is the one of TPM 1.2 (Part
// 3, section "Response Codes").
func (t *TPM) errorResponse(rc wire.RC) []byte {
	tag := wire.STNoSessions
	if rc == wire.RCBadTag {
		tag = wire.STRspCommand
	}
	w := wire.NewWriter(t.out[:0])
	w.U16(uint16(tag))
	w.U32(responseHeader)
	w.U32(uint32(rc))
	return w.Data()
}

// finishResponse fills in the header of a successful response, for which w has
// left room.
func finishResponse(w *wire.Writer, tag wire.ST) []byte {
	w.SetU16(0, uint16(tag))
	w.SetU32(2, uint32(w.Len()))
	w.SetU32(6, uint32(wire.RCSuccess))
	return w.Data()
}

// respond completes the response of a command that succeeded: header, handle,
// parameter size and one TPMS_AUTH_RESPONSE per session. New nonces come first,
// then the first parameter is encrypted, then the command is audited (Part 1,
// section "Response Processing").
func (c *call) respond() []byte {
	t := c.t
	if c.cmd.ResponseHandle {
		c.out.SetU32(responseHeader, uint32(c.rhandle))
	}
	if c.tag == wire.STSessions {
		c.out.SetU32(c.paramsAt-4, uint32(c.out.Len()-c.paramsAt))
	}
	for i := range c.sessions[:c.nSession] {
		if s := c.sessions[i].loaded; s != nil {
			t.drbg().Read(s.NonceTPM.Bytes())
		}
	}
	if c.encrypt != none {
		t.encryptParameter(c)
	}
	c.paramsEnd = c.out.Len()
	t.auditSessions(c)
	t.auditCommand(c)
	for i := range c.sessions[:c.nSession] {
		c.respondSession(&c.sessions[i])
	}
	if c.completed != wire.RHUnassigned {
		t.flushObject(c.completed)
	}
	return finishResponse(&c.out, c.tag)
}

// respondSession appends the TPMS_AUTH_RESPONSE of a session. What ends with
// the command is flushed, and a policy has to be satisfied anew.
func (c *call) respondSession(s *authSession) {
	t := c.t
	if s.loaded == nil {
		c.out.AuthResponse(&wire.AuthResponse{Attributes: s.Attributes | wire.SessionContinue})
		return
	}
	var space [wire.MaxDigest]byte
	hmac := space[:0]
	if !s.policy() || s.loaded.Flags&state.SessionPassword == 0 {
		var keySpace [2 * wire.MaxDigest]byte
		key := t.hmacKey(s, keySpace[:0])
		if len(key) != 0 || len(s.HMAC) != 0 {
			alg := s.loaded.AuthHash
			hmac = crypt.AppendHMAC(alg, hmac, key, c.rpHash(alg), s.loaded.NonceTPM.Bytes(), s.Nonce, []byte{byte(s.Attributes)})
		}
	}
	c.out.AuthResponse(&wire.AuthResponse{Nonce: s.loaded.NonceTPM.Bytes(), Attributes: s.Attributes, HMAC: hmac})
	switch {
	case s.Attributes&wire.SessionContinue == 0:
		t.endSession(t.activeSession(s.Session), s.Session)
	case s.policy():
		t.resetPolicy(s.loaded)
		t.startSessionTime(s.loaded)
	}
}
