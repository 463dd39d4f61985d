package main

import "testing"

func TestTheAssemblyIsWhatIsGenerated(t *testing.T) {
	t.Parallel()
	file.AssertWritten(t)
}
