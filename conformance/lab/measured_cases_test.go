package lab

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

// measuredCase is a boot in which IMA measures a few files, and what must come of it.
type measuredCase struct {
	name   string
	append string
	banks  string   // of the TPM, as swtpmd setup takes them; all if empty
	flags  []string // swtpmd's
	script string   // what the guest does; files of /lab can be written
	files  map[string]string
	// policies and versions are as in bootEvents.
	policies []string
	versions map[string][]string
	fails    func(extend int) error
	// ahead: the PCRs do not have the list.
	ahead bool
	// check looks at the list besides.
	check func(t *testing.T, s *snapshot, log string)
}

// fewFiles executes and reads some files.
const fewFiles = "head -c 100 /etc/passwd; uname -a; cat /lab/a"

// measures boots a case, and compares list, PCRs and the embedded IMA.
func (b *measuredBench) measures(t *testing.T, c *measuredCase) {
	files := map[string]string{"lab/script": "#!/bin/bash\n" + c.script + "\n"}
	for name, content := range c.files {
		files[name] = content
	}
	config := &measuredConfig{append: c.append, flags: c.flags, files: files, banks: c.banks, traced: true}
	g := b.boot(t, config)
	said := g.run(t, "/lab/script")
	t.Log(said)
	s := g.takeSnapshot(t)
	events := g.trace(t)
	g.quit(t)
	log, err := os.ReadFile(g.console)
	require.NoError(t, err)
	if !c.ahead {
		s.replays(t)
	}
	s.sameASCII(t)
	b.plays(t, s, events, &bootEvents{config: config, policies: c.policies, versions: c.versions, fails: c.fails})
	if c.check != nil {
		c.check(t, s, string(log))
	}
}

// names returns the names of the records, with "!" before those of violations.
func (s *snapshot) names(t *testing.T) []string {
	t.Helper()
	list, err := ima.Open(s.list, ima.Format{})
	require.NoError(t, err)
	records, err := ima.ReadAll(list)
	require.NoError(t, err)
	var names []string
	for _, r := range records {
		name := r.Name()
		if r.Violation() {
			name = "!" + name
		}
		names = append(names, name)
	}
	return names
}

// failedExtend is the error of a TPM that refuses one extend.
type failedExtend struct{}

func (failedExtend) Error() string    { return "TPM_RC_FAILURE" }
func (failedExtend) ErrnoResult() int { return 0x101 }

// customPolicy has rules of many kinds.
const customPolicy = `# what is executed, and what user lab reads
dont_measure fsmagic=0x01021994
dont_measure fsmagic=0x74726163
measure func=BPRM_CHECK mask=MAY_EXEC template=ima-ngv2
measure func=MMAP_CHECK mask=MAY_EXEC pcr=11
dont_measure func=FILE_CHECK fowner=1000 euid=0
measure func=FILE_CHECK mask=^MAY_READ uid=1000 template=ima-sigv2
measure func=FILE_CHECK mask=MAY_READ euid>999
measure func=MODULE_CHECK fsname=ext4 template=ima-ng
`

// asLab reads a file as a user.
const asLab = `python3 -c 'import os, sys; os.setgid(1000); os.setuid(1000); open(sys.argv[1]).read()' `

