package boot

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// Pinning: of a real machine's files only the digests are known, and of its
// firmware only the boot aggregate, while package ima hashes what it is given.
// A file with a known digest is therefore one of fs-verity, whose digest IMA
// takes from the file system; its file system's UUID selects copies of the
// policy's rules that ask for that. The boot aggregate is exchanged where it
// leaves IMA: in the digests that are extended and in the list that is shown.

// pinnedUUID marks the file systems of files with a known digest.
var pinnedUUID = [16]byte{0x76, 0x65, 0x72, 0x69, 0x74, 0x79, 0x40, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 1}

const pinnedUUIDText = "76657269-7479-4000-8000-000000000001"

// pinFiles returns the kernel, if the platform has files with known digests, the
// rules for them: the policy's own become those of the architecture. It reports
// whether it did, because the kernel does not log then that there are none.
func (k *kernel) pinFiles(config *measure.Config) (bool, error) {
	if !k.platform.pinsFiles() {
		return false, nil
	}
	asked := *config
	asked.ReadPolicy = true
	m, err := measure.New(asked)
	if err != nil {
		return false, err
	}
	if err := m.Init(func() measure.TPM { return nil }); err != nil {
		return false, nil // it will not start, so nothing will be measured
	}
	policy, err := m.ReadSecurityFile("policy")
	if err != nil {
		return false, err
	}
	for rule := range strings.Lines(string(policy)) {
		rule = strings.TrimSpace(rule)
		if wantsFile(rule) {
			config.ArchPolicy = append(config.ArchPolicy, rule+" fsuuid="+pinnedUUIDText+" digest_type=verity")
		}
		config.ArchPolicy = append(config.ArchPolicy, rule)
	}
	config.CommandLine = dropPolicy(config.CommandLine)
	return true, nil
}

