package known

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/differential/comparison"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
)

// caseOf is the last step of a script, answered with success by both.
func caseOf(t *testing.T, lines ...string) *Case {
	t.Helper()
	script, err := conversation.ReadScript(strings.NewReader(strings.Join(lines, "\n") + "\n"))
	require.NoError(t, err)
	answer := []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0}
	success := conversation.Outcome{Response: answer, Plain: answer}
	return &Case{Script: script, At: len(script) - 1, OurOutcome: success, TheirOutcome: success}
}

func TestNamesOrderlyLockLost(t *testing.T) {
	t.Parallel()
	const (
		// TPM2_NV_DefineSpace of 0x01400003 with and without TPMA_NV_ORDERLY,
		// locks of it, of all, and of another index; TPM2_NV_ReadPublic.
		orderly = "send 0 80020000002d0000012a40000001000000094000000900000000000000000e01400003000b0607404700000020"
		other   = "send 0 80020000002d0000012a40000001000000094000000900000000000000000e01400003000b0207404700000020"
		lock    = "send 0 80020000001f00000138014000030140000300000009400000090000010000"
		read    = "send 0 80020000001f0000014f014000030140000300000009400000090000010000"
		global  = "send 0 80020000001b00000132400000010000000940000009000001000000"
		foreign = "send 0 80020000001f00000138014000030140000400000009400000090000010000"
		public  = "send 0 80010000000e0000016901400003"
		random  = "send 0 80010000000c0000017b0008"
	)
	for name, tc := range map[string]struct {
		script []string
		want   bool
	}{
		"write lock":     {[]string{orderly, lock, "init", public}, true},
		"read lock":      {[]string{orderly, read, "init", random, public}, true},
		"global lock":    {[]string{orderly, global, "init", public}, true},
		"power on":       {[]string{orderly, lock, public}, false},
		"locked later":   {[]string{orderly, "init", lock, public}, false},
		"not orderly":    {[]string{other, lock, "init", public}, false},
		"other index":    {[]string{orderly, foreign, "init", public}, false},
		"other command":  {[]string{orderly, lock, "init", random}, false},
		"not a command":  {[]string{orderly, lock, "init", "init"}, false},
		"cut short":      {[]string{orderly, lock, "init", "send 0 80010000000e00000169"}, false},
		"less than that": {[]string{"send 0 8001", orderly, lock, "init", "send 0 80"}, false},
	} {
		assert.Equal(t, tc.want, caseOf(t, tc.script...).namesOrderlyLockLost(), name)
	}
}

func TestAllocationCleared(t *testing.T) {
	t.Parallel()
	const (
		allocate = "send 0 80020000002b0000012b4000000c0000000940000009000000000000000002000403ee7899000d03e2fedf"
		clearTPM = "send 0 80020000001b000001264000000c00000009400000090000010000"
		pcrRead  = "send 0 8001000000140000017e00000001000403ff0000"
		pcrs     = "send 0 8001000000160000017a000000050000000000000008"
		algs     = "send 0 8001000000160000017a000000000000000000000008"
	)
	for name, tc := range map[string]struct {
		script          []string
		cleared, showed bool
	}{
		"read":            {[]string{allocate, clearTPM, "init", pcrRead}, true, true},
		"capability":      {[]string{allocate, clearTPM, "init", pcrs}, true, true},
		"something else":  {[]string{allocate, clearTPM, "init", algs}, true, false},
		"allocated after": {[]string{clearTPM, allocate, "init", pcrRead}, false, true},
		"again":           {[]string{allocate, clearTPM, allocate, "init", pcrRead}, false, true},
		"power on":        {[]string{allocate, clearTPM, pcrRead}, false, true},
		"not cleared":     {[]string{allocate, "init", pcrRead}, false, true},
	} {
		c := caseOf(t, tc.script...)
		assert.Equal(t, tc.cleared, c.allocationCleared(), name)
		assert.Equal(t, tc.showed, c.showsAllocation(), name)
	}
}

