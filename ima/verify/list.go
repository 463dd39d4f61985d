package verify

import (
	"bytes"
	"hash"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/internal/release"
)

// record notes what a record shows by itself. Its numbers are kept, not its
// content.
func (r *run) record(rec *ima.Record, number int) {
	name := recordName(rec)
	if rec.Violation() {
		r.verdict.Violations++
		r.findings.record(Violation, number)
	}
	if bytes.IndexByte(name, '\n') >= 0 {
		r.findings.record(NameNewline, number)
	}
	if t := rec.Template(); t.Name() == t.Format() {
		r.findings.record(CustomTemplate, number)
	}
	if b, ok := ima.IsBootAggregate(rec, number); ok {
		r.aggregate(b, rec.PCR)
		// What kexec carried over is not in the table of the next kernel.
		r.seen.clear()
	} else if !rec.Violation() && digestZero(rec) {
		r.findings.record(FileDigestZero, number)
	}
	if int(rec.PCR) != r.aggregates.pcr() {
		r.findings.record(OtherPCR, number)
	}
	if !rec.Violation() && r.seen.add(rec.Digest, rec.PCR) {
		r.findings.record(Duplicate, number)
	}
	r.buffer(rec, name, number)
}

// recordName returns the event name without its NUL; it is the record's own.
func recordName(rec *ima.Record) []byte {
	name, ok := rec.Field("n-ng")
	if !ok {
		name, _ = rec.Field("n")
	}
	return bytes.TrimSuffix(name, []byte{0})
}

// digestOf returns the algorithm's name, empty for the d field, and the digest of
// the file or buffer; they are the record's own.
func digestOf(rec *ima.Record) (algo, sum []byte, ok bool) {
	for _, id := range [...]string{"d-ng", "d-ngv2"} {
		if b, found := rec.Field(id); found {
			label, sum, _ := bytes.Cut(b, []byte{0})
			label = bytes.TrimSuffix(label, []byte{':'})
			return label[bytes.LastIndexByte(label, ':')+1:], sum, true
		}
	}
	sum, ok = rec.Field("d")
	return nil, sum, ok
}

// digestZero reports whether the record has a digest and that it is zero.
func digestZero(rec *ima.Record) bool {
	_, sum, ok := digestOf(rec)
	return ok && allZero(sum)
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// buffer looks into a record of a buffer: its digest must be that of what the
// record shows, also where the kernel shows a hash in the buffer's place
// (process_buffer_measurement in ima_main.c).
func (r *run) buffer(rec *ima.Record, name []byte, number int) {
	buf, ok := rec.Field("buf")
	if !ok || len(buf) == 0 || rec.Violation() {
		return
	}
	if algo, sum, ok := digestOf(rec); ok && !r.buffers.match(algo, sum, buf) {
		r.findings.record(BufferMismatch, number)
	}
	if string(name) == kernelVersionName {
		a := &r.aggregates
		r.versions.note(buf, number, a.count > 0 && number == a.list[len(a.list)-1].Record+1, r.evidence.Build.Release)
	}
}

// bufferHashes are the hashes in use.
type bufferHashes map[string]hash.Hash

// match reports whether sum is the digest of buf. What package ima cannot compute
// matches.
func (h *bufferHashes) match(algo, sum, buf []byte) bool {
	f, ok := (*h)[string(algo)]
	if !ok {
		a, err := ima.ParseHashAlgo(string(algo))
		if err != nil {
			return true
		}
		if f, err = a.New(); err != nil {
			return true
		}
		if *h == nil {
			*h = make(bufferHashes)
		}
		(*h)[string(algo)] = f
	}
	f.Reset()
	f.Write(buf)
	var room [64]byte
	return bytes.Equal(f.Sum(room[:0]), sum)
}

// kernelVersionName is the event of the critical data kernel_info
// (ima_init in ima_init.c).
const kernelVersionName = "kernel_version"

// versionMax bounds how much of a release is shown, in bytes; UTS_RELEASE has
// at most 64.
const versionMax = 64

// versions are the records of kernel_version. Each kernel that kexec has started
// adds one; the build is that of the first.
type versions struct {
	records   []int // the first MaxRecords
	count     int
	release   string // of the first one
	differs   bool   // from the build's
	misplaced []int
}

func (v *versions) note(recorded []byte, number int, placed bool, want string) {
	v.count++
	v.records = appendBounded(v.records, number)
	if !placed {
		v.misplaced = appendBounded(v.misplaced, number)
	}
	if v.count == 1 {
		v.release = string(recorded[:min(len(recorded), versionMax)])
		v.differs = want != "" && !release.Same(string(recorded), want)
	}
}

func appendBounded(numbers []int, n int) []int {
	if len(numbers) < MaxRecords {
		return append(numbers, n)
	}
	return numbers
}

func (r *run) concludeVersions() {
	v := &r.versions
	if v.count == 0 {
		return
	}
	f := r.add(KernelVersion, "The kernel recorded its release, %q.", v.release)
	f.Count, f.Records = v.count, v.records
	if !r.beginsAtBoot() {
		// The boot aggregate of this kernel, and which kernel it is of those
		// that kexec has started, are in what precedes the list.
		return
	}
	if len(v.misplaced) > 0 {
		r.add(KernelVersionPlace, "kernel_version does not follow a boot aggregate, after which a kernel records it when IMA starts.").at(v.misplaced...)
	}
	if v.differs {
		r.add(KernelVersionDiffers, "The release recorded is not that of the build, %q.", r.evidence.Build.Release).at(v.records[0])
	}
}

// ambiguity notes that the last record read spans lines of an ASCII list.
func (r *run) ambiguity(a *ima.Ambiguity) {
	switch {
	case a == nil:
	case a.Proven:
		r.findings.record(ASCIIAmbiguous, a.Record)
	default:
		r.findings.record(ASCIIUnproven, a.Record)
	}
}
