// Testlint finds tests that cannot fail as they should: in a goroutine that is
// not the test's, and by waiting without end. scripts/test has go vet call it,
// by -vettool.
package main

import "golang.org/x/tools/go/analysis/unitchecker"

func main() { unitchecker.Main(ownGoroutine, endlessWait) }
