package boot

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/transport"
)

// Durations of commands: how long the driver waits for one (drivers/char/tpm/
// tpm2-cmd.c, tpm2_ordinal_duration_index; tpm.h, enum tpm2_timeouts).
const (
	durationShort   = 20 * time.Millisecond
	durationMedium  = 750 * time.Millisecond
	durationLong    = 2 * time.Second
	durationDefault = 2 * time.Minute
)

func ordinalDuration(code uint32) time.Duration {
	switch code {
	case ccStartup, ccPCRExtend, ccGetCapability:
		return durationMedium
	case ccSelfTest, ccGetRandom:
		return durationLong
	}
	return durationDefault
}

// chip is struct tpm_chip: a TPM as the kernel's TPM driver has it.
type chip struct {
	k      *kernel
	device *device
	driver *driver
	lock   mutex // tpm_mutex
	// tpm2 is TPM_CHIP_FLAG_TPM2. Without it a command may take as long as
	// the TPM 1.2 default.
	tpm2 bool
	// failed is TPM_CHIP_FLAG_FIRMWARE_UPGRADE: field failure mode.
	failed     bool
	null       *nullKey // with CONFIG_TCG_TPM2_HMAC
	disabled   bool     // TPM_CHIP_FLAG_DISABLE
	banks      []ima.Bank
	algs       []uint16
	registered bool
}

// transmit follows tpm_transmit: a TPM that says RETRY or TESTING is asked again
// after 20 ms, 40 ms and so on, 2.54 s in all. The code is a TPM response code,
// or negative an errno.
func (c *chip) transmit(t *task, command []byte) (response []byte, code int) {
	if c.disabled {
		return nil, -eio // tpm_try_get_ops
	}
	c.lock.lock(t)
	defer c.lock.unlock(c.k.sched)
	for delay := durationShort; ; delay *= 2 {
		response, code = c.try(t, command)
		if code != rcRetry && code != rcTesting {
			if delay > durationShort {
				c.k.letGo(t)
			}
			return response, code
		}
		// Whoever asks for the self-test knows that it may be running.
		if code == rcTesting && commandCode(command) == ccSelfTest {
			return response, code
		}
		if delay > durationLong {
			loop := "in retry loop"
			if code == rcTesting {
				loop = "self test is still running"
			}
			c.k.logf(t, "tpm tpm0: %s", loop)
			return response, code
		}
		t.sleep(delay)
	}
}

// try follows tpm_try_transmit.
func (c *chip) try(t *task, command []byte) (response []byte, code int) {
	k, start := c.k, c.k.sched.now()
	limit := durationDefault
	if c.tpm2 {
		limit = ordinalDuration(commandCode(command))
	}
	switch d := c.driver; {
	case !c.registered:
	case d.After != 0:
		return nil, c.fail(t, command, d.After, limit)
	case d.Slow > limit:
		return nil, c.fail(t, command, -etime, limit)
	default:
		t.sleep(k.vary(d.Slow - d.Latency))
	}
	t.sleep(k.vary(c.driver.Latency))
	if commandCode(command) == ccSelfTest {
		t.sleep(k.vary(c.driver.SelfTest))
	}
	response, err := k.send(t, command, limit)
	code = int(-efault)
	switch {
	case err == errTimeout:
		code = -etime
		k.logf(t, "tpm tpm0: Operation Timed out")
	case err != nil:
		code = -eio
		k.logf(t, "tpm tpm0: tpm_transmit: tpm_recv: error %d", code)
	default:
		response = listTwice(command, response, k.platform.TPM.ListsTwice)
		if rc, ok := checkHeader(response); ok {
			code = int(rc)
		}
	}
	k.emit(t, Event{Kind: TPMCommand, Name: commandNames[commandCode(command)], Code: code, Took: k.sched.now() - start})
	return response, code
}

// fail is a command that the platform has the TPM fail (Driver.After).
func (c *chip) fail(t *task, command []byte, code int, limit time.Duration) int {
	took := c.driver.Latency
	if code == -etime {
		took = limit
	}
	t.sleep(c.k.vary(took))
	if code == -etime {
		c.k.logf(t, "tpm tpm0: Operation Timed out")
	}
	c.k.emit(t, Event{Kind: TPMCommand, Name: commandNames[commandCode(command)], Code: code, Took: took})
	return code
}

// sendError is an error of send.
type sendError string

