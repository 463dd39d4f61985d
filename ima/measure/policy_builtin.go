package measure

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// UnknownNameError is the answer to a name that the kernel does not have.
type UnknownNameError struct {
	// What it should name: "template", …
	What string
	Name string
	// Known are the names that there are.
	Known []string
}

func (e *UnknownNameError) Error() string {
	return fmt.Sprintf("unknown %s %q; there are %s", e.What, e.Name, strings.Join(e.Known, ", "))
}

// The built-in rules of ima_policy.c, as policy text. The file systems are those
// of include/uapi/linux/magic.h.
const (
	dontMeasureBeforeTmpfs = `
dont_measure fsmagic=0x9fa0
dont_measure fsmagic=0x62656572
dont_measure fsmagic=0x64626720
`
	dontMeasureTmpfs          = "dont_measure fsmagic=0x1021994\n"
	dontMeasureTmpfsFileCheck = "dont_measure func=FILE_CHECK fsmagic=0x1021994\n"
	dontMeasureAfterTmpfs     = `
dont_measure fsmagic=0x1cd1
dont_measure fsmagic=0x42494e4d
dont_measure fsmagic=0x73636673
dont_measure fsmagic=0xf97cff8c
dont_measure fsmagic=0x43415d53
dont_measure fsmagic=0x27e0eb
dont_measure fsmagic=0x63677270
dont_measure fsmagic=0x6e736673
dont_measure fsmagic=0xde5e81e4
`
	originalMeasurementRules = `
measure func=MMAP_CHECK mask=MAY_EXEC
measure func=BPRM_CHECK mask=MAY_EXEC
measure func=FILE_CHECK mask=MAY_READ uid=0
measure func=MODULE_CHECK
measure func=FIRMWARE_CHECK
`
	defaultMeasurementRules = `
measure func=MMAP_CHECK mask=MAY_EXEC
measure func=BPRM_CHECK mask=MAY_EXEC
measure func=FILE_CHECK mask=^MAY_READ euid=0
measure func=FILE_CHECK mask=^MAY_READ uid=0
measure func=MODULE_CHECK
measure func=FIRMWARE_CHECK
measure func=POLICY_CHECK
`
	dontAppraiseRules = `
dont_appraise fsmagic=0x9fa0
dont_appraise fsmagic=0x62656572
dont_appraise fsmagic=0x64626720
dont_appraise fsmagic=0x1021994
dont_appraise fsmagic=0x858458f6
dont_appraise fsmagic=0x1cd1
dont_appraise fsmagic=0x42494e4d
dont_appraise fsmagic=0x73636673
dont_appraise fsmagic=0xf97cff8c
dont_appraise fsmagic=0x43415d53
dont_appraise fsmagic=0x6e736673
dont_appraise fsmagic=0xde5e81e4
dont_appraise fsmagic=0x27e0eb
dont_appraise fsmagic=0x63677270
`
	// dontMeasureConfigfs and dontAppraiseConfigfs are of kernels with
	// SpareConfigfs. Where the line stands in the kernel's table makes no
	// difference to what is measured.
	dontMeasureConfigfs  = "dont_measure fsmagic=0x62656570\n"
	dontAppraiseConfigfs = "dont_appraise fsmagic=0x62656570\n"

	appraisePolicyRule  = "appraise func=POLICY_CHECK appraise_type=imasig\n"
	appraiseOwnerRule   = "appraise fowner=0\n"
	appraiseOwnerSigned = "appraise fowner=0 appraise_type=imasig\n"
	secureBootModules   = "appraise func=MODULE_CHECK appraise_type=imasig\n"
	secureBootModsig    = "appraise func=MODULE_CHECK appraise_type=imasig|modsig\n"
	secureBootRules     = `
appraise func=FIRMWARE_CHECK appraise_type=imasig
appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig
appraise func=POLICY_CHECK appraise_type=imasig
`
	criticalDataRules = "measure func=CRITICAL_DATA\n"
)

// tcb is which of the two measuring policies the command line has chosen.
type tcb uint8

const (
	noTCB tcb = iota
	originalTCB
	defaultTCB
)

// setupPolicy has the choices of the command line for the policy (policy_setup and those
// beside it).
type setupPolicy struct {
	tcb          tcb
	appraiseTCB  bool
	secureBoot   bool
	criticalData bool
	failSecurely bool
}

