package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/types/typeutil"
)

// ownGoroutine reports calls that end a test (require, Fatal, FailNow, Skip) in a
// goroutine that is not the test's: they end that goroutine alone, and the test that
// waits for it waits without end (package testing: "FailNow must be called from the
// goroutine running the test"). A callback in a struct counts too: its holder may call
// it from any goroutine.
//
// It follows calls into functions, of other packages too, and into closures that
// a variable holds.
var ownGoroutine = &analysis.Analyzer{
	Name:      "owngoroutine",
	Doc:       "report what ends a test in a goroutine that is not the test's",
	Run:       runOwnGoroutine,
	FactTypes: []analysis.Fact{new(endsTest)},
}

// endsTest is the fact that a function may end the test, and by what.
type endsTest struct{ By string }

func (*endsTest) AFact() {}

func (e *endsTest) String() string { return "ends the test by " + e.By }

// enders is one package under examination.
type enders struct {
	pass *analysis.Pass
	// closures are the functions that local variables hold.
	closures map[types.Object]*ast.FuncLit
	busy     map[*ast.FuncLit]bool // against recursion
}

func runOwnGoroutine(pass *analysis.Pass) (any, error) {
	e := &enders{pass: pass, closures: make(map[types.Object]*ast.FuncLit), busy: make(map[*ast.FuncLit]bool)}
	for _, file := range pass.Files {
		ast.Inspect(file, e.collect)
	}
	e.exportFacts()
	for _, file := range pass.Files {
		ast.Inspect(file, e.goroutines)
	}
	return nil, nil
}

// collect remembers which variable holds which closure.
func (e *enders) collect(n ast.Node) bool {
	hold := func(name, value ast.Expr) {
		id, ok := name.(*ast.Ident)
		lit, is := value.(*ast.FuncLit)
		if ok && is {
			if obj := e.pass.TypesInfo.ObjectOf(id); obj != nil {
				e.closures[obj] = lit
			}
		}
	}
	switch n := n.(type) {
	case *ast.AssignStmt:
		if len(n.Lhs) == len(n.Rhs) {
			for i := range n.Lhs {
				hold(n.Lhs[i], n.Rhs[i])
			}
		}
	case *ast.ValueSpec:
		for i := range n.Values {
			hold(n.Names[i], n.Values[i])
		}
	}
	return true
}

// exportFacts records the functions of the package that end a test, until it finds no
// more.
func (e *enders) exportFacts() {
	for found := true; found; {
		found = false
		for _, file := range e.pass.Files {
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok || f.Body == nil {
					continue
				}
				obj, _ := e.pass.TypesInfo.Defs[f.Name].(*types.Func)
				if obj == nil || e.pass.ImportObjectFact(obj, new(endsTest)) {
					continue
				}
				if _, by := e.ender(f.Body); by != "" {
					e.pass.ExportObjectFact(obj, &endsTest{by})
					found = true
				}
			}
		}
	}
}

// ender returns the first call in body that may end the test, and by what.
// Closures in body are other functions.
func (e *enders) ender(body ast.Node) (at token.Pos, by string) {
	ast.Inspect(body, func(n ast.Node) bool {
		if by != "" {
			return false
		}
		switch n := n.(type) {
		case *ast.FuncLit:
			return n == body
		case *ast.GoStmt:
			return false // has a report of its own
		case *ast.CallExpr:
			if lit, ok := n.Fun.(*ast.FuncLit); ok {
				at, by = e.enderOf(lit)
			} else if what := e.endsBy(n); what != "" {
				at, by = n.Pos(), what
			}
		}
		return by == ""
	})
	return at, by
}

func (e *enders) enderOf(lit *ast.FuncLit) (token.Pos, string) {
	if e.busy[lit] {
		return token.NoPos, ""
	}
	e.busy[lit] = true
	defer delete(e.busy, lit)
	return e.ender(lit.Body)
}

