package known

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/comparison"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// answered is a command that ours and theirs have answered with these codes.
func answered(ours, theirs uint32, p conformance.Packet) *Case {
	outcome := func(code uint32) conversation.Outcome {
		r := binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, 10}, code)
		return conversation.Outcome{Response: r, Plain: r}
	}
	return &Case{Script: conversation.Script{{Data: p.Bytes()}}, OurOutcome: outcome(ours), TheirOutcome: outcome(theirs)}
}

// packet is a command with as many handles as it has, without sessions.
func packet(code tpm2.TPMCC, parameters ...[]byte) conformance.Packet {
	command, _ := conformance.Lookup(uint32(code))
	return conformance.Packet{Code: uint32(code), Handles: make([]uint32, len(command.Handles)), Parameters: slices.Concat(parameters...)}
}

// bytes2B is a TPM2B of n bytes, of which none looks like a size.
func bytes2B(n int) []byte { return append(wire.U16(uint16(n)), bytes.Repeat([]byte{0xEE}, n)...) }

// public2B is a TPM2B_PUBLIC with a policy, a scheme and a unique field.
func public2B(parms, unique []byte) []byte {
	kind := byte(tpm2.TPMAlgECC)
	if bytes.Equal(parms, rsaParms) {
		kind = byte(tpm2.TPMAlgRSA)
	}
	area := slices.Concat([]byte{0, kind, 0, 0x0b, 0, 0, 0, 0}, bytes2B(32), parms, unique)
	return append(wire.U16(uint16(len(area))), area...)
}

const (
	valueP2  = 0x2c4
	schemeP2 = 0x2d2
	sizeP1   = 0x1d5
	sizeP2   = 0x2d5
	sizeP3   = 0x3d5
	curveP1  = 0x1e6
	shortP2  = 0x2da
	ticketP3 = 0x3e0
)

var rsaParms = []byte{0, 0x10, 0, 0x10, 0x0c, 0, 0, 0, 0, 0} // no cipher, no scheme, 3,072 bits

func TestSchemeLate(t *testing.T) {
	t.Parallel()
	scheme := []byte{0, 5, 0, 0x0b}
	sign := packet(tpm2.TPMCCSign, bytes2B(32), scheme, []byte{0x80, 0x24, 0x40, 0, 0, 7, 0, 0})
	for _, tc := range []struct {
		ours, theirs uint32
		packet       conformance.Packet
		want         bool
	}{
		{schemeP2, 0x92, sign, true},
		{schemeP2, ticketP3, sign, true},
		{schemeP2, sizeP1, sign, true},
		{schemeP2, 0, sign, false},
		{schemeP2, 0x38a, sign, false},
		{0x92, schemeP2, sign, false},
		{schemeP2, 0x92, packet(tpm2.TPMCCCreate, bytes2B(4)), false},
		{0x3d2, 0x4e0, packet(tpm2.TPMCCCertifyCreation), true},
		{schemeP2, 0x4e0, packet(tpm2.TPMCCCertifyCreation), false},
	} {
		assert.Equal(t, tc.want, answered(tc.ours, tc.theirs, tc.packet).schemeLate(), "%x %x %x", tc.ours, tc.theirs, tc.packet.Code)
	}
}

