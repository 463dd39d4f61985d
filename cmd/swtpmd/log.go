package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport"
)

// swtpm's log levels that matter here: 0 is silence, from 5 on it shows what
// the TPM does.
const (
	logSilent = 0
	logTrace  = 5
)

// journal is the daemon's log. Whoever writes to it never waits for who reads it.
type journal struct {
	*slog.Logger
	queue *logQueue
	file  io.Closer // nil for stderr
}

// close writes what waits, as far as somebody takes it, and closes the file.
func (j *journal) close() {
	_ = j.queue.flush()
	if j.file != nil {
		j.file.Close()
	}
}

// openLog makes the log that --log describes, on stderr if it says nothing.
func openLog(w *logWords, stderr io.Writer) (*journal, error) {
	out := stderr
	var toClose io.Closer
	switch {
	case w.file == "-", w.level == logSilent:
		out = io.Discard
	case w.file != "":
		mode := os.O_CREATE | os.O_WRONLY | os.O_APPEND
		if w.truncate {
			mode |= os.O_TRUNC
		}
		file, err := os.OpenFile(w.file, mode, 0o600)
		if err != nil {
			return nil, fmt.Errorf("--log: %w", err)
		}
		out, toClose = file, file
	case w.fd >= 0 && w.fd != 2:
		if err := given(w.fd); err != nil {
			return nil, fmt.Errorf("--log=fd=%d: %w; open it for swtpmd, as with %d>swtpmd.log", w.fd, err, w.fd)
		}
		file := os.NewFile(uintptr(w.fd), "--log fd")
		out, toClose = file, file
	}
	queue := &logQueue{out: out, prefix: w.prefix}
	level := slog.LevelInfo
	if w.level >= logTrace {
		level = slog.LevelDebug
	}
	return &journal{slog.New(slog.NewTextHandler(queue, &slog.HandlerOptions{Level: level})), queue, toClose}, nil
}

// logDecision says what the deferral did to a command.
func logDecision(log *slog.Logger, d *faults.Decision) {
	attributes := []any{
		"outcome", string(d.Outcome), "command", commandName(d.Command),
		"boot", d.Boot, "level", d.Level.String(), "locality", d.Locality, "rule", d.Rule,
	}
	if d.Code != 0 {
		attributes = append(attributes, "code", wire.RC(d.Code).String())
	}
	if d.HeldFor != 0 {
		attributes = append(attributes, "held", d.HeldFor.Round(time.Microsecond), "cause", d.Cause)
	}
	log.Info("command deferred", attributes...)
}

// tapped shows every command that reaches the TPM in the log, if the log is to
// show that. Authorizations, secrets and what is unsealed are in the bytes of
// commands and responses, so these are shown only where secrets are asked for.
func (d *daemon) tapped(device transport.Device) transport.Device {
	if d.set.log.level < logTrace {
		return device
	}
	return transport.NewTap(device, nil, func(e transport.Exchange) {
		attributes := []any{
			"name", commandName(commandCode(e.Command)), "locality", e.Locality,
			"code", responseCode(e.Response).String(), "took", e.Duration,
		}
		if d.set.log.secrets {
			attributes = append(attributes, "bytes", hex.EncodeToString(e.Command), "response", hex.EncodeToString(e.Response))
		} else {
			attributes = append(attributes, "handles", handles(e.Command), "sent", len(e.Command), "received", len(e.Response))
		}
		d.log.Debug("command", attributes...)
	})
}

// commandHeader is the size of a command's header: tag, size, code (Part 1,
// section "Command/Response Structure").
const commandHeader = 10

// commandCode reads the TPM_CC of a command, 0 of one too short to have one.
func commandCode(command []byte) uint32 {
	if len(command) < commandHeader {
		return 0
	}
	return binary.BigEndian.Uint32(command[6:])
}

// handles returns the handle area of a command, as far as it is there: hex
// numbers, separated by commas.
func handles(command []byte) string {
	var list []string
	rest := command[min(len(command), commandHeader):]
	for range handleCounts[wire.CC(commandCode(command))] {
		if len(rest) < 4 {
			break
		}
		list = append(list, hex.EncodeToString(rest[:4]))
		rest = rest[4:]
	}
	return strings.Join(list, ",")
}

// handleCounts is how many handles each command of the emulator's table has.
var handleCounts = func() map[wire.CC]int {
	counts := map[wire.CC]int{}
	for _, c := range emulator.Commands() {
		counts[c.Code] = len(c.Handles)
	}
	return counts
}()

// commandNames is the name column of the emulator's command table.
var commandNames = func() map[wire.CC]string {
	names := map[wire.CC]string{}
	for _, c := range emulator.Commands() {
		names[c.Code] = "TPM2_" + c.Name
	}
	return names
}()

// commandName is the name of a command code, its number if it has none.
func commandName(code uint32) string {
	if name, ok := commandNames[wire.CC(code)]; ok {
		return name
	}
	return wire.CC(code).String()
}

// responseCode reads the TPM_RC of a response; one too short to have one counts
// as TPM_RC_FAILURE.
func responseCode(response []byte) wire.RC {
	if len(response) < 10 {
		return wire.RCFailure
	}
	return wire.RC(binary.BigEndian.Uint32(response[6:]))
}
