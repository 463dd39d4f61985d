package cases

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

var (
	startup             = part3("9.3", "TPM2_Startup")
	shutdown            = part3("9.4", "TPM2_Shutdown")
	selfTest            = part3("10.2", "TPM2_SelfTest")
	incrementalSelfTest = part3("10.3", "TPM2_IncrementalSelfTest")
	getTestResult       = part3("10.4", "TPM2_GetTestResult")
	resetsOfTheTPM      = part1("12.2.3", "Initialization, TPM Reset, TPM Restart, TPM Resume")
)

// Types of starts (TPM_SU).
const (
	clearState = 0
	keepState  = 1
)

func startupStep(kind uint16) conform.Step  { return do(tpm2.TPMCCStartup).With(u16(kind)) }
func shutdownStep(kind uint16) conform.Step { return do(tpm2.TPMCCShutdown).With(u16(kind)) }

// restarted are the steps of a TPM Reset, Restart or Resume: shutdown, loss of power,
// startup.
func restarted(down, up uint16) []conform.Step {
	return []conform.Step{shutdownStep(down), conform.Reset(), startupStep(up)}
}

// around puts steps before and after a restart.
func around(before []conform.Step, down, up uint16, after ...conform.Step) []conform.Step {
	return append(append(append([]conform.Step{}, before...), restarted(down, up)...), after...)
}

// resetting is a case that takes the power away.
func resetting(s conform.Section, name string, steps ...conform.Step) conform.Case {
	return ask(s, name, steps...).Harming(conform.Resets).Needing(conform.Needs{Power: true})
}

// readClock is TPM2_ReadClock.
func readClock() conform.Step { return do(tpm2.TPMCCReadClock) }

// clockOf reads the parameters of an answer to TPM2_ReadClock.
type clockInfo struct {
	time, clock      uint64
	resets, restarts uint32
	safe             byte
}

func clockOf(parameters []byte) (c clockInfo, err error) {
	in := &wire.Cursor{Rest: parameters}
	c = clockInfo{in.U64(), in.U64(), in.U32(), in.U32(), in.U8()}
	if !in.Done() {
		return c, errors.New("the answer is no TPMS_TIME_INFO")
	}
	return c, nil
}

// counts checks how the reset count and the restart count have changed.
func counts(label string, resets, restarts func(before, now uint32) bool, says string) conform.Check {
	return conform.Check{Says: says, Test: func(a *conform.Answer) error {
		field, err := a.State.Field(label, 1)
		if err != nil {
			return err
		}
		before, err := clockOf(field)
		if err != nil {
			return err
		}
		now, err := clockOf(a.Parameters)
		if err != nil {
			return err
		}
		if !resets(before.resets, now.resets) || !restarts(before.restarts, now.restarts) {
			return fmt.Errorf("they were %d and %d and are %d and %d", before.resets, before.restarts, now.resets, now.restarts)
		}
		return nil
	}}
}

func same(before, now uint32) bool { return before == now }
func more(before, now uint32) bool { return now == before+1 }
func none(_, now uint32) bool      { return now == 0 }

