package boot

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/transport"
)

// nullKey has what the kernel keeps of the primary of the null hierarchy, by whose
// name it notices that the TPM was reset without it (drivers/char/tpm/
// tpm2-sessions.c). The sessions that the key is for are left out here: what is
// to go through one has an empty password.
type nullKey struct {
	context []byte
	name    []byte
}

// sessionsInit follows tpm2_sessions_init.
func (c *chip) sessionsInit(t *task) int {
	if !c.k.platform.Kernel.HMAC {
		return 0
	}
	handle, name, code := c.createNullPrimary(t)
	if code == 0 {
		var response []byte
		if response, code = c.transmitCmd(t, contextSave(handle), ""); code == 0 {
			c.null = &nullKey{context: bytes.Clone(response[headerSize:]), name: name}
		}
		c.transmitCmd(t, flushContext(handle), "")
	}
	if code != 0 {
		c.k.logf(t, "tpm tpm0: TPM: security failed (NULL seed derivation): %d", code)
		return negative(code)
	}
	return 0
}

// startAuthSession follows tpm2_start_auth_session up to the session itself. A
// chip that is disabled answers -EIO (tpm_try_get_ops).
func (c *chip) startAuthSession(t *task) int {
	if c.disabled {
		return -eio
	}
	if c.null == nil {
		return 0
	}
	handle, code := c.loadNull(t)
	if code != 0 {
		c.disabled, c.k.summary.TPMDisabled = true, true
		return -enodev
	}
	if handle == 0 {
		// The kernel takes what its variable happens to hold for the handle;
		// A kernel that clears its stack has 0 there.
		_, code = c.transmitCmd(t, startAuthSession(handle), "start auth session")
		return code
	}
	c.transmitCmd(t, flushContext(handle), "")
	return 0
}

// loadNull follows tpm2_load_null; a handle of 0 is none, without an error.
func (c *chip) loadNull(t *task) (handle uint32, code int) {
	response, code := c.transmitCmd(t, contextLoad(c.null.context), "")
	switch {
	case code == 0:
		if handle, ok := readHandle(response); ok {
			return handle, 0
		}
		return 0, -efault
	case rcValue(code) != rcIntegrity:
		return 0, code
	}
	handle, name, code := c.createNullPrimary(t)
	if code != 0 {
		return 0, code
	}
	if bytes.Equal(name, c.null.name) {
		return handle, 0
	}
	c.k.logf(t, "tpm tpm0: null key integrity check failed")
	c.k.summary.NullKeyChanged = true
	c.transmitCmd(t, flushContext(handle), "")
	if c.k.profile.DisableOnNullChange {
		return 0, -enodev
	}
	return 0, 0
}

// createNullPrimary follows tpm2_create_primary for the null hierarchy.
func (c *chip) createNullPrimary(t *task) (handle uint32, name []byte, code int) {
	response, code := c.transmitCmd(t, createNullPrimary(), "attempting to create NULL primary")
	if code != 0 {
		return 0, nil, code
	}
	handle, name, ok := readCreatePrimary(response)
	if !ok {
		return 0, nil, -efault
	}
	return handle, name, 0
}

// resetBehind resets the TPM without the kernel: a power cut of the chip alone,
// and somebody's TPM2_Startup.
func (k *kernel) resetBehind(t *task) {
	if k.config.Device == nil || k.platform.TPM.ResetAt == 0 || k.platform.TPM.ResetAt != k.level {
		return
	}
	if power, ok := transport.As[transport.Power](k.config.Device); ok {
		if err := power.Init(); err != nil && k.sched.err == nil {
			k.sched.err = err
			return
		}
	}
	k.emit(t, Event{Kind: TPMReset, Name: "tpm0"})
	k.question(startupClear())
}

// listTwice returns a response to TPM2_GetCapability(PCRS) in which a bank comes
// once more, as of a TPM that lists it twice. Others stay as they are.
func listTwice(command, response []byte, algo ima.HashAlgo) []byte {
	if algo == 0 || commandCode(command) != ccGetCapability || binary.BigEndian.Uint32(command[headerSize:]) != capPCRs {
		return response
	}
	const count = headerSize + 1 + 4 // after moreData and the capability
	if banks, ok := readBanks(response); !ok || len(banks) == maxBanks {
		return response
	}
	for at := count + 4; at < len(response); {
		size := 3 + int(response[at+2])
		if ima.BankByAlgID(binary.BigEndian.Uint16(response[at:]), 0).CryptoID == algo {
			twice := slices.Insert(slices.Clone(response), at, response[at:at+size]...)
			transport.SetSize(twice)
			binary.BigEndian.PutUint32(twice[count:], binary.BigEndian.Uint32(twice[count:])+1)
			return twice
		}
		at += size
	}
	return response
}
