package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/swtpmd/swtpmd/transport/cuse"
)

func TestWrongCommandLinesOfCUSE(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{}, "add -n NAME"},
		{[]string{"-n", "vtpm0", "--ctrl=type=tcp,port=1"}, "the flags are --admin"},
		{[]string{"-n", "vtpm0", "-M", "x"}, "invalid value"},
		{[]string{"-n", "vtpm0", "-M", "9999999"}, "the kernel chooses"},
		{[]string{"-n", "vtpm0", "--defer-for=1s", "--while-deferred=absent"}, "add --flags=startup-clear"},
		{[]string{"-n", "vtpm0", "more"}, "unexpected argument"},
	} {
		code, out, errs := called(t, append([]string{"cuse"}, c.args...)...)
		assert.Equal(t, exitUsage, code, "%v", c.args)
		assert.Empty(t, out, "%v", c.args)
		assert.Contains(t, errs, c.says, "%v", c.args)
	}
}

func TestCUSEThatIsNotThere(t *testing.T) {
	code, _, errs := called(t, "cuse", "-n", "a/b")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, `"a/b" cannot be the name of a device`)
	if _, err := os.Stat(cuse.ControllerPath); err == nil {
		t.Skip("this machine has CUSE")
	}
	code, out, errs := called(t, "cuse", "-n", "vtpm0")
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "modprobe cuse")
}
