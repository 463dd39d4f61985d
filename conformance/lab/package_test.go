package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// archiveFake is a package archive with apt in front: it knows one version of
// the kernel, and lists that may promise another.
type archiveFake struct {
	mu        sync.Mutex
	listed    string // version in the package lists; empty: no lists
	held      string // version in the archive
	content   string // of the .deb
	offline   bool
	downloads atomic.Int32
	updates   int
}

func (f *archiveFake) exec(_ context.Context, dir string, argv ...string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := strings.Join(argv, " ")
	switch {
	case strings.HasPrefix(line, "apt-cache") && f.listed == "":
		return "", errors.New("E: No packages found")
	case strings.HasPrefix(line, "apt-cache depends"):
		return "linux-image-amd64\n  Depends: linux-image-" + f.listed + "-amd64\n", nil
	case strings.HasPrefix(line, "apt-cache show"):
		sum := sha256.Sum256([]byte("deb of " + f.listed))
		return fmt.Sprintf("Package: linux-image-%s-amd64\nVersion: %s\nSHA256: %s\nDescription-en: text\n more\n\nPackage: another\n",
			f.listed, f.listed, hex.EncodeToString(sum[:])), nil
	case strings.Contains(line, " update "), strings.HasSuffix(line, " -q") && strings.Contains(line, "update"):
		if f.offline {
			return "", errors.New("Could not resolve")
		}
		f.updates++
		f.listed = f.held
		return "", nil
	case strings.HasPrefix(line, "apt-get download"):
		f.downloads.Add(1)
		if f.offline || f.listed != f.held {
			return "", errors.New("E: 404 Not Found")
		}
		return "", os.WriteFile(filepath.Join(dir, "linux.deb"), []byte(f.content), 0o600)
	case strings.HasPrefix(line, "dpkg -x"):
		boot := filepath.Join(argv[3], "boot")
		if err := os.MkdirAll(boot, 0o755); err != nil {
			return "", err
		}
		for _, module := range []string{"drivers/char/tpm/a.ko", "fs/fuse/b.ko"} {
			path := filepath.Join(argv[3], "lib/modules", f.held, "kernel", module)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return "", err
			}
			if err := os.WriteFile(path, []byte(module), 0o600); err != nil {
				return "", err
			}
		}
		return "", os.WriteFile(filepath.Join(boot, "vmlinuz-"+f.held), []byte("image"), 0o600)
	}
	return "", fmt.Errorf("not expected: %s", line)
}

func fakeApt(t *testing.T, f *archiveFake) *Apt {
	t.Helper()
	if f.content == "" {
		f.content = "deb of " + f.held
	}
	return &Apt{Cache: t.TempDir(), Progress: io.Discard, Exec: f.exec}
}

func TestKernelIsFetchedOnce(t *testing.T) {
	t.Parallel()
	f := &archiveFake{listed: "6.1.0-56", held: "6.1.0-56"}
	apt := fakeApt(t, f)
	var wg sync.WaitGroup
	for range 4 {
		// Every one with locks of its own, as separate processes have.
		own := &Apt{Cache: apt.Cache, Progress: io.Discard, Exec: f.exec}
		wg.Go(func() {
			image, err := DebianKernel(t.Context(), own, Q35)
			if assert.NoError(t, err) {
				assert.FileExists(t, image)
				assert.Equal(t, "vmlinuz-6.1.0-56", filepath.Base(image))
			}
		})
	}
	transporttest.Wait(t, &wg)
	assert.EqualValues(t, 1, f.downloads.Load())
	left, err := filepath.Glob(filepath.Join(apt.packages(), "fetch-*"))
	require.NoError(t, err)
	assert.Empty(t, left, "temporary folders")
}

func TestOldListsAreFetchedAnew(t *testing.T) {
	t.Parallel()
	for _, listed := range []string{"", "6.1.0-55"} {
		f := &archiveFake{listed: listed, held: "6.1.0-56"}
		image, err := DebianKernel(t.Context(), fakeApt(t, f), Q35)
		require.NoError(t, err, "lists that promise %q", listed)
		assert.Equal(t, "vmlinuz-6.1.0-56", filepath.Base(image))
		assert.Equal(t, 1, f.updates)
	}
}

