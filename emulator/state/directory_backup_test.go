package state_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// clocked is an encoded state that a test recognizes.
func clocked(clock uint64) []byte {
	s := &state.State{}
	s.Orderly.Clock = clock
	return s.Encode(nil)
}

func TestTheBackupOfADirectory(t *testing.T) {
	for name, o := range map[string]state.DirectoryOptions{
		"locked": {Backup: true}, "shared": {Backup: true, NoLock: true}, "sealed": {Backup: true, Key: key(t, secret128)},
		"named": {Backup: true, Name: "tpm"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, file := t.TempDir(), "tpm2.state"
			if o.Name != "" {
				file = o.Name
			}
			open := func() *state.Directory {
				d, err := state.OpenDirectory(dir, o)
				require.NoError(t, err)
				return d
			}
			loads := func(want []byte, restored bool) {
				t.Helper()
				d := open()
				got, err := d.Load()
				require.NoError(t, err)
				assert.Equal(t, want, got)
				assert.Equal(t, restored, d.Restored())
				require.NoError(t, d.Close())
			}
			path := filepath.Join(dir, file)
			d := open()
			for clock := range uint64(4) {
				require.NoError(t, d.Writable())
				require.NoError(t, d.Commit(clocked(clock)))
			}
			require.NoError(t, d.Close())
			loads(clocked(3), false)
			kept, err := os.ReadFile(path)
			require.NoError(t, err)

			// Power fails between the two renames.
			require.NoError(t, os.Remove(path))
			loads(clocked(2), true)
			// Damage is kept for its owner to see, and so is the backup.
			damage := append([]byte("x"), kept...)
			require.NoError(t, os.WriteFile(path, damage, 0o600))
			loads(clocked(2), true)
			d = open()
			_, err = d.Load()
			require.NoError(t, err)
			require.NoError(t, d.Commit(clocked(7)))
			require.NoError(t, d.Close())
			loads(clocked(7), false)
			seen, err := os.ReadFile(path + ".damaged")
			require.NoError(t, err)
			assert.Equal(t, damage, seen)
			require.NoError(t, os.Remove(path))
			loads(clocked(2), true)

			// With both damaged neither is used.
			require.NoError(t, os.WriteFile(path, damage, 0o600))
			require.NoError(t, os.WriteFile(path+".bak", damage, 0o600))
			d = open()
			_, err = d.Load()
			var damaged *state.FileError
			require.ErrorAs(t, err, &damaged)
			assert.ErrorContains(t, err, path+".bak")
			require.NoError(t, d.Close())
		})
	}
}
