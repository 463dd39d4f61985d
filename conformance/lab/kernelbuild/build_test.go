package kernelbuild

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(text)
}

func TestKernelsAreBuiltOnceAndFound(t *testing.T) {
	t.Parallel()
	b, progress := newBuilder(t, new(fakeArchive))
	wanted := kernels(t, "arm64-6.1-late_sync", "arm64-6.1-late", "x86_64-6.1-late-modules")
	_, err := b.cache().Find(wanted[0])
	var none *NotBuiltError
	require.ErrorAs(t, err, &none)
	assert.Contains(t, err.Error(), "scripts/kernel-lab build arm64-6.1-late_sync")

	results, err := b.Build(t.Context(), wanted)
	require.NoError(t, err)
	require.Len(t, results, 3)
	for i, r := range results {
		assert.Equal(t, wanted[i].Name(), r.Name)
		assert.False(t, r.Cached)
		assert.Equal(t, "6.1.192-3", r.Version)
		assert.Equal(t, "6.1.192", r.Uname)
		assert.Equal(t, 2, r.Steps)
		assert.Equal(t, int64(len(read(t, r.Image))), r.Size)
		assert.Equal(t, "symbols\n", read(t, r.Folder, "System.map"))
		found, err := b.cache().Find(wanted[i])
		require.NoError(t, err)
		assert.Equal(t, r.Built, found)
	}
	assert.Contains(t, read(t, results[0].Image), "late_initcall_sync(init_ima);\n")
	assert.Contains(t, read(t, results[0].Image), `"boot_aggregate_late"`)
	assert.Equal(t, "edit", results[0].Method)
	assert.Contains(t, read(t, results[1].Image), "\nlate_initcall(init_ima);\n", "the source is as it was")
	assert.True(t, results[0].Shared != results[1].Shared, "the two starts share objects")
	assert.Contains(t, read(t, results[2].Folder, "config"), "CONFIG_MODULES=y\n")
	assert.False(t, results[2].Shared)
	assert.Contains(t, progress.String(), "building from linux-source-6.1 6.1.192-3")
	assert.Equal(t, []string{"build.lock"}, left(t, b))

	again, err := b.Build(t.Context(), wanted)
	require.NoError(t, err)
	for i := range again {
		assert.True(t, again[i].Cached)
		assert.Equal(t, results[i].Built, again[i].Built)
	}
}

func TestAKernelOfANewerSourceIsAnotherOne(t *testing.T) {
	t.Parallel()
	archive := new(fakeArchive)
	b, _ := newBuilder(t, archive)
	wanted := kernels(t, "arm64-6.1-late")
	first, err := b.Build(t.Context(), wanted)
	require.NoError(t, err)
	archive.version = "6.1.193-1"
	second, err := b.Build(t.Context(), wanted)
	require.NoError(t, err)
	assert.False(t, second[0].Cached)
	assert.NotEqual(t, first[0].Folder, second[0].Folder)
	all, err := b.cache().All()
	require.NoError(t, err)
	assert.Len(t, all, 2)
}

func TestASourceWithTheOptionIsNotEdited(t *testing.T) {
	t.Parallel()
	archive := &fakeArchive{name: "linux-source-7.3", version: "7.3.4-1~bpo13+1", files: sourceFiles(), suite: "trixie-backports"}
	archive.files["security/integrity/ima/Kconfig"] += "config IMA_INIT_LATE_SYNC\n"
	b, _ := newBuilder(t, archive)
	results, err := b.Build(t.Context(), kernels(t, "x86_64-newest-late_sync"))
	require.NoError(t, err)
	require.Len(t, results, 1)
	assert.Equal(t, "x86_64-7.3-late_sync", results[0].Name)
	assert.Equal(t, "option", results[0].Method)
	assert.Contains(t, read(t, results[0].Image), "\nlate_initcall(init_ima);\n")
	assert.Contains(t, read(t, results[0].Folder, "config"), "CONFIG_IMA_INIT_LATE_SYNC=y\n")

	// The other suites have an apt of their own.
	list := read(t, b.Apt.Cache, "suites-bookworm-backports+trixie-backports", "sources.list")
	assert.Contains(t, list, " http://debian.example/debian trixie-backports main\n")
	for _, line := range archive.lines {
		if strings.Contains(line, " update") || strings.Contains(line, "download") {
			assert.Contains(t, line, "Dir::Etc::SourceParts=-", "the machine's own lists are left alone")
			assert.NotContains(t, line, "sudo")
		}
	}
	found, err := b.cache().Find(kernels(t, "x86_64-newest-late_sync")[0])
	require.NoError(t, err)
	assert.Equal(t, results[0].Built, found)
}

