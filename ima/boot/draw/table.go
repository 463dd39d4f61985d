package draw

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/swtpmd/swtpmd/ima/boot"
)

// Table writes a matrix as a text table, a line for each cell, that fits a
// terminal of 120 columns: records kept, of them not extended, uses of files
// lost and denied, how IMA stands, the boot aggregates' names and values, what
// each policy says (+ accept, ? cannot tell, - reject, . not asked), and what
// became of the attack: whether it was prevented, a record tells of it, or it is
// unseen, and then what the policies say of the list it left.
//
// The error is w's.
func Table(w io.Writer, rows ...Row) error {
	t := newTable(rows)
	out := bufio.NewWriter(w)
	tab := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(tab, "platform\tstrategy\tkept\tnot ext.\tlost\tdenied\tIMA\tboot_aggregate\tpolicies\tattack")
	for i := range t.rows {
		r := &t.rows[i]
		title := name(r.Platform, 16)
		for _, s := range t.strategies {
			c := r.cell(s)
			if c == nil {
				continue
			}
			fmt.Fprintf(tab, "%s\t%s\t%s\n", title, s, strings.Join(c.columns(t.policies), "\t"))
			title = ""
		}
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	for i, p := range t.policies {
		before := ", "
		if i == 0 {
			before = "\npolicies: "
		}
		fmt.Fprint(out, before, name(p, 24))
	}
	if len(t.policies) > 0 {
		fmt.Fprint(out, "\n+ accept, ? cannot tell, - reject\n")
	}
	race, whatIf := t.marked()
	if race {
		fmt.Fprintf(out, "~ a race: IMA looked within %s of the TPM's registration, which nothing orders\n", length(boot.RaceWindow))
	}
	if whatIf {
		fmt.Fprint(out, "* a what-if: the platform's kernel has no such option\n")
	}
	return out.Flush()
}

// marked reports which marks the table has.
func (t *table) marked() (race, whatIf bool) {
	for i := range t.rows {
		for _, strategy := range t.strategies {
			if c := t.rows[i].cell(strategy); c != nil {
				race = race || c.Peaceful.Boot.Summary.Race != nil
				whatIf = whatIf || c.Peaceful.Boot.Summary.WhatIf != ""
			}
		}
	}
	return race, whatIf
}

// columns are those of a cell, after platform and strategy.
func (c *Cell) columns(policies []string) []string {
	s := &c.Peaceful.Boot.Summary
	aggregates := "none"
	for i, a := range c.Peaceful.aggregates() {
		text := a.value
		if a.late {
			text = "late " + text
		}
		switch i {
		case 0:
			aggregates = text
		case 1:
			aggregates += ", " + text
		case 2:
			aggregates += " …"
		}
	}
	attack := "none"
	if scenario, what, _ := c.attack(policies); scenario != "" {
		attack = scenario + ": " + what
		if what == "unseen" {
			attack += " " + c.Attacked.signs(policies)
		}
	}
	return []string{
		fmt.Sprint(s.Kept), fmt.Sprint(s.Unextended), fmt.Sprint(s.Lost), fmt.Sprint(s.Denied),
		c.Peaceful.state() + marks(s), aggregates, c.Peaceful.signs(policies), attack,
	}
}
