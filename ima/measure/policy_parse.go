package measure

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// ParsePolicy reads a policy, one rule a line, as the kernel does when it is
// written to securityfs (ima_parse_add_rule, ima_parse_rule). Empty lines and
// those that begin with # hold no rule. The error is a RuleError. A policy
// without rules is parsed, but no kernel takes it.
func ParsePolicy(text string, config PolicyConfig) ([]*Rule, error) {
	var rules []*Rule
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		p := ruleParser{config: &config, line: number, rule: new(Rule)}
		if err := p.parse(line); err != nil {
			return nil, err
		}
		rules = append(rules, p.rule)
	}
	return rules, nil
}

type ruleParser struct {
	config *PolicyConfig
	line   int
	token  string
	rule   *Rule
}

func (p *ruleParser) fail(format string, args ...any) error {
	return &RuleError{Line: p.line, Token: p.token, Reason: fmt.Sprintf(format, args...)}
}

func (p *ruleParser) parse(line string) error {
	if i := strings.IndexByte(line, 0); i >= 0 {
		line = line[:i] // where a C string ends
	}
	for token := range strings.FieldsFuncSeq(line, func(c rune) bool { return c == ' ' || c == '\t' }) {
		if token[0] == '#' && p.config.Kernel.RuleComments {
			break
		}
		p.token = token
		if err := p.option(token); err != nil {
			return err
		}
	}
	p.token = ""
	if reason := p.rule.invalid(&p.config.Kernel); reason != "" {
		return p.fail("%s", reason)
	}
	return nil
}

// option reads one token (the table policy_tokens and the switch after it).
func (p *ruleParser) option(token string) error {
	for _, a := range actionNames {
		if token == a.name {
			return p.action(a.action)
		}
	}
	if token == "permit_directio" {
		p.rule.flags |= rulePermitDirectIO
		return nil
	}
	at := strings.IndexAny(token, "=<>")
	if at <= 0 || at == len(token)-1 {
		return p.fail("no action and no option with a value")
	}
	name, op, value := token[:at], token[at], token[at+1:]
	if parse, ok := idOptions[name]; ok {
		return parse(p, name, op, value)
	}
	parse, ok := textOptions[name]
	if !ok || op != '=' {
		return p.fail("no such option; the options are %s", optionNames())
	}
	return parse(p, value)
}

// textOptions are the options whose only operator is =.
var textOptions = map[string]func(*ruleParser, string) error{
	"func":           (*ruleParser).hook,
	"mask":           (*ruleParser).mask,
	"fsmagic":        (*ruleParser).fsmagic,
	"fsname":         (*ruleParser).fsname,
	"fs_subtype":     (*ruleParser).fsSubtype,
	"fsuuid":         (*ruleParser).fsuuid,
	"pcr":            (*ruleParser).pcr,
	"template":       (*ruleParser).template,
	"keyrings":       (*ruleParser).keyrings,
	"label":          (*ruleParser).label,
	"digest_type":    (*ruleParser).digestType,
	"appraise_type":  (*ruleParser).appraiseType,
	"appraise_flag":  (*ruleParser).appraiseFlag,
	"appraise_algos": (*ruleParser).appraiseAlgos,
	"obj_user":       lsmOption(lsmObjUser),
	"obj_role":       lsmOption(lsmObjRole),
	"obj_type":       lsmOption(lsmObjType),
	"subj_user":      lsmOption(lsmSubjUser),
	"subj_role":      lsmOption(lsmSubjRole),
	"subj_type":      lsmOption(lsmSubjType),
}

// idOptions are the options that compare with =, < or >.
var idOptions = map[string]func(p *ruleParser, name string, op byte, value string) error{
	"uid": idOption(ruleUID), "euid": idOption(ruleEUID), "fowner": idOption(ruleFOwner),
	"gid": idOption(ruleGID), "egid": idOption(ruleEGID), "fgroup": idOption(ruleFGroup),
}

