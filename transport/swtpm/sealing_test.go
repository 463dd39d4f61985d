//go:build unix

package swtpm_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

func sealKey(t *testing.T, secret string) *state.Key {
	t.Helper()
	key, err := state.NewKey([]byte(secret))
	require.NoError(t, err)
	return key
}

// sealing is a control channel of a new TPM with keys.
func sealing(t *testing.T, file, migration *state.Key) *swtpm.Client {
	t.Helper()
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	require.NoError(t, err)
	c, err := swtpm.DialControl(context.Background(), "unix", serve(t, tpm, swtpm.Options{FileKey: file, MigrationKey: migration}).control)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// State goes from a TPM with a key of migration to one with the same key, and to no
// other.
func TestBlobsWithAMigrationKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	key := sealKey(t, "0123456789abcdef")
	from := sealing(t, sealKey(t, "the key of files"), key)
	require.NoError(t, from.Init(ctx, 0))
	config, err := from.Config(ctx)
	require.NoError(t, err)
	assert.Equal(t, swtpm.ConfigFileKey|swtpm.ConfigMigrationKey, config)
	kinds := []swtpm.StateType{swtpm.StatePermanent, swtpm.StateVolatile}
	blobs := map[swtpm.StateType][]byte{}
	for _, kind := range kinds {
		blob, err := from.GetStateBlob(ctx, kind, swtpm.BlobDecrypted)
		require.NoError(t, err)
		assert.True(t, state.Sealed(blob.Data))
		assert.Zero(t, blob.Flags)
		blobs[kind] = blob.Data
	}
	give := func(to *swtpm.Client, flags uint32) error {
		for _, kind := range kinds {
			if err := to.SetStateBlob(ctx, kind, &swtpm.Blob{Flags: flags, Data: blobs[kind]}); err != nil {
				return err
			}
		}
		return to.Init(ctx, swtpm.InitDeleteVolatile)
	}
	require.NoError(t, give(sealing(t, nil, key), 0))
	assert.Equal(t, swtpm.KeyNotFound, refusal(t, give(sealing(t, nil, nil), 0)))
	assert.Equal(t, swtpm.DecryptError, refusal(t, give(sealing(t, nil, sealKey(t, "another key's 16")), 0)))
	assert.Equal(t, swtpm.BadKeyProperty, refusal(t, give(sealing(t, nil, sealKey(t, "a key of 32 bytes, for AES-256..")), 0)))

	// What one is for, the other is not for.
	blobs[kinds[0]], blobs[kinds[1]] = blobs[kinds[1]], blobs[kinds[0]]
	require.Error(t, give(sealing(t, nil, key), 0))

	// Without a key of migration at the source, the target takes what it gets.
	plain := sealing(t, nil, nil)
	require.NoError(t, plain.Init(ctx, 0))
	for _, kind := range kinds {
		blob, err := plain.GetStateBlob(ctx, kind, swtpm.BlobDecrypted)
		require.NoError(t, err)
		assert.False(t, state.Sealed(blob.Data))
		blobs[kind] = blob.Data
	}
	require.NoError(t, give(sealing(t, nil, key), 0))
}

// A client that does not ask for decrypted blobs gets them as they are kept.
func TestBlobsWithAFileKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	key := sealKey(t, "0123456789abcdef")
	from := sealing(t, key, nil)
	require.NoError(t, from.Init(ctx, 0))
	blob, err := from.GetStateBlob(ctx, swtpm.StatePermanent, 0)
	require.NoError(t, err)
	assert.Equal(t, swtpm.BlobEncrypted, blob.Flags)
	opened, err := key.Open(state.SealedState, blob.Data)
	require.NoError(t, err)
	plain, err := from.GetStateBlob(ctx, swtpm.StatePermanent, swtpm.BlobDecrypted)
	require.NoError(t, err)
	assert.Len(t, opened, len(plain.Data))
	to := sealing(t, key, nil)
	require.NoError(t, to.SetStateBlob(ctx, swtpm.StatePermanent, blob))
	require.NoError(t, to.Init(ctx, 0))
	assert.Equal(t, swtpm.KeyNotFound, refusal(t, sealing(t, nil, nil).SetStateBlob(ctx, swtpm.StatePermanent, blob)))
}