func TestPINByPolicy(t *testing.T) {
	t.Parallel()
	const (
		pin      = "send 0 80020000002d0000012a40000001000000094000000900000000000000000e01400002000b02070093000000" + "08"
		ordinary = "send 0 80020000002d0000012a40000001000000094000000900000000000000000e01400002000b02070003000000" + "08"
		policy   = "send 0 80020000001f0000013b01400002000000090300000000000000000000" + "0000"
		password = "send 0 80020000001f0000013b01400002000000094000000900000000000000" + "0000"
		read     = "send 0 8002000000230000014e40000001014000020000000940000009000000000000080000"
		other    = "send 0 8002000000230000014e40000001014000030000000940000009000000000000080000"
	)
	for name, tc := range map[string]struct {
		script []string
		want   bool
	}{
		"policy":          {[]string{pin, policy, read}, true},
		"password":        {[]string{pin, password, read}, false},
		"no PIN":          {[]string{ordinary, policy, read}, false},
		"another index":   {[]string{pin, policy, other}, false},
		"no PIN any more": {[]string{pin, ordinary, policy, read}, false},
	} {
		assert.Equal(t, tc.want, caseOf(t, tc.script...).pinByPolicy(), name)
	}
}

// responseCode gives the code that a device answered.
func responseCode(code uint32) conversation.Outcome {
	answer := binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, 10}, code)
	return conversation.Outcome{Response: answer, Plain: answer}
}

func TestPINLimitByPolicy(t *testing.T) {
	t.Parallel()
	const (
		pin      = "send 0 80020000002d0000012a40000001000000094000000900000000000000000e01400002000b02070093000000" + "08"
		ordinary = "send 0 80020000002d0000012a40000001000000094000000900000000000000000e01400002000b02070003000000" + "08"
		policy   = "send 0 8002000000230000014e01400002014000020000000903000000000000000000080000"
		password = "send 0 8002000000230000014e01400002014000020000000940000009000000000000080000"
		certify  = "send 0 800200000038000001848000000001400002014000020000001240000009000000000003000000000000000000" + "0000" + "0010" + "00080000"
	)
	for name, tc := range map[string]struct {
		script []string
		code   uint32
		want   bool
	}{
		"policy":       {[]string{pin, policy}, 0x12f, true},
		"another code": {[]string{pin, policy}, 0x98e, false},
		"password":     {[]string{pin, password}, 0x12f, false},
		"certified":    {[]string{pin, certify}, 0x12f, true},
		"no PIN":       {[]string{ordinary, policy}, 0x12f, false},
		"unknown":      {[]string{policy}, 0x12f, false},
		"cut short":    {[]string{pin, policy[:41]}, 0x12f, false},
	} {
		c := caseOf(t, tc.script...)
		c.OurOutcome = responseCode(tc.code)
		assert.Equal(t, tc.want, c.pinLimitByPolicy(), name)
	}
}

func TestRefusesAuditAttributes(t *testing.T) {
	t.Parallel()
	// TPM2_PCR_Reset with a password and with an HMAC session.
	with := func(attributes string) string {
		return "send 0 80020000002e0000013d00000017" + "0000001c" + "400000090000010000" + "0200000000021234" + attributes + "00080102030405060708"
	}
	for name, tc := range map[string]struct {
		attributes string
		code       uint32
		want       bool
	}{
		"exclusive":         {"02", 0xa82, true},
		"reset":             {"05", 0xa82, true},
		"audited":           {"86", 0xa82, false},
		"neither":           {"01", 0xa82, false},
		"the other session": {"02", 0x982, false},
		"another number":    {"02", 0xb82, false},
		"parameter":         {"02", 0x2c2, false},
		"success":           {"02", 0, false},
		"cut after it":      {"02" + "0008", 0xa82, true},
	} {
		c := caseOf(t, with(tc.attributes))
		c.OurOutcome = responseCode(tc.code)
		assert.Equal(t, tc.want, c.refusesAuditAttributes(), name)
	}
}