// dropPolicy takes the words that choose a policy out of a command line. The
// value of ima_policy= may be in double quotes, with blanks.
func dropPolicy(line string) string {
	quoted := false
	var kept []string
	for word := range strings.FieldsFuncSeq(line, func(c rune) bool {
		if c == '"' {
			quoted = !quoted
		}
		return c == ' ' && !quoted
	}) {
		name, _, _ := strings.Cut(strings.ReplaceAll(word, "-", "_"), "=")
		if name != "ima_policy" && name != "ima_tcb" && name != "ima_appraise_tcb" {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

func (p *Platform) pinsFiles() bool {
	has := func(a Access) bool { return a.Digest.Sum != nil }
	return slices.ContainsFunc(p.Userspace.Accesses, has) ||
		slices.ContainsFunc(p.Helpers, func(h Helper) bool { return slices.ContainsFunc(h.Accesses, has) })
}

// wantsFile reports whether a rule measures files through hooks that know fs-verity.
func wantsFile(rule string) bool {
	if !strings.HasPrefix(rule, "measure ") || strings.Contains(rule, "fsuuid=") || strings.Contains(rule, "digest_type=") {
		return false
	}
	for _, hook := range []string{"FILE_CHECK", "MMAP_CHECK", "MMAP_CHECK_REQPROT", "BPRM_CHECK", "CREDS_CHECK"} {
		if slices.Contains(strings.Fields(rule), "func="+hook) {
			return true
		}
	}
	return !strings.Contains(rule, "func=")
}

// isAggregate reports whether a record is a boot aggregate that is pinned: one that is
// not zero.
func (p *Platform) isAggregate(r *ima.Record) bool {
	if p.Aggregate.Sum == nil || r.Name() != ima.BootAggregateName && r.Name() != ima.BootAggregateLateName {
		return false
	}
	d, ok := r.FileDigest()
	return ok && !d.Zero()
}

// pinAggregate returns the record with the pinned boot aggregate in it and its
// template digest of algo; other records as they are.
func (p *Platform) pinAggregate(r *ima.Record, algo ima.HashAlgo) (*ima.Record, error) {
	if !p.isAggregate(r) {
		return r, nil
	}
	var values [][]byte
	for _, id := range r.Template().Fields() {
		value, _ := r.Field(id)
		switch id {
		case "d":
			value = p.Aggregate.Sum
		case "d-ng":
			value = digestField("", p.Aggregate)
		case "d-ngv2":
			value = digestField("ima:", p.Aggregate)
		}
		values = append(values, value)
	}
	return ima.NewRecord(r.Template(), r.Order(), r.PCR, algo, values...)
}

// digestField is a field d-ng or d-ngv2: prefix, hash, colon, NUL, digest.
func digestField(prefix string, d ima.FileDigest) []byte {
	field := append([]byte(prefix), d.Algo.String()...)
	return append(append(field, ':', 0), d.Sum...)
}

// pinnedDigests returns what is extended for the record that IMA has just
// appended.
func (k *kernel) pinnedDigests(digests [][]byte) [][]byte {
	if k.platform.Aggregate.Sum == nil || !k.ima.adding {
		return digests
	}
	records := k.ima.Records()
	last := records[len(records)-1]
	pinned, err := k.platform.pinAggregate(last, ima.SHA1)
	if err != nil || pinned == last {
		return digests
	}
	own := make([][]byte, len(digests))
	for i, bank := range k.chip.banks {
		own[i] = pinned.Digest // with zeros after it, where the kernel has not the bank's hash
		before, err := last.TemplateDigest(bank.CryptoID)
		if err == nil && bytes.Equal(before, digests[i]) {
			own[i], _ = pinned.TemplateDigest(bank.CryptoID)
		}
		own[i] = append(slices.Clip(own[i]), make([]byte, max(0, len(digests[i])-len(own[i])))...)
	}
	return own
}

// List is the measurement list as the machine's files show it after the boot:
// IMA's, with the platform's boot aggregate in place of the computed one and
// without what an attacker took out.
type List struct {
	ima      *measure.IMA
	platform *Platform
	hidden   []string
}

// plain reports whether the list is IMA's own.
func (l *List) plain() bool { return l.platform.Aggregate.Sum == nil && len(l.hidden) == 0 }

// Records returns the records with template digests of sha1.
func (l *List) Records() ([]*ima.Record, error) {
	records := l.ima.Records()
	if l.plain() {
		return records, nil
	}
	return l.shown(records, ima.SHA1)
}

func (l *List) shown(records []*ima.Record, algo ima.HashAlgo) (list []*ima.Record, err error) {
	for _, r := range records {
		if slices.Contains(l.hidden, r.Name()) {
			continue
		}
		if r, err = l.platform.pinAggregate(r, algo); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Files lists the files in securityfs (measure.IMA.SecurityFiles).
func (l *List) Files() []measure.SecurityFile { return l.ima.SecurityFiles() }

// ReadFile returns the content of a file in securityfs
// (measure.IMA.ReadSecurityFile).
func (l *List) ReadFile(name string) ([]byte, error) {
	content, err := l.ima.ReadSecurityFile(name)
	if err != nil || l.plain() {
		return content, err
	}
	if name == "runtime_measurements_count" {
		records, err := l.Records()
		return fmt.Appendf(nil, "%d\n", len(records)), err
	}
	kind, bank, ok := strings.Cut(name, "_runtime_measurements")
	if !ok || kind != "ascii" && kind != "binary" {
		return content, nil
	}
	format := ima.Format{Digest: ima.SHA1}
	if bank = strings.TrimPrefix(bank, "_"); bank != "" {
		// A bank of a hash that this program does not know has no own
		// digests to show; the kernel's are those of sha1, padded.
		if format.Digest, err = ima.ParseHashAlgo(bank); err != nil {
			return content, nil
		}
	}
	return l.rewrite(kind, content, format)
}

func (l *List) rewrite(kind string, content []byte, format ima.Format) ([]byte, error) {
	reader, err := ima.Open(content, format)
	if err != nil {
		return nil, err
	}
	records, err := ima.ReadAll(reader)
	if err != nil {
		return nil, err
	}
	if records, err = l.shown(records, format.Digest); err != nil {
		return nil, err
	}
	var out []byte
	for _, r := range records {
		if kind == "ascii" {
			out, err = r.AppendText(out)
		} else {
			out, err = r.AppendBinary(out)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
