package fleet_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/fleet"
)

// The text of a Config is a Config or a *ConfigError. What MarshalText writes of it is the
// same Config again.
func FuzzParseConfig(f *testing.F) {
	for _, seed := range []string{
		"", "# nothing\n\n", "profile=tiny\nstate=memory\n", "profile=/etc/a.profile\nstate=/var/lib/a\n",
		"defer-until=late_sync\ndefer-from=kernel\nwhile-deferred=hold\nhold-max=30s\ndefer-boots=1\n",
		"fault=PCR_Extend#3: rc=TPM_RC_FAILURE\nfault-seed=7\ndangerous=true\n",
		"console=unix:/run/a\n", "timeline=builtin\nstarted=true\nuid=1000\ngid=64055\nclients=4\n",
		"profil=tiny\n", "profile=tiny\nprofile=tiny\n", "clients=0\n", "while-deferred=fail\n", "uid\n", "\x00=\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := fleet.ParseConfig("web.tpm", text)
		if err != nil {
			var wrong *fleet.ConfigError
			require.ErrorAs(t, err, &wrong)
			assert.Equal(t, "web.tpm", wrong.File)
			return
		}
		written, err := c.MarshalText()
		require.NoError(t, err)
		again, err := fleet.ParseConfig("again.tpm", written)
		require.NoError(t, err, "%q", written)
		rewritten, err := again.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, string(written), string(rewritten))
	})
}

// Of what is no file, or too long for one of a TPM, nothing is believed.
func TestReadConfigRefuses(t *testing.T) {
	dir := t.TempDir()
	long, link, folder := filepath.Join(dir, "long.tpm"), filepath.Join(dir, "link.tpm"), filepath.Join(dir, "folder.tpm")
	require.NoError(t, os.WriteFile(long, []byte(strings.Repeat("#", fleet.MaxConfig+1)), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "short.tpm"), []byte(strings.Repeat("#", fleet.MaxConfig)), 0o600))
	require.NoError(t, os.Symlink("short.tpm", link))
	require.NoError(t, os.Mkdir(folder, 0o700))
	for path, reason := range map[string]string{long: "more than 65536 bytes", link: "no regular file", folder: "no regular file"} {
		_, err := fleet.ReadConfig(path)
		var wrong *fleet.ConfigError
		require.ErrorAs(t, err, &wrong, path)
		assert.Equal(t, path, wrong.File)
		assert.Contains(t, wrong.Reason, reason)
	}
	_, err := fleet.ReadConfig(filepath.Join(dir, "short.tpm"))
	require.NoError(t, err)
	_, err = fleet.ReadConfig(filepath.Join(dir, "none.tpm"))
	assert.True(t, errors.Is(err, os.ErrNotExist))
}

// Where the file of a TPM cannot be written, the TPM is not added and nothing stays.
func TestAFileThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	f := open(t, fleet.Options{Dir: dir})
	blocked := filepath.Join(dir, ".web"+fleet.Suffix+".new")
	require.NoError(t, os.Mkdir(blocked, 0o700))
	require.Error(t, f.Add(t.Context(), "web", fleet.Config{}))
	_, ok := f.Status("web")
	assert.False(t, ok)
	require.NoFileExists(t, filepath.Join(dir, "web"+fleet.Suffix))
	require.NoError(t, os.RemoveAll(blocked))
	require.NoError(t, f.Add(t.Context(), "web", fleet.Config{}))
	require.FileExists(t, filepath.Join(dir, "web"+fleet.Suffix))
}
