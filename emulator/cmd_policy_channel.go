package emulator

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// policyTransportSPDM is TPM2_PolicyTransportSPDM (rev 1.84): the command comes
// through a secure channel, made with these keys if they are named. This TPM has
// no secure channels, so that a session which says so authorizes nothing; the
// policyDigest is made all the same, as it is of use to others.
func (t *TPM) policyTransportSPDM(c *call) wire.RC {
	requester, tpm := c.objectName(), c.objectName()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := c.entities[0].session
	if s.Flags&state.SessionSecureChannel != 0 {
		return wire.RCValue
	}
	for i, name := range [][]byte{requester, tpm} {
		if rc := t.checkKeyName(name); rc != wire.RCSuccess {
			return c.badParam(i+1, rc)
		}
	}
	s.Flags |= state.SessionSecureChannel
	if len(requester) == 0 && len(tpm) == 0 {
		t.extendPolicy(s, wire.CCPolicyTransportSPDM)
		return wire.RCSuccess
	}
	w := wire.NewWriter(t.hashing[:0])
	w.Sized(requester)
	w.Sized(tpm)
	t.extendPolicy(s, wire.CCPolicyTransportSPDM, crypt.Digest(s.AuthHash, c.digestSpace[:0], w.Data()))
	return wire.RCSuccess
}

// checkKeyName reports whether a name is the Name of a key, or empty.
func (t *TPM) checkKeyName(name []byte) wire.RC {
	switch {
	case len(name) == 0:
		return wire.RCSuccess
	case len(name) < 2:
		return wire.RCSize
	}
	switch t.algs.DigestSize(wire.AlgID(binary.BigEndian.Uint16(name))) {
	case 0:
		return wire.RCHash
	case len(name) - 2:
		return wire.RCSuccess
	}
	return wire.RCSize
}
