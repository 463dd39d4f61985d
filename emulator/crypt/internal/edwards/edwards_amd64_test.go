//go:build amd64 && !purego

package edwards

import "testing"

// BenchmarkTable makes the table, as the first multiplication does.
func BenchmarkTable(b *testing.B) {
	for b.Loop() {
		newBase()
	}
}
