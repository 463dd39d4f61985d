package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/tools/go/packages"
)

// lookups are the calls of methods of TPM that take a handle, for one command.
type lookups struct {
	Command   string             `json:"command"`
	Calls     float64            `json:"calls"`
	Functions map[string]float64 `json:"functions"`
}

// benchmarks of the emulator, and the command, or commands, that each sends in a
// round.
var benchmarks = []struct{ command, pattern string }{
	{"TPM2_PCR_Extend", "^BenchmarkPCRExtend$/^1of1$"},
	{"TPM2_NV_Read", "^BenchmarkNV$/^Read8$"},
	{"TPM2_NV_Write", "^BenchmarkNV$/^Write8$"},
	{"TPM2_Load, TPM2_FlushContext", "^BenchmarkLoadP256$"},
}

// rounds is how many rounds of a benchmark are counted.
const rounds = 100

// countLookups runs benchmarks of the emulator in the tree below dir, built so that
// they count how often each function is called. It counts two runs, one longer by
// rounds, and takes the difference, which leaves out what prepares the benchmark.
// A tree without emulator has no lookups.
func countLookups(ctx context.Context, dir string, loaded []*packages.Package) ([]lookups, error) {
	emulator := find(loaded, "emulator")
	if emulator == nil {
		return nil, nil
	}
	functions := takeHandles(emulator)
	work, err := os.MkdirTemp("", "shape-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	program := filepath.Join(work, "emulator.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-covermode=count", "-o", program, "./emulator")
	build.Dir = dir
	if _, err := output(build); err != nil {
		return nil, err
	}
	var all []lookups
	for _, b := range benchmarks {
		var calls [2]map[string]int
		for i := range calls {
			profile := filepath.Join(work, "profile")
			bench := exec.CommandContext(ctx, program, "-test.run=^$", "-test.bench="+b.pattern,
				fmt.Sprintf("-test.benchtime=%dx", (1+i)*rounds), "-test.coverprofile="+profile)
			bench.Dir = filepath.Join(dir, "emulator")
			said, err := output(bench)
			if err != nil {
				return nil, err
			}
			if !strings.Contains(string(said), "Benchmark") {
				return nil, fmt.Errorf("emulator: there is no benchmark %s", b.pattern)
			}
			text, err := os.ReadFile(profile)
			if err != nil {
				return nil, err
			}
			if calls[i], err = called(string(text), functions); err != nil {
				return nil, err
			}
		}
		l := lookups{Command: b.command, Functions: map[string]float64{}}
		for name := range calls[1] {
			if n := calls[1][name] - calls[0][name]; n != 0 {
				l.Functions[name] = float64(n) / rounds
				l.Calls += float64(n) / rounds
			}
		}
		all = append(all, l)
	}
	return all, nil
}

// find returns the package with a path below the module, nil without one.
func find(loaded []*packages.Package, path string) *packages.Package {
	for _, p := range loaded {
		if below(p) == path {
			return p
		}
	}
	return nil
}

// function is where a function stands.
type function struct {
	name, file    string
	line, endLine int
	column        int
}

// takeHandles returns the methods of TPM with a parameter of type wire.Handle.
func takeHandles(p *packages.Package) []function {
	var all []function
	for _, file := range p.Syntax {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Body == nil || !takesHandle(p, f) {
				continue
			}
			if of, _ := receiver(f); of != "TPM." {
				continue
			}
			begin, end := p.Fset.Position(f.Body.Lbrace), p.Fset.Position(f.Body.Rbrace)
			all = append(all, function{f.Name.Name, filepath.Base(begin.Filename), begin.Line, end.Line, begin.Column})
		}
	}
	return all
}

func takesHandle(p *packages.Package, f *ast.FuncDecl) bool {
	for _, field := range f.Type.Params.List {
		named, ok := p.TypesInfo.TypeOf(field.Type).(*types.Named)
		if ok && named.Obj().Name() == "Handle" && path.Base(named.Obj().Pkg().Path()) == "wire" {
			return true
		}
	}
	return false
}

// block is a line of a profile of go test: NAME:LINE.COLUMN,LINE.COLUMN STATEMENTS
// COUNT.
var block = regexp.MustCompile(`^(\S+):(\d+)\.(\d+),\d+\.\d+ \d+ (\d+)$`)

// called returns how often each function was called: the count of the first block
// of its body.
func called(profile string, functions []function) (map[string]int, error) {
	calls, first := map[string]int{}, map[string][2]int{}
	for line := range strings.Lines(profile) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "mode:") {
			continue
		}
		m := block.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%q is no line of a profile", line)
		}
		var n [3]int
		for i := range n {
			var err error
			if n[i], err = strconv.Atoi(m[2+i]); err != nil {
				return nil, err
			}
		}
		for _, f := range functions {
			if f.file != path.Base(m[1]) || n[0] < f.line || n[0] == f.line && n[1] < f.column || n[0] > f.endLine {
				continue
			}
			if at, ok := first[f.name]; !ok || n[0] < at[0] || n[0] == at[0] && n[1] < at[1] {
				first[f.name], calls[f.name] = [2]int{n[0], n[1]}, n[2]
			}
		}
	}
	return calls, nil
}
