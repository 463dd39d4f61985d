package draw

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/measure"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// appraised boots a machine and asks the built-in policies, as a service that
// knows the kernel's build.
func (m machine) appraised(t testing.TB) Outcome {
	t.Helper()
	r := m.boot(t)
	records, err := r.List.Records()
	require.NoError(t, err)
	kernel, err := measure.KernelByRelease(m.platform.Kernel.Profile)
	require.NoError(t, err)
	lateSync := verify.SettingUnknown
	if m.config.Strategy == boot.Kconfig {
		kernel.InitLateSync, lateSync = true, verify.SettingOn
	}
	pcrs := r.PCRs
	if len(m.platform.Aggregate.Sum) > 0 {
		// The PCRs behind the aggregate of a real machine are not known.
		pcrs = ima.PCRs{}
		for algo, bank := range r.PCRs {
			pcrs[algo] = map[int]ima.Hex{10: bank[10]}
		}
	}
	verdict, err := verify.Verify(verify.Evidence{
		List: ima.Records(records), PCRs: pcrs, Vouched: true,
		Build: verify.Build{
			Kernel:   verify.Kernel{Release: kernel.Release, InitLateSync: kernel.InitLateSync, KexecAtExecute: kernel.KexecAtExecute},
			Release:  m.platform.Kernel.Release,
			Strategy: verify.Strategy(m.config.Strategy.String()), InitLateSync: lateSync, Bound: true,
		},
	})
	require.NoError(t, err)
	o := Outcome{Boot: r}
	for _, n := range verify.PolicyNames() {
		p, err := verify.PolicyByName(n)
		require.NoError(t, err)
		o.Appraisals = append(o.Appraisals, p.Appraise(verdict))
	}
	return o
}

// attackOn is the scenario that is made for a strategy.
var attackOn = map[boot.Strategy]boot.Attack{
	boot.Late: boot.Unlink, boot.LateSync: boot.Filter, boot.Retry: boot.Rename, boot.Kconfig: boot.Rename,
	boot.Dual: boot.Unlink, boot.Queue: boot.Dequeue, boot.Deny: boot.Filter, boot.Notifier: boot.Filter,
}

// rowOf is a platform with every strategy, in peace and under attack.
func rowOf(t testing.TB, name string) Row {
	t.Helper()
	p := platform(t, name)
	row := Row{Platform: p.Name, Title: p.Title}
	for _, s := range boot.Strategies() {
		peaceful := machine{platform: p, config: boot.Config{Strategy: s}}
		attacked := peaceful
		attacked.config.Attack = attackOn[s]
		row.Cells = append(row.Cells, Cell{Strategy: s, Peaceful: peaceful.appraised(t), Attacked: attacked.appraised(t)})
	}
	return row
}

func whole(t testing.TB, rows ...Row) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Matrix(&b, rows...))
	return b.String()
}

// parsePage reads a page as XML: ids, links, and text of cells.
func parsePage(t testing.TB, page string) (ids, links map[string]bool, cells []string) {
	t.Helper()
	ids, links = map[string]bool{}, map[string]bool{}
	decoder := xml.NewDecoder(strings.NewReader(page))
	var cell *strings.Builder
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return ids, links, cells
		}
		require.NoError(t, err)
		switch e := token.(type) {
		case xml.StartElement:
			require.NotContains(t, []string{"script", "link", "img", "iframe", "object"}, e.Name.Local)
			if id := attribute(e, "id"); id != "" {
				require.False(t, ids[id], "id %s comes twice", id)
				ids[id] = true
			}
			if href := attribute(e, "href"); href != "" {
				require.True(t, strings.HasPrefix(href, "#"), "%s leads out of the page", href)
				links[href[1:]] = true
			}
			if e.Name.Local == "td" {
				cell = new(strings.Builder)
			}
			if cell != nil && (e.Name.Local == "br" || e.Name.Local == "p") {
				cell.WriteString("\n")
			}
		case xml.CharData:
			if cell != nil {
				cell.Write(e)
			}
		case xml.EndElement:
			if e.Name.Local == "td" {
				cells = append(cells, cell.String())
				cell = nil
			}
		}
	}
}

func TestEverything(t *testing.T) {
	t.Parallel()
	// One test for each platform, so that none is at work for long.
	var rows []Row
	for _, name := range boot.Platforms() {
		t.Run(name, func(t *testing.T) { rows = append(rows, rowOf(t, name)) })
	}
	require.Len(t, rows, len(boot.Platforms()))
	t.Run("page", func(t *testing.T) { t.Parallel(); testPage(t, rows) })
	t.Run("table", func(t *testing.T) { t.Parallel(); testTable(t, rows) })
}

