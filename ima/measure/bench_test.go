package measure_test

import (
	"bytes"
	"io"
	"strconv"
	"testing"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// One record measured: policy, hash, duplicate check, list, extend.
func BenchmarkMeasure(b *testing.B) {
	m := start(b, debian(b, "ima_policy=tcb"), newFakeTPM(ima.SHA1, ima.SHA256))
	content := []byte("content")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f := file("/usr/bin/"+strconv.Itoa(i), "")
		f.Inode.Content = func() (io.Reader, error) { return bytes.NewReader(content), nil }
		m.BprmCheck(f, rootCred)
	}
}

// A file that has been measured already, as most accesses are.
func BenchmarkMeasureCached(b *testing.B) {
	m := start(b, debian(b, "ima_policy=tcb"), nil)
	f := file("/usr/bin/true", "x")
	b.ReportAllocs()
	for b.Loop() {
		m.Open(f, rootCred, measure.MayRead)
		m.Release(f)
	}
}
