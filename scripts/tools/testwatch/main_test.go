//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// planted is a package with a test that hangs, between others, and with a
// process that would be left behind.
const planted = `package planted

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestQuick(t *testing.T) {}

func TestPaused(t *testing.T) { t.Parallel() }

func TestLong(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) { time.Sleep(time.Second) })
	}
}

func TestHanging(t *testing.T) {
	t.Run("inner", func(t *testing.T) {
		left := exec.Command("sleep", "1000")
		if err := left.Start(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("left", []byte(fmt.Sprint(left.Process.Pid)), 0o600); err != nil {
			t.Fatal(err)
		}
		waitsForEver(make(chan int))
	})
}

func waitsForEver(c chan int) { <-c }
`

// event is a line of go test -json.
type event struct {
	Action, Test, Output string
}

func TestATestThatHangsIsNamedAndKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second)
	defer cancel()
	dir := t.TempDir()
	program := filepath.Join(dir, "testwatch")
	built, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", built)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module planted\n\ngo 1.26\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "planted_test.go"), []byte(planted), 0o600))

	test := exec.CommandContext(ctx, "go", "test", "-json", "-exec", program+" --each=5s", ".")
	test.Dir = dir
	out, err := test.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", out)
	assert.Equal(t, 1, exit.ExitCode())

	said, ends := map[string]string{}, map[string]string{}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var e event
		err := decoder.Decode(&e)
		if err == io.EOF {
			break
		}
		require.NoError(t, err, "%s", out)
		said[e.Test] += e.Output
		if e.Action == "pass" || e.Action == "fail" {
			ends[e.Test] = e.Action
		}
	}
	assert.Equal(t, "pass", ends["TestQuick"])
	assert.Equal(t, "pass", ends["TestLong"], "its subtests together may take longer")
	assert.Equal(t, "fail", ends[""], "the package")
	hanging := said["TestHanging/inner"]
	assert.Contains(t, hanging, "HUNG, no end within 5s: TestHanging/inner")
	assert.Contains(t, hanging, "planted.waitsForEver", "the goroutines")

	pid, err := os.ReadFile(filepath.Join(dir, "left"))
	require.NoError(t, err)
	assert.Eventually(t, func() bool {
		// A process that has been killed may not have been waited for yet.
		state, err := os.ReadFile(filepath.Join("/proc", string(pid), "stat"))
		return err != nil || bytes.Contains(state, []byte(") Z "))
	}, 20*time.Second, 10*time.Millisecond, "what the test has started is killed too")
}

func TestABinaryThatEndsByItself(t *testing.T) {
	for script, code := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -KILL $$": exitFailed} {
		var out bytes.Buffer
		got, _ := watch(&out, time.Minute, []string{"sh", "-c", "echo said; " + script})
		assert.Equal(t, code, got, script)
		assert.Equal(t, "said\n", out.String())
	}
}

func TestABinaryThatCannotBeStarted(t *testing.T) {
	code, err := watch(io.Discard, time.Minute, []string{filepath.Join(t.TempDir(), "none")})
	assert.Equal(t, exitFailed, code)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestStatOfAProcess(t *testing.T) {
	group, cpu := parseStat("77 (a) b (c) S 1 76 76 0 -1 4194304 100 200 0 0 11 22 33 44 20 0 1 0 9 0 0\n")
	assert.Equal(t, 76, group)
	assert.Equal(t, 1100*time.Millisecond, cpu)
	group, cpu = parseStat("77 (short) S 1 76")
	assert.Zero(t, group)
	assert.Zero(t, cpu)

	var sum uint64
	for start := groupCPU(syscall.Getpgrp()); groupCPU(syscall.Getpgrp()) < start+2*tick; {
		for i := range uint64(1 << 20) {
			sum += i * sum
		}
		require.NoError(t, t.Context().Err())
	}
}