func testPage(t *testing.T, rows []Row) {
	page := whole(t, rows...)
	if *see != "" {
		require.NoError(t, os.WriteFile(filepath.Join(*see, "matrix.html"), []byte(page), 0o644))
	}
	ids, links, cells := parsePage(t, page)
	boots := len(boot.Platforms()) * len(boot.Strategies())
	assert.Len(t, cells, boots)
	assert.Len(t, ids, boots)
	assert.Equal(t, ids, links, "every picture has a link, and every link a picture")
	assert.Equal(t, 2*boots, strings.Count(page, "<svg "))
	assert.Equal(t, page, whole(t, rows...), "the same rows give the same bytes")
	t.Logf("%d bytes", len(page))
	assert.Less(t, len(page), 8<<20)

	at := func(platform string, s boot.Strategy) string {
		for i, r := range rows {
			if r.Platform == platform {
				return cells[i*len(boot.Strategies())+int(s)]
			}
		}
		return ""
	}
	dual := at("powervm", boot.Dual)
	for _, want := range []string{"with the TPM at late", "32 records, all extended", "0 lost", "boot_aggregate 9887dd08", "boot_aggregate_late 9887dd08", "strict:", "attack unlink"} {
		assert.Contains(t, dual, want)
	}
	assert.Contains(t, at("powervm", boot.LateSync), "28 lost")
	bypass := at("arm64-crb-ffa", boot.Late)
	for _, want := range []string{"TPM-bypass at late", "16 records, none extended", "boot_aggregate zero", "strict: reject", "unseen, but no policy accepts the list"} {
		assert.Contains(t, bypass, want)
	}
	assert.Contains(t, at("arm64-crb-ffa", boot.Retry), "attack rename: unseen, deceives accept-late")
	assert.Contains(t, at("arm64-crb-ffa", boot.Deny), "attack filter: prevented")
	assert.Contains(t, at("no-tpm", boot.Deny), "kernel panic")
	assert.Contains(t, at("no-tpm", boot.Notifier), "no boot_aggregate")
}

func TestMatrixOfHostileNames(t *testing.T) {
	t.Parallel()
	const evil = `"><script src=//x></script>` + "\x00\u202e"
	b := many(200)
	b.Platform = &boot.Platform{Name: evil, Title: evil}
	b.Summary.Aggregates = []ima.BootAggregate{{Name: evil}, {Name: evil}, {Name: evil}, {Name: evil}, {Name: evil}, {Name: evil}}
	b.Summary.Panic = evil
	o := Outcome{Boot: b, Appraisals: []verify.Result{{
		Policy: evil, Question: evil, Outcome: verify.Reject,
		Decided: []verify.Reason{{Policy: evil}, {Finding: &verify.Finding{Code: evil, Text: evil}, Policy: evil}},
	}}}
	attacked := o
	row := Row{Platform: evil, Title: evil, Cells: []Cell{{Peaceful: o, Attacked: attacked}}}
	page := whole(t, row, row)
	parsePage(t, page)
	for _, bad := range []string{"<script", "\x00", "\u202e"} {
		assert.False(t, strings.Contains(page, bad), "%q", bad)
	}
	var text bytes.Buffer
	require.NoError(t, Table(&text, row))
	for _, bad := range []string{"\x00", "\u202e"} {
		assert.False(t, strings.Contains(text.String(), bad), "%q", bad)
	}
}

func testTable(t *testing.T, rows []Row) {
	var b bytes.Buffer
	require.NoError(t, Table(&b, rows...))
	for line := range strings.Lines(b.String()) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 120, line)
	}
	for _, want := range []string{
		`(?m)^platform +strategy +kept +not ext\. +lost +denied +IMA +boot_aggregate +policies +attack$`,
		`(?m)^ +dual +32 +0 +0 +0 +TPM +9887dd08, late 9887dd08 `,
		`(?m)^arm64-crb-ffa +late +16 +16 +2 +0 +bypass +zero +-\?\? +unlink: unseen -\?\?$`,
		`(?m)^ +deny +0 +0 +0 +1 +panic +none +--- +filter: prevented$`,
		`(?m)^policies: strict, accept-late, build-bound$`,
	} {
		assert.Regexp(t, want, b.String())
	}
	require.ErrorIs(t, Table(full{}, rows...), errFull)
	require.ErrorIs(t, Table(full{}, rows[0]), errFull, "little text is written at the end only")
	require.ErrorIs(t, Matrix(full{}, rows...), errFull)
}

