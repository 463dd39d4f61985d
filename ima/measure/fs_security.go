package measure

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

const (
	modeList       fs.FileMode = 0o440
	modeStagedList fs.FileMode = 0o660
)

// fsInit follows ima_fs_init.
func (m *IMA) fsInit() {
	f := &m.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files, f.shows = nil, make(map[string]fileShow)
	mode := modeList
	if m.config.Staging {
		mode = modeStagedList
	}
	m.addLists("", mode)
	if m.config.Staging {
		m.addLists("_staged", modeStagedList)
	}
	f.add("runtime_measurements_count", modeList)
	f.add("violations", modeList)
	policy := fs.FileMode(0o200)
	if m.config.ReadPolicy {
		policy = 0o600
	}
	f.add("policy", policy)
}

// addLists adds the files of the list: since 6.10 two for each bank and for sha1,
// and the old names as links to those of sha1.
func (m *IMA) addLists(suffix string, mode fs.FileMode) {
	const binary, ascii = "binary_runtime_measurements", "ascii_runtime_measurements"
	f := &m.fs
	add := func(name string, show fileShow) {
		show.staged = suffix != ""
		f.add(name+suffix, mode)
		f.shows[name+suffix] = show
	}
	if !m.config.Kernel.PerBankFiles {
		add(binary, fileShow{slot: m.sha1})
		add(ascii, fileShow{slot: m.sha1, ascii: true})
		return
	}
	for i, s := range m.slots {
		if s.bank.DigestSize == 0 && i != m.sha1 {
			continue // ima_hash's own slot has no file
		}
		name := s.algo.String()
		if s.algo == 0 {
			name = s.bank.String()
		}
		add(ascii+"_"+name, fileShow{slot: i, ascii: true})
		add(binary+"_"+name, fileShow{slot: i})
	}
	for _, name := range []string{binary, ascii} {
		link := name + "_sha1" + suffix
		f.files = append(f.files, SecurityFile{Name: name + suffix, Mode: fs.ModeSymlink | 0o777, Link: link})
		f.shows[name+suffix] = f.shows[link]
	}
}

// SecurityFiles lists the files that are there.
func (m *IMA) SecurityFiles() []SecurityFile {
	m.fs.mu.Lock()
	defer m.fs.mu.Unlock()
	return append([]SecurityFile(nil), m.fs.files...)
}