func (e sendError) Error() string { return string(e) }

const errTimeout sendError = "the driver's time for the command is over"

// send returns the Device a command. While the Device holds it back virtual time
// goes on; at the driver's limit the command is canceled and no answer counts
// any more.
func (k *kernel) send(t *task, command []byte, limit time.Duration) ([]byte, error) {
	s := k.sched
	deadline := s.now() + limit
	late, held := false, false
	wait := func(released <-chan struct{}, longest time.Duration) bool {
		if late {
			return closed(released)
		}
		if t.await(released, min(s.now()+longest, deadline)) {
			held = true
			return true
		}
		if s.now() < deadline && !t.killed {
			return false // the Device's own maximum
		}
		late = true
		if canceler, ok := transport.As[transport.Canceler](k.config.Device); ok {
			canceler.Cancel()
		}
		return closed(released)
	}
	response, err := k.config.Device.Send(transport.WithWait(s.ctx, wait), 0, command)
	if t.killed {
		panic(kill{})
	}
	if held && t.name == "async" {
		k.letGo(t)
		t.sleep(k.scatter())
	}
	if late {
		return nil, errTimeout
	}
	return response, err
}

// transmitCmd follows tpm_transmit_cmd, which logs what a TPM refuses.
func (c *chip) transmitCmd(t *task, command []byte, doing string) (response []byte, code int) {
	response, code = c.transmit(t, command)
	if code > 0 && doing != "" && code != rcTesting {
		c.k.logf(t, "tpm tpm0: A TPM error (%d) occurred %s", code, doing)
	}
	return response, code
}

// probe follows tpm2_probe: any answer with the tag of a TPM 2.0 makes it one.
func (c *chip) probe(t *task) {
	response, code := c.transmitCmd(t, getCapability(capTPMProperties, ptTotalCommands, 1), "")
	if code >= 0 && len(response) >= 2 && binary.BigEndian.Uint16(response) == transport.TagNoSessions {
		c.tpm2 = true
	}
}

// autoStartup follows tpm2_auto_startup; the result is 0 or a negative errno.
func (c *chip) autoStartup(t *task) int {
	if c.driver.FieldFailure {
		c.k.logf(t, "%s", fieldFailure)
		c.failed = true
		return 0
	}
	rc := c.doSelfTest(t)
	if rc == rcInitialize {
		c.k.logf(t, "tpm tpm0: starting up the TPM manually")
		if _, rc = c.transmitCmd(t, startupClear(), "attempting to start the TPM"); rc == 0 {
			rc = c.doSelfTest(t)
		}
	}
	if rc == 0 {
		if rc = c.getCommandAttributes(t); rc < 0 && rc != -enodata {
			c.k.logf(t, "%s", fieldFailure)
			c.failed, rc = true, 0
		}
	}
	if rc == 0 && !c.failed {
		rc = c.sessionsInit(t)
	}
	if rc == rcUpgrade || rc == -enodata {
		c.k.logf(t, "tpm tpm0: TPM in field upgrade mode, requires firmware upgrade")
		c.failed, rc = true, 0
	}
	if rc > 0 {
		return -enodev
	}
	return rc
}

// fieldFailure is the line of a TPM that does not answer what the kernel needs.
const fieldFailure = "tpm tpm0: TPM in field failure mode, requires firmware upgrade"

// doSelfTest follows tpm2_do_selftest: a quick test and, if that fails, a full
// one. A TPM that is testing itself is good.
func (c *chip) doSelfTest(t *task) (code int) {
	for full := range byte(2) {
		_, code = c.transmitCmd(t, selfTest(full), "attempting the self test")
		if code == rcTesting {
			code = rcSuccess
		}
		if code == rcInitialize || code == rcSuccess {
			break
		}
	}
	return code
}

// getCommandAttributes follows tpm2_get_cc_attrs_tbl.
func (c *chip) getCommandAttributes(t *task) int {
	response, code := c.transmitCmd(t, getCapability(capTPMProperties, ptTotalCommands, 1), "")
	if code != 0 {
		return negative(code)
	}
	n, present, ok := readProperty(response)
	switch {
	case !present || !ok:
		return -enodata
	case n > 0xFFFFF:
		return -efault
	}
	if response, code = c.transmitCmd(t, getCapability(capCommands, ccFirst, n), ""); code != 0 {
		return negative(code)
	}
	if got, ok := readCommandCount(response); !ok || got != n {
		return -efault
	}
	return 0
}

