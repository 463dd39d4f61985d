package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheAssemblyIsWhatIsGenerated(t *testing.T) {
	t.Parallel()
	got, err := os.ReadFile(filepath.Join("..", "..", "..", "emulator", "crypt", "internal", "ring", name))
	require.NoError(t, err)
	want, err := assembly()
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate ./emulator/crypt/internal/ring")
}
