package generator

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// basics are the commands that need neither sessions nor keys.
var basics = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCStartup:                    {weight: 1, parameters: bare(startupType), effect: started},
	tpm2.TPMCCShutdown:                   {weight: 2, parameters: bare(startupType)},
	tpm2.TPMCCSelfTest:                   {weight: 1, parameters: bare(yesNo)},
	tpm2.TPMCCIncrementalSelfTest:        {weight: 1, parameters: bare(algorithmList)},
	tpm2.TPMCCGetTestResult:              {weight: 1, parameters: bare(nothing)},
	tpm2.TPMCCGetCapability:              {weight: 10, parameters: bare(capabilityQuestion)},
	tpm2.TPMCCGetRandom:                  {weight: 3, parameters: bare(randomSize)},
	tpm2.TPMCCStirRandom:                 {weight: 2, parameters: bare(func(g *generator) []byte { return g.sized(128) })},
	tpm2.TPMCCPCRRead:                    {weight: 8, parameters: bare(selection)},
	tpm2.TPMCCPCRExtend:                  {weight: 12, parameters: bare(digestValues)},
	tpm2.TPMCCPCREvent:                   {weight: 6, parameters: bare(func(g *generator) []byte { return g.sized(256) })},
	tpm2.TPMCCPCRReset:                   {weight: 5, parameters: bare(nothing), handles: resettable},
	tpm2.TPMCCPCRAllocate:                {weight: 1, parameters: bare(selection), handles: platform},
	tpm2.TPMCCPCRSetAuthPolicy:           {weight: 3, parameters: bare(pcrPolicy), handles: platform},
	tpm2.TPMCCPCRSetAuthValue:            {weight: 3, parameters: bare(authValue), handles: grouped, effect: pcrAuthSet},
	tpm2.TPMCCReadClock:                  {weight: 3, parameters: bare(nothing)},
	tpm2.TPMCCClockSet:                   {weight: 3, parameters: bare(newTime), effect: func(m *model, _ result) { m.clockSet = true }},
	tpm2.TPMCCClockRateAdjust:            {weight: 2, parameters: bare(clockRate)},
	tpm2.TPMCCHierarchyChanegAuth:        {weight: 5, parameters: bare(authValue), effect: hierarchyAuthSet},
	tpm2.TPMCCHierarchyControl:           {weight: 2, parameters: bare(enable)},
	tpm2.TPMCCSetPrimaryPolicy:           {weight: 3, parameters: bare(policy)},
	tpm2.TPMCCClear:                      {weight: 1, parameters: bare(nothing), handles: clearing, effect: cleared},
	tpm2.TPMCCChangePPS:                  {weight: 1, parameters: bare(nothing), handles: platform},
	tpm2.TPMCCChangeEPS:                  {weight: 1, parameters: bare(nothing), handles: platform},
	tpm2.TPMCCHash:                       {weight: 6, parameters: bare(hashInput)},
	tpm2.TPMCCHashSequenceStart:          {weight: 8, parameters: bare(sequenceStart), handles: room, effect: sequenceStarted},
	tpm2.TPMCCSequenceUpdate:             {weight: 8, parameters: bare(func(g *generator) []byte { return g.sized(256) }), handles: aSequence},
	tpm2.TPMCCSequenceComplete:           {weight: 5, parameters: bare(sequenceComplete), handles: aSequence, effect: sequenceEnded},
	tpm2.TPMCCEventSequenceComplete:      {weight: 5, parameters: bare(func(g *generator) []byte { return g.sized(256) }), handles: anEventSequence, effect: eventSequenceEnded},
	tpm2.TPMCCFlushContext:               {weight: 3, parameters: flushHandle, effect: flushed},
	tpm2.TPMCCTestParms:                  {weight: 4, parameters: bare(publicParameters)},
	tpm2.TPMCCSetCommandCodeAuditStatus:  {weight: 2, parameters: bare(auditStatus)},
	tpm2.TPMCCDictionaryAttackLockReset:  {weight: 1, parameters: bare(nothing), handles: lockout},
	tpm2.TPMCCDictionaryAttackParameters: {weight: 1, parameters: bare(attackParameters), handles: lockout},
	tpm2.TPMCCClearControl:               {weight: 2, parameters: bare(yesNo)},
	tpm2.TPMCCECCParameters:              {weight: 2, parameters: bare(curveIdentifier)},
	tpm2.TPMCCSetAlgorithmSet:            {weight: 1, parameters: bare(algorithmSet), handles: platform},
	tpm2.TPMCCPPCommands:                 {weight: 1, parameters: bare(commandLists), handles: platform},
}

