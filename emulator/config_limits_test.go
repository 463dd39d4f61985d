package emulator_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// small is a TPM with no digest longer than that of SHA-256 and the buffers of
// a discrete one.
func small() emulator.Config {
	l := emulator.DefaultLimits()
	l.Buffer, l.ObjectContext, l.SessionContext = 1280, 1000, 300
	return emulator.Config{
		Algorithms: without(emulator.DefaultAlgorithms(), wire.AlgSHA384, wire.AlgSHA512, wire.AlgSM2),
		Curves:     []wire.Curve{wire.CurveNISTP256},
		RSABits:    []uint16{1024, 2048},
		AESBits:    []uint16{128},
		Limits:     l,
	}
}

func TestSmallTPM(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithConfig(small()))
	for pt, want := range map[wire.PT]uint32{
		wire.PTMaxDigest: 32, wire.PTContextHash: uint32(wire.AlgSHA256), wire.PTContextSymSize: 128,
		wire.PTMaxCommandSize: 1280, wire.PTMaxResponseSize: 1280, wire.PTLoadedCurves: 1,
	} {
		assert.Equal(t, want, property(t, tpm, pt), pt)
	}
	size, least, most := tpm.BufferSize()
	assert.Equal(t, []uint32{1280, 1280, 1280}, []uint32{size, least, most})
	banks, _ := list(t, tpm, wire.CapPCRs, 0, 1, 6)
	assert.Len(t, banks, 2)

	random := et.Parameters(tpm.Execute(0, et.Command(wire.CCGetRandom, nil, nil, et.U16(64))), false)
	assert.Len(t, random, 2+32)
	setAuth := func(size int) []byte {
		return et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized(slices.Repeat([]byte{1}, size)))
	}
	assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, setAuth(33)))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, setAuth(32)))

	assert.Equal(t, wire.RCHash.Parameter(2), send(t, tpm, hashCommand([]byte("x"), wire.AlgSHA512, wire.RHOwner)))
	rsp := et.Parameters(tpm.Execute(0, hashCommand([]byte("x"), wire.AlgSHA1, wire.RHOwner)), false)
	assert.EqualValues(t, 32, binary.BigEndian.Uint16(rsp[2+20+2+4:]), "a ticket is as long as the digests of TPM_PT_CONTEXT_HASH")

	full := saveContext(t, tpm, loadSequence(t, tpm, wire.AlgNull))
	assert.LessOrEqual(t, len(full), 1000)
	rc, _ := loadContext(tpm, full)
	assert.Equal(t, wire.RCSuccess, rc)
}

// What is reported about contexts is never too little.
func TestLimitsKnowContexts(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*emulator.Limits){
		"Limits.ObjectContext":  func(l *emulator.Limits) { l.ObjectContext = 664 },
		"Limits.SessionContext": func(l *emulator.Limits) { l.SessionContext = 239 },
		"Limits.Buffer":         func(l *emulator.Limits) { l.Buffer = 1272 },
		"Limits.InputBuffer":    func(l *emulator.Limits) { l.InputBuffer = 1032 },
	} {
		c := small()
		change(&c.Limits)
		_, err := emulator.New(emulator.Platform{}, c)
		var bad *emulator.ConfigError
		require.ErrorAs(t, err, &bad, field)
		assert.Equal(t, field, bad.Field)
	}
	c := small()
	c.Limits.InputBuffer = 1031
	_, err := emulator.New(emulator.Platform{}, c)
	assert.NoError(t, err)
}

// The largest session there is keeps to the default size.
func TestLargestSessionContext(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	l := emulator.DefaultLimits()
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized(slices.Repeat([]byte{1}, 64)))))
	start := et.Command(wire.CCStartAuthSession, handles{wire.RHNull, wire.RHOwner}, nil, et.Sized(make([]byte, 64)), et.Sized(nil),
		et.U8(0), et.U16(uint16(wire.AlgNull)), et.U16(uint16(wire.AlgSHA512)))
	require.Equal(t, wire.RCSuccess, send(t, tpm, start))
	assert.LessOrEqual(t, len(saveContext(t, tpm, hmacSession)), int(l.SessionContext))
}
