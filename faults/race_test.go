//go:build race

package faults_test

// short leaves out plays that show no data race that others do not show.
const short = true