func curveIdentifier(g *generator) []byte {
	if g.chance(0.3) {
		return wire.U16(uint16(g.rng.UintN(0x24)))
	}
	return wire.U16(uint16(g.curve()))
}

// algorithmSet draws one; the references have the one that is called 0.
func algorithmSet(g *generator) []byte {
	if g.odd() {
		return wire.U32(g.rng.Uint32())
	}
	return wire.U32(0)
}

func nothing(g *generator) []byte {
	if g.odd() {
		return g.bytes(1 + g.rng.IntN(4))
	}
	return nil
}

func platform(*generator) []uint32 { return []uint32{uint32(tpm2.TPMRHPlatform)} }
func lockout(*generator) []uint32  { return []uint32{uint32(tpm2.TPMRHLockout)} }

// clearing draws who may clear.
func clearing(g *generator) []uint32 {
	return []uint32{uint32(pick(g, tpm2.TPMRHPlatform, tpm2.TPMRHLockout))}
}

// resettable prefers the PCRs that can be reset at some locality.
func resettable(g *generator) []uint32 {
	return []uint32{pick[uint32](g, 16, 23, 16, 23, 17, 20, 21, 0)}
}

// grouped prefers the PCRs with an authorization value.
func grouped(g *generator) []uint32 { return []uint32{pick[uint32](g, 20, 21, 22, 20, 16)} }

func startupType(g *generator) []byte {
	if g.odd() {
		return wire.U16(pick[uint16](g, 2, 0x100, 0xffff))
	}
	return wire.U16(pick[uint16](g, 0, 1))
}

// started forgets what TPM2_Startup(CLEAR) resets: the platform's
// authorization value and those of the PCRs.
func started(m *model, r result) {
	if bytes.Equal(r.command.Parameters, []byte{0, 0}) {
		delete(m.auths, uint32(tpm2.TPMRHPlatform))
		delete(m.auths, pcrAuthGroup)
	}
}

func yesNo(g *generator) []byte {
	if g.odd() {
		return []byte{pick[byte](g, 2, 0x80, 0xff)}
	}
	return []byte{pick[byte](g, 0, 1)}
}

func algorithmList(g *generator) []byte {
	n := g.rng.IntN(4)
	list := wire.U32(uint32(n))
	if g.odd() {
		list = wire.U32(pick[uint32](g, 63, 64, 65, 128, 129, 0xffffffff))
	}
	for range n {
		list = append(list, wire.U16(uint16(g.algorithm()))...)
	}
	return list
}

// capabilityQuestion asks for something that is there, mostly.
func capabilityQuestion(g *generator) []byte {
	capability := uint32(g.rng.UintN(9))
	var property uint32
	switch tpm2.TPMCap(capability) {
	case tpm2.TPMCapHandles:
		property = pick[uint32](g, 0, 0x01000000, 0x02000000, 0x03000000, 0x40000000, 0x40000009, 0x80000000, 0x80000001, 0x81000000, 16)
	case tpm2.TPMCapCommands, tpm2.TPMCapPPCommands, tpm2.TPMCapAuditCommands:
		property = 0x11f + g.rng.Uint32N(0x90)
	case tpm2.TPMCapTPMProperties:
		property = pick[uint32](g, 0x100, 0x200, 0) + g.rng.Uint32N(0x30)
	default:
		property = g.rng.Uint32N(0x30)
	}
	count := pick[uint32](g, 1, 1, 2, 8, 64, 127, 256, 1000)
	if g.odd() {
		capability = pick[uint32](g, 9, 10, 11, 0x100, 0x101, 0xffffffff, g.rng.Uint32())
	}
	if g.odd() {
		property = pick[uint32](g, 0, 0xffffffff, 0x20000000, 0x04000000, g.rng.Uint32())
	}
	if g.odd() {
		count = pick[uint32](g, 0, 0xffffffff)
	}
	return wire.GetCapability(capability, property, count).Parameters
}