func measuredCases() []*measuredCase {
	a := map[string]string{"lab/a": "one\n", "lab/b": "two\n"}
	return []*measuredCase{
		{name: "open writers", append: tcbPolicy, files: a, versions: map[string][]string{"/lab/a": {"one\n", "one\nx\n", "one\nx\ny\nz\n"}},
			script: `exec 5>>/lab/a; cat /lab/a; cat /lab/a; exec 5>&-; cat /lab/a
echo x >>/lab/a; cat /lab/a
exec 5>>/lab/a; echo y >&5; cat /lab/b; exec 6>>/lab/a; echo z >&6; cat /lab/a; exec 6>&- 5>&-; cat /lab/a; cat /lab/a`,
			check: func(t *testing.T, s *snapshot, _ string) {
				assert.Contains(t, s.names(t), "!/lab/a")
				assert.NotEqual(t, "0", s.violations)
			}},
		{name: "ToMToU", append: tcbPolicy, files: a, versions: map[string][]string{"/lab/b": {"two\n", "two\nx\n", "two\nx\ny\n"}},
			script: `exec 5</lab/b; echo x >>/lab/b; exec 5<&-; cat /lab/b
exec 5</lab/b 6</lab/b; exec 7>>/lab/b 8>>/lab/b; echo y >&7; exec 5<&- 6<&- 7>&- 8>&-; cat /lab/b`,
			check: func(t *testing.T, s *snapshot, _ string) {
				assert.Contains(t, s.names(t), "!/lab/b")
				assert.NotEqual(t, "0", s.violations)
			}},
		{name: "changed files", append: tcbPolicy, files: a, versions: map[string][]string{"/lab/a": {"one\n", "two\n", "one\n", "one\nmore\n"}},
			script: `cat /lab/a; echo two >/lab/a; cat /lab/a; echo one >/lab/a; cat /lab/a; echo more >>/lab/a; cat /lab/a /lab/a; touch /lab/a; cat /lab/a; chmod 600 /lab/a; cat /lab/a; ln /lab/a /lab/c; cat /lab/c`},
		{name: "custom policy", append: "", files: map[string]string{"lab/a": "one\n", "lab/policy": customPolicy}, policies: []string{customPolicy},
			script: "cat /lab/policy >/sys/kernel/security/ima/policy; uname; " + asLab + "/lab/a; insmod /lab/modules/dummy.ko; cat /lab/a; ls /lab"},
		{name: "policy by its path", append: tcbPolicy, files: map[string]string{"lab/a": "one\n", "lab/policy": customPolicy}, policies: []string{customPolicy},
			script: "cat /lab/a; echo /lab/policy >/sys/kernel/security/ima/policy; uname; " + asLab + "/lab/a"},
		{name: "ima_hash sha1", append: tcbPolicy + " ima_hash=sha1", files: a, script: fewFiles},
		{name: "ima_hash sha512, a module", append: tcbPolicy + " ima_hash=sha512", files: a, script: fewFiles},
		{name: "template ima", append: "ima_template=ima ima_hash=sha1 " + tcbPolicy, files: a, script: fewFiles},
		{name: "template ima-ng", append: tcbPolicy + " ima_template=ima-ng", files: a, script: fewFiles},
		{name: "template format", append: tcbPolicy + " ima_template_fmt=d-ngv2|n-ng|iuid|igid|imode|xattrnames|buf", files: a, script: fewFiles},
		{name: "ima_tcb", append: "ima_tcb", files: a, script: fewFiles + "; " + asLab + "/lab/b"},
		{name: "only sha384", append: tcbPolicy, banks: "sha384", files: a, script: fewFiles,
			check: func(t *testing.T, s *snapshot, _ string) {
				assert.Contains(t, string(s.ascii), "sha256:"+strings.Repeat("0", 64)+" boot_aggregate")
			}},
		{name: "only sha1", append: tcbPolicy, banks: "sha1", files: a, script: fewFiles},
		{name: "sha1 and sha512", append: tcbPolicy, banks: "sha1,sha512", files: a,
			script: "exec 5>>/lab/a; cat /lab/a; exec 5>&-; " + fewFiles},
		{name: "TPM-bypass", append: tcbPolicy, flags: []string{"--fault=*: rc=TPM_RC_FAILURE"}, files: a, script: fewFiles, ahead: true,
			check: func(t *testing.T, s *snapshot, _ string) { assert.True(t, s.bypass) }},
		{name: "a TPM that fails once", append: tcbPolicy, flags: []string{"--fault=PCR_Extend#5 pcr=10: rc=TPM_RC_FAILURE"}, files: a, script: fewFiles,
			fails: func(extend int) error {
				if extend == 5 {
					return failedExtend{}
				}
				return nil
			}, ahead: true,
			check: func(t *testing.T, s *snapshot, log string) {
				require.False(t, s.bypass)
				assert.Contains(t, log, "ima: Error Communicating to TPM chip, result: 257")
				c, err := compareList(s.list, s.pcrs)
				require.NoError(t, err)
				for _, row := range c.Banks {
					_, ok := row.Match()
					assert.False(t, ok, "one extend is missing in %s", row.Bank)
				}
			}},
	}
}