// negative makes a TPM response code the errno that the kernel makes of it.
func negative(code int) int {
	if code > 0 {
		return -enodev
	}
	return code
}

// getPCRAllocation follows tpm2_get_pcr_allocation. The size of a bank that the
// kernel does not know is that of its PCR 0.
func (c *chip) getPCRAllocation(t *task) int {
	if c.failed {
		return 0
	}
	response, code := c.transmitCmd(t, getCapability(capPCRs, 0, 1), "get tpm pcr allocation")
	if code != 0 {
		return code
	}
	selections, ok := readBanks(response)
	if !ok {
		return -efault
	}
	for i, s := range selections {
		same := func(other bankSelection) bool { return other.alg == s.alg }
		if c.k.profile.RefuseDuplicateBanks && slices.ContainsFunc(selections[:i], same) {
			return -einval
		}
		if !s.allocated {
			continue
		}
		bank := ima.BankByAlgID(s.alg, 0)
		if bank.DigestSize == 0 {
			value, code := c.readPCR(t, s.alg, 0)
			if code != 0 {
				return negative(code)
			}
			bank.DigestSize = len(value)
		}
		c.banks = append(c.banks, bank)
		c.algs = append(c.algs, s.alg)
	}
	return 0
}

// readPCR follows tpm2_pcr_read.
func (c *chip) readPCR(t *task, alg uint16, index int) (value []byte, code int) {
	response, code := c.transmitCmd(t, pcrRead(alg, index), "attempting to read a pcr value")
	if code != 0 {
		return nil, code
	}
	_, digests, ok := readPCRs(response)
	if !ok || len(digests) != 1 || len(digests[0]) == 0 {
		return nil, -einval
	}
	return digests[0], 0
}

// register follows tpm_chip_register: only its end makes the chip one that
// tpm_default_chip finds.
func (c *chip) register(t *task) int {
	if rc := c.autoStartup(t); rc != 0 {
		return rc
	}
	t.sleep(c.k.vary(c.driver.Rest))
	if rc := c.getPCRAllocation(t); rc != 0 {
		return negative(rc)
	}
	if !c.failed {
		// hwrng_register asks for its first bytes, and its thread for more;
		// errors do not matter.
		c.getRandom(t)
	}
	c.registered = true
	c.k.chipRegistered(t, c)
	if !c.failed {
		c.k.sched.spawn("hwrng", c.getRandom)
	}
	return 0
}

// getRandom follows tpm2_get_random.
func (c *chip) getRandom(t *task) {
	if c.startAuthSession(t) == 0 {
		c.transmit(t, getRandom(32))
	}
}

// imaTPM is a chip as package ima wants it.
type imaTPM struct{ *chip }

// Banks returns the allocated banks.
func (c imaTPM) Banks() []ima.Bank { return c.banks }

// ReadPCR follows tpm_pcr_read.
func (c imaTPM) ReadPCR(bank ima.Bank, index int) ([]byte, error) {
	value, code := c.readPCR(c.k.imaTask, bank.AlgID, index)
	if code != 0 {
		return nil, resultError(code)
	}
	return value, nil
}

// PCRExtend follows tpm_pcr_extend.
func (c imaTPM) PCRExtend(index int, digests [][]byte) error {
	if c.k.ima.record > 0 {
		// Init's second record comes when the policy is in force: hooks wait
		// for it now.
		c.k.ima.inForce = true
	}
	digests = c.k.pinnedDigests(digests)
	code := c.startAuthSession(c.k.imaTask)
	if code == 0 {
		_, code = c.transmitCmd(c.k.imaTask, pcrExtend(index, c.algs, digests), "attempting extend a PCR value")
	}
	c.k.extended(code, len(digests))
	if code != 0 {
		return resultError(code)
	}
	return nil
}

// resultError is the result of a TPM command that failed, as IMA logs it.
type resultError int

func (e resultError) Error() string { return "TPM command failed: " + codeText(int(e)) }

// ErrnoResult returns the kernel's number: a negative errno or a TPM response
// code.
func (e resultError) ErrnoResult() int { return int(e) }

// questions are the simulation's own, after the boot: what the PCRs hold.
func (k *kernel) questions() context.Context { return transport.WithProbe(k.sched.ctx) }