// endsBy returns the name of what ends the test in a call, "" if nothing does.
func (e *enders) endsBy(call *ast.CallExpr) string {
	if id, ok := call.Fun.(*ast.Ident); ok {
		if lit := e.closures[e.pass.TypesInfo.ObjectOf(id)]; lit != nil {
			if _, by := e.enderOf(lit); by != "" {
				return id.Name + ", which calls " + by
			}
			return ""
		}
	}
	f, ok := typeutil.Callee(e.pass.TypesInfo, call).(*types.Func)
	if !ok || f.Pkg() == nil {
		return ""
	}
	switch path := f.Pkg().Path(); {
	case path == "testing" || path == "runtime":
		switch f.Name() {
		case "FailNow", "Fatal", "Fatalf", "Skip", "Skipf", "SkipNow", "Goexit":
			return f.Pkg().Name() + "." + f.Name()
		}
		return ""
	case strings.HasSuffix(path, "testify/require"):
		return "require." + f.Name()
	case strings.HasSuffix(path, "testify/assert"):
		return "" // but for FailNow, which nobody calls
	}
	var fact endsTest
	if e.pass.ImportObjectFact(f.Origin(), &fact) {
		by, _, _ := strings.Cut(fact.By, ", which")
		return f.Name() + ", which calls " + by
	}
	return ""
}

// goroutines reports enders in functions that run, or may run, in another goroutine.
func (e *enders) goroutines(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		if lit, ok := n.Call.Fun.(*ast.FuncLit); ok {
			e.report(lit, "a goroutine")
		} else if by := e.endsBy(n.Call); by != "" {
			e.pass.Reportf(n.Pos(), "%s ends a goroutine that is not the test's", by)
		}
	case *ast.CallExpr:
		where := e.starts(n)
		for _, arg := range n.Args {
			if lit := e.function(arg); lit != nil && where != "" {
				e.report(lit, where)
			}
		}
	case *ast.KeyValueExpr:
		if e.isField(n.Key) {
			e.reportCallback(n.Value)
		}
	case *ast.AssignStmt:
		for i := range n.Lhs {
			if selector, ok := n.Lhs[i].(*ast.SelectorExpr); ok && len(n.Lhs) == len(n.Rhs) && e.isField(selector.Sel) {
				e.reportCallback(n.Rhs[i])
			}
		}
	}
	return true
}

// function returns the closure that an expression is, or that a variable holds.
func (e *enders) function(expr ast.Expr) *ast.FuncLit {
	switch expr := expr.(type) {
	case *ast.FuncLit:
		return expr
	case *ast.Ident:
		return e.closures[e.pass.TypesInfo.ObjectOf(expr)]
	}
	return nil
}

// starts returns the name of what runs the function arguments of a call in another
// goroutine, "" if the call is not known to start goroutines.
func (e *enders) starts(call *ast.CallExpr) string {
	if conversion, ok := e.pass.TypesInfo.Types[call.Fun]; ok && conversion.IsType() {
		if conversion.Type.String() == "net/http.HandlerFunc" {
			return "an HTTP handler"
		}
		return ""
	}
	f, ok := typeutil.Callee(e.pass.TypesInfo, call).(*types.Func)
	if !ok || f.Pkg() == nil {
		return ""
	}
	switch {
	case f.Name() == "Go" || f.Name() == "Background":
		return "a goroutine"
	case f.Name() == "AfterFunc":
		return "a goroutine"
	case strings.Contains(f.Pkg().Path(), "/testify/") && (f.Name() == "Eventually" || f.Name() == "Never"):
		return "the goroutine of a condition"
	case f.Pkg().Path() == "net/http" && f.Name() == "HandleFunc":
		return "an HTTP handler"
	}
	return ""
}

func (e *enders) isField(key ast.Expr) bool {
	id, ok := key.(*ast.Ident)
	if !ok {
		return false
	}
	v, ok := e.pass.TypesInfo.ObjectOf(id).(*types.Var)
	// The fields of a test's own table are called by the test.
	return ok && v.IsField() && v.Exported()
}

func (e *enders) reportCallback(value ast.Expr) {
	if lit := e.function(value); lit != nil {
		e.report(lit, "a callback, which may run in a goroutine")
	}
}

// report reports every ender in a function, unless the function has its own test.
func (e *enders) report(lit *ast.FuncLit, where string) {
	if hasTest(e.pass, lit.Type) {
		return
	}
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.GoStmt:
			return false
		case *ast.CallExpr:
			if by := e.endsBy(n); by != "" {
				e.pass.Reportf(n.Pos(), "%s ends %s that is not the test's: use assert, or send what came to the test", by, where)
			}
		}
		return true
	})
}

// hasTest reports whether a function is given a test.
func hasTest(pass *analysis.Pass, f *ast.FuncType) bool {
	return slices.ContainsFunc(f.Params.List, func(field *ast.Field) bool {
		return isTest(pass.TypesInfo.TypeOf(field.Type))
	})
}

// isTest reports whether t is one of testing's T, B, F, TB.
func isTest(t types.Type) bool {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := t.(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == "testing"
}