func TestTooLargeForTheirs(t *testing.T) {
	t.Parallel()
	point := func(x, y int) []byte {
		b := append(bytes2B(x), bytes2B(y)...)
		return append(wire.U16(uint16(len(b))), b...)
	}
	for name, tc := range map[string]struct {
		theirs uint32
		packet conformance.Packet
		want   bool
	}{
		"secret":              {sizeP2, packet(tpm2.TPMCCStartAuthSession, bytes2B(16), bytes2B(300)), true},
		"secret fits":         {sizeP2, packet(tpm2.TPMCCStartAuthSession, bytes2B(16), bytes2B(256)), false},
		"too large for both":  {sizeP2, packet(tpm2.TPMCCStartAuthSession, bytes2B(16), bytes2B(513)), false},
		"another parameter":   {sizeP1, packet(tpm2.TPMCCStartAuthSession, bytes2B(16), bytes2B(300)), false},
		"another code":        {shortP2, packet(tpm2.TPMCCStartAuthSession, bytes2B(16), bytes2B(300)), false},
		"x":                   {sizeP1, packet(tpm2.TPMCCECDHZGen, point(67, 32)), true},
		"y":                   {sizeP1, packet(tpm2.TPMCCECDHZGen, point(32, 80)), true},
		"point fits":          {sizeP1, packet(tpm2.TPMCCECDHZGen, point(66, 66)), false},
		"second point":        {sizeP2, packet(tpm2.TPMCCZGen2Phase, point(32, 32), point(70, 32)), true},
		"not the first point": {sizeP2, packet(tpm2.TPMCCZGen2Phase, point(70, 32), point(32, 32)), false},
		"y2":                  {sizeP3, packet(tpm2.TPMCCCommit, point(1, 1), bytes2B(1), bytes2B(67)), true},
		"private":             {sizeP1, packet(tpm2.TPMCCLoad, bytes2B(1025)), true},
		"modulus in public":   {sizeP2, packet(tpm2.TPMCCCreate, bytes2B(4), public2B(rsaParms, bytes2B(384))), true},
		"modulus fits":        {sizeP2, packet(tpm2.TPMCCCreate, bytes2B(4), public2B(rsaParms, bytes2B(256))), false},
		"template":            {sizeP2, packet(tpm2.TPMCCCreateLoaded, bytes2B(4), bytes2B(544)), true},
		"context":             {sizeP1, packet(tpm2.TPMCCContextLoad, make([]byte, 16), bytes2B(2442)), true},
		"context fits":        {sizeP1, packet(tpm2.TPMCCContextLoad, make([]byte, 16), bytes2B(900)), false},
		"prime":               {sizeP1, packet(tpm2.TPMCCLoadExternal, append(wire.U16(600), slices.Concat([]byte{0, 1}, bytes2B(4), bytes2B(0), bytes2B(192))...)), true},
		"signature":           {sizeP2, packet(tpm2.TPMCCVerifySignature, bytes2B(32), []byte{0, 0x14, 0, 0x0b}, bytes2B(300)), true},
		"r":                   {0x5d5, packet(tpm2.TPMCCPolicySigned, bytes2B(0), bytes2B(0), bytes2B(0), make([]byte, 4), []byte{0, 0x18, 0, 0x0b}, bytes2B(70)), true},
		"without a size":      {sizeP2, packet(tpm2.TPMCCSign, bytes2B(32), bytes2B(300)), false},
		"cut":                 {sizeP2, packet(tpm2.TPMCCStartAuthSession, []byte{0, 9}), false},
	} {
		assert.Equal(t, tc.want, answered(0, tc.theirs, tc.packet).tooLargeForTheirs(), name)
	}
}

func TestRefusesAlgorithm(t *testing.T) {
	t.Parallel()
	lists := func(algorithms, curves []uint32) *comparison.Identity {
		entries := func(keys []uint32) (list []wire.Entry) {
			for _, k := range keys {
				list = append(list, wire.Entry{Key: k})
			}
			return list
		}
		return &comparison.Identity{Lists: map[uint32][]wire.Entry{uint32(tpm2.TPMCapAlgs): entries(algorithms), uint32(tpm2.TPMCapECCCurves): entries(curves)}}
	}
	both := &comparison.Pair{Ours: lists([]uint32{0x22}, []uint32{1}), Theirs: lists([]uint32{0x22, 0x21}, []uint32{0x10})}
	algorithm := []byte{0, 0x21, 0, 0x0b}
	ecc := func(curve byte) []byte { return []byte{0, 0x10, 0, 0x10, 0, curve, 0, 0x10} }
	for name, tc := range map[string]struct {
		ours, theirs uint32
		packet       conformance.Packet
		want         bool
	}{
		"scheme":                  {schemeP2, 0, packet(tpm2.TPMCCSign, bytes2B(32), algorithm), true},
		"theirs has it":           {0, schemeP2, packet(tpm2.TPMCCSign, bytes2B(32), algorithm), false},
		"in another parameter":    {schemeP2, 0, packet(tpm2.TPMCCSign, append(wire.U16(4), algorithm...), []byte{0, 0x22}), false},
		"both have it":            {schemeP2, 0, packet(tpm2.TPMCCSign, bytes2B(32), []byte{0, 0x22}), false},
		"another code":            {sizeP2, 0, packet(tpm2.TPMCCSign, bytes2B(32), algorithm), false},
		"our curve":               {0, curveP1, packet(tpm2.TPMCCECCParameters, []byte{0, 1}), true},
		"their curve":             {curveP1, 0, packet(tpm2.TPMCCECCParameters, []byte{0, 0x10}), true},
		"neither's curve":         {curveP1, 0, packet(tpm2.TPMCCECCParameters, []byte{0, 0x11}), false},
		"curve of a public area":  {0, 0x2e6, packet(tpm2.TPMCCCreate, bytes2B(4), public2B(ecc(1), nil)), true},
		"curve that both refuse":  {0, 0x2e6, packet(tpm2.TPMCCCreate, bytes2B(4), public2B(ecc(9), nil)), false},
		"after the algorithms":    {0, 0x2e6, packet(tpm2.TPMCCCreate, bytes2B(4), public2B(ecc(9), append(bytes2B(32), 0, 1, 0, 1))), false},
		"command without a shape": {schemeP2, 0, packet(tpm2.TPMCCStirRandom, algorithm, algorithm), false},
	} {
		c := answered(tc.ours, tc.theirs, tc.packet)
		c.Pair = both
		assert.Equal(t, tc.want, c.refusesAlgorithm(), name)
	}
}