func TestWithoutAnArchiveTheUnpackedSourceIsUsed(t *testing.T) {
	t.Parallel()
	archive := new(fakeArchive)
	b, _ := newBuilder(t, archive)
	_, err := b.Build(t.Context(), kernels(t, "arm64-6.1-late"))
	require.NoError(t, err)
	archive.offline = true
	results, err := b.Build(t.Context(), kernels(t, "arm64-6.1-late", "arm64-6.1-late_sync"))
	require.NoError(t, err)
	assert.True(t, results[0].Cached)
	assert.False(t, results[1].Cached)

	_, err = b.Build(t.Context(), kernels(t, "arm64-6.12-late"))
	var none *SourceError
	require.ErrorAs(t, err, &none)
	assert.Contains(t, err.Error(), "linux-source-6.12")
	assert.Contains(t, err.Error(), "--suite")
}

func TestAKernelThatDoesNotBuildLeavesItsLog(t *testing.T) {
	t.Parallel()
	archive := new(fakeArchive)
	b, _ := newBuilder(t, archive)
	archive.files["broken"] = "yes"
	results, err := b.Build(t.Context(), kernels(t, "arm64-6.1-late"))
	assert.Empty(t, results)
	var failed *MakeError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "build", failed.Stage)
	assert.Equal(t, []string{"init/main.c:7: error: broken"}, failed.Last)
	assert.Contains(t, read(t, failed.Log), "  CC      init/main.o\n")
	assert.Contains(t, err.Error(), failed.Log)
	assert.Equal(t, []string{"build.lock", "failed"}, left(t, b))

	delete(archive.files, "broken")
	require.NoError(t, os.RemoveAll(filepath.Join(b.Apt.Cache, "packages")))
	_, err = b.Build(t.Context(), kernels(t, "arm64-6.1-late"))
	require.NoError(t, err)
	assert.NoFileExists(t, failed.Log, "it builds now")
}

// One kernel that cannot be built does not keep the others from being built.
func TestTheOthersAreBuilt(t *testing.T) {
	t.Parallel()
	archive := new(fakeArchive)
	b, _ := newBuilder(t, archive)
	archive.files["security/integrity/ima/ima_main.c"] = "security_initcall(init_ima);\n"
	results, err := b.Build(t.Context(), kernels(t, "arm64-6.1-late_sync", "arm64-6.1-late"))
	var wrong *EditError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, "security/integrity/ima/ima_main.c", wrong.File)
	require.Len(t, results, 1)
	assert.Equal(t, "arm64-6.1-late", results[0].Name)
}

func TestOptionsThatTheSourceLacksAreNamed(t *testing.T) {
	t.Parallel()
	b, _ := newBuilder(t, new(fakeArchive))
	wanted := kernels(t, "arm64-6.1-late")
	wanted[0].Extra = "CONFIG_NO_SUCH=y\n"
	_, err := b.Build(t.Context(), wanted)
	var refused *UnsetError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, []string{"CONFIG_NO_SUCH=y"}, refused.Wanted)

	wanted[0].Extra = "CONFIG_IMA_WRITE_POLICY=y\n"
	results, err := b.Build(t.Context(), wanted)
	require.NoError(t, err)
	assert.Contains(t, read(t, results[0].Folder, "config"), "CONFIG_IMA_WRITE_POLICY=y\n")
	_, err = b.cache().Find(kernels(t, "arm64-6.1-late")[0])
	var none *NotBuiltError
	require.ErrorAs(t, err, &none, "it is another kernel")
	found, err := b.cache().Find(wanted[0])
	require.NoError(t, err)
	assert.Equal(t, results[0].Built, found)
}

func TestMissingToolsAreNamedWithTheirPackages(t *testing.T) {
	t.Parallel()
	archive := new(fakeArchive)
	b, _ := newBuilder(t, archive)
	b.lacks = func(tool tool) bool { return tool.name == "flex" || tool.name == "/usr/include/libelf.h" }
	_, err := b.Build(t.Context(), kernels(t, "x86_64-6.1-late"))
	var missing *MissingToolsError
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, "a kernel needs flex, /usr/include/libelf.h: apt-get install flex libelf-dev", err.Error())
	for _, line := range archive.lines {
		assert.NotContains(t, line, "install")
	}

	b.Install = true
	_, err = b.Build(t.Context(), kernels(t, "x86_64-6.1-late"))
	require.ErrorAs(t, err, &missing)
	assert.Contains(t, strings.Join(archive.lines, "\n"), "install -y -q --no-install-recommends flex libelf-dev")
}

