package lateattack

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/conformance/lab/deferral"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// Seen is what the two boots of a scene have shown.
type Seen struct {
	Scene string `json:"scene"`
	// RanAt is the kernel's time when the program ran, ImaAt that when IMA looked for its
	// TPM, in seconds.
	RanAt float64 `json:"program_ran_s"`
	ImaAt float64 `json:"ima_looked_s"`
	// Alive is the command line of the process that the program left, as it runs after
	// the boot; empty if there is none.
	Alive string `json:"process_left"`
	// SameList and SamePCR report that the boot with the program has the list, and the
	// PCR 10 in each bank, of the boot with the honest modprobe.
	SameList bool `json:"same_list"`
	SamePCR  bool `json:"same_pcr10"`
	// Only are the records that the list with the program has and the honest one has not.
	Only []string `json:"records_of_the_program"`
	// Verdict is the lab's about the boot with the program.
	Verdict  lab.Word  `json:"verdict"`
	Records  int       `json:"records"`
	Opinions []Opinion `json:"opinions"`
}

// Opinion is what a policy makes of the list with the program and of its PCRs.
type Opinion struct {
	Policy  string         `json:"policy"`
	Outcome verify.Outcome `json:"outcome"`
	// Decided are the findings that decided; not those that were required and are not
	// there.
	Decided []verify.Code `json:"decided"`
}

// Boot boots a scene twice.
func Boot(ctx context.Context, l *deferral.Lab, s Scene) (*Seen, error) {
	without, err := boot(ctx, l, s, "honest", []byte(honest))
	if err != nil {
		return nil, fmt.Errorf("with the honest modprobe: %w", err)
	}
	with, err := boot(ctx, l, s, "program", program())
	if err != nil {
		return nil, fmt.Errorf("with the program: %w", err)
	}
	return s.compare(without, with)
}

// boot boots a scene with that modprobe. The root file system is a ramfs, which IMA's
// policy tcb measures, as it would a disk.
func boot(ctx context.Context, l *deferral.Lab, s Scene, name string, modprobe []byte) (*lab.Record, error) {
	kernel, err := l.Kernel(s.Kernel())
	if err != nil {
		return nil, err
	}
	tree, err := s.tree()
	if err != nil {
		return nil, err
	}
	c := lab.Config{
		Machine: lab.Machine{
			Board: lab.Virt, Firmware: lab.Virt.Firmware(), Device: lab.Virt.Device(), Accel: lab.TCG,
			Tools: l.Tools, Kernel: kernel, IMAPolicy: "tcb|critical_data", Append: "rootfstype=ramfs", Tree: tree,
		},
		TPM: lab.Swtpmd(l.Swtpmd, nil), Modprobe: modprobe, Timeout: l.Timeout, Progress: l.Progress,
	}
	if l.Keep != "" {
		c.Keep = filepath.Join(l.Keep, s.Name+"-"+name)
	}
	return lab.Run(ctx, c)
}

// compare looks at the two boots.
func (s Scene) compare(without, with *lab.Record) (*Seen, error) {
	verdict, err := lab.Judge(with)
	if err != nil {
		return nil, err
	}
	clean, err := lab.Judge(without)
	if err != nil {
		return nil, err
	}
	boot, b := &with.Boots[0], verdict.Last()
	seen := &Seen{
		Scene: s.Name, Verdict: b.Word, Records: len(b.List), Only: []string{},
		SameList: bytes.Equal(boot.List(), without.Boots[0].List()),
		SamePCR:  samePCR10(b, clean.Last()),
	}
	for _, line := range b.List {
		if !slices.Contains(clean.Last().List, line) {
			seen.Only = append(seen.Only, line)
		}
	}
	for _, args := range boot.Processes() {
		if strings.Contains(args, "/sbin/modprobe") {
			seen.Alive = args
		}
	}
	seen.RanAt = ranAt(boot.Log())
	if b.IMA.LookedAt != nil {
		seen.ImaAt = time.Duration(*b.IMA.LookedAt).Seconds()
	}
	seen.Opinions, err = s.ask(boot.List(), b.TPMPCRs)
	return seen, err
}

// samePCR10 reports whether two boots have the same PCR 10 in each bank.
func samePCR10(a, b *lab.BootVerdict) bool {
	for algo, bank := range a.TPMPCRs {
		if !bytes.Equal(bank[10], b.TPMPCRs[algo][10]) {
			return false
		}
	}
	return len(a.TPMPCRs) > 0 && len(a.TPMPCRs) == len(b.TPMPCRs)
}

// ran is the line that the program writes to the kernel's log when it begins.
var ran = regexp.MustCompile(`^<[0-9]+>\[ *([0-9]+\.[0-9]+)\] late-attack: `)

func ranAt(log []string) float64 {
	for _, line := range log {
		if m := ran.FindStringSubmatch(line); m != nil {
			at, _ := strconv.ParseFloat(m[1], 64) // the expression is a number's
			return at
		}
	}
	return 0
}

// ask has each policy appraise the list, with the PCR values that swtpmd has told itself.
func (s Scene) ask(list []byte, pcrs ima.PCRs) ([]Opinion, error) {
	reader, err := ima.Open(list, ima.Format{})
	if err != nil {
		return nil, err
	}
	v, err := verify.Verify(verify.Evidence{List: reader, PCRs: pcrs, Vouched: true, Build: s.build()})
	if err != nil {
		return nil, err
	}
	var all []Opinion
	for _, name := range Policies() {
		policy, err := verify.PolicyByName(name)
		if err != nil {
			return nil, err
		}
		result := policy.Appraise(v)
		o := Opinion{Policy: name, Outcome: result.Outcome}
		for _, reason := range result.Decided {
			if f := reason.Finding; f != nil && !slices.Contains(o.Decided, f.Code) {
				o.Decided = append(o.Decided, f.Code)
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// Mismatch tells in what the boots are not as the scene says; it is empty if all is.
func (s Scene) Mismatch(seen *Seen) string {
	var wrong []string
	claim := func(ok bool, what string) {
		if !ok {
			wrong = append(wrong, what)
		}
	}
	claim(seen.Alive != "", "the program left no process")
	claim(seen.RanAt > 0 && seen.ImaAt > 0, "it is not known what came first, the program or IMA")
	before := !s.Gap || s.LateSync
	claim((seen.RanAt < seen.ImaAt) == before, fmt.Sprintf("the program ran at %.3f s and IMA looked at %.3f s", seen.RanAt, seen.ImaAt))
	recorded := slices.ContainsFunc(seen.Only, func(line string) bool { return strings.HasSuffix(line, " /sbin/modprobe") })
	claim(recorded == s.Recorded, fmt.Sprintf("records of the program alone: %q", seen.Only))
	claim(seen.SameList == !s.Recorded, "the lists of both boots are the same, or not, against the scene")
	claim(seen.SamePCR == (!s.Recorded || !s.Vouched), "PCR 10 of both boots is the same, or not, against the scene")
	want := map[bool]lab.Word{true: lab.Measured, false: lab.Bypass}[s.Vouched]
	claim(seen.Verdict == want, fmt.Sprintf("the verdict is %s, not %s", seen.Verdict, want))
	for _, o := range seen.Opinions {
		claim(o.Outcome == s.Opinions[o.Policy], fmt.Sprintf("policy %s says %s, not %s", o.Policy, o.Outcome, s.Opinions[o.Policy]))
	}
	claim(len(seen.Opinions) == len(Policies()), "a policy was not asked")
	return strings.Join(wrong, "; ")
}