// ReadSecurityFile returns the content of the file name, or of what the link name
// points to. The error wraps fs.ErrNotExist, or fs.ErrPermission for a policy
// that cannot be read.
func (m *IMA) ReadSecurityFile(name string) ([]byte, error) {
	m.fs.mu.Lock()
	show, isList := m.fs.shows[name]
	exists := m.fs.exists(name)
	m.fs.mu.Unlock()
	switch {
	case !exists:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case isList:
		return m.showList(show)
	case name == "runtime_measurements_count":
		return []byte(strconv.Itoa(m.Count()) + "\n"), nil
	case name == "violations":
		return []byte(strconv.Itoa(m.Violations()) + "\n"), nil
	case !m.config.ReadPolicy:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return []byte(m.policyText()), nil
}

func (m *IMA) showList(show fileShow) (text []byte, err error) {
	entries := m.snapshot()
	if show.staged {
		m.queue.mu.RLock()
		entries = m.queue.staged
		m.queue.mu.RUnlock()
	}
	for _, e := range entries {
		if show.ascii {
			text, err = m.shown(e, show.slot).AppendText(text)
		} else {
			text, err = m.shown(e, show.slot).AppendBinary(text)
		}
		if err != nil {
			return nil, err
		}
	}
	return text, nil
}

// policyText returns the rules in force, one a line.
func (m *IMA) policyText() string {
	var b strings.Builder
	active := m.policy.active.Load()
	if active == nil {
		return ""
	}
	for _, r := range active.rules {
		if text := r.String(); text != "" {
			b.WriteString(text + "\n")
		}
	}
	return b.String()
}

// WritePolicy is the writing of the policy file of securityfs, from opening to
// closing it: text has a rule a line. All of its rules come into force or, with
// a RuleError, none. The first policy replaces the built-in one; in kernels with
// CONFIG_IMA_WRITE_POLICY more can follow, in others the file is gone then and
// the error wraps fs.ErrNotExist.
//
// A path in text, which would make the kernel read the policy from there, is
// the caller's to read; PostReadFile with ReadingPolicy is the hook for that.
func (m *IMA) WritePolicy(cred *Cred, text string) error {
	m.fs.mu.Lock()
	defer m.fs.mu.Unlock()
	if !m.fs.exists("policy") {
		return &fs.PathError{Op: "open", Path: "policy", Err: fs.ErrNotExist}
	}
	p := &m.policy
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.config.Kernel.PolicyRecords && text != "" {
		_, _ = m.processBuffer(&bufferEvent{hook: hookPolicyCheck, cred: cred, name: "ima_policy_written", buf: []byte(text)})
	}
	config := m.config.policyConfig()
	config.Custom, config.builtin = m.custom, !p.inForce
	rules, err := ParsePolicy(text, config)
	if err == nil && len(rules) == 0 {
		err = &RuleError{Line: 1, Reason: "the policy has no rules"}
	}
	if err != nil {
		m.logf("policy update failed")
		m.audit("policy_update", "failed", "", 1)
		return err
	}
	m.logf("policy update completed")
	m.audit("policy_update", "completed", "", 0)
	p.custom = append(p.custom[:len(p.custom):len(p.custom)], rules...)
	p.inForce = true
	p.activate(p.custom)
	m.policyLoaded()
	return nil
}

// policyLoaded does what follows a custom policy: its own record, the queued
// keys, the end of the policy file.
func (m *IMA) policyLoaded() {
	if m.config.Kernel.PolicyRecords {
		_, _ = m.MeasureCriticalData("ima_policy", "ima_policy_loaded", []byte(m.policyText()), false)
	}
	m.processQueuedKeys()
	switch {
	case m.config.WritePolicy:
	case m.config.ReadPolicy:
		m.fs.chmod("policy", 0o400)
	default:
		m.fs.remove("policy")
	}
}

// StageError says what a write to a list file could not do.
type StageError struct {
	Name, Request string
	Errno         Errno
}

func (e *StageError) Error() string {
	return fmt.Sprintf("%s: request %q: %v", e.Name, clip.String(e.Request), e.Errno)
}

// Unwrap returns the Errno.
func (e *StageError) Unwrap() error { return e.Errno }

// WriteList is a write to a list file in kernels with CONFIG_IMA_STAGING (since
// 7.2). To a _staged file: "A\n" stages the whole list (EEXIST if one is staged,
// ENOENT if it is empty, EACCES if measuring is suspended), "D\n" deletes the
// staged one (ENOENT). To the other files: a number and "\n" deletes so many
// records from the beginning of the list (ENOENT if it has fewer).
//
// What has been deleted still counts as measured: it stays in the hash table,
// unless the kernel was booted with ima_flush_htable.
func (m *IMA) WriteList(name, request string) error {
	m.fs.mu.Lock()
	show, isList := m.fs.shows[name]
	m.fs.mu.Unlock()
	fail := func(e Errno) error { return &StageError{Name: name, Request: request, Errno: e} }
	if !m.config.Staging || !isList {
		return fail(EACCES)
	}
	word, ended := strings.CutSuffix(request, "\n")
	if !ended {
		return fail(EINVAL)
	}
	q := &m.queue
	q.extend.Lock()
	defer q.extend.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	var errno Errno
	switch {
	case show.staged && word == "A":
		errno = q.stage()
	case show.staged && word == "D":
		errno = m.deleteStaged()
	case show.staged:
		errno = EINVAL
	default:
		errno = m.deleteFirst(word)
	}
	if errno != 0 {
		return fail(errno)
	}
	return nil
}

func (q *queue) stage() Errno {
	switch {
	case q.suspended:
		return EACCES
	case q.staged != nil:
		return EEXIST
	case len(q.entries) == 0:
		return ENOENT
	}
	q.staged, q.entries = q.entries, nil
	return 0
}

func (m *IMA) deleteStaged() Errno {
	q := &m.queue
	if q.staged == nil {
		return ENOENT
	}
	m.forget(q.staged)
	q.staged = nil
	return 0
}

func (m *IMA) deleteFirst(number string) Errno {
	q := &m.queue
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || n == 0 {
		return EINVAL
	}
	if int(n) > len(q.entries) {
		return ENOENT
	}
	m.forget(q.entries[:n])
	q.entries = append([]*entry(nil), q.entries[n:]...)
	return 0
}

// forget takes deleted records out of the account.
func (m *IMA) forget(entries []*entry) {
	for _, e := range entries {
		m.queue.runtimeSize -= e.runtimeSize()
		if m.flush {
			delete(m.queue.table, m.tableKey(e))
		}
	}
}
