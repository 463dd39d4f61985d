package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rootArchive is a package archive with two packages, one of which has /bin as a folder.
type rootArchive struct {
	t       *testing.T
	damaged bool
}

func (r *rootArchive) exec(_ context.Context, dir string, argv ...string) (string, error) {
	line := strings.Join(argv, " ")
	switch {
	case line == "apt-cache depends --recurse --important dash":
		return "dash\n  PreDepends: libc6\n |Depends: debconf\n<awk>\n    mawk\nlibc6\ndebconf\nperl:any\n", nil
	case line == "apt-cache show --no-all-versions dash libc6":
		return fmt.Sprintf("Package: libc6\nVersion: 2.36\nSHA256: %x\n\nPackage: dash\nVersion: 1:0.5\nSHA256: %x\n",
			sha256.Sum256([]byte("libc6")), sha256.Sum256([]byte("dash"))), nil
	case strings.HasPrefix(line, "apt-get download"):
		assert.Contains(r.t, line, "dash=1:0.5 libc6=2.36")
		content := "dash"
		if r.damaged {
			content = "half of dash"
		}
		return "", writeFiles(dir, map[string]string{"dash.deb": content, "libc6.deb": "libc6"})
	case strings.HasPrefix(line, "dpkg -x") && strings.Contains(line, "dash.deb"):
		return "", writeFiles(argv[3], map[string]string{"bin/dash": "program", "usr/share/doc/dash/copyright": "long", "etc/shells": "dash\n"})
	case strings.HasPrefix(line, "dpkg -x"):
		return "", writeFiles(argv[3], map[string]string{"usr/lib/libc.so": "library", "etc/ld.so.conf": "\n"})
	}
	return "", fmt.Errorf("not expected: %s", line)
}

func writeFiles(dir string, files map[string]string) error {
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func TestRootTree(t *testing.T) {
	t.Parallel()
	apt := &Apt{Cache: t.TempDir(), Progress: io.Discard, Exec: (&rootArchive{t: t}).exec}
	_, err := RootTree(t.Context(), apt, false, "dash")
	var setup *SetupError
	require.ErrorAs(t, err, &setup)
	tree, err := RootTree(t.Context(), apt, true, "dash")
	require.NoError(t, err)
	for name, want := range map[string]string{"usr/bin/dash": "program", "bin/dash": "program", "usr/lib/libc.so": "library", "etc/shells": "dash\n"} {
		content, err := os.ReadFile(filepath.Join(tree, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(content), name)
	}
	assert.NoDirExists(t, filepath.Join(tree, "usr/share/doc/dash"))
	assert.DirExists(t, filepath.Join(tree, "proc"))
	again, err := RootTree(t.Context(), apt, false, "dash")
	require.NoError(t, err)
	assert.Equal(t, tree, again)
}

func TestDamagedPackageMakesNoRoot(t *testing.T) {
	t.Parallel()
	apt := &Apt{Cache: t.TempDir(), Progress: io.Discard, Exec: (&rootArchive{t: t, damaged: true}).exec}
	_, err := RootTree(t.Context(), apt, true, "dash")
	require.Error(t, err)
	left, err := filepath.Glob(filepath.Join(apt.packages(), "*-*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestExt4(t *testing.T) {
	t.Parallel()
	if _, err := mke2fs(); err != nil {
		t.Skip(err)
	}
	debugfs, err := exec.LookPath("/usr/sbin/debugfs")
	if err != nil {
		t.Skip(err)
	}
	tree := filepath.Join(t.TempDir(), "tree")
	require.NoError(t, writeFiles(tree, map[string]string{"etc/passwd": "root", "usr/bin/true": "program"}))
	image, err := Ext4(t.Context(), tree)
	require.NoError(t, err)
	for name, want := range map[string]string{"/etc/passwd": "root", "/usr/bin/true": "program"} {
		said, err := exec.CommandContext(t.Context(), debugfs, "-R", "cat "+name, image).Output()
		require.NoError(t, err)
		assert.Equal(t, want, string(said), name)
	}
	made, err := os.Stat(image)
	require.NoError(t, err)
	again, err := Ext4(t.Context(), tree)
	require.NoError(t, err)
	kept, err := os.Stat(again)
	require.NoError(t, err)
	assert.True(t, os.SameFile(made, kept), "it is made once")
	_, err = Ext4(t.Context(), filepath.Join(t.TempDir(), "no tree"))
	require.Error(t, err)
}