func startupCases() []conform.Case {
	read := readClock().Named("before")
	object := external("hmac", outside|wire.ObjectSign, hmacSHA256, "").Named("key")
	return []conform.Case{
		resetting(startup, "Startup with a type of 2 answers TPM_RC_VALUE for parameter 1", conform.Reset(), startupStep(2).Fails(p(1, tpm2.TPMRCValue))),
		resetting(startup, "Startup that ends before its parameter answers TPM_RC_INSUFFICIENT for it", conform.Reset(), do(tpm2.TPMCCStartup).Fails(p(1, tpm2.TPMRCInsufficient))),
		resetting(startup, "Startup with an octet after its parameter answers TPM_RC_SIZE", conform.Reset(), startupStep(0).Edited(conform.Extra(0)).Fails(tpm2.TPMRCSize)),
		resetting(startup, "Startup with an authorization area answers TPM_RC_AUTH_CONTEXT",
			conform.Reset(), startupStep(0).By(conform.Password("")).Fails(tpm2.TPMRCAuthContext)),
		resetting(startup, "Startup(STATE) without TPM2_Shutdown(STATE) before answers TPM_RC_VALUE for parameter 1", conform.Reset(), startupStep(keepState).Fails(p(1, tpm2.TPMRCValue))),
		resetting(startup, "Startup(STATE) after TPM2_Shutdown(CLEAR) answers TPM_RC_VALUE for parameter 1",
			shutdownStep(clearState), conform.Reset(), startupStep(keepState).Fails(p(1, tpm2.TPMRCValue))),
		resetting(startup, "Startup that was refused can be sent again with another type", conform.Reset(), startupStep(keepState).Fails(p(1, tpm2.TPMRCValue)), startupStep(clearState), random()),
		resetting(startup, "Startup(STATE) a second time without a shutdown between answers TPM_RC_VALUE for parameter 1",
			shutdownStep(keepState), conform.Reset(), startupStep(keepState), conform.Reset(), startupStep(keepState).Fails(p(1, tpm2.TPMRCValue))),
		resetting(resetsOfTheTPM, "A TPM Reset takes transient objects away", around([]conform.Step{object}, clearState, clearState,
			do(tpm2.TPMCCReadPublic, u32(0x80000000)).Fails(tpm2.TPMRCReferenceH0))...),
		resetting(resetsOfTheTPM, "A TPM Resume takes transient objects away", around([]conform.Step{object}, keepState, keepState,
			do(tpm2.TPMCCReadPublic, u32(0x80000000)).Fails(tpm2.TPMRCReferenceH0))...),
		resetting(resetsOfTheTPM, "A TPM Reset raises the reset count and sets the restart count to 0", around([]conform.Step{read}, clearState, clearState,
			readClock().Checked(counts("before", more, none, "the reset count is one more, the restart count 0")))...),
		resetting(resetsOfTheTPM, "A TPM Restart raises the restart count", around([]conform.Step{read}, keepState, clearState,
			readClock().Checked(counts("before", same, more, "the reset count is the same, the restart count one more")))...),
		resetting(resetsOfTheTPM, "A TPM Resume raises the restart count", around([]conform.Step{read}, keepState, keepState,
			readClock().Checked(counts("before", same, more, "the reset count is the same, the restart count one more")))...),
		resetting(resetsOfTheTPM, "A loss of power without TPM2_Shutdown is a TPM Reset", read, conform.Reset(), startupStep(clearState),
			readClock().Checked(counts("before", more, none, "the reset count is one more, the restart count 0"))),
		resetting(resetsOfTheTPM, "An object of the null hierarchy that was saved cannot be loaded after a TPM Reset",
			around([]conform.Step{object, do(tpm2.TPMCCContextSave, handle("key")).Named("saved")}, clearState, clearState,
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Fails(p(1, tpm2.TPMRCIntegrity)))...),
		resetting(resetsOfTheTPM, "An object that was saved can be loaded after a TPM Resume",
			around([]conform.Step{object, do(tpm2.TPMCCContextSave, handle("key")).Named("saved")}, keepState, keepState,
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}))...),
		resetting(resetsOfTheTPM, "An object that was saved can be loaded after a TPM Restart",
			around([]conform.Step{object, do(tpm2.TPMCCContextSave, handle("key")).Named("saved")}, keepState, clearState,
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}))...),
		resetting(resetsOfTheTPM, "An object with stClear that was saved cannot be loaded after a TPM Restart",
			around([]conform.Step{external("hmac", outside|wire.ObjectSign|wire.ObjectStClear, hmacSHA256, "").Named("key"), do(tpm2.TPMCCContextSave, handle("key")).Named("saved")}, keepState, clearState,
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Fails(p(1, tpm2.TPMRCIntegrity)))...),
		resetting(resetsOfTheTPM, "A session that was saved can be loaded after a TPM Resume",
			around([]conform.Step{conform.Start(wire.SessionHMAC).Named("session"), do(tpm2.TPMCCContextSave, handle("session")).Named("saved")}, keepState, keepState,
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Named("again"), do(tpm2.TPMCCFlushContext).With(handle("again")))...),
		resetting(resetsOfTheTPM, "A session that was saved cannot be loaded after a TPM Reset",
			around([]conform.Step{conform.Start(wire.SessionHMAC).Named("session"), do(tpm2.TPMCCContextSave, handle("session")).Named("saved")}, clearState, clearState,
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Fails(p(1, tpm2.TPMRCHandle), p(1, tpm2.TPMRCIntegrity)))...),
		resetting(resetsOfTheTPM, "The null hierarchy has another seed after a TPM Reset",
			around([]conform.Step{createPrimary(null, "", eccPublic(storage, eccStorage)).Named("key")}, clearState, clearState,
				createPrimary(null, "", eccPublic(storage, eccStorage)).Checked(otherThan("key", 1)))...),
		resetting(resetsOfTheTPM, "The null hierarchy has the same seed after a TPM Restart",
			around([]conform.Step{createPrimary(null, "", eccPublic(storage, eccStorage)).Named("key")}, keepState, clearState,
				createPrimary(null, "", eccPublic(storage, eccStorage)).Checked(sameAs("key", 1)))...),
		resetting(resetsOfTheTPM, "The owner hierarchy has the same seed after a TPM Reset",
			around([]conform.Step{createPrimary(owner, "", eccPublic(storage, eccStorage)).Named("key")}, clearState, clearState,
				createPrimary(owner, "", eccPublic(storage, eccStorage)).Checked(sameAs("key", 1)))...),
		resetting(resetsOfTheTPM, "An NV index with TPMA_NV_CLEAR_STCLEAR is not written after a TPM Reset",
			around([]conform.Step{define(0, ordinary|wire.NVClearStClear, 8), nvWriteStep(owner, 0, "12345678", 0)}, clearState, clearState,
				nvReadStep(owner, 0, 8, 0).Fails(tpm2.TPMRCNVUninitialized))...),
		resetting(resetsOfTheTPM, "An NV index with TPMA_NV_CLEAR_STCLEAR is not written after a TPM Restart",
			around([]conform.Step{define(0, ordinary|wire.NVClearStClear, 8), nvWriteStep(owner, 0, "12345678", 0)}, keepState, clearState,
				nvReadStep(owner, 0, 8, 0).Fails(tpm2.TPMRCNVUninitialized))...),
		resetting(resetsOfTheTPM, "An NV index with TPMA_NV_CLEAR_STCLEAR is as it was after a TPM Resume",
			around([]conform.Step{define(0, ordinary|wire.NVClearStClear, 8), nvWriteStep(owner, 0, "12345678", 0)}, keepState, keepState,
				nvReadStep(owner, 0, 8, 0).Checked(reads("12345678")))...),
		resetting(resetsOfTheTPM, "An NV index that is locked by TPMA_NV_WRITE_STCLEAR can be written after a TPM Reset",
			around([]conform.Step{define(0, ordinary|wire.NVWriteStClear, 8), do(tpm2.TPMCCNVWriteLock, owner, index(0))}, clearState, clearState,
				nvWriteStep(owner, 0, "12345678", 0))...),
		resetting(resetsOfTheTPM, "An NV index that is locked by TPMA_NV_WRITE_STCLEAR is locked after a TPM Resume",
			around([]conform.Step{define(0, ordinary|wire.NVWriteStClear, 8), do(tpm2.TPMCCNVWriteLock, owner, index(0))}, keepState, keepState,
				nvWriteStep(owner, 0, "12345678", 0).Fails(tpm2.TPMRCNVLocked))...),
		resetting(resetsOfTheTPM, "An NV index that is locked by TPMA_NV_READ_STCLEAR can be read after a TPM Reset",
			around([]conform.Step{define(0, ordinary|wire.NVReadStClear, 8), nvWriteStep(owner, 0, "12345678", 0), do(tpm2.TPMCCNVReadLock, owner, index(0))}, clearState, clearState,
				nvReadStep(owner, 0, 8, 0).Checked(reads("12345678")))...),
		resetting(resetsOfTheTPM, "An NV index that is locked by TPMA_NV_WRITEDEFINE is locked after a TPM Reset",
			around([]conform.Step{define(0, ordinary|wire.NVWriteDefine, 8), nvWriteStep(owner, 0, "12345678", 0), do(tpm2.TPMCCNVWriteLock, owner, index(0))}, clearState, clearState,
				nvWriteStep(owner, 0, "12345678", 0).Fails(tpm2.TPMRCNVLocked))...),
		resetting(resetsOfTheTPM, "A persistent object is there after a TPM Reset",
			around([]conform.Step{createPrimary(owner, "", eccPublic(storage, eccStorage)).Named("key"), do(tpm2.TPMCCEvictControl, owner, handle("key")).With(persistent(0))}, clearState, clearState,
				do(tpm2.TPMCCReadPublic, persistent(0)).Checked(sameAs("key", 1)))...),
		resetting(resetsOfTheTPM, "PCR 16 is zero after a TPM Reset, and after a TPM Resume as it is not saved",
			around([]conform.Step{do(tpm2.TPMCCPCRExtend, pcr16).With(join{u32(1), alg(tpm2.TPMAlgSHA256), make(raw, 32)})}, keepState, keepState,
				do(tpm2.TPMCCPCRRead).With(allPCR16).Checked(pcrIsZero()))...).Needing(conform.Needs{Power: true, Banks: []tpm2.TPMAlgID{tpm2.TPMAlgSHA256}}),
	}
}

