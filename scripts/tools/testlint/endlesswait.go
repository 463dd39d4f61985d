package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/types/typeutil"
)

// endlessWait reports waits of a test that nothing ends if what it tests is broken: a
// receive that is no case of a select, and WaitGroup.Wait. It does not report receives
// from timers and contexts, goroutines other than the test's, and bubbles of
// testing/synctest, where a wait without end panics.
var endlessWait = &analysis.Analyzer{
	Name: "endlesswait",
	Doc:  "report waits without end in tests",
	Run:  runEndlessWait,
}

func runEndlessWait(pass *analysis.Pass) (any, error) {
	for _, file := range pass.Files {
		if !strings.HasSuffix(pass.Fset.Position(file.Pos()).Filename, "_test.go") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool { return visitWait(pass, n) })
	}
	return nil, nil
}

func visitWait(pass *analysis.Pass, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return hasTest(pass, n.Type) // another one may be called from anywhere
	case *ast.GoStmt, *ast.SelectStmt, *ast.CompositeLit:
		return false
	case *ast.AssignStmt:
		// A closure is called from where it is not known.
		_, closure := n.Rhs[0].(*ast.FuncLit)
		return !closure
	case *ast.CallExpr:
		f, _ := typeutil.Callee(pass.TypesInfo, n).(*types.Func)
		if f == nil {
			return true
		}
		if f.FullName() == "(*sync.WaitGroup).Wait" {
			pass.Reportf(n.Pos(), "WaitGroup.Wait has no end if the test fails: use transporttest.Wait")
		}
		return runsHere(f)
	case *ast.UnaryExpr:
		if n.Op == token.ARROW && !ends(pass, n.X) {
			pass.Reportf(n.Pos(), "this receive has no end if the test fails: use transporttest.Receive, or a select")
		}
	}
	return true
}

// runsHere reports whether a call runs the functions that it is given in the
// test's goroutine, or that of a subtest.
func runsHere(f *types.Func) bool {
	switch f.Name() {
	case "Go", "Background", "AfterFunc", "HandlerFunc", "HandleFunc":
		return false
	}
	return f.FullName() != "testing/synctest.Test"
}

// ends reports whether a channel is one of those that time or a context closes.
func ends(pass *analysis.Pass, channel ast.Expr) bool {
	switch x := channel.(type) {
	case *ast.CallExpr:
		f, _ := typeutil.Callee(pass.TypesInfo, x).(*types.Func)
		return f != nil && (f.FullName() == "time.After" || f.Name() == "Done" && f.Pkg().Path() == "context")
	case *ast.SelectorExpr:
		return strings.HasPrefix(pass.TypesInfo.TypeOf(x.X).String(), "*time.")
	}
	return false
}
