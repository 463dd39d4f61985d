package daemon

import (
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/logs"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport"
)

// Log is the log of a daemon. Whoever writes to it never waits for who reads it.
type Log struct {
	*slog.Logger
	Queue *logs.Queue
	file  io.Closer // nil for stderr
}

// Close writes what waits, as far as somebody takes it, and closes the file.
func (j *Log) Close() {
	_ = j.Queue.Flush()
	if j.file != nil {
		j.file.Close()
	}
}

// OpenLog makes the log that --log describes, on stderr if it says nothing. A file by
// name is one of files.
func OpenLog(w *options.LogWords, stderr io.Writer, files *logs.Files) (*Log, error) {
	out := stderr
	var toClose io.Closer
	switch {
	case w.File == "-", w.Level == options.LogSilent:
		out = io.Discard
	case w.File != "":
		file, err := files.Open(w.File, w.Truncate)
		if err != nil {
			return nil, fmt.Errorf("--log: %w", err)
		}
		out, toClose = file, file
	case w.FD >= 0 && w.FD != 2:
		if err := process.Given(w.FD); err != nil {
			return nil, fmt.Errorf("--log=fd=%d: %w; open it for swtpmd, as with %d>swtpmd.log", w.FD, err, w.FD)
		}
		file := os.NewFile(uintptr(w.FD), "--log fd")
		out, toClose = file, file
	}
	queue := &logs.Queue{Out: out, Prefix: w.Prefix}
	level := slog.LevelInfo
	if w.Level >= options.LogTrace {
		level = slog.LevelDebug
	}
	return &Log{slog.New(slog.NewTextHandler(queue, &slog.HandlerOptions{Level: level})), queue, toClose}, nil
}

// logDecision logs what the deferral did to a command, and how long a hold may last. QEMU
// waits so long for it before it resets, saves or moves its guest.
func logDecision(log *slog.Logger, d *faults.Decision) {
	attributes := []any{
		"outcome", string(d.Outcome), "command", cli.CommandName(d.Command),
		"boot", d.Boot, "level", d.Level.String(), "locality", d.Locality, "rule", d.Rule,
	}
	if d.Longest != 0 {
		attributes = append(attributes, "longest", d.Longest)
	}
	if d.Code != 0 {
		attributes = append(attributes, "code", wire.RC(d.Code).String())
	}
	if d.HeldFor != 0 {
		attributes = append(attributes, "held", d.HeldFor.Round(time.Microsecond), "cause", d.Cause)
	}
	if d.Detail != "" {
		attributes = append(attributes, "detail", d.Detail)
	}
	log.Info("fault", attributes...)
}

// tap returns a device that logs every command, if the log is to show that.
// Authorizations, secrets and what is unsealed are in the bytes of commands and
// responses, so these are logged only where secrets are asked for.
func tap(w *options.LogWords, device transport.Device, log *slog.Logger) transport.Device {
	if w.Level < options.LogTrace {
		return device
	}
	return transport.NewTap(device, nil, func(e transport.Exchange) {
		attributes := []any{
			"name", cli.CommandName(commandCode(e.Command)), "locality", e.Locality,
			"code", wire.RC(transport.ResponseCode(e.Response)).String(), "took", e.Duration,
		}
		if w.Secrets {
			attributes = append(attributes, "bytes", hex.EncodeToString(e.Command), "response", hex.EncodeToString(e.Response))
		} else {
			attributes = append(attributes, "handles", Handles(e.Command), "sent", len(e.Command), "received", len(e.Response))
		}
		log.Debug("command", attributes...)
	})
}

// commandCode returns the TPM_CC of a command, 0 of one too short to have one.
func commandCode(command []byte) uint32 {
	code, _ := transport.CommandCode(command)
	return code
}

// Handles returns the handle area of a command, as far as it is there: hex
// numbers, separated by commas.
func Handles(command []byte) string {
	var list []string
	rest := command[min(len(command), transport.HeaderSize):]
	for range handleCounts()[wire.CC(commandCode(command))] {
		if len(rest) < 4 {
			break
		}
		list = append(list, hex.EncodeToString(rest[:4]))
		rest = rest[4:]
	}
	return strings.Join(list, ",")
}

// handleCounts is how many handles each command of the emulator's table has.
var handleCounts = sync.OnceValue(func() map[wire.CC]int {
	counts := map[wire.CC]int{}
	for _, c := range emulator.Commands() {
		counts[c.Code] = len(c.Handles)
	}
	return counts
})
