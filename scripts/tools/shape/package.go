package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

func measurePackage(p *packages.Package) (figures, error) {
	f := figures{Path: below(p), Files: len(p.GoFiles), Knots: knots(uses(p)), Uncommented: uncommented(p)}
	for _, path := range p.GoFiles {
		source, err := os.ReadFile(path)
		if err != nil {
			return f, err
		}
		f.Lines += bytes.Count(source, []byte("\n"))
		f.Code += codeLines(source)
	}
	return f, nil
}

// codeLines counts the lines that have more on them than a comment.
func codeLines(source []byte) int {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0) // without comments
	lines := map[int]bool{}
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return len(lines)
		}
		if kind == token.SEMICOLON && literal == "\n" {
			continue // inserted at the end of a line
		}
		line := file.Line(pos)
		for i := range 1 + strings.Count(literal, "\n") { // a raw string
			lines[line+i] = true
		}
	}
}

// graph has for each file the files whose declarations it uses.
type graph map[string]map[string]bool

// uses returns who uses whose declarations among the files of a package: types,
// functions, methods, fields, constants and variables.
func uses(p *packages.Package) graph {
	g := graph{}
	file := func(pos token.Pos) string { return filepath.Base(p.Fset.Position(pos).Filename) }
	for _, syntax := range p.Syntax {
		g[file(syntax.Package)] = map[string]bool{}
	}
	for name, object := range p.TypesInfo.Uses {
		if object.Pkg() != p.Types {
			continue
		}
		if from, to := file(name.Pos()), file(object.Pos()); from != to {
			g[from][to] = true
		}
	}
	return g
}

// knots returns the sets of two or more files that reach each other: the strongly
// connected components of the graph, the largest first.
func knots(g graph) [][]string {
	reached := map[string]map[string]bool{}
	for from := range g {
		reached[from] = map[string]bool{}
		reach(g, from, reached[from])
	}
	taken := map[string]bool{}
	sets := [][]string{}
	for from := range g {
		if !reached[from][from] || taken[from] {
			continue // not on a cycle, or already in a set
		}
		var set []string
		for to := range reached[from] {
			if reached[to][from] {
				set = append(set, to)
				taken[to] = true
			}
		}
		slices.Sort(set)
		sets = append(sets, set)
	}
	slices.SortFunc(sets, func(a, b []string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return slices.Compare(a, b)
	})
	return sets
}

// reach adds what can be reached from a file on one step or more.
func reach(g graph, from string, seen map[string]bool) {
	for to := range g[from] {
		if !seen[to] {
			seen[to] = true
			reach(g, to, seen)
		}
	}
}

// known are the methods that mean what the standard library's interfaces say, and
// need no comment.
var known = []string{"Error", "Unwrap", "Is", "String"}

// uncommented returns the exported names of a package without a comment: types,
// functions, constants, variables, and the methods of exported types. What a
// command exports nobody can use.
func uncommented(p *packages.Package) []string {
	found := []string{}
	if p.Name == "main" {
		return found
	}
	add := func(name *ast.Ident, receiver string) {
		at := p.Fset.Position(name.Pos())
		found = append(found, fmt.Sprintf("%s:%d: %s%s", filepath.Base(at.Filename), at.Line, receiver, name.Name))
	}
	for _, file := range p.Syntax {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				receiver, exported := receiver(d)
				means := d.Recv != nil && slices.Contains(known, d.Name.Name)
				if exported && d.Name.IsExported() && d.Doc == nil && !means {
					add(d.Name, receiver)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					for _, name := range bare(d, spec) {
						add(name, "")
					}
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// receiver returns the receiver of a function as "T.", and whether its type is
// exported. A function without a receiver passes.
func receiver(d *ast.FuncDecl) (string, bool) {
	if d.Recv == nil {
		return "", true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + ".", x.IsExported()
		default:
			return "", false
		}
	}
}

// bare returns the exported names of a specification without a comment of its own,
// at the end of its line, or of the group it is in.
func bare(d *ast.GenDecl, spec ast.Spec) (names []*ast.Ident) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Doc == nil && s.Comment == nil && (d.Doc == nil || d.Lparen.IsValid()) {
			names = []*ast.Ident{s.Name}
		}
	case *ast.ValueSpec:
		if s.Doc == nil && s.Comment == nil && d.Doc == nil {
			names = s.Names
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(n *ast.Ident) bool { return !n.IsExported() })
}
