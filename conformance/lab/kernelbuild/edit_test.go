package kernelbuild

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sourceTree writes files into a new folder.
func sourceTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

// contents returns the files as they are now.
func contents(t *testing.T, dir string, files map[string]string) map[string]string {
	t.Helper()
	now := make(map[string]string)
	for name := range files {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		require.NoError(t, err)
		now[name] = string(text)
	}
	return now
}

func TestEditsMoveTheStartAndRenameTheRecord(t *testing.T) {
	t.Parallel()
	files := sourceFiles()
	dir := sourceTree(t, files)
	undo, err := apply(dir, edits())
	require.NoError(t, err)
	now := contents(t, dir, files)
	assert.Equal(t, "int init_ima;\nlate_initcall_sync(init_ima);\n", now["security/integrity/ima/ima_main.c"])
	assert.Equal(t, "char boot_aggregate_name[] = \"boot_aggregate_late\";\n", now["security/integrity/ima/ima_init.c"])
	require.NoError(t, undo())
	assert.Equal(t, files, contents(t, dir, files))
}

func TestASourceThatIsNotAsExpectedIsNotEdited(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"nothing\n": `security/integrity/ima/ima_init.c: no line has "boot_aggregate_name`,
		"\nboot_aggregate_name[] = \"boot_aggregate\";\n\nboot_aggregate_name[] = \"boot_aggregate\";": "ima_init.c: lines 2 and 4 have",
	} {
		files := sourceFiles()
		files["security/integrity/ima/ima_init.c"] = text
		dir := sourceTree(t, files)
		_, err := apply(dir, edits())
		var wrong *EditError
		require.ErrorAs(t, err, &wrong)
		assert.Contains(t, err.Error(), says)
		assert.Equal(t, files, contents(t, dir, files))
	}
}

func TestASourceThatLacksTheFile(t *testing.T) {
	t.Parallel()
	_, err := apply(t.TempDir(), edits())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = lateOption(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTheOptionOfLinux73IsFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"config IMA\n\nconfig IMA_INIT_LATE_SYNC\n\tbool \"x\"\n": true,
		"config IMA\n\tdepends on !IMA_INIT_LATE_SYNC\n":          false,
	} {
		got, err := lateOption(sourceTree(t, map[string]string{"security/integrity/ima/Kconfig": text}))
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}