// policyWords are the words of ima_policy= (policy_setup).
var policyWords = []string{"tcb", "appraise_tcb", "secure_boot", "critical_data", "fail_securely"}

// CheckPolicyOption reports whether a value of ima_policy= has only words that the
// kernel knows, with bars or blanks in between. A kernel logs a word that it does
// not know and goes on without it; who types one for it wants to be told. The
// error is an UnknownNameError.
func CheckPolicyOption(value string) error {
	for word := range policyOptionWords(value) {
		if !slices.Contains(policyWords, word) {
			return &UnknownNameError{What: "word of ima_policy=", Name: clip.String(word), Known: slices.Clone(policyWords)}
		}
	}
	return nil
}

// policyOptionWords splits as policy_setup does.
func policyOptionWords(value string) iter.Seq[string] {
	return strings.SplitSeq(strings.NewReplacer(" ", "|", "\n", "|").Replace(value), "|")
}

// setup reads the value of ima_policy=. Of tcb and ima_tcb the first one holds;
// the word tcb after it is not known any more, as in the kernel.
func (s *setupPolicy) setup(value string, log func(string, ...any)) {
	for word := range policyOptionWords(value) {
		switch {
		case word == "tcb" && s.tcb == noTCB:
			s.tcb = defaultTCB
		case word == "appraise_tcb":
			s.appraiseTCB = true
		case word == "secure_boot":
			s.secureBoot = true
		case word == "critical_data":
			s.criticalData = true
		case word == "fail_securely":
			s.failSecurely = true
		default:
			log("policy \"%s\" not found", word)
		}
	}
}

// defaultRules returns the rules in force after ima_init_policy, and those that a
// custom policy will have before its own.
func (s *setupPolicy) defaultRules(c *Config, log func(string, ...any)) (initial, custom []*Rule, err error) {
	pc := c.policyConfig()
	pc.MeasureKeys, pc.Modsig = true, true
	add := func(to *[]*Rule, text string) {
		rules, perr := ParsePolicy(text, pc)
		if perr != nil && err == nil {
			err = perr
		}
		*to = append(*to, rules...)
	}
	if s.tcb != noTCB {
		tmpfs := dontMeasureTmpfs
		if c.Kernel.TmpfsFileCheckOnly {
			tmpfs = dontMeasureTmpfsFileCheck
		}
		add(&initial, dontMeasureBeforeTmpfs+tmpfs+dontMeasureAfterTmpfs)
		if c.Kernel.SpareConfigfs {
			add(&initial, dontMeasureConfigfs)
		}
	}
	switch s.tcb {
	case originalTCB:
		add(&initial, originalMeasurementRules)
	case defaultTCB:
		add(&initial, defaultMeasurementRules)
	}
	arch := s.archRules(c, log)
	initial, custom = append(initial, arch...), append(custom, arch...)
	if s.secureBoot {
		modules := secureBootModules
		if c.Kernel.SecureBootModsig {
			modules = secureBootModsig
		}
		add(&initial, modules+secureBootRules)
	} else {
		add(&initial, c.BuildAppraiseRules)
	}
	add(&custom, c.BuildAppraiseRules)
	if s.appraiseTCB {
		add(&initial, c.appraiseTCBRules())
	}
	if s.criticalData {
		add(&initial, criticalDataRules)
	}
	return initial, custom, err
}

func (c *Config) appraiseTCBRules() string {
	rules := dontAppraiseRules
	if c.Kernel.SpareConfigfs {
		rules += dontAppraiseConfigfs
	}
	if c.WritePolicy {
		rules += appraisePolicyRule
	}
	if c.AppraiseSignedInit {
		return rules + appraiseOwnerSigned
	}
	return rules + appraiseOwnerRule
}

// archRules follows ima_init_arch_policy: a rule that is not understood is
// skipped.
func (s *setupPolicy) archRules(c *Config, log func(string, ...any)) (rules []*Rule) {
	for _, text := range c.ArchPolicy {
		parsed, err := ParsePolicy(text, c.policyConfig())
		if err != nil || len(parsed) != 1 {
			log("Skipping unknown architecture policy rule: %s", text)
			continue
		}
		rules = append(rules, parsed...)
	}
	if len(rules) == 0 {
		log("No architecture policies found")
	}
	return rules
}
