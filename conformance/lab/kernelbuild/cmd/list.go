package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab/kernelbuild"
)

// listed is a row of list.
type listed struct {
	Name    string `json:"name"`
	Built   bool   `json:"built"`
	Current bool   `json:"current"` // the configuration of today makes the same kernel
	// Kernel is what was built, nil if nothing was.
	Kernel *kernelbuild.Built `json:"kernel,omitempty"`
	Image  string             `json:"image,omitempty"`
}

// rows are the kernels of the catalog and all others that are built.
func rows(built []kernelbuild.Built) []listed {
	var all []listed
	add := func(b kernelbuild.Built) {
		all = append(all, listed{Name: b.Name, Built: true, Current: b.Current(), Kernel: &b, Image: b.Image})
	}
	known := make(map[string]bool)
	for _, k := range kernelbuild.Catalog() {
		known[k.Name()] = true
		found := false
		for _, b := range built {
			if b.Name == k.Name() {
				add(b)
				found = true
			}
		}
		if !found {
			all = append(all, listed{Name: k.Name()})
		}
	}
	for _, b := range built {
		if !known[b.Name] {
			add(b)
		}
	}
	return all
}

func (o *options) list(cache kernelbuild.Cache, stdout io.Writer) error {
	built, err := cache.All()
	if err != nil {
		return err
	}
	all := rows(built)
	if o.json {
		return writeJSON(stdout, all)
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tBUILT\tSOURCE\tSIZE\tTIME\tNOTE")
	for _, row := range all {
		if !row.Built {
			fmt.Fprintf(t, "%s\tno\t\t\t\t\n", row.Name)
			continue
		}
		b := row.Kernel
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%.1f MB\t%.0f s\t%s\n", row.Name, b.At.Local().Format(time.DateTime),
			b.Package, b.Version, float64(b.Size)/1e6, b.Seconds, note(row))
	}
	return t.Flush()
}

// note is what else is worth knowing about a kernel.
func note(row listed) string {
	switch b := row.Kernel; {
	case !row.Current:
		return "from an older configuration; build makes it anew"
	case b.Extra != "":
		return "with a --config of its own"
	case b.Method == "edit":
		return "late_sync by an edit"
	case b.Method == "option":
		return "late_sync by CONFIG_IMA_INIT_LATE_SYNC"
	}
	return ""
}