func TestRefusesBits(t *testing.T) {
	t.Parallel()
	create := packet(tpm2.TPMCCCreate, bytes2B(4), public2B(rsaParms, bytes2B(0)))
	assert.True(t, answered(0, valueP2, create).refusesBits(3072))
	assert.False(t, answered(0, valueP2, create).refusesBits(2048))
	assert.False(t, answered(0, sizeP2, create).refusesBits(3072))
	assert.False(t, answered(0, 0x1c4, create).refusesBits(3072))
}

func TestDrawnSize(t *testing.T) {
	t.Parallel()
	c := answered(shortP2, sizeP2, packet(tpm2.TPMCCActivateCredential))
	assert.False(t, c.drawnSize(), "the same bytes")
	c.TheirOutcome.Inputs++
	assert.True(t, c.drawnSize())
	for name, tc := range map[string]struct {
		ours, theirs uint32
		want         bool
	}{
		"another parameter":     {shortP2, sizeP1, true},
		"the end":               {sizeP2, 0x95, true},
		"a secret":              {valueP2, sizeP2, true},
		"another one's value":   {valueP2, sizeP1, false},
		"a session":             {0x99a, sizeP1, false},
		"neither is for a size": {valueP2, valueP2, false},
	} {
		c := answered(tc.ours, tc.theirs, packet(tpm2.TPMCCActivateCredential))
		c.TheirOutcome.Inputs++
		assert.Equal(t, tc.want, c.drawnSize(), name)
	}
}

func TestDrawnLayout(t *testing.T) {
	t.Parallel()
	start := func(salt int) []byte {
		p := packet(tpm2.TPMCCStartAuthSession, bytes2B(16), bytes2B(salt), make([]byte, 60-salt))
		return p.Bytes()
	}
	number := start(20)
	number[len(number)-40]++ // the type of the session
	for name, tc := range map[string]struct {
		ours, theirs uint32
		a, b         []byte
		want         bool
	}{
		"another size":      {0x4d6, 0x3c4, start(20), start(30), true},
		"another number":    {0x4d6, 0x3c4, start(20), number, true},
		"the same":          {0x4d6, 0x3c4, start(20), start(20), false},
		"before it":         {0x1d5, 0x1da, start(20), start(30), false},
		"one has succeeded": {0, 0x3c4, start(20), start(30), false},
	} {
		c := answered(tc.ours, tc.theirs, packet(tpm2.TPMCCStartAuthSession))
		c.OurOutcome.Sent, c.TheirOutcome.Sent = tc.a, tc.b
		assert.Equal(t, tc.want, c.drawnLayout(), name)
	}
}

// Between the commands: TPM2_Shutdown(CLEAR), TPM2_GetRandom, TPM2_PCR_Extend and
// TPM2_Unseal with a password.
func TestOrderly(t *testing.T) {
	t.Parallel()
	const (
		shutdown = "send 0 80010000000c000001450000"
		state    = "send 0 80010000000c000001450001"
		random   = "send 0 80010000000c0000017b0008"
		unseal   = "send 0 80020000001b0000015e80000000000000094000000900000000000000"
		restart  = "init"
		clock    = "send 0 80010000000a00000181"
	)
	for name, tc := range map[string]struct {
		script          []string
		unorderly, used bool
	}{
		"no init":             {[]string{random, clock}, false, false},
		"no shutdown":         {[]string{random, restart, clock}, true, false},
		"shutdown":            {[]string{random, shutdown, restart, clock}, false, false},
		"power off":           {[]string{shutdown, "power-off", restart, clock}, false, false},
		"saved":               {[]string{state, restart, clock}, true, false},
		"something after it":  {[]string{shutdown, random, restart, clock}, true, false},
		"used":                {[]string{shutdown, unseal, restart, clock}, true, true},
		"used before":         {[]string{unseal, shutdown, restart, clock}, false, false},
		"shut again":          {[]string{shutdown, unseal, shutdown, restart, clock}, false, false},
		"perhaps shut again":  {[]string{shutdown, unseal, state, restart, clock}, true, true},
		"used, not restarted": {[]string{shutdown, unseal, clock}, false, false},
	} {
		c := caseOf(t, tc.script...)
		assert.Equal(t, tc.unorderly, c.startedUnorderly(), name)
		assert.Equal(t, tc.used, c.usedAfterShutdown(), name)
	}
}

func TestExpiresSoon(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[uint32]bool{0: false, 1: true, 60: true, 61: false, 0xfffffff0: true, 0xffffff00: false, 0x80000000: false} {
		p := packet(tpm2.TPMCCPolicySecret, bytes2B(0), bytes2B(34), bytes2B(5), wire.U32(seconds))
		assert.Equal(t, want, answered(sizeP2, 0x4e3, p).expiresSoon(), seconds)
	}
	assert.False(t, answered(0, 0, packet(tpm2.TPMCCPolicySecret, bytes2B(0), bytes2B(0), bytes2B(0))).expiresSoon(), "cut")
	assert.False(t, answered(0, 0, packet(tpm2.TPMCCPolicyTicket, bytes2B(0), bytes2B(0), bytes2B(0), wire.U32(1))).expiresSoon())
}
