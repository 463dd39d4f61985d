// Command testlint finds tests that cannot fail as they should: because a goroutine
// other than the test's fails, or because the test waits without end. scripts/test
// passes it to go vet as -vettool.
package main

import "golang.org/x/tools/go/analysis/unitchecker"

func main() { unitchecker.Main(ownGoroutine, endlessWait) }
