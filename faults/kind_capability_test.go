package faults_test

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
)

func TestCapabilityList(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		change string
		from   uint32
		count  uint32
		want   []uint32
		more   bool
		detail string
	}{
		{"duplicate", 0x100, 3, []uint32{0x100, 0x101, 0x102, 0x102}, true, "entry 3 twice"},
		{"reverse", 0x100, 3, []uint32{0x102, 0x101, 0x100}, true, "3 entries reversed"},
		{"reverse", 0x100, 1, []uint32{0x100}, true, ""},
		{"empty", 0x100, 2, nil, false, "no entry in place of 2"},
		{"more", 0x7FFFFFFF, 1, nil, true, "moreData"},
		{"duplicate", 0x7FFFFFFF, 1, nil, false, ""},
		{"reverse/TPM_PROPERTIES", 0x100, 2, []uint32{0x101, 0x100}, true, "2 entries reversed"},
		{"reverse/PCRS", 0x100, 2, []uint32{0x100, 0x101}, true, ""},
	} {
		var journal told
		tpm := emulatortest.New(t)
		client := emulatortest.Client{TPM: wrap(t, tpm.TPM, faults.Plan{Rules: rules(t, "GetCapability: capability="+test.change), Journal: journal.tell})}
		got, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: test.from, PropertyCount: test.count}.Execute(client)
		require.NoError(t, err)
		list, err := got.CapabilityData.Data.TPMProperties()
		require.NoError(t, err)
		var properties []uint32
		for _, p := range list.TPMProperty {
			properties = append(properties, uint32(p.Property))
		}
		assert.Equal(t, test.want, properties, test.change)
		assert.Equal(t, test.more, bool(got.MoreData), test.change)
		require.Len(t, journal, 1)
		assert.Equal(t, test.detail, journal[0].Detail)
		assert.Equal(t, test.detail != "", journal[0].Outcome == faults.Changed)
	}
	refused(t, "capability", []string{"x", "Duplicate", "reverse/", "reverse/X", "reverse/ALGS/PCRS"}, faults.CapabilityList{}, faults.CapabilityList{Change: "more", Of: "x"})
}

// Every list that the emulator has can be turned round, and is as before when it is turned
// round twice; other commands stay as they are.
func TestCapabilityListsOfAllKinds(t *testing.T) {
	t.Parallel()
	tpm := emulatortest.New(t)
	once := wrap(t, tpm.TPM, faults.Plan{Rules: rules(t, "*: capability=reverse")})
	twice := wrap(t, once, faults.Plan{Rules: rules(t, "*: capability=reverse")})
	reversed := 0
	for capability := byte(0); capability <= 10; capability++ {
		command := unhex("8001000000160000017a000000" + hex.EncodeToString([]byte{capability}) + "0000000000000040")
		plain := send(t, tpm.TPM, command)
		assert.Equal(t, plain, send(t, twice, command), "capability %d", capability)
		if send(t, once, command) != plain {
			reversed++
		}
	}
	assert.GreaterOrEqual(t, reversed, 6)
	assert.Len(t, send(t, once, getRandom), 2*(10+2+8))
}
