package main

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"
)

func TestOwnGoroutine(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), ownGoroutine, "helper", "own")
}

func TestEndlessWait(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), endlessWait, "endless")
}