// A matrix need not be complete.
func TestMatrixWithHoles(t *testing.T) {
	t.Parallel()
	o := Outcome{Boot: machine{platform: parse(t, small)}.boot(t)}
	rows := []Row{
		{Platform: "one", Cells: []Cell{{Strategy: boot.Deny, Peaceful: o}}},
		{Platform: "two", Cells: []Cell{{Strategy: boot.Late, Peaceful: o}, {Strategy: boot.Late, Peaceful: o}, {Strategy: boot.Deny}}},
		{Platform: "three"},
	}
	page := whole(t, rows...)
	ids, links, cells := parsePage(t, page)
	assert.Equal(t, map[string]bool{"r1-deny": true, "r2-late": true}, ids)
	assert.Equal(t, ids, links)
	assert.Len(t, cells, 6)
	assert.Equal(t, 4, strings.Count(page, "not booted"))
	assert.NotContains(t, strings.Join(cells, ""), "attack")
	var b bytes.Buffer
	require.NoError(t, Table(&b, rows...))
	assert.Equal(t, 3, strings.Count(b.String(), "\n"))
	assert.NotContains(t, b.String(), "policies:")
	require.NoError(t, Table(&b))
	parsePage(t, whole(t))
}

// The page's table is narrower than the windows of today's laptops, and keeps its
// names in view.
func TestTableFitsAWindow(t *testing.T) {
	t.Parallel()
	o := Outcome{Boot: machine{platform: parse(t, small)}.boot(t)}
	row := Row{Platform: "one"}
	for _, s := range boot.Strategies() {
		row.Cells = append(row.Cells, Cell{Strategy: s, Peaceful: o})
	}
	page := whole(t, row)
	columns := regexp.MustCompile(`<col style="width:(\d+)px"/>`).FindAllStringSubmatch(page, -1)
	require.Len(t, columns, 1+len(boot.Strategies()))
	sum := 0
	for _, c := range columns {
		n, err := strconv.Atoi(c[1])
		require.NoError(t, err)
		sum += n
	}
	assert.Contains(t, page, fmt.Sprintf(`<table style="width:%dpx">`, sum))
	const margins, scrollBar = 2 * 21, 17
	assert.Less(t, sum+margins+scrollBar, 1450)
	assert.Contains(t, page, "thead th{background:#eee;position:sticky;top:0;")
	assert.Contains(t, page, "tbody th{background:#fff;position:sticky;left:0}")
	assert.Contains(t, page, "border-collapse:separate", "borders of sticky cells stay with them")
}

// What makes a boot different from what a real machine does is marked.
func TestRaceAndWhatIfAreMarked(t *testing.T) {
	t.Parallel()
	raced := machine{platform: parse(t, small)}.boot(t)
	raced.Summary.Race = &boot.Race{Level: initcall.Late, Margin: -12 * time.Millisecond}
	raced.Summary.WhatIf = "no option"
	row := Row{Platform: "one", Cells: []Cell{{Strategy: boot.Late, Peaceful: Outcome{Boot: raced}}}}
	page := whole(t, row)
	assert.Contains(t, page, "<b>a race: TPM 12.0 ms after IMA looked at late</b>")
	assert.Contains(t, page, "<b>a what-if: this kernel has no such option</b>")
	var text bytes.Buffer
	require.NoError(t, Table(&text, row))
	assert.Contains(t, text.String(), " bypass~* ")
	assert.Contains(t, text.String(), "\n~ a race: IMA looked within 200 ms of the TPM's registration, which nothing orders\n* a what-if: ")
	svg := string(draw(t, raced, Options{}))
	assert.Contains(t, svg, "finds no TPM: TPM-bypass, a race")
	assert.Contains(t, svg, "strategy late (what if)")
}

// A TPM in field failure mode is neither one that measures nor none.
func TestFieldFailureIsDrawn(t *testing.T) {
	t.Parallel()
	rules := []faults.Rule{faults.Defer(initcall.Userspace, faults.Testing)}
	b := machine{platform: platform(t, "pc-tis"), rules: rules}.boot(t)
	page := whole(t, Row{Platform: "pc-tis", Cells: []Cell{{Strategy: boot.Late, Peaceful: Outcome{Boot: b, Rules: rules}}}})
	for _, want := range []string{"with a TPM in field failure mode at late", "4 records, none extended", "IMA measured nothing: started at late ", "finds a TPM in field failure mode", "away for "} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "bypass at late")
}
