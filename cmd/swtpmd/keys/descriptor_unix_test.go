//go:build unix

package keys_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/keys"
)

// passed returns a descriptor of a file as a process has it that was passed one: its
// own, and blocking.
func passed(t *testing.T, file *os.File) int {
	t.Helper()
	fd, err := syscall.Dup(int(file.Fd()))
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return fd
}

// A pipe whose other end stays open, as a service manager may leave it, does not hang.
func TestKeyOfADescriptor(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer write.Close()
	_, err = write.WriteString(digits128)
	require.NoError(t, err)
	w, err := keys.Parse("key", fmt.Sprintf("fd=%d", passed(t, read)))
	require.NoError(t, err)
	key, err := w.Read()
	require.NoError(t, err)
	assert.Equal(t, digits128, hex.EncodeToString(key))

	long := strings.Repeat("x", 3000)
	file, err := os.Open(written(t, long))
	require.NoError(t, err)
	of := func(words string) []byte {
		w, err := keys.Parse("key", words)
		require.NoError(t, err)
		key, err := w.Read()
		require.NoError(t, err)
		return key
	}
	assert.Equal(t, of("pwdfile="+written(t, long)), of(fmt.Sprintf("pwdfd=%d", passed(t, file))))
	assert.NotEqual(t, of("pwdfile="+written(t, long)), of("pwdfile="+written(t, long[1:])), "all of it counts")
}
