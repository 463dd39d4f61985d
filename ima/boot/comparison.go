package boot

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
)

// Comparison is a log beside the simulated boot of the platform that was made
// from it.
type Comparison struct {
	// Missing says what the log lacks of a whole one.
	Missing []string `json:"missing,omitempty"`
	// Rows are what was compared.
	Rows []ComparisonRow `json:"rows"`
	// Notes are what the log does not tell, or tells badly.
	Notes []string `json:"notes,omitempty"`

	retries int // deferred probes that one has and the other has not
}

// ComparisonRow is one thing that the log and the simulation show.
type ComparisonRow struct {
	What      string `json:"what"`
	Log       string `json:"log"`
	Simulated string `json:"simulated"`
	Differs   bool   `json:"differs"`
}

// ContradictionError reports that a simulation is not what its log shows, or that
// the log is not a whole one.
type ContradictionError struct {
	Missing []string
	Rows    []ComparisonRow // those that differ
}

func (e *ContradictionError) Error() string {
	var parts []string
	if len(e.Missing) > 0 {
		parts = append(parts, "not a whole log: "+strings.Join(e.Missing, "; "))
	}
	for _, r := range e.Rows {
		parts = append(parts, fmt.Sprintf("%s: in the log %s, in its simulation %s", r.What, r.Log, r.Simulated))
	}
	return "console log: " + strings.Join(parts, "; ")
}

// Err is a *ContradictionError if the simulation is not to be believed.
func (c *Comparison) Err() error {
	e := &ContradictionError{Missing: c.Missing}
	for _, r := range c.Rows {
		if r.Differs {
			e.Rows = append(e.Rows, r)
		}
	}
	if len(e.Missing) == 0 && len(e.Rows) == 0 {
		return nil
	}
	return e
}

// distance says how far the simulation is from the log: rows that differ, and
// then probes that were deferred more or less often.
func (c *Comparison) distance() (n int) {
	for _, r := range c.Rows {
		if r.Differs {
			n += differs
		}
	}
	return n + min(c.retries, differs-1)
}

// differs is the distance of a row that differs.
const differs = 1000

