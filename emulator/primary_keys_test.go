package emulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A TPM that remembers its primary keys answers like one that does not, byte for byte; so
// do TPMs that share what they remember, each with its own seeds.
func TestRememberedPrimaryKeys(t *testing.T) {
	t.Parallel()
	keys := new(crypt.RSAKeys)
	remembers := et.WithPrimaryKeys(keys)
	template := rsaKey(storeKey, aes128CFB, noScheme).template(made)
	script := [][]byte{
		createPrimary(wire.RHOwner, template, "", ""),
		createPrimary(wire.RHEndorsement, template, "", ""),
		createPrimary(wire.RHOwner, template, "other", ""),
	}
	answers := func(tpm *et.TPM) (all [][]byte) {
		for _, command := range script {
			response, err := tpm.Send(t.Context(), 0, command)
			require.NoError(t, err)
			all = append(all, response)
			flush(t, tpm, object)
		}
		return all
	}
	for seed := range uint64(2) {
		want := answers(et.New(t, et.WithSeed(seed)))
		for range 2 {
			assert.Equal(t, want, answers(et.New(t, et.WithSeed(seed), remembers)), "seed %d", seed)
		}
	}
	assert.Equal(t, 4, keys.Len(), "two hierarchies of two TPMs; an authValue is not part of a key")

	for _, p := range packets() {
		switch p.code {
		case wire.CCClear, wire.CCChangePPS, wire.CCChangeEPS:
			tpm := et.New(t, remembers)
			answers(tpm)
			require.NotZero(t, keys.Len())
			succeed(t, tpm, p.bytes)
			assert.Zero(t, keys.Len(), p.name)
		}
	}
}

func BenchmarkCreatePrimary(b *testing.B) {
	template := rsaKey(storeKey, aes128CFB, noScheme).template(made)
	flush := et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(object)))
	b.Run("RSA2048remembered", func(b *testing.B) {
		tpm := et.New(b, et.Unchecked(), et.WithPrimaryKeys(new(crypt.RSAKeys)))
		for b.Loop() {
			_, _ = tpm.Send(b.Context(), 0, createPrimary(wire.RHOwner, template, "", ""))
			_, _ = tpm.Send(b.Context(), 0, flush)
		}
	})
}