func TestCrossCompilers(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "aarch64-linux-gnu-", ARM64.crossPrefix("amd64"))
	assert.Equal(t, "x86_64-linux-gnu-", X8664.crossPrefix("arm64"))
	assert.Empty(t, ARM64.crossPrefix("arm64"))
	assert.Empty(t, X8664.crossPrefix("amd64"))
	assert.Contains(t, ARM64.tools("amd64"), tool{"aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"})
}

// runs reports whether the process has not ended. One that has may wait for its new parent.
func runs(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, state, ok := strings.Cut(string(stat), ") ")
	require.True(t, ok)
	return state[0] != 'Z'
}

// An interrupted build ends every program that it started and leaves nothing.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	archive := new(fakeArchive)
	b, progress := newBuilder(t, archive)
	archive.files["hangs"] = "yes"
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by the test")
	var sleeper int
	b.sawLine = func(line string) {
		if strings.Contains(line, "hangs.o") {
			text := read(t, b.cache().Dir, "work", archive.name, "source", "hangs")
			sleeper, _ = strconv.Atoi(strings.TrimSpace(text))
			cancel(stopped)
		}
	}
	results, err := b.Build(ctx, kernels(t, "arm64-6.1-late"))
	require.ErrorIs(t, err, stopped)
	assert.Empty(t, results)
	require.NotZero(t, sleeper, progress.String())
	assert.False(t, runs(t, sleeper), "a child of make is left")
	assert.Equal(t, []string{"build.lock"}, left(t, b))

	delete(archive.files, "hangs")
	require.NoError(t, os.RemoveAll(filepath.Join(b.Apt.Cache, "packages")))
	b.sawLine = nil
	_, err = b.Build(t.Context(), kernels(t, "arm64-6.1-late"))
	require.NoError(t, err)
}

// What a killed build left is removed by the next one, and is no entry meanwhile.
func TestLeftoversAreNoEntries(t *testing.T) {
	t.Parallel()
	b, _ := newBuilder(t, new(fakeArchive))
	wanted := kernels(t, "arm64-6.1-late")
	half := b.cache().place(wanted[0], "6.1.192-3")
	work := filepath.Join(b.cache().Dir, "work", "old")
	for _, dir := range []string{half, work} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(half, imageFile), []byte("half"), 0o644))
	_, err := b.cache().Find(wanted[0])
	require.Error(t, err)
	results, err := b.Build(t.Context(), wanted)
	require.NoError(t, err)
	assert.False(t, results[0].Cached)
	assert.Equal(t, half, results[0].Folder)
	assert.NoDirExists(t, work)
}

// An entry whose configuration is not today's is not found, and the error says why.
func TestOutdatedEntries(t *testing.T) {
	t.Parallel()
	b, _ := newBuilder(t, new(fakeArchive))
	wanted := kernels(t, "arm64-6.1-late")
	results, err := b.Build(t.Context(), wanted)
	require.NoError(t, err)
	old := b.cache().Dir + "/arm64-6.1-late_000000000000"
	require.NoError(t, os.Rename(results[0].Folder, old))
	about := strings.Replace(read(t, old, aboutFile), results[0].Key, "000000000000", 1)
	require.NoError(t, os.WriteFile(filepath.Join(old, aboutFile), []byte(about), 0o644))
	_, err = b.cache().Find(wanted[0])
	var none *NotBuiltError
	require.ErrorAs(t, err, &none)
	assert.True(t, none.Outdated)
	assert.Contains(t, err.Error(), "older configuration")
}

func TestACacheThatIsNotThereIsEmpty(t *testing.T) {
	t.Parallel()
	all, err := InCache(t.TempDir()).All()
	require.NoError(t, err)
	assert.Empty(t, all)
}

func TestOneBuildAtATime(t *testing.T) {
	t.Parallel()
	b, _ := newBuilder(t, new(fakeArchive))
	require.NoError(t, os.MkdirAll(b.cache().Dir, 0o755))
	lock, err := lab.LockFile(t.Context(), filepath.Join(b.cache().Dir, "build.lock"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() {
		_, err := b.Build(ctx, []Kernel{{Arch: ARM64, Release: "6.1", Start: Late}})
		waiting <- err
	}()
	cancel()
	require.ErrorIs(t, transporttest.Receive(t, waiting), context.Canceled)
	require.NoError(t, lock.Close())
	_, err = b.Build(t.Context(), kernels(t, "arm64-6.1-late"))
	require.NoError(t, err)
}