// Render writes the comparison as text.
func (c *Comparison) Render(out io.Writer) error {
	var b strings.Builder
	b.WriteString("The log and its own simulation:\n")
	for _, r := range c.Rows {
		switch {
		case r.Differs:
			fmt.Fprintf(&b, "  DIFFERS  %-13s %s; simulated: %s\n", r.What, r.Log, r.Simulated)
		case r.Log == r.Simulated:
			fmt.Fprintf(&b, "  same     %-13s %s\n", r.What, r.Log)
		default:
			fmt.Fprintf(&b, "  same     %-13s %s; simulated: %s\n", r.What, r.Log, r.Simulated)
		}
	}
	for _, text := range c.Missing {
		fmt.Fprintf(&b, "  MISSING  not a whole log: %s\n", text)
	}
	for _, text := range c.Notes {
		fmt.Fprintf(&b, "  note     %s\n", text)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// near reports whether a simulated time is the log's: their own printing, and a
// clock of 100 Hz on some machines, is all that may be between them.
func near(log, simulated time.Duration) bool {
	d := log - simulated
	return max(d, -d) <= max(20*time.Millisecond, log/50)
}

// comparer compares one boot.
type comparer struct {
	*attempt
	r    *Result
	c    Comparison
	base time.Duration // the kernel's start
}

func (a *attempt) compare(r *Result, strategy Strategy) Comparison {
	c := &comparer{attempt: a, r: r, base: r.Summary.KernelAt}
	c.c.Missing = a.missing()
	c.c.Notes = a.notes(strategy)
	c.compareInitcalls()
	c.compareLevels()
	c.compareProbes()
	c.compareIMA()
	c.compareVerdict()
	if a.list != nil {
		c.compareList()
	}
	return c.c
}

func (c *comparer) row(what, log, simulated string, same bool) {
	c.c.Rows = append(c.c.Rows, ComparisonRow{What: what, Log: log, Simulated: simulated, Differs: !same})
}

// compareInitcalls compares which initcalls were called and what they returned.
func (c *comparer) compareInitcalls() {
	codes := make(map[string]int)
	for i := range c.r.Events {
		if e := &c.r.Events[i]; e.Kind == InitcallReturned {
			codes[e.Name] = e.Code
		}
	}
	late, lateSync := c.imaCalls()
	same, all, first := 0, 0, ""
	for i := range c.calls {
		call := &c.calls[i]
		if (i == late || i == lateSync) && i != c.ima.started {
			continue // a place where IMA might start, and does not
		}
		all++
		code, called := codes[call.name]
		if called && (code == call.code || call.code > 0 || !call.ended) {
			same++
		} else if first == "" {
			first = fmt.Sprintf(" (%s returned %d, here %d)", call.name, call.code, code)
		}
	}
	c.row("initcalls", fmt.Sprintf("%d", all), fmt.Sprintf("%d%s", same, first), same == all)
}

// compareLevels compares when levels were reached.
func (c *comparer) compareLevels() {
	reached := make(map[initcall.Level]time.Duration)
	for i := range c.r.Events {
		if e := &c.r.Events[i]; e.Kind == LevelReached {
			reached[e.Level] = e.At - c.base
		}
	}
	all, same, log, simulated := 0, 0, "", ""
	for _, level := range initcall.Levels() {
		at, shown := c.levels[level]
		if !shown || level < initcall.Early {
			continue
		}
		all++
		// A level begins with its first function here, and with the line
		// about it in the log.
		if here := reached[level]; near(at, here) || here < at && near(at, c.firstCall(level)) {
			same++
		} else if log == "" {
			log, simulated = fmt.Sprintf(" (%s at %s)", level, stampText(at)), fmt.Sprintf(" (%s at %s)", level, stampText(here))
		}
	}
	c.row("levels", fmt.Sprintf("%d%s", all, log), fmt.Sprintf("%d%s", same, simulated), same == all)
}

// firstCall is when the simulation calls the first function of a level.
func (c *comparer) firstCall(level initcall.Level) time.Duration {
	for i := range c.r.Events {
		if e := &c.r.Events[i]; e.Kind == InitcallCalled && e.Level == level {
			return e.At - c.base
		}
	}
	return -1
}

func stampText(at time.Duration) string { return fmt.Sprintf("%.6f s", at.Seconds()) }

// compareProbes compares how the TPM's probes ended, and when.
func (c *comparer) compareProbes() {
	s := c.story()
	if s == nil {
		c.row("TPM", "no probe", "no probe", true)
		return
	}
	simulated := simulatedProbes(c.r, s.device)
	// After the log's end the simulation goes on.
	simulated = slices.DeleteFunc(simulated, func(p loggedProbe) bool { return p.at > c.end+20*time.Millisecond })
	c.c.retries = abs(deferrals(s.probes) - deferrals(simulated))
	log, here := distinct(s.probes), distinct(simulated)
	same := len(log) == len(here) || len(s.probes) == 0
	for i := range min(len(log), len(here)) {
		same = same && log[i].code == here[i].code && near(log[i].at, here[i].at)
	}
	what := "probe of " + s.device
	if len(s.probes) == 0 {
		c.row(what, "none of "+s.driver, probesText(simulated), !c.r.Summary.TPMRegistered)
		return
	}
	c.row(what, probesText(s.probes), probesText(simulated), same)
}

// distinct drops repeated deferrals.
func distinct(probes []loggedProbe) (list []loggedProbe) {
	for _, p := range probes {
		if n := len(list); n > 0 && p.deferred() && list[n-1].deferred() {
			continue
		}
		list = append(list, p)
	}
	return list
}

func deferrals(probes []loggedProbe) (n int) {
	for i := range probes {
		if probes[i].deferred() {
			n++
		}
	}
	return n
}

func probesText(probes []loggedProbe) string {
	var parts []string
	for i := 0; i < len(probes); i++ {
		p, n := &probes[i], 1
		for i+1 < len(probes) && probes[i+1].code == p.code && p.deferred() {
			i, n = i+1, n+1
		}
		text := "bound"
		if p.code != 0 {
			text = fmt.Sprintf("returned %d", p.code)
		}
		text += fmt.Sprintf(" at %s (%s)", p.level, stampText(p.at))
		if n > 1 {
			text += fmt.Sprintf(" and %d times more, up to %s (%s)", n-1, probes[i].level, stampText(probes[i].at))
		}
		parts = append(parts, text)
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// compareIMA compares when IMA started, and in which order with the TPM.
func (c *comparer) compareIMA() {
	log, here := "not started", "not started"
	same := (c.ima.started >= 0) == c.r.Summary.Started
	if i := c.ima.started; i >= 0 {
		call := &c.calls[i]
		log = fmt.Sprintf("at %s (%s)%s", call.level, stampText(call.at), order(c.registeredAt(), call.at))
		if s := &c.r.Summary; s.Started {
			same = s.Level == call.level && near(call.at, s.StartedAt-c.base)
		}
	}
	if s := &c.r.Summary; s.Started {
		at := time.Duration(-1)
		if s.TPMRegistered && s.TPMAt-c.base <= c.end {
			at = s.TPMAt - c.base
		}
		here = fmt.Sprintf("at %s (%s)%s", s.Level, stampText(s.StartedAt-c.base), order(at, s.StartedAt-c.base))
		if c.ima.started >= 0 {
			same = same && order(at, s.StartedAt-c.base) == order(c.registeredAt(), c.calls[c.ima.started].at)
		}
	}
	c.row("IMA", log, here, same)
	if c.init != "" {
		at := c.r.Summary.UserspaceAt - c.base
		c.row("init", stampText(c.initAt), stampText(at), near(c.initAt, at))
	}
}

// registeredAt returns when the TPM had registered, negative if it had not: at the end of
// its probe, or at IMA's look if IMA found it there although its probe ended later.
func (c *console) registeredAt() time.Duration {
	s := c.story()
	if s == nil {
		return -1
	}
	at, i := s.boundAt(), c.ima.started
	if i >= 0 && at > c.calls[i].at && len(c.ima.lines) > 0 && !c.ima.bypass() {
		return c.calls[i].at
	}
	return at
}

// order reports whether a TPM had registered when IMA looked for one.
func order(registered, looked time.Duration) string {
	switch {
	case registered < 0:
		return ", no TPM registered"
	case registered <= looked:
		return ", a TPM had registered"
	}
	return ", a TPM registered later"
}

// compareVerdict compares IMA's own lines about its TPM.
func (c *comparer) compareVerdict() {
	lines := slices.Clone(c.ima.lines)
	for _, l := range c.tpm.lines {
		lines = append(lines, l.text)
	}
	code, here := 0, 0
	if i := c.ima.started; i >= 0 {
		code = c.calls[i].code
	}
	if c.r.Summary.Started {
		here = c.r.Summary.StartError
	}
	log, simulated := verdictOf(c.ima.started >= 0, code, lines), verdictOf(c.r.Summary.Started, here, simulatedLines(c.r))
	c.row("verdict", log, simulated, log == simulated)
}

// verdictOf returns how IMA ended according to its lines.
func verdictOf(started bool, code int, lines []string) string {
	has := func(prefix string) bool {
		return slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) })
	}
	switch {
	case !started:
		return "IMA did not start"
	case code != 0:
		return fmt.Sprintf("IMA failed to start (%d)", code)
	case has(imaBypass):
		return "TPM-bypass"
	case has("ima: No suitable TPM algorithm") && has(fieldFailure):
		return "field failure mode, nothing measured"
	case has("ima: No suitable TPM algorithm"):
		return "no suitable bank, nothing measured"
	}
	failed := 0
	for _, l := range lines {
		if strings.HasPrefix(l, imaNoAnswer) {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Sprintf("the TPM failed commands of IMA: %d", failed)
	}
	return "measured"
}

// compareList compares the records that a simulation can make.
func (c *comparer) compareList() {
	records, err := c.r.List.Records()
	if err != nil {
		c.row("records", fmt.Sprint(len(c.list.records)), err.Error(), false)
		return
	}
	here := make(map[string]int)
	for _, r := range records {
		here[recordKey(r)]++
	}
	same, others, lacks := 0, 0, ""
	seen := make(map[string]bool)
	for i, r := range c.list.records {
		access, file := accessOf(r)
		changed := file && seen[access.Path]
		seen[access.Path] = true
		_, aggregate := ima.IsBootAggregate(r, i+1)
		switch {
		case here[recordKey(r)] > 0:
			here[recordKey(r)]--
			same++
		case !file && !aggregate, changed:
			others++
		case lacks == "":
			lacks = r.Name()
		}
	}
	extra := ""
	for _, r := range records {
		if here[recordKey(r)] > 0 && extra == "" {
			extra = r.Name()
		}
	}
	log, simulated := fmt.Sprintf("%d", len(c.list.records)), fmt.Sprintf("%d, %d of them the same", len(records), same)
	if lacks != "" {
		simulated += ", without " + lacks
	}
	if extra != "" {
		simulated += ", with " + extra
	}
	if others > 0 {
		log += fmt.Sprintf(", %d of them not simulated (violations, buffers, files that had changed)", others)
	}
	c.row("records", log, simulated, lacks == "" && extra == "")
}