func randomSize(g *generator) []byte {
	if g.odd() {
		return wire.U16(pick[uint16](g, 0, 48, 64, 65, 1024, 0xffff))
	}
	return wire.U16(uint16(g.rng.UintN(65)))
}

// selection draws a TPML_PCR_SELECTION.
func selection(g *generator) []byte {
	n := g.rng.IntN(5)
	list := wire.U32(uint32(n))
	if g.odd() {
		list = wire.U32(pick[uint32](g, 5, 16, 17, 0xffffffff))
	}
	for range n {
		list = append(list, wire.U16(uint16(g.hash()))...)
		size := 3
		if g.odd() {
			size = g.rng.IntN(6)
		}
		bitmap := g.bytes(size)
		if g.chance(0.5) { // few PCRs, so that the digests fit one answer
			for i := range bitmap {
				bitmap[i] = 1 << g.rng.UintN(8)
			}
		}
		list = append(append(list, byte(size)), bitmap...)
	}
	return list
}

// digestValues draws a TPML_DIGEST_VALUES.
func digestValues(g *generator) []byte {
	n := g.rng.IntN(5)
	list := wire.U32(uint32(n))
	if g.odd() {
		list = wire.U32(pick[uint32](g, 5, 16, 17, 0xffffffff))
	}
	for range n {
		algorithm := g.hash()
		list = append(list, wire.U16(uint16(algorithm))...)
		list = append(list, g.bytes(wire.HashSizes[algorithm])...)
	}
	return list
}

// policy draws a digest and the hash algorithm that goes with it. Half of the
// digests are of policies that the generator's sessions can satisfy.
func policy(g *generator) []byte {
	if g.chance(0.5) {
		digest := satisfiable[g.rng.IntN(len(satisfiable))].digest()
		return append(conformance.AppendSized(nil, digest), wire.U16(uint16(tpm2.TPMAlgSHA256))...)
	}
	algorithm := g.hash()
	size := wire.HashSizes[algorithm]
	if g.chance(0.2) {
		algorithm, size = tpm2.TPMAlgNull, 0
	}
	if g.odd() {
		size = pick(g, 0, 1, size+1, 64, 65)
	}
	return append(conformance.AppendSized(nil, g.bytes(size)), wire.U16(uint16(algorithm))...)
}

// cleared forgets what TPM2_Clear takes away.
func cleared(m *model, _ result) {
	for _, hierarchy := range []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHLockout} {
		delete(m.auths, uint32(hierarchy))
	}
	m.indices = slices.DeleteFunc(m.indices, func(n index) bool { return !n.platform })
	m.objects = slices.DeleteFunc(m.objects, func(o object) bool {
		return o.hierarchy == uint32(tpm2.TPMRHOwner) || o.hierarchy == uint32(tpm2.TPMRHEndorsement)
	})
}

func pcrPolicy(g *generator) []byte {
	return append(policy(g), wire.U32(pick(g, 20, 21, 22, g.handle(conformance.PCR)))...)
}

func hierarchyAuthSet(m *model, r result) {
	m.auths[r.command.Handles[0]] = wire.AuthOf(r.command.Parameters)
}

func pcrAuthSet(m *model, r result) {
	m.auths[pcrAuthGroup] = wire.AuthOf(r.command.Parameters)
}