func pcrIsZero() conform.Check {
	return conform.Check{Says: "the PCR is zero", Test: func(a *conform.Answer) error {
		if len(a.Parameters) < 32 || string(a.Parameters[len(a.Parameters)-32:]) != string(make([]byte, 32)) {
			return fmt.Errorf("the answer is %x", a.Parameters)
		}
		return nil
	}}
}

func shutdownCases() []conform.Case {
	return []conform.Case{
		ask(shutdown, "Shutdown with a type of 2 answers TPM_RC_VALUE for parameter 1", shutdownStep(2).Fails(p(1, tpm2.TPMRCValue))),
		ask(shutdown, "Commands are executed after TPM2_Shutdown", shutdownStep(clearState), random()),
		ask(shutdown, "Shutdown can be sent twice", shutdownStep(keepState), shutdownStep(clearState)),
		ask(shutdown, "Shutdown with an audit session succeeds",
			conform.Start(wire.SessionHMAC).Named("session"), shutdownStep(clearState).By(conform.In(handle("session"), wire.AttributeAudit))),
		resetting(shutdown, "TPM2_Shutdown(STATE) is withdrawn by a command that changes what it has saved",
			shutdownStep(keepState), do(tpm2.TPMCCPCRExtend, u32(0)).With(join{u32(1), alg(tpm2.TPMAlgSHA256), make(raw, 32)}), conform.Reset(), startupStep(keepState).Fails(p(1, tpm2.TPMRCValue))).
			Needing(conform.Needs{Power: true, Banks: []tpm2.TPMAlgID{tpm2.TPMAlgSHA256}}),
		resetting(shutdown, "TPM2_Shutdown(STATE) is not withdrawn by a command that changes nothing",
			shutdownStep(keepState), random(), conform.Reset(), startupStep(keepState)),
		ask(selfTest, "SelfTest of all functions succeeds", do(tpm2.TPMCCSelfTest).With(u8(1))),
		ask(selfTest, "SelfTest of what was not tested answers TPM_RC_SUCCESS or TPM_RC_TESTING", do(tpm2.TPMCCSelfTest).With(u8(0)).Fails(tpm2.TPMRCSuccess, tpm2.TPMRCTesting)),
		ask(selfTest, "SelfTest with a fullTest of 2 answers TPM_RC_VALUE for parameter 1", do(tpm2.TPMCCSelfTest).With(u8(2)).Fails(p(1, tpm2.TPMRCValue))),
		ask(incrementalSelfTest, "IncrementalSelfTest of an empty list says what is left to test, and tests nothing", do(tpm2.TPMCCIncrementalSelfTest).With(u32(0)).Checked(isAlgList())),
		ask(incrementalSelfTest, "IncrementalSelfTest of SHA-256 succeeds", do(tpm2.TPMCCIncrementalSelfTest).With(u32(1), alg(tpm2.TPMAlgSHA256)).Checked(isAlgList())),
		ask(incrementalSelfTest, "IncrementalSelfTest of an algorithm that does not exist answers TPM_RC_VALUE for parameter 1",
			do(tpm2.TPMCCIncrementalSelfTest).With(join{u32(1), u16(0x7fff)}).Fails(p(1, tpm2.TPMRCValue))),
		ask(getTestResult, "GetTestResult after a full test says TPM_RC_SUCCESS", do(tpm2.TPMCCSelfTest).With(u8(1)), do(tpm2.TPMCCGetTestResult).Checked(testPassed())),
		ask(getTestResult, "GetTestResult with an audit session succeeds",
			conform.Start(wire.SessionHMAC).Named("session"), do(tpm2.TPMCCGetTestResult).By(conform.In(handle("session"), wire.AttributeAudit))),
		ask(getTestResult, "GetTestResult can be encrypted by a session",
			conform.StartCipher(wire.SessionHMAC).Named("session"), do(tpm2.TPMCCGetTestResult).By(conform.In(handle("session"), wire.AttributeEncrypt))),
	}
}

func isAlgList() conform.Check {
	return conform.Check{Says: "the answer is a TPML_ALG", Test: func(a *conform.Answer) error {
		in := a.Parsed()
		in.Take(2 * int(min(in.U32(), 1<<12)))
		if !in.Done() {
			return fmt.Errorf("it is %x", a.Parameters)
		}
		return nil
	}}
}

func testPassed() conform.Check {
	return conform.Check{Says: "testResult is TPM_RC_SUCCESS", Test: func(a *conform.Answer) error {
		in := a.Parsed()
		in.Sized()
		if result := in.U32(); result != 0 || !in.Done() {
			return fmt.Errorf("it is %#x", result)
		}
		return nil
	}}
}
