package campaign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/campaign"
)

// commandRunner runs a command, each time with a TPM of its own.
type commandRunner struct {
	*subject
	dir       string // of the sockets of all runs
	selfTests *crypt.SelfTests
	runs      atomic.Uint64
}

// run is runner.run.
func (r *commandRunner) run(ctx context.Context, seed uint64, plan faults.Plan, sent *sentCommands) (result campaign.Result, err error) {
	var record campaign.Record
	plan.Journal = record.Add
	// A shrink runs one seed many times.
	dir := filepath.Join(r.dir, strconv.FormatUint(r.runs.Add(1), 10))
	m, err := newMachine(ctx, dir, seed, plan, r.subject, r.selfTests, sent)
	if err != nil {
		return result, err
	}
	text := plan.Text()
	if err = os.WriteFile(filepath.Join(dir, planFile), []byte(text), 0o600); err == nil {
		result, err = r.execute(ctx, m, seed)
	}
	if closed := m.close(); err == nil {
		err = closed
	}
	record.Into(&result)
	return result, err
}

// execute runs the command with the TPM of a machine.
func (r *commandRunner) execute(ctx context.Context, m *machine, seed uint64) (result campaign.Result, err error) {
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	command := exec.CommandContext(limited, r.words[0], r.words[1:]...)
	command.Env = append(os.Environ(), m.environment(seed)...)
	output := new(tail)
	command.Stdout, command.Stderr = output, output
	inGroup(command)
	command.WaitDelay = time.Second
	start := time.Now()
	if err := command.Start(); err != nil {
		return result, err
	}
	err = command.Wait()
	endGroup(command)
	result.Took = time.Since(start)
	result.Output = strings.ReplaceAll(output.String(), m.dir, "$SWTPMD_DIR")
	var exit *exec.ExitError
	switch state := command.ProcessState; {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case limited.Err() != nil && (state == nil || !state.Success()):
		result.Outcome, result.Detail = campaign.TimedOut, "after "+r.limit.String()
	case err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay):
		return result, err
	case state.ExitCode() < 0:
		result.Outcome, result.Detail = campaign.Crashed, state.String()
	default:
		result.Outcome, result.Detail = campaign.Failed, fmt.Sprintf("exit code %d", state.ExitCode())
		if slices.Contains(r.codes, state.ExitCode()) {
			result.Outcome = campaign.OK
		}
	}
	return result, nil
}

// maxOutput is how much of a command's output is kept, in bytes.
const maxOutput = 4096

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
	cut  bool
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if len(t.kept) > maxOutput {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-maxOutput:]...)
		t.cut = true
	}
	return len(p), nil
}

// String returns the end of what was written, as UTF-8. Where something is cut off, so is
// the rest of that line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.ToValidUTF8(string(t.kept), "\uFFFD")
	if _, rest, more := strings.Cut(text, "\n"); t.cut && more {
		text = rest
	}
	return text
}