// newTime draws a clock value. Values near the present are left out: whether
// they lie ahead would depend on the millisecond.
func newTime(g *generator) []byte {
	value := presentClock + 1<<30 + g.rng.Uint64N(1<<44)
	if g.odd() && g.model.clockSet {
		value = pick[uint64](g, 0, 1, 1000, 0xffff000000000001, 0xffffffffffffffff, 0xfffe000000000000+g.rng.Uint64N(1<<48))
	}
	return binary.BigEndian.AppendUint64(nil, value)
}

func clockRate(g *generator) []byte {
	if g.odd() {
		return []byte{pick[byte](g, 4, 0xfc, 0x7f, 0x80)}
	}
	return []byte{byte(g.rng.IntN(7) - 3)}
}

// enable draws the parameters of HierarchyControl; the platform is seldom
// turned off, because nothing but a reset turns it on again.
func enable(g *generator) []byte {
	which := pick(g, tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatformNV)
	if g.chance(0.05) {
		which = tpm2.TPMRHPlatform
	}
	handle := uint32(which)
	if g.odd() {
		handle = g.strangeHandle()
	}
	return append(wire.U32(handle), yesNo(g)...)
}

// publicParameters draws a TPMT_PUBLIC_PARMS.
func publicParameters(g *generator) []byte {
	kind := pick(g, tpm2.TPMAlgRSA, tpm2.TPMAlgECC, tpm2.TPMAlgKeyedHash, tpm2.TPMAlgSymCipher)
	if g.odd() {
		kind = g.algorithm()
	}
	b := wire.U16(uint16(kind))
	switch kind {
	case tpm2.TPMAlgRSA:
		b = append(append(b, symmetric(g, true)...), scheme(g, tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS, tpm2.TPMAlgRSAES, tpm2.TPMAlgOAEP)...)
		bits := pick[uint16](g, 2048, 1024)
		if g.odd() {
			bits = pick[uint16](g, 3072, 4096, 2047, 0, 512)
		}
		b = append(b, wire.U16(bits)...)
		return append(b, wire.U32(pick[uint32](g, 0, 65537, 3, 4, 0xffffffff))...)
	case tpm2.TPMAlgECC:
		b = append(append(b, symmetric(g, true)...), scheme(g, tpm2.TPMAlgECDSA, tpm2.TPMAlgECDH, tpm2.TPMAlgECDAA, tpm2.TPMAlgECSchnorr)...)
		b = append(b, wire.U16(pick[uint16](g, 3, 4, 0, 0x99))...)
		return append(b, scheme(g, tpm2.TPMAlgMGF1, tpm2.TPMAlgKDF1SP80056A, tpm2.TPMAlgKDF1SP800108)...)
	case tpm2.TPMAlgKeyedHash:
		return append(b, keyedHashScheme(g)...)
	}
	return append(b, symmetric(g, false)...)
}

// auditStatus draws the parameters of SetCommandCodeAuditStatus.
func auditStatus(g *generator) []byte {
	algorithm := tpm2.TPMAlgNull
	if g.chance(0.3) {
		algorithm = g.hash()
	}
	b := append(wire.U16(uint16(algorithm)), g.commandList()...)
	return append(b, g.commandList()...)
}

func commandLists(g *generator) []byte { return append(g.commandList(), g.commandList()...) }

// commandList draws a TPML_CC, mostly of commands both devices have.
func (g *generator) commandList() []byte {
	n := g.rng.IntN(3)
	list := wire.U32(uint32(n))
	if g.odd() {
		list = wire.U32(pick[uint32](g, 254, 255, 256, 257, 0xffffffff))
	}
	for range n {
		code := g.rng.Uint32N(0x200)
		if len(g.shared) > 0 && g.chance(0.9) {
			code = pick(g, g.shared...)
		}
		list = append(list, wire.U32(code)...)
	}
	return list
}

func attackParameters(g *generator) []byte {
	b := wire.U32(pick[uint32](g, 0, 1, 3, 32, 0xffffffff))
	b = append(b, wire.U32(pick[uint32](g, 0, 1000, 7200, 0xffffffff))...)
	return append(b, wire.U32(pick[uint32](g, 0, 1000, 86400, 0xffffffff))...)
}
