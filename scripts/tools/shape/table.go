package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// writeTables prints a table of packages, one of lookups and one of words. A figure
// has one value for each tree, in the order of the trees; "-" is a package that the
// tree does not have.
func writeTables(out io.Writer, shapes []shape) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(shapes) > 1 {
		var names []string
		for _, s := range shapes {
			names = append(names, s.Tree)
		}
		fmt.Fprintf(w, "%s\n\n", strings.Join(names, arrow))
	}
	fmt.Fprintln(w, "PACKAGE\tFILES\tLINES\tCODE\tKNOTS\tNO COMMENT")
	for _, path := range paths(shapes) {
		figure := func(get func(figures) string) string {
			return each(shapes, func(s shape) string {
				for _, p := range s.Packages {
					if p.Path == path {
						return get(p)
					}
				}
				return "-"
			})
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", path,
			figure(func(f figures) string { return strconv.Itoa(f.Files) }),
			figure(func(f figures) string { return strconv.Itoa(f.Lines) }),
			figure(func(f figures) string { return strconv.Itoa(f.Code) }),
			figure(func(f figures) string { return sizes(f.Knots) }),
			figure(func(f figures) string { return strconv.Itoa(len(f.Uncommented)) }))
	}
	for i := range shapes[0].Lookups {
		if i == 0 {
			fmt.Fprintln(w, "\nCOMMAND\tLOOKUPS")
		}
		fmt.Fprintf(w, "%s\t%s\n", shapes[0].Lookups[i].Command, each(shapes, func(s shape) string {
			if i >= len(s.Lookups) {
				return "-"
			}
			return strconv.FormatFloat(s.Lookups[i].Calls, 'f', -1, 64)
		}))
	}
	fmt.Fprintln(w, "\nWORD\tTIMES")
	for i := range shapes[0].Words {
		fmt.Fprintf(w, "%s\t%s\n", shapes[0].Words[i].Word,
			each(shapes, func(s shape) string { return strconv.Itoa(len(s.Words[i].Places)) }))
	}
	return w.Flush()
}

// arrow stands between the figures of trees.
const arrow = " → "

func each(shapes []shape, get func(shape) string) string {
	var values []string
	for _, s := range shapes {
		values = append(values, get(s))
	}
	return strings.Join(values, arrow)
}

// paths are the packages of all trees.
func paths(shapes []shape) (all []string) {
	for _, s := range shapes {
		for _, p := range s.Packages {
			all = append(all, p.Path)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sizes are those of knots, "0" without one.
func sizes(knots [][]string) string {
	var all []string
	for _, k := range knots {
		all = append(all, strconv.Itoa(len(k)))
	}
	if all == nil {
		return "0"
	}
	return strings.Join(all, ",")
}