func TestDamagedArchiveLeavesNothing(t *testing.T) {
	t.Parallel()
	f := &archiveFake{listed: "6.1.0-56", held: "6.1.0-56", content: "half of the deb"}
	apt := fakeApt(t, f)
	_, err := DebianKernel(t.Context(), apt, Q35)
	var setup *SetupError
	require.ErrorAs(t, err, &setup)
	assert.ErrorContains(t, err, "SHA-256")
	assert.Empty(t, apt.cached("linux-image-"))
}

func TestWithoutArchiveTheCacheServes(t *testing.T) {
	t.Parallel()
	f := &archiveFake{listed: "6.1.0-55", held: "6.1.0-55"}
	apt := fakeApt(t, f)
	_, err := DebianKernel(t.Context(), apt, Q35)
	require.NoError(t, err)

	f.listed, f.offline = "6.1.0-56", true
	image, err := DebianKernel(t.Context(), apt, Q35)
	require.NoError(t, err)
	assert.Equal(t, "vmlinuz-6.1.0-55", filepath.Base(image))

	_, err = DebianKernel(t.Context(), fakeApt(t, &archiveFake{offline: true}), Q35)
	var setup *SetupError
	require.ErrorAs(t, err, &setup)
	assert.Contains(t, err.Error(), "--kernel")
}

func TestImageDependency(t *testing.T) {
	t.Parallel()
	name, err := imageDependency("linux-image-amd64", "linux-image-amd64\n  Depends: linux-image-6.12.48+deb13-amd64\n")
	require.NoError(t, err)
	assert.Equal(t, "linux-image-6.12.48+deb13-amd64", name)
	_, err = imageDependency("linux-image-amd64", "linux-image-amd64\n  Depends: linux-base\n")
	assert.ErrorContains(t, err, "linux-base")
}

func TestParsePackage(t *testing.T) {
	t.Parallel()
	p, err := parsePackage("Package: a\nVersion: 1:2-3\nSHA256: 00ff\n\nPackage: b\nVersion: 2\n")
	require.NoError(t, err)
	assert.Equal(t, debianPackage{Package: "a", Version: "1:2-3", SHA256: "00ff"}, p)
	_, err = parsePackage("Package: a\nVersion: 1\n\nSHA256: 00\n")
	assert.ErrorContains(t, err, "SHA256")
}

func TestLockFileGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := LockFile(t.Context(), path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = LockFile(ctx, path)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, first.Close())
	second, err := LockFile(t.Context(), path)
	require.NoError(t, err)
	assert.NoError(t, second.Close())
}

// Packages for another processor come with lists of their own, without root, and do not
// mix with those of this machine.
func TestPackagesOfAnotherArchitecture(t *testing.T) {
	t.Parallel()
	f := &archiveFake{held: "6.1.0-9", listed: "", content: "deb of 6.1.0-9"}
	var commands []string
	apt := fakeApt(t, f)
	inner := apt.Exec
	apt.Exec = func(ctx context.Context, dir string, argv ...string) (string, error) {
		commands = append(commands, strings.Join(argv, " "))
		return inner(ctx, dir, argv...)
	}
	foreign := apt.ForArch("m68k")
	dir, err := foreign.Unpacked(t.Context(), "linux-image-6.1.0-9-amd64", "boot", nil)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(apt.Cache, "packages-m68k", "linux-image-6.1.0-9-amd64_6.1.0-9"), dir)
	assert.DirExists(t, filepath.Join(apt.Cache, "apt-m68k", "lists", "partial"))
	require.NotEmpty(t, commands)
	for _, line := range commands {
		assert.NotContains(t, line, "sudo")
		if !strings.HasPrefix(line, "dpkg") {
			assert.Contains(t, line, "APT::Architecture=m68k")
			assert.Contains(t, line, "Dir::State::Lists="+filepath.Join(apt.Cache, "apt-m68k", "lists"))
		}
	}
	assert.Empty(t, apt.cached("linux-image-"))
	assert.Same(t, apt, apt.ForArch(debianArch))
}
