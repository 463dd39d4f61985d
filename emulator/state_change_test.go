package emulator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The contract about NV is kept by accessors: only their file touches what they
// note, and nothing assigns to the persistent state but through changePersistent.
// What the compiler does not see, CheckErrors finds at run time.
func TestPersistentStateChangesThroughAccessors(t *testing.T) {
	t.Parallel()
	const accessors, comparison = "state_change.go", "state_check.go"
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.Contains(t, names, accessors)
	require.Contains(t, names, comparison)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if selects(n.X, "changes") && name != accessors && name != comparison {
					t.Errorf("%v touches changes.%s", fset.Position(n.Pos()), n.Sel.Name)
				}
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					assert.Falsef(t, withinPersistent(left), "%v assigns to the persistent state", fset.Position(left.Pos()))
				}
			case *ast.IncDecStmt:
				assert.Falsef(t, withinPersistent(n.X), "%v assigns to the persistent state", fset.Position(n.Pos()))
			}
			return true
		})
	}
}

// selects reports whether e is x.name.
func selects(e ast.Expr, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	return ok && s.Sel.Name == name
}

// withinPersistent reports whether e is s.Persistent or something in it.
func withinPersistent(e ast.Expr) bool {
	for {
		switch x := e.(type) {
		case *ast.SelectorExpr:
			if x.Sel.Name == "Persistent" && (selects(x.X, "s") || isIdent(x.X, "s")) {
				return true
			}
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		default:
			return false
		}
	}
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