func optionNames() string {
	names := []string{"permit_directio"}
	for n := range textOptions {
		names = append(names, n+"=")
	}
	for n := range idOptions {
		names = append(names, n+"=", n+"<", n+">")
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (p *ruleParser) action(a action) error {
	if a == actionDontAudit && !p.config.Kernel.DontAudit {
		return p.fail("kernel %s does not have this action; kernels since 6.19 do", p.config.Kernel.Release)
	}
	if p.rule.action != 0 {
		return p.fail("a rule has one action, this one has another already")
	}
	p.rule.action = a
	return nil
}

func (p *ruleParser) hook(name string) error {
	if p.rule.hook != hookNone {
		return p.fail("func= is given twice")
	}
	h, ok := hookByName(name)
	switch {
	case !ok, h == hookNone, h == hookPostSetattr:
		return p.fail("no such hook in a policy")
	case h == hookKeyCheck && !p.config.MeasureKeys:
		return p.fail("the kernel was built without CONFIG_IMA_MEASURE_ASYMMETRIC_KEYS")
	case h == hookMmapCheckReqprot && !p.config.Kernel.MmapReqprot:
		return p.fail("kernel %s does not have this hook", p.config.Kernel.Release)
	}
	p.rule.hook = h
	p.rule.flags |= ruleFunc
	return nil
}

// hookByName takes the two old names as well.
func hookByName(name string) (hook, bool) {
	switch name {
	case "PATH_CHECK":
		return hookFileCheck, true
	case "FILE_MMAP":
		return hookMmapCheck, true
	}
	i := slices.Index(hookNames[:], name)
	return hook(max(i, 0)), i >= 0
}

func (p *ruleParser) mask(value string) error {
	if p.rule.mask != 0 {
		return p.fail("mask= is given twice")
	}
	name, in := strings.CutPrefix(value, "^")
	for _, m := range maskNames {
		if m.name != name {
			continue
		}
		p.rule.mask = m.mask
		p.rule.flags |= ruleMask
		if in {
			p.rule.flags ^= ruleMask | ruleInMask
		}
		return nil
	}
	return p.fail("a mask is MAY_EXEC, MAY_WRITE, MAY_READ or MAY_APPEND, with ^ before it for any access that has the bit")
}

func (p *ruleParser) fsmagic(value string) (err error) {
	if p.rule.fsmagic != 0 {
		return p.fail("fsmagic= is given twice")
	}
	if p.rule.fsmagic, err = p.number(value, 16, math.MaxUint64); err == nil {
		p.rule.flags |= ruleFSMagic
	}
	return err
}

// number reads what kstrtoul reads.
func (p *ruleParser) number(value string, base int, most uint64) (uint64, error) {
	digits := strings.TrimPrefix(value, "+")
	if base == 16 && len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits = digits[2:]
	}
	if strings.ContainsAny(digits, "_+-") {
		return 0, p.fail("not a number of base %d", base)
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil || n > most {
		return 0, p.fail("not a number of base %d from 0 to %d", base, most)
	}
	return n, nil
}

func (p *ruleParser) fsname(value string) error {
	p.rule.fsname = value
	p.rule.flags |= ruleFSName
	return nil
}

func (p *ruleParser) fsSubtype(value string) error {
	if !p.config.Kernel.FSSubtype {
		return p.fail("kernel %s does not have this condition; kernels since 6.19 do", p.config.Kernel.Release)
	}
	if p.rule.flags&ruleFSSubtype != 0 {
		return p.fail("fs_subtype= is given twice")
	}
	p.rule.fssubtype = value
	p.rule.flags |= ruleFSSubtype
	return nil
}

func (p *ruleParser) fsuuid(value string) error {
	const form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	if p.rule.fsuuid != [16]byte{} {
		return p.fail("fsuuid= is given twice")
	}
	if len(value) < len(form) {
		return p.fail("a UUID has the form %s", form)
	}
	var digits []byte
	for i := range form {
		if form[i] == '-' && value[i] != '-' {
			return p.fail("a UUID has the form %s", form)
		}
		if form[i] != '-' {
			digits = append(digits, value[i])
		}
	}
	if _, err := hex.Decode(p.rule.fsuuid[:], digits); err != nil {
		return p.fail("a UUID has the form %s", form)
	}
	p.rule.flags |= ruleFSUUID
	return nil
}

func (p *ruleParser) pcr(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > ima.MaxPCR {
		return p.fail("a PCR index is a number from 0 to %d", ima.MaxPCR)
	}
	p.rule.pcr = n
	p.rule.flags |= rulePCR
	return nil
}

func (p *ruleParser) template(value string) error {
	if p.rule.action != actionMeasure {
		return p.fail("template= belongs to a measure rule and follows the word measure")
	}
	if p.rule.template != nil {
		return p.fail("template= is given twice")
	}
	t, ok := ima.LookupTemplate(value)
	if !ok && p.config.Custom != nil && p.config.Custom.Format() == value {
		t, ok = p.config.Custom, true
	}
	if !ok {
		return p.fail("no such template")
	}
	p.rule.template = t
	return nil
}

func (p *ruleParser) keyrings(value string) (err error) {
	if !p.config.MeasureKeys {
		return p.fail("the kernel was built without CONFIG_IMA_MEASURE_ASYMMETRIC_KEYS")
	}
	p.rule.keyrings, err = p.list(p.rule.keyrings, value)
	p.rule.flags |= ruleKeyrings
	return err
}

func (p *ruleParser) label(value string) (err error) {
	p.rule.labels, err = p.list(p.rule.labels, value)
	p.rule.flags |= ruleLabel
	return err
}

func (p *ruleParser) list(before []string, value string) ([]string, error) {
	if before != nil {
		return nil, p.fail("the option is given twice")
	}
	items := strings.Split(value, "|")
	if slices.Contains(items, "") {
		return nil, p.fail("an item of the list is empty")
	}
	return items, nil
}

func (p *ruleParser) digestType(value string) error {
	if value != "verity" {
		return p.fail("the only digest type is verity")
	}
	if p.rule.flags&ruleDigsigRequired != 0 && !p.config.Kernel.SigV3 {
		return p.fail("digest_type= stands before appraise_type=")
	}
	p.rule.flags |= ruleVerityRequired
	return nil
}

func (p *ruleParser) appraiseType(value string) error {
	verity := p.rule.flags&ruleVerityRequired != 0
	k := &p.config.Kernel
	switch {
	case value == "imasig" && !verity:
	case value == "sigv3" && (verity || k.SigV3):
		p.rule.flags |= ruleSigV3Required
	case value == "imasig|modsig" && !verity && p.rule.flags&ruleSigV3Required == 0 && p.config.Modsig:
		p.rule.flags |= ruleModsigAllowed
	case value == "sigv3":
		return p.fail("kernel %s takes sigv3 with digest_type=verity alone, which stands before it; kernels since 7.1 take it without", k.Release)
	default:
		return p.fail("with digest_type=verity sigv3, otherwise imasig, and imasig|modsig in kernels with CONFIG_IMA_APPRAISE_MODSIG")
	}
	p.rule.flags |= ruleDigsigRequired
	if k.BlacklistAlways {
		p.rule.flags |= ruleCheckBlacklist
	}
	return nil
}

func (p *ruleParser) appraiseFlag(value string) error {
	if p.config.Kernel.BlacklistAlways {
		return nil // deprecated, and not looked at
	}
	if !p.config.Modsig || !strings.Contains(value, "blacklist") {
		return p.fail("the only flag is check_blacklist, in kernels with CONFIG_IMA_APPRAISE_MODSIG")
	}
	p.rule.flags |= ruleCheckBlacklist | ruleShowBlacklist
	return nil
}

func (p *ruleParser) appraiseAlgos(value string) error {
	if p.rule.algos != nil {
		return p.fail("appraise_algos= is given twice")
	}
	for name := range strings.SplitSeq(value, ",") {
		h, ok := p.config.Kernel.hash(name)
		if !ok {
			return p.fail("kernel %s has no hash algorithm %q", p.config.Kernel.Release, clip.String(name))
		}
		if slices.Contains(p.config.Unavailable, h) {
			return p.fail("the kernel was built without hash algorithm %s", h)
		}
		if !slices.Contains(p.rule.algos, h) {
			p.rule.algos = append(p.rule.algos, h)
		}
	}
	slices.Sort(p.rule.algos)
	p.rule.flags |= ruleValidateAlgos
	return nil
}

func lsmOption(i int) func(*ruleParser, string) error {
	return func(p *ruleParser, value string) error {
		if p.rule.lsm[i].defined {
			return p.fail("the option is given twice")
		}
		if !p.config.LSM && p.config.builtin {
			return p.fail("no LSM knows this label, and the built-in policy is in force")
		}
		p.rule.lsm[i] = lsmCondition{label: value, set: true, defined: p.config.LSM}
		return nil
	}
}

func idOption(flag ruleFlags) func(*ruleParser, string, byte, string) error {
	return func(p *ruleParser, name string, op byte, value string) error {
		c := p.idCondition(flag)
		if c.set {
			return p.fail("a rule has one condition on %s, the real and the effective id counting as one", strings.TrimPrefix(name, "e"))
		}
		n, err := p.number(value, 10, math.MaxUint32-1)
		if err != nil {
			return err
		}
		*c = idCondition{op: op, value: uint32(n), set: true}
		p.rule.flags |= flag
		return nil
	}
}

func (p *ruleParser) idCondition(flag ruleFlags) *idCondition {
	switch flag {
	case ruleUID, ruleEUID:
		return &p.rule.uid
	case ruleGID, ruleEGID:
		return &p.rule.gid
	case ruleFOwner:
		return &p.rule.fowner
	}
	return &p.rule.fgroup
}
