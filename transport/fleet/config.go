package fleet

import (
	"errors"
	"fmt"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// Config is what one TPM of a fleet is: the content of its file NAME.tpm. The zero value is
// a TPM like swtpm's.
type Config struct {
	// Profile is a name of emulator.Profiles, or the absolute path of a profile's file;
	// empty is the fleet's.
	Profile string
	// State is the absolute path of the directory for the TPM's state, InMemory for none;
	// empty is the one below Options.State that has the TPM's name.
	State string
	// Rules are fault rules, such as that of faults.Defer. Seed is what their chance is
	// drawn from; Dangerous admits those that leave the protocol.
	Rules     []faults.Rule
	Seed      uint64
	Dangerous bool
	// Console is where the guest's console is (initcall.ParseSource), and Timeline has a
	// boot take the time of initcall.DefaultTimeline instead. With neither, a TPM with
	// rules that go by levels has console.sock.
	Console  string
	Timeline bool
	// Started has the TPM powered and TPM2_Startup(CLEAR) sent before the first client.
	Started bool
	// Owner is whose the directory with the sockets is, and they; nil is the process's.
	Owner *transport.Owner
	// Clients bounds the connections to each of the two sockets; 0 is 32 for control and
	// 64 for commands.
	Clients int
}

// InMemory is a Config.State that ends with the fleet.
const InMemory = "memory"

// MaxConfig bounds the text of a Config, in bytes.
const MaxConfig = 64 << 10

// maxClients bounds Config.Clients.
const maxClients = 1024

// ConfigError says what is wrong with a Config.
type ConfigError struct {
	File   string // "" for a Config that is no file's
	Line   int    // from 1; 0: no line is at fault
	Word   string // the key
	Reason string
	Err    error // the cause, if it is another package's
}

// Error has file and line in front, as compilers do.
func (e *ConfigError) Error() string {
	text := e.File
	if e.Line > 0 {
		text += ":" + strconv.Itoa(e.Line)
	}
	if text != "" {
		text += ": "
	}
	text += e.Word
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// deferral are the words of a rule of faults.Defer.
type deferral struct {
	until, from initcall.Level
	while       faults.WhileDeferred
	holdMax     time.Duration
	boots       int
	line        int // of the first of them, 0 for none
}

// reader reads the text of a Config.
type reader struct {
	c    Config
	late deferral
	seen map[string]bool
}

// words are the keys of a Config's text, in the order in which MarshalText writes them.
var words = []struct {
	key      string
	many     bool // it may come more than once
	deferral bool
	read     func(*reader, string) error
	write    func(*Config) []string
}{
	{key: "profile", read: func(r *reader, v string) (err error) { r.c.Profile, err = profileName(v); return err },
		write: func(c *Config) []string { return some(c.Profile) }},
	{key: "state", read: func(r *reader, v string) error { r.c.State = v; return checkState(v) },
		write: func(c *Config) []string { return some(c.State) }},
	{key: "defer-until", deferral: true, read: func(r *reader, v string) error { return r.late.until.UnmarshalText([]byte(v)) }},
	{key: "defer-from", deferral: true, read: func(r *reader, v string) error { return r.late.from.UnmarshalText([]byte(v)) }},
	{key: "while-deferred", deferral: true, read: func(r *reader, v string) error { return r.late.while.UnmarshalText([]byte(v)) }},
	{key: "hold-max", deferral: true, read: func(r *reader, v string) (err error) {
		if r.late.holdMax, err = time.ParseDuration(v); err == nil && r.late.holdMax <= 0 {
			err = errors.New("it is a time to hold a command for, such as 30s")
		}
		return err
	}},
	{key: "defer-boots", deferral: true, read: func(r *reader, v string) (err error) { r.late.boots, err = count(v, 1<<30); return err }},
	{key: "fault", many: true, read: func(r *reader, v string) error {
		rule, err := faults.ParseRule(v)
		r.c.Rules = append(r.c.Rules, rule)
		return err
	}, write: func(c *Config) (all []string) {
		for i := range c.Rules {
			all = append(all, c.Rules[i].String())
		}
		return all
	}},
	{key: "fault-seed", read: func(r *reader, v string) (err error) { r.c.Seed, err = strconv.ParseUint(v, 0, 64); return err },
		write: func(c *Config) []string { return some(positive(c.Seed)) }},
	{key: "dangerous", read: func(r *reader, v string) (err error) { r.c.Dangerous, err = yes(v); return err },
		write: func(c *Config) []string { return some(truth(c.Dangerous)) }},
	{key: "console", read: func(r *reader, v string) error {
		r.c.Console = v
		if v == "-" {
			return errors.New("standard input is the fleet's, and no guest's console")
		}
		_, err := initcall.ParseSource(v)
		return err
	}, write: func(c *Config) []string { return some(c.Console) }},
	{key: "timeline", read: func(r *reader, v string) error {
		if r.c.Timeline = v == "builtin"; !r.c.Timeline {
			return errors.New("it is builtin")
		}
		return nil
	}, write: func(c *Config) []string {
		if c.Timeline {
			return []string{"builtin"}
		}
		return nil
	}},
	{key: "started", read: func(r *reader, v string) (err error) { r.c.Started, err = yes(v); return err },
		write: func(c *Config) []string { return some(truth(c.Started)) }},
	{key: "uid", read: func(r *reader, v string) (err error) { r.owner().UID, err = owner(v, userID); return err },
		write: func(c *Config) []string { return ownerWord(c, func(o *transport.Owner) int { return o.UID }) }},
	{key: "gid", read: func(r *reader, v string) (err error) { r.owner().GID, err = owner(v, groupID); return err },
		write: func(c *Config) []string { return ownerWord(c, func(o *transport.Owner) int { return o.GID }) }},
	{key: "clients", read: func(r *reader, v string) (err error) { r.c.Clients, err = count(v, maxClients); return err },
		write: func(c *Config) []string { return some(positive(uint64(c.Clients))) }},
}

// Words returns the words of a Config's text, in the order in which MarshalText writes them.
func Words() (keys []string) {
	for i := range words {
		keys = append(keys, words[i].key)
	}
	return keys
}

// ParseConfig reads the text of a Config, a word a line:
//
//	# comes at late_sync, and holds what comes before
//	profile=hardware-like
//	state=/var/lib/tpms/web
//	defer-until=late_sync
//	defer-from=kernel
//	while-deferred=hold
//	hold-max=30s
//	defer-boots=1
//	fault=PCR_Extend#3: rc=TPM_RC_FAILURE
//	fault-seed=7
//	dangerous=true
//	console=unix:/run/web/console.sock
//	timeline=builtin
//	started=true
//	uid=libvirt-qemu
//	gid=64055
//	clients=4
//
// Empty lines and those that begin with # say nothing. The words mean what the flags of
// swtpmd with these names do; fault may come more than once. File is the name of the file,
// for errors, which are *ConfigError.
func ParseConfig(file string, text []byte) (Config, error) {
	r := reader{seen: map[string]bool{}, late: deferral{from: initcall.Kernel, holdMax: faults.DefaultHoldMax}}
	if len(text) > MaxConfig {
		return Config{}, tooLong(file)
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := r.take(i+1, line); err != nil {
			err.File = file
			return Config{}, err
		}
	}
	if d := r.late; d.line > 0 && d.until == initcall.Firmware {
		return Config{}, &ConfigError{File: file, Line: d.line, Word: "defer-until", Reason: "it is not there, and nothing is deferred: add defer-until=LEVEL"}
	} else if d.line > 0 {
		r.c.Rules = append([]faults.Rule{d.rule()}, r.c.Rules...)
	}
	if err := r.c.check(); err != nil {
		err.File = file
		return Config{}, err
	}
	return r.c, nil
}

// take reads a line.
func (r *reader) take(n int, line string) *ConfigError {
	key, value, ok := strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	for i := range words {
		w := &words[i]
		switch {
		case w.key != key:
			continue
		case !ok || value == "":
			return &ConfigError{Line: n, Word: key, Reason: "it has no value: " + key + "=VALUE"}
		case r.seen[key] && !w.many:
			return &ConfigError{Line: n, Word: key, Reason: "it stands there twice"}
		}
		r.seen[key] = true
		if w.deferral && r.late.line == 0 {
			r.late.line = n
		}
		if err := w.read(r, value); err != nil {
			return &ConfigError{Line: n, Word: key, Err: err}
		}
		return nil
	}
	return &ConfigError{Line: n, Word: strconv.Quote(key), Reason: "unknown word; it takes " + strings.Join(Words(), ", ")}
}

func (d *deferral) rule() faults.Rule {
	rule := faults.Defer(d.until, d.while)
	rule.When.From, rule.When.Boots = d.from, d.boots
	if d.while == faults.Hold {
		rule.Do = faults.HoldBack{Max: d.holdMax}
	}
	return rule
}

// MarshalText returns the text that ParseConfig reads.
func (c Config) MarshalText() ([]byte, error) {
	var text strings.Builder
	for i := range words {
		w := &words[i]
		if w.write == nil {
			continue
		}
		for _, value := range w.write(&c) {
			fmt.Fprintf(&text, "%s=%s\n", w.key, value)
		}
	}
	return []byte(text.String()), nil
}

// UnmarshalText is ParseConfig of a text that is no file's.
func (c *Config) UnmarshalText(text []byte) (err error) {
	*c, err = ParseConfig("", text)
	return err
}

// follows reports whether a rule goes by how far the boot has come.
func (c *Config) follows() bool {
	for i := range c.Rules {
		if w := &c.Rules[i].When; w.From != initcall.Firmware || w.Until != initcall.Firmware {
			return true
		}
	}
	return false
}

// check finds what no single word can see.
func (c *Config) check() *ConfigError {
	switch {
	case c.Console != "" && c.Timeline:
		return &ConfigError{Word: "timeline", Reason: "it and console exclude each other: one source says how far the boot has come"}
	case c.Clients < 0 || c.Clients > maxClients:
		return &ConfigError{Word: "clients", Reason: fmt.Sprintf("%d is no number of clients from 1 to %d", c.Clients, maxClients)}
	}
	if _, err := profileName(c.Profile); c.Profile != "" && err != nil {
		return &ConfigError{Word: "profile", Err: err}
	}
	if err := checkState(c.State); c.State != "" && err != nil {
		return &ConfigError{Word: "state", Err: err}
	}
	plan := faults.Plan{Clock: new(initcall.Clock), Rules: c.Rules, Dangerous: c.Dangerous}
	if err := plan.Validate(); err != nil {
		return &ConfigError{Word: "fault", Err: err}
	}
	return nil
}

func checkState(dir string) error {
	if dir == InMemory || filepath.IsAbs(dir) {
		return nil
	}
	return errors.New("it is " + InMemory + ", or the path of a directory that begins with a slash")
}

// profileName checks a name of a profile. A file is read when the TPM is made.
func profileName(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	_, err := emulator.ProfileFile(name)
	return name, err
}

func some(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func positive(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

func truth(is bool) string {
	if !is {
		return ""
	}
	return "true"
}

func yes(value string) (bool, error) {
	if value != "true" && value != "false" {
		return false, errors.New("neither true nor false")
	}
	return value == "true", nil
}

func count(value string, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%q is no number from 1 to %d", value, most)
	}
	return n, nil
}

// owner returns the owner that is read, which changes nothing at first.
func (r *reader) owner() *transport.Owner {
	if r.c.Owner == nil {
		r.c.Owner = &transport.Owner{UID: -1, GID: -1}
	}
	return r.c.Owner
}

// owner reads the number of a user or group, or its name, which find finds.
func owner(value string, find func(name string) (string, error)) (int, error) {
	const most = 1<<31 - 1
	if n, err := strconv.Atoi(value); err == nil && 0 <= n && n <= most {
		return n, nil
	}
	text, err := find(value)
	if err != nil {
		return -1, fmt.Errorf("%q is neither a number from 0 to %d nor a name that the system knows", value, most)
	}
	return strconv.Atoi(text)
}

func userID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func groupID(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

func ownerWord(c *Config, part func(*transport.Owner) int) []string {
	if c.Owner == nil || part(c.Owner) < 0 {
		return nil
	}
	return []string{strconv.Itoa(part(c.Owner))}
}
