package cases

import (
	"bytes"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

var (
	contextSave    = part3("28.2", "TPM2_ContextSave")
	contextLoad    = part3("28.3", "TPM2_ContextLoad")
	flushContext   = part3("28.4", "TPM2_FlushContext")
	evictControl   = part3("28.5", "TPM2_EvictControl")
	readClockTitle = part3("29.1", "TPM2_ReadClock")
	clockSet       = part3("29.2", "TPM2_ClockSet")
	clockRate      = part3("29.3", "TPM2_ClockRateAdjust")
)

func save(label string) conform.Step { return do(tpm2.TPMCCContextSave, handle(label)).Named("saved") }

func loadSaved() conform.Step {
	return do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Named("loaded")
}

// damaged is the saved context with bits of one octet flipped, or without its end.
func damaged(at int, keep int) conform.Computed {
	return func(st *conform.State) ([]byte, error) {
		context, err := st.Field("saved", 1)
		if err != nil {
			return nil, err
		}
		context = bytes.Clone(context)
		place := at
		if at < 0 {
			place += len(context)
		}
		if place >= len(context) || -keep > len(context) {
			return nil, fmt.Errorf("the context has %d octets", len(context))
		}
		context[place] ^= 1
		if keep < 0 {
			context = context[:len(context)+keep]
		}
		return context, nil
	}
}

func contextCases() []conform.Case {
	key := external("hmac", outside|wire.ObjectSign, hmacSHA256, "").Named("key")
	hmacOf := func(label string) conform.Step {
		return do(tpm2.TPMCCMAC, handle(label)).With(conform.Text("data"), noAlg)
	}
	started := conform.Start(wire.SessionHMAC).Named("session")
	return []conform.Case{
		ask(contextSave, "ContextSave of an object leaves it loaded", key, save("key"), hmacOf("key")),
		ask(contextSave, "ContextSave of a session takes it out of the TPM: its use answers TPM_RC_REFERENCE_S0",
			started, save("session"), random().By(conform.Auth{Session: handle("session"), Attributes: wire.AttributeAudit}).Fails(tpm2.TPMRCReferenceS0), conform.Flush("session")),
		ask(contextSave, "ContextSave of a session that was saved answers TPM_RC_REFERENCE_H0",
			started, save("session"), do(tpm2.TPMCCContextSave, handle("session")).Fails(tpm2.TPMRCReferenceH0), conform.Flush("session")),
		ask(contextSave, "ContextSave of a persistent object answers TPM_RC_VALUE or TPM_RC_HANDLE for handle 1",
			do(tpm2.TPMCCContextSave, persistent(0)).Fails(h(1, tpm2.TPMRCValue), h(1, tpm2.TPMRCHandle))),
		ask(contextSave, "ContextSave of a hash sequence that is loaded again gives the digest of all",
			sequence(), do(tpm2.TPMCCSequenceUpdate, handle("sequence")).With(conform.Text("da")), save("sequence"), conform.Flush("sequence"), loadSaved(),
			do(tpm2.TPMCCSequenceComplete, handle("loaded")).With(conform.Text("ta"), null).Checked(reads(sha256Of("data")))),
		ask(contextSave, "ContextSave has the hierarchy and the handle 0x80000000 of an object", key, save("key").Checked(contextHas(0x80000000, uint32(tpm2.TPMRHNull)))),
		ask(contextSave, "ContextSave has the handle 0x80000002 of an object with stClear",
			external("hmac", outside|wire.ObjectSign|wire.ObjectStClear, hmacSHA256, "").Named("key"), save("key").Checked(contextHas(0x80000002, uint32(tpm2.TPMRHNull)))),
		ask(contextSave, "ContextSave has the handle 0x80000001 of a sequence", sequence(), save("sequence").Checked(contextHas(0x80000001, uint32(tpm2.TPMRHNull)))),
		ask(contextLoad, "ContextLoad of an object gives one that works as before",
			key, hmacOf("key").Named("before"), save("key"), conform.Flush("key"), loadSaved(), hmacOf("loaded").Checked(sameAs("before", 1))),
		ask(contextLoad, "ContextLoad of an object twice gives two", key, save("key"), conform.Flush("key"), loadSaved(), loadSaved(), hmacOf("loaded")),
		ask(contextLoad, "ContextLoad of a session gives one with the same handle and nonce",
			started, save("session"), loadSaved(), random().By(conform.In(handle("session"), wire.AttributeAudit))),
		ask(contextLoad, "ContextLoad of a session twice answers TPM_RC_HANDLE for parameter 1",
			started, save("session"), loadSaved(), loadSaved().Fails(p(1, tpm2.TPMRCHandle))),
		ask(contextLoad, "ContextLoad of an older context of a session answers TPM_RC_HANDLE for parameter 1",
			started, save("session"), loadSaved(), do(tpm2.TPMCCContextSave, handle("session")), loadSaved().Fails(p(1, tpm2.TPMRCHandle)), conform.Flush("session")),
		ask(contextLoad, "ContextLoad of a session that was flushed answers TPM_RC_HANDLE for parameter 1",
			started, save("session"), conform.Flush("session"), loadSaved().Fails(p(1, tpm2.TPMRCHandle))),
		ask(contextLoad, "ContextLoad of an object with a flipped bit answers TPM_RC_INTEGRITY for parameter 1",
			key, save("key"), do(tpm2.TPMCCContextLoad).With(damaged(-1, 0)).Fails(p(1, tpm2.TPMRCIntegrity))),
		ask(contextLoad, "ContextLoad of an object in another hierarchy than it was saved from answers TPM_RC_INTEGRITY or TPM_RC_HIERARCHY for parameter 1",
			key, save("key"), do(tpm2.TPMCCContextLoad).With(damaged(15, 0)).Fails(p(1, tpm2.TPMRCIntegrity), p(1, tpm2.TPMRCHierarchy), p(1, tpm2.TPMRCValue))),
		ask(contextLoad, "ContextLoad of an object with another sequence number answers TPM_RC_INTEGRITY for parameter 1",
			key, save("key"), do(tpm2.TPMCCContextLoad).With(damaged(7, 0)).Fails(p(1, tpm2.TPMRCIntegrity), p(1, tpm2.TPMRCSize))),
		ask(contextLoad, "ContextLoad of a context that ends early answers TPM_RC_INSUFFICIENT for parameter 1",
			key, save("key"), do(tpm2.TPMCCContextLoad).With(damaged(20, -1)).Fails(p(1, tpm2.TPMRCInsufficient))),
		ask(contextLoad, "ContextLoad of a context without a blob answers TPM_RC_SIZE or TPM_RC_INSUFFICIENT",
			do(tpm2.TPMCCContextLoad).With(join{u64(1), u32(0x80000000), null, empty}).Fails(p(1, tpm2.TPMRCSize), p(1, tpm2.TPMRCInsufficient), tpm2.TPMRCSize, tpm2.TPMRCInsufficient)),
		ask(contextLoad, "ContextLoad of a handle that cannot be saved answers TPM_RC_VALUE for parameter 1",
			do(tpm2.TPMCCContextLoad).With(join{u64(1), u32(0x40000001), null, zeros(64)}).Fails(p(1, tpm2.TPMRCValue))),
		ask(contextLoad, "ContextLoad with more objects than there is room for answers TPM_RC_OBJECT_MEMORY",
			overfull(key, save("key"))...),
		ask(flushContext, "FlushContext of an object takes it away", key, conform.Flush("key"), do(tpm2.TPMCCReadPublic, handle("key")).Fails(tpm2.TPMRCReferenceH0)),
		ask(flushContext, "FlushContext of an object that was flushed answers TPM_RC_HANDLE for parameter 1", key, conform.Flush("key"), conform.Flush("key").Fails(p(1, tpm2.TPMRCHandle))),
		ask(flushContext, "FlushContext of a session that was flushed answers TPM_RC_HANDLE for parameter 1",
			started, conform.Flush("session"), conform.Flush("session").Fails(p(1, tpm2.TPMRCHandle))),
		ask(flushContext, "FlushContext of a persistent handle answers TPM_RC_VALUE or TPM_RC_HANDLE for parameter 1",
			do(tpm2.TPMCCFlushContext).With(persistent(0)).Fails(p(1, tpm2.TPMRCHandle), p(1, tpm2.TPMRCValue))),
		ask(flushContext, "FlushContext of a hierarchy answers TPM_RC_VALUE or TPM_RC_HANDLE for parameter 1",
			do(tpm2.TPMCCFlushContext).With(owner).Fails(p(1, tpm2.TPMRCHandle), p(1, tpm2.TPMRCValue))),
		ask(flushContext, "FlushContext of a policy session takes it away", policy, conform.Flush("policy"), do(tpm2.TPMCCPolicyGetDigest, session).Fails(tpm2.TPMRCReferenceH0)),
		ask(flushContext, "FlushContext of a sequence takes it away", sequence(), conform.Flush("sequence"), do(tpm2.TPMCCSequenceUpdate, handle("sequence")).With(conform.Text("data")).Fails(tpm2.TPMRCReferenceH0)),
	}
}

// overfull loads a context until there is no room; TPMs may have more than they promise.
func overfull(first ...conform.Step) []conform.Step {
	steps := first
	for range 30 {
		steps = append(steps, loadSaved().Fails(tpm2.TPMRCSuccess, tpm2.TPMRCObjectMemory))
	}
	return steps
}

func sha256Of(text string) string {
	sum := wire.Hashes[tpm2.TPMAlgSHA256].New()
	sum.Write([]byte(text))
	return string(sum.Sum(nil))
}

// contextHas checks savedHandle and hierarchy of a TPMS_CONTEXT.
func contextHas(saved, hierarchy uint32) conform.Check {
	return conform.Check{Says: fmt.Sprintf("savedHandle is %#x and hierarchy %#x", saved, hierarchy), Test: func(a *conform.Answer) error {
		in := a.Parsed()
		in.U64()
		if s, h := in.U32(), in.U32(); in.Bad || s != saved || h != hierarchy {
			return fmt.Errorf("they are %#x and %#x", s, h)
		}
		return nil
	}}
}

func evictCases() []conform.Case {
	key := createPrimary(owner, "", eccPublic(storage, eccStorage)).Named("key")
	evict := func(by conform.Part, object conform.Part, to conform.Part) conform.Step {
		return do(tpm2.TPMCCEvictControl, by, object).With(to)
	}
	return []conform.Case{
		ask(evictControl, "EvictControl makes an object persistent, and the transient one stays", key, evict(owner, handle("key"), persistent(0)),
			do(tpm2.TPMCCReadPublic, persistent(0)).Checked(sameAs("key", 1)), do(tpm2.TPMCCReadPublic, handle("key"))),
		ask(evictControl, "EvictControl of a persistent object takes it away", key, evict(owner, handle("key"), persistent(0)), evict(owner, persistent(0), persistent(0)),
			do(tpm2.TPMCCReadPublic, persistent(0)).Fails(h(1, tpm2.TPMRCHandle))),
		ask(evictControl, "EvictControl to a handle that is taken answers TPM_RC_NV_DEFINED", key, evict(owner, handle("key"), persistent(0)), evict(owner, handle("key"), persistent(0)).Fails(tpm2.TPMRCNVDefined)),
		ask(evictControl, "EvictControl of a persistent object to another handle answers TPM_RC_HANDLE for handle 2",
			key, evict(owner, handle("key"), persistent(0)), evict(owner, persistent(0), persistent(1)).Fails(h(2, tpm2.TPMRCHandle))),
		ask(evictControl, "EvictControl of an object of the null hierarchy answers TPM_RC_ATTRIBUTES for handle 2",
			evict(owner, handle("@storage"), persistent(0)).Fails(h(2, tpm2.TPMRCAttributes))),
		ask(evictControl, "EvictControl by the owner to a handle of the platform answers TPM_RC_RANGE for parameter 1",
			key, evict(owner, handle("key"), u32(0x8180c0f0)).Fails(p(1, tpm2.TPMRCRange))),
		ask(evictControl, "EvictControl by the platform of an object of the owner to a handle of the owner answers TPM_RC_RANGE or TPM_RC_HIERARCHY",
			key, evict(platform, handle("key"), persistent(0)).Fails(p(1, tpm2.TPMRCRange), h(2, tpm2.TPMRCHierarchy), h(1, tpm2.TPMRCHierarchy))),
		ask(evictControl, "EvictControl of an object with stClear answers TPM_RC_ATTRIBUTES for handle 2",
			createPrimary(owner, "", eccPublic(storage|wire.ObjectStClear, eccStorage)).Named("key"), evict(owner, handle("key"), persistent(0)).Fails(h(2, tpm2.TPMRCAttributes))),
		ask(evictControl, "EvictControl of a public area alone answers TPM_RC_ATTRIBUTES for handle 2",
			decryptingPublic().Named("key"), evict(owner, handle("key"), persistent(0)).Fails(h(2, tpm2.TPMRCAttributes), h(1, tpm2.TPMRCHierarchy), h(2, tpm2.TPMRCHierarchy))),
		ask(evictControl, "EvictControl to a handle that is not persistent answers TPM_RC_VALUE for parameter 1",
			key, evict(owner, handle("key"), u32(0x80000000)).Fails(p(1, tpm2.TPMRCValue))),
		ask(evictControl, "A persistent object can be used as its transient one", key, evict(owner, handle("key"), persistent(0)), conform.Flush("key"),
			do(tpm2.TPMCCCreate, persistent(0)).With(sensitive("", "data"), public(tpm2.TPMAlgKeyedHash, sealing, empty, noAlg, empty), empty, noPCRs)),
	}
}

func clockCases() []conform.Case {
	return []conform.Case{
		ask(readClockTitle, "ReadClock gives a TPMS_TIME_INFO, and time does not go back", readClock().Named("before"), readClock().Checked(goesOn())),
		ask(clockSet, "ClockSet to a time in the past answers TPM_RC_VALUE for parameter 1",
			do(tpm2.TPMCCClockSet, owner).With(u64(0)).Fails(p(1, tpm2.TPMRCValue))).Harming(conform.MovesClock),
		ask(clockSet, "ClockSet to a time beyond the limit of FFFF000000000000 answers TPM_RC_VALUE for parameter 1",
			do(tpm2.TPMCCClockSet, owner).With(u64(0xffff000000000001)).Fails(p(1, tpm2.TPMRCValue))).Harming(conform.MovesClock),
		ask(clockSet, "ClockSet sets the clock forward",
			readClock().Named("before"), do(tpm2.TPMCCClockSet, owner).With(clockAfter(60_000)), readClock().Checked(clockAhead(60_000))).Harming(conform.MovesClock),
		ask(clockSet, "ClockSet by the endorsement hierarchy answers TPM_RC_VALUE for handle 1",
			do(tpm2.TPMCCClockSet, endorsement).With(u64(0)).Fails(h(1, tpm2.TPMRCValue))).Harming(conform.MovesClock),
		ask(clockRate, "ClockRateAdjust by one fine step and back succeeds", do(tpm2.TPMCCClockRateAdjust, owner).With(u8(1)), do(tpm2.TPMCCClockRateAdjust, owner).With(u8(0xff))).Then(
			do(tpm2.TPMCCClockRateAdjust, owner).With(u8(0))),
		ask(clockRate, "ClockRateAdjust by 4 answers TPM_RC_VALUE for parameter 1", do(tpm2.TPMCCClockRateAdjust, owner).With(u8(4)).Fails(p(1, tpm2.TPMRCValue))),
		ask(clockRate, "ClockRateAdjust by -4 answers TPM_RC_VALUE for parameter 1", do(tpm2.TPMCCClockRateAdjust, owner).With(u8(0xfc)).Fails(p(1, tpm2.TPMRCValue))),
	}
}

func goesOn() conform.Check {
	return conform.Check{Says: "time and clock do not go back", Test: func(a *conform.Answer) error {
		return compareClocks(a, func(before, now clockInfo) bool { return now.time >= before.time && now.clock >= before.clock })
	}}
}

func clockAhead(by uint64) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the clock is ahead by %d ms", by), Test: func(a *conform.Answer) error {
		return compareClocks(a, func(before, now clockInfo) bool { return now.clock >= before.clock+by })
	}}
}

func compareClocks(a *conform.Answer, right func(before, now clockInfo) bool) error {
	earlier, err := a.State.Field("before", 1)
	if err != nil {
		return err
	}
	before, err := clockOf(earlier)
	if err != nil {
		return err
	}
	now, err := clockOf(a.Parameters)
	if err != nil {
		return err
	}
	if !right(before, now) {
		return fmt.Errorf("it was %+v and is %+v", before, now)
	}
	return nil
}

// clockAfter is a clock value after that of the answer "before".
func clockAfter(by uint64) conform.Computed {
	return func(st *conform.State) ([]byte, error) {
		earlier, err := st.Field("before", 1)
		if err != nil {
			return nil, err
		}
		before, err := clockOf(earlier)
		return u64(before.clock + by), err
	}
}
