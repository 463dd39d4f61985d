package conform

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
)

// What a resource manager answers by itself says nothing of the TPM. The same of a TPM
// without one does, but for a command that the kernel has no room for.
func TestManaged(t *testing.T) {
	getRandom := []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8}
	answer := func(code uint32) []byte {
		return []byte{0x80, 1, 0, 0, 0, 10, byte(code >> 24), byte(code >> 16), byte(code >> 8), byte(code)}
	}
	refused := func(err error) error {
		return fmt.Errorf("send: %w", &os.PathError{Op: "write", Path: "/dev/tpmrm0", Err: err})
	}
	for _, c := range []struct {
		name     string
		response []byte
		err      error
		says     string // "" is an answer of the TPM
	}{
		{"success", answer(0), nil, ""},
		{"an error of the TPM", answer(0x101), nil, ""},
		{"an error of another layer", answer(9<<16 | 0x101), nil, ""},
		{"a layer that is its own", answer(managerLayer | 0x143), nil, "resource manager, TPM2_GetRandom: it answers TPM_RC_COMMAND_CODE, 0x143 itself"},
		{"handles that are not its own", nil, refused(syscall.EINVAL), "it refuses handles"},
		{"no room", nil, refused(syscall.ENOMEM), "it has room for"},
		{"lost objects", nil, refused(syscall.EFAULT), "it cannot load or save"},
		{"a command that is too long", nil, refused(syscall.E2BIG), "it takes no command"},
		{"a TPM that is gone", nil, refused(syscall.EPIPE), ""},
		{"an end", nil, io.EOF, ""},
	} {
		outcome := conversation.Outcome{Sent: getRandom, Response: c.response}
		err := (&Runner{options: Options{ResourceManager: true}}).managed(outcome, c.err)
		if c.says == "" {
			require.NoError(t, err, c.name)
		} else {
			assert.ErrorContains(t, err, c.says, c.name)
		}
		err = (&Runner{}).managed(outcome, c.err)
		if c.name == "a command that is too long" {
			assert.ErrorContains(t, err, "the kernel's device, TPM2_GetRandom: argument list too long: it takes no command that is as long")
		} else {
			require.NoError(t, err, c.name)
		}
	}
}
