package assembly

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// AssertWritten is the test of a command: the file in emulator/crypt/internal is the one
// that the command generates.
func (f *File) AssertWritten(t *testing.T) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join("..", "..", "..", "emulator", "crypt", "internal", f.Package, f.Name))
	require.NoError(t, err)
	want, err := f.Text()
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate ./emulator/crypt/internal/"+f.Package)
}
