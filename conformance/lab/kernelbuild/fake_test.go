package kernelbuild

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// fakeMake is a make that knows the targets of a kernel. Its image is the two files that a
// late_sync start edits, and its configuration.
const fakeMake = `#!/bin/sh
set -eu
for word; do
	case $word in
	O=*) objects=${word#O=} ;;
	CROSS_COMPILE=*) ;;
	ARCH=*) arch=${word#ARCH=} ;;
	esac
	target=$word
done
echo "$target $KBUILD_BUILD_VERSION ${LOCALVERSION-none}" >>"$2/../../calls"
[ "$1" = -C ] && source=$2
if [ "$target" = allnoconfig ]; then
	{ grep -v "^#" "$KCONFIG_ALLCONFIG" | grep -v NO_SUCH || true; } >"$objects/.config"
	exit
fi
echo "  CC      init/main.o"
if [ -e "$source/broken" ]; then
	echo "init/main.c:7: error: broken"
	exit 2
fi
if [ -e "$source/hangs" ]; then
	# The sleep outlives a make that is killed alone.
	trap : TERM
	sleep 1000 &
	echo $! >"$source/hangs"
	echo "  CC      init/hangs.o"
	wait || exit 1
fi
case $arch in
arm64) image=arch/arm64/boot/Image ;;
*) image=arch/x86/boot/bzImage ;;
esac
mkdir -p "$objects/include/config" "$objects/${image%/*}"
echo 6.1.192 >"$objects/include/config/kernel.release"
echo symbols >"$objects/System.map"
cat "$source"/security/integrity/ima/*.c "$objects/.config" >"$objects/$image"
echo "  LD      vmlinux"
`

// Files of a source of Linux 6.1, as far as they matter.
func sourceFiles() map[string]string {
	return map[string]string{
		"security/integrity/ima/Kconfig":    "config IMA\n\tbool\n",
		"security/integrity/ima/ima_main.c": "int init_ima;\nlate_initcall(init_ima);\n",
		"security/integrity/ima/ima_init.c": "char boot_aggregate_name[] = \"boot_aggregate\";\n",
		"drivers/char/tpm/tpm.c":            "\n",
	}
}

// fakeArchive is a package archive with one source package, and the apt in front of it.
type fakeArchive struct {
	name, version string
	suite         string // the package is in this suite only, "" for the machine's own lists
	files         map[string]string
	offline       bool
	lines         []string // that apt was called with
}

func (f *fakeArchive) tarball() []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, text := range f.files {
		_ = w.WriteHeader(&tar.Header{Name: f.name + "/" + name, Mode: 0o644, Size: int64(len(text))})
		_, _ = io.WriteString(w, text)
	}
	_ = w.Close()
	return out.Bytes()
}

func (f *fakeArchive) exec(_ context.Context, dir string, argv ...string) (string, error) {
	line := strings.Join(argv, " ")
	f.lines = append(f.lines, line)
	listed := f.suite == "" || strings.Contains(line, "suites-")
	deb := []byte("deb of " + f.version)
	switch {
	case strings.Contains(line, "indextargets"):
		return "http://debian.example/debian/\nhttp://other.example/\n", nil
	case strings.HasPrefix(line, "apt-get") && strings.Contains(line, " update"):
		if f.offline {
			return "", fmt.Errorf("could not resolve")
		}
		return "", nil
	case strings.HasPrefix(line, "apt-cache") && strings.Contains(line, " depends "):
		if !listed {
			return "linux-source\n  Depends: linux-source-5.10\n", nil
		}
		return "linux-source\n  Depends: " + f.name + "\n", nil
	case strings.HasPrefix(line, "apt-cache"):
		if !listed || f.offline || argv[len(argv)-1] != f.name {
			return "", fmt.Errorf("no packages found")
		}
		sum := sha256.Sum256(deb)
		return fmt.Sprintf("Package: %s\nVersion: %s\nSHA256: %s\n", f.name, f.version, hex.EncodeToString(sum[:])), nil
	case strings.Contains(line, "apt-get") && strings.Contains(line, "download"):
		return "", os.WriteFile(filepath.Join(dir, "source.deb"), deb, 0o600)
	case strings.HasPrefix(line, "dpkg -x"):
		src := filepath.Join(argv[3], "usr", "src")
		if err := os.MkdirAll(src, 0o755); err != nil {
			return "", err
		}
		return "", os.WriteFile(filepath.Join(src, f.name+".tar.xz"), f.tarball(), 0o600)
	}
	return "", fmt.Errorf("not expected: %s", line)
}

// newBuilder returns a builder with a fake make and a fake archive, and its progress.
func newBuilder(t *testing.T, f *fakeArchive) (*Builder, *bytes.Buffer) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "make")
	require.NoError(t, os.WriteFile(program, []byte(fakeMake), 0o755))
	if f.files == nil {
		f.name, f.version, f.files = "linux-source-6.1", "6.1.192-3", sourceFiles()
	}
	progress := new(bytes.Buffer)
	return &Builder{
		Apt: &lab.Apt{Cache: t.TempDir(), Progress: progress, Exec: f.exec}, Suites: Suites, Progress: progress,
		Make: program, lacks: func(tool) bool { return false },
	}, progress
}

// kernels returns the kernels of these names.
func kernels(t *testing.T, names ...string) []Kernel {
	t.Helper()
	all, err := Select(names)
	require.NoError(t, err)
	return all
}

// left returns the names in a folder of the cache that are no entries.
func left(t *testing.T, b *Builder) []string {
	t.Helper()
	entries, err := os.ReadDir(b.cache().Dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		if _, err := b.cache().read(e.Name()); err != nil {
			names = append(names, e.Name())
		}
	}
	return names
}
