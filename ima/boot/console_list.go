package boot

import (
	"io"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
)

// maxList bounds a measurement list in bytes.
const maxList = 16 << 20

// consoleList is the measurement list of a machine.
type consoleList struct {
	records []*ima.Record
	// first is the first boot aggregate, second the place of another one, 0 if
	// there is none.
	first  *ima.Record
	second int
}

// readConsoleList reads a measurement list.
func readConsoleList(list io.Reader) (*consoleList, error) {
	reader, err := ima.NewReader(io.LimitReader(list, maxList), ima.Format{})
	if err != nil {
		return nil, &ConsoleError{Reason: "no reader for the list", Err: err}
	}
	records, err := ima.ReadAll(reader)
	if err != nil {
		return nil, &ConsoleError{Reason: "the measurement list", Err: err}
	}
	if len(records) > maxItems/2 {
		records = records[:maxItems/2]
	}
	l := &consoleList{records: records}
	for i, r := range records {
		if _, ok := ima.IsBootAggregate(r, i+1); !ok {
			continue
		}
		if l.first != nil {
			l.second = i
			break
		}
		l.first = r
	}
	return l, nil
}

// aggregate is the name of the boot aggregate's record, empty without one.
func (l *consoleList) aggregate() string {
	if l == nil || l.first == nil {
		return ""
	}
	return l.first.Name()
}

// again reports whether the boot aggregate is recorded a second time, as at
// late_sync.
func (l *consoleList) again() bool {
	return l != nil && l.second > 0 && l.records[l.second].Name() == ima.BootAggregateLateName
}

// apply returns the platform the files of the list. What is between two boot
// aggregates was used by helpers in the gap, the rest by userspace. kinds are how
// files were used, where the list alone does not tell.
func (l *consoleList) apply(p *Platform, kinds map[string]AccessKind) {
	l.applyAggregate(p)
	var gap, rest []Access
	seen := make(map[string]bool)
	for i, r := range l.records {
		a, ok := accessOf(r)
		if !ok || seen[a.Path] {
			continue
		}
		seen[a.Path] = true
		if kind, ok := kinds[a.Path]; ok {
			a.Kind = kind
		}
		if i < l.second {
			gap = append(gap, a)
		} else {
			rest = append(rest, a)
		}
	}
	l.place(p, gap, rest, seen)
	addGap(p, gap)
}

// place puts the files on file systems that are measured: the list's own records
// show whether the root file system is one.
func (l *consoleList) place(p *Platform, gap, rest []Access, seen map[string]bool) {
	init := p.Userspace.Accesses[0]
	spared := len(p.FileSystems) > 0
	switch {
	case spared && seen[init.Path]:
		p.FileSystems = nil
	case spared && len(seen) > 0:
		const disk = "disk"
		p.FileSystems = append(p.FileSystems, FileSystem{Name: disk, Type: "ext4", Magic: ext4Magic})
		for _, list := range [][]Access{gap, rest} {
			for i := range list {
				list[i].FS = disk
			}
		}
		rest = append([]Access{init}, rest...)
	case len(rest) == 0:
		return
	}
	p.Userspace.Accesses = append(rest, p.Userspace.Accesses[1:]...)
}

func (l *consoleList) applyAggregate(p *Platform) {
	if l.first == nil {
		return
	}
	k := &p.Kernel
	if _, builtin := ima.LookupTemplate(l.first.Template().Name()); builtin {
		k.Template = l.first.Template().Name()
	}
	d, ok := l.first.FileDigest()
	if !ok || d.Zero() || !d.Algo.Available() {
		return
	}
	p.Aggregate = ima.FileDigest{Algo: d.Algo, Sum: slices.Clone(d.Sum)}
	if k.Hash == 0 {
		k.Hash = d.Algo
	}
}

// accessOf guesses how a file of a list was used: the list does not tell.
func accessOf(r *ima.Record) (Access, bool) {
	path := r.Name()
	d, ok := r.FileDigest()
	if !ok || r.Violation() || len(d.Sum) == 0 || len(d.Sum) != d.Algo.Size() ||
		!strings.HasPrefix(path, "/") || strings.Contains(path, `"`) || !printable(path) || r.Template().Name() == "ima-buf" {
		return Access{}, false
	}
	a := Access{Kind: Read, Path: path, Digest: ima.FileDigest{Algo: d.Algo, Sum: slices.Clone(d.Sum)}}
	switch {
	case strings.Contains(path, ".so.") || strings.HasSuffix(path, ".so"):
		a.Kind = Map
	case strings.Contains(path, "/bin/"), strings.Contains(path, "/sbin/"), strings.HasPrefix(path, "/usr/lib/systemd/systemd"), path == "/init":
		a.Kind = Exec
	}
	return a, true
}

// addGap adds a helper that uses the files of the gap, called between init_ima
// and late_sync: by the initcall that takes longest there, a self-test mostly.
func addGap(p *Platform, files []Access) {
	if len(files) == 0 {
		return
	}
	p.Helpers = append(p.Helpers, Helper{Name: "gap", Accesses: files})
	start, longest := -1, -1
	for i := range p.Initcalls {
		call := &p.Initcalls[i]
		switch {
		case call.Action == StartIMA:
			start = i
		case start >= 0 && call.Level == initcall.Late && call.Action == NoAction && (longest < 0 || call.Took > p.Initcalls[longest].Took):
			longest = i
		}
	}
	if longest < 0 {
		longest = start + 1
		p.Initcalls = slices.Insert(p.Initcalls, longest, Initcall{Level: initcall.Late, Name: freeName(p, "request_module")})
	}
	p.Initcalls[longest].Helpers = []string{"gap"}
}
