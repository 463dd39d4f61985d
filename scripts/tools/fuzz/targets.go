package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// target is a fuzz target.
type target struct {
	module, pkg string   // the module's path, and the package's below it
	root, dir   string   // where they are
	name        string   // of the function
	arguments   []string // their types, as a file of inputs has them
}

// String returns the name that TARGET is matched with.
func (t target) String() string { return t.pkg + "." + t.name }

// find returns the targets of all packages of the module in the current
// directory.
func find(ctx context.Context) ([]target, error) {
	const format = "{{.Module.Path}}\t{{.Module.Dir}}\t{{.Dir}}{{range .TestGoFiles}}\t{{.}}{{end}}{{range .XTestGoFiles}}\t{{.}}{{end}}"
	list := exec.CommandContext(ctx, "go", "list", "-f", format, "./...")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	var all []target
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		pkg, err := filepath.Rel(fields[1], fields[2])
		if err != nil {
			return nil, err
		}
		for _, file := range fields[3:] {
			found, err := inFile(filepath.Join(fields[2], file))
			if err != nil {
				return nil, err
			}
			for _, t := range found {
				t.module, t.pkg, t.root, t.dir = fields[0], filepath.ToSlash(pkg), fields[1], fields[2]
				all = append(all, t)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b target) int { return strings.Compare(a.pkg, b.pkg) })
	return all, nil
}

// inFile returns the names and arguments of the targets of a file.
func inFile(path string) ([]target, error) {
	source, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(source, []byte("\nfunc Fuzz")) {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []target
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Fuzz") || len(f.Type.Params.List) != 1 ||
			types.ExprString(f.Type.Params.List[0].Type) != "*testing.F" {
			continue
		}
		found = append(found, target{name: f.Name.Name, arguments: arguments(f.Body)})
	}
	return found, nil
}

// arguments returns the types of the arguments after *testing.T of the function that
// body passes to F.Fuzz, nil if there is no such call.
func arguments(body *ast.BlockStmt) (list []string) {
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		function, isFunction := call.Args[0].(*ast.FuncLit)
		if !ok || !isFunction || method.Sel.Name != "Fuzz" {
			return true
		}
		for _, field := range function.Type.Params.List[1:] {
			for range field.Names {
				list = append(list, written(types.ExprString(field.Type)))
			}
		}
		return false
	})
	return list
}

// written returns the name of a type in a file of inputs.
func written(name string) string {
	switch name {
	case "uint8":
		return "byte"
	case "int32":
		return "rune"
	}
	return name
}

// fits reports whether a file of inputs is one of the target as it is now.
func (t target) fits(content []byte) bool {
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(lines) != 1+len(t.arguments) || lines[0] != "go test fuzz v1" {
		return false
	}
	for i, argument := range t.arguments {
		if !strings.HasPrefix(lines[1+i], argument+"(") {
			return false
		}
	}
	return true
}

// choose returns the targets that one of the expressions matches, all of them
// without expressions.
func choose(all []target, expressions []*regexp.Regexp) []target {
	if len(expressions) == 0 {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(t target) bool {
		return !slices.ContainsFunc(expressions, func(re *regexp.Regexp) bool { return re.MatchString(t.String()) })
	})
}