func TestEchoesAuditReset(t *testing.T) {
	t.Parallel()
	// TPM2_PCR_Reset with an audit session, and its responses.
	const with, without = "send 0 80020000001b0000013d00000017000000090200000000008" + "50000", "send 0 80020000001b0000013d000000170000000902000000000081" + "0000"
	response := func(attributes byte) conversation.Outcome {
		r := []byte{0x80, 2, 0, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, attributes, 0, 0}
		return conversation.Outcome{Response: r, Plain: r}
	}
	for name, tc := range map[string]struct {
		command      string
		ours, theirs byte
		want         bool
	}{
		"echo":           {with, 0x81, 0x85, true},
		"not asked for":  {without, 0x81, 0x85, false},
		"ours":           {with, 0x85, 0x81, false},
		"and exclusive":  {with, 0x81, 0x87, false},
		"exclusive here": {with, 0x83, 0x85, false},
		"the same":       {with, 0x81, 0x81, false},
	} {
		c := caseOf(t, tc.command)
		c.OurOutcome, c.TheirOutcome = response(tc.ours), response(tc.theirs)
		pair := &comparison.Pair{Ours: &comparison.Identity{}, Theirs: &comparison.Identity{}}
		_, c.Detail = pair.Compare(c.Step(), c.OurOutcome, c.TheirOutcome)
		assert.Equal(t, tc.want, c.echoesAuditReset(), name)
	}
}

func TestChangedAfterShutdown(t *testing.T) {
	t.Parallel()
	const (
		shutdown = "send 0 80010000000c000001450001"
		start    = "send 0 80010000000c000001440001"
		allocate = "send 0 80020000002b0000012b4000000c0000000940000009000000000000000000000001000403ee7899"
		save     = "send 0 80010000000e0000016202000000"
		flush    = "send 0 80010000000e0000016502000000"
		flushKey = "send 0 80010000000e0000016580000000"
		commit   = "send 0 80010000000c0000018e0003"
		random   = "send 0 80010000000c0000017b0008"
		audit    = "send 0 80020000002500000140400000010000000940000009000000000000100000000000000000"
	)
	for name, tc := range map[string]struct {
		script []string
		want   bool
	}{
		"allocation":     {[]string{shutdown, allocate, "init", start}, true},
		"flush":          {[]string{save, shutdown, flush, "init", start}, true},
		"never saved":    {[]string{shutdown, flush, "init", start}, false},
		"flushed object": {[]string{save, shutdown, flushKey, "init", start}, false},
		"commitment":     {[]string{shutdown, commit, "init", start}, true},
		"its use":        {[]string{commit, shutdown, "send 0 80010000000a0000018d", "init", start}, true},
		"audited":        {[]string{audit, shutdown, random, "init", start}, true},
		"not audited":    {[]string{shutdown, random, "init", start}, false},
		"before":         {[]string{save, flush, allocate, shutdown, "init", start}, false},
		"again":          {[]string{save, shutdown, flush, "send 0 80010000000c000001450000", "init", start}, false},
		"cut short":      {[]string{shutdown, "send 0 8001", "send 0 80010000000e00000165", "init", start}, false},
		"power on":       {[]string{save, shutdown, flush, start}, false},
	} {
		assert.Equal(t, tc.want, caseOf(t, tc.script...).changedAfterShutdown(), name)
	}
}

func TestContextRefusedAfterShutdown(t *testing.T) {
	t.Parallel()
	const (
		shutdown = "send 0 80010000000c000001450001"
		start    = "send 0 80010000000c000001440001"
		save     = "send 0 80010000000e0000016202000000"
		load     = "send 0 80010000000c000001610001"
		random   = "send 0 80010000000c0000017b0008"
		ok       = 0
		refused  = 0x903
	)
	for name, tc := range map[string]struct {
		script []string
		codes  []uint32
		want   bool
	}{
		"load":      {[]string{shutdown, load, "init", start}, []uint32{ok, refused, ok, ok}, true},
		"save":      {[]string{shutdown, save, random, "init", start}, []uint32{ok, refused, ok, ok, ok}, true},
		"neither":   {[]string{shutdown, random, "init", start}, []uint32{ok, refused, ok, ok}, false},
		"not":       {[]string{shutdown, load, save, "init", start}, []uint32{ok, ok, ok, ok, ok}, false},
		"before":    {[]string{load, shutdown, "init", start}, []uint32{refused, ok, ok, ok}, false},
		"shut down": {[]string{shutdown, load, shutdown, "init", start}, []uint32{ok, refused, ok, ok, ok}, false},
		"power on":  {[]string{shutdown, load, start}, []uint32{ok, refused, ok}, false},
		"later":     {[]string{shutdown, "init", load, start}, []uint32{ok, ok, refused, ok}, false},
	} {
		c := caseOf(t, tc.script...)
		for _, code := range tc.codes {
			c.Answers = append(c.Answers, responseCode(code))
		}
		assert.Equal(t, tc.want, c.contextRefusedAfterShutdown(), name)
	}
}
