package measure

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
)

// hook is the place in the kernel from which IMA is called (enum ima_hooks);
// a rule's func= names one.
type hook uint8

// The hooks in the kernel's order.
const (
	hookNone hook = iota
	hookFileCheck
	hookMmapCheck
	hookMmapCheckReqprot
	hookBprmCheck
	hookCredsCheck
	hookPostSetattr
	hookModuleCheck
	hookFirmwareCheck
	hookKexecKernelCheck
	hookKexecInitramfsCheck
	hookPolicyCheck
	hookKexecCmdline
	hookKeyCheck
	hookCriticalData
	hookSetxattrCheck

	hooks = iota
)

var hookNames = [hooks]string{
	"NONE", "FILE_CHECK", "MMAP_CHECK", "MMAP_CHECK_REQPROT", "BPRM_CHECK", "CREDS_CHECK",
	"POST_SETATTR", "MODULE_CHECK", "FIRMWARE_CHECK", "KEXEC_KERNEL_CHECK",
	"KEXEC_INITRAMFS_CHECK", "POLICY_CHECK", "KEXEC_CMDLINE", "KEY_CHECK", "CRITICAL_DATA",
	"SETXATTR_CHECK",
}

func (h hook) String() string {
	if h < hooks {
		return hookNames[h]
	}
	return fmt.Sprintf("hook(%d)", uint8(h))
}

var maskNames = []struct {
	mask Mask
	name string
}{
	{MayExec, "MAY_EXEC"}, {MayWrite, "MAY_WRITE"}, {MayRead, "MAY_READ"}, {MayAppend, "MAY_APPEND"},
}

// action is the action of a rule; a bit set where several rules have matched.
type action uint16

// The actions with the kernel's values: the negative of an action is the next
// bit, which ima_match_policy relies on.
const (
	actionMeasure      action = 0x0001
	actionDontMeasure  action = 0x0002
	actionAppraise     action = 0x0004
	actionDontAppraise action = 0x0008
	actionAudit        action = 0x0040
	actionDontAudit    action = 0x0080
	actionHash         action = 0x0100
	actionDontHash     action = 0x0200

	doMask = actionMeasure | actionAppraise | actionAudit | actionHash
)

var actionNames = []struct {
	action action
	name   string
}{
	{actionMeasure, "measure"}, {actionDontMeasure, "dont_measure"}, {actionAppraise, "appraise"},
	{actionDontAppraise, "dont_appraise"}, {actionAudit, "audit"}, {actionDontAudit, "dont_audit"}, {actionHash, "hash"}, {actionDontHash, "dont_hash"},
}

// ruleFlags says which conditions and options a rule has.
type ruleFlags uint32

const (
	ruleFunc ruleFlags = 1 << iota
	ruleMask
	ruleInMask
	ruleFSMagic
	ruleFSName
	ruleFSSubtype
	ruleFSUUID
	ruleUID
	ruleEUID
	ruleGID
	ruleEGID
	ruleFOwner
	ruleFGroup
	rulePCR
	ruleKeyrings
	ruleLabel
	ruleValidateAlgos
	ruleDigsigRequired
	ruleModsigAllowed
	ruleCheckBlacklist
	ruleShowBlacklist // by appraise_flag=, in kernels where it means something
	rulePermitDirectIO
	ruleVerityRequired
	ruleSigV3Required
)

// idCondition compares a user or group id.
type idCondition struct {
	op    byte // '=', '>' or '<'
	value uint32
	set   bool
}

func (c idCondition) match(id uint32) bool {
	switch c.op {
	case '>':
		return id > c.value
	case '<':
		return id < c.value
	}
	return id == c.value
}

// The conditions on LSM labels in the kernel's order (enum lsm_rule_types).
const (
	lsmObjUser = iota
	lsmObjRole
	lsmObjType
	lsmSubjUser
	lsmSubjRole
	lsmSubjType

	lsmRules = iota
)

var lsmNames = [lsmRules]string{"obj_user", "obj_role", "obj_type", "subj_user", "subj_role", "subj_type"}

// lsmCondition is a label that an LSM must know; an LSM that does not leaves
// the condition undefined, and its rule never matches.
type lsmCondition struct {
	label   string
	set     bool
	defined bool
}

// Rule is one rule of a policy (struct ima_rule_entry).
type Rule struct {
	action    action
	flags     ruleFlags
	hook      hook
	mask      Mask
	fsmagic   uint64
	fsname    string
	fssubtype string
	fsuuid    [16]byte
	uid, gid  idCondition // for the effective ids too
	fowner    idCondition
	fgroup    idCondition
	lsm       [lsmRules]lsmCondition
	pcr       int
	keyrings  []string
	labels    []string
	algos     []ima.HashAlgo
	template  *ima.Template
}

// access is the access that a hook asks the policy about (the parameters of
// ima_match_policy).
type access struct {
	hook  hook
	mask  Mask
	inode *Inode // nil for buffers that belong to no file
	cred  *Cred
	data  string // keyring or label of a buffer
}

// match follows ima_match_rules.
func (r *Rule) match(a *access) bool {
	if r.flags&ruleFunc != 0 && r.hook != a.hook {
		return false
	}
	if a.inode == nil {
		return r.hook == a.hook && r.matchData(a)
	}
	return r.matchMask(a) && r.matchSuperblock(a.inode.superblock()) && r.matchIDs(a) && r.matchLSM(a)
}

// matchData follows ima_match_rule_data: of a rule on buffers only uid= and the
// list of keyrings or labels count.
func (r *Rule) matchData(a *access) bool {
	if r.flags&ruleUID != 0 && !r.uid.match(a.cred.UID) {
		return false
	}
	var list []string
	switch r.hook {
	case hookKeyCheck:
		list = r.keyrings
	case hookCriticalData:
		list = r.labels
	case hookPolicyCheck:
		return true
	default:
		return false
	}
	return list == nil || slices.Contains(list, a.data)
}

func (r *Rule) matchMask(a *access) bool {
	return (r.flags&ruleMask == 0 || r.mask == a.mask) && (r.flags&ruleInMask == 0 || r.mask&a.mask != 0)
}

func (r *Rule) matchSuperblock(sb *Superblock) bool {
	return (r.flags&ruleFSMagic == 0 || r.fsmagic == sb.Magic) &&
		(r.flags&ruleFSName == 0 || r.fsname == sb.FSName) &&
		(r.flags&ruleFSSubtype == 0 || sb.Subtype != "" && r.fssubtype == sb.Subtype) &&
		(r.flags&ruleFSUUID == 0 || r.fsuuid == sb.UUID)
}

func (r *Rule) matchIDs(a *access) bool {
	c := a.cred
	switch {
	case r.flags&ruleUID != 0 && !r.uid.match(c.UID),
		r.flags&ruleEUID != 0 && !r.uid.match(c.EUID) && !(c.CapSetUID && (r.uid.match(c.SUID) || r.uid.match(c.UID))),
		r.flags&ruleGID != 0 && !r.gid.match(c.GID),
		r.flags&ruleEGID != 0 && !r.gid.match(c.EGID) && !(c.CapSetGID && (r.gid.match(c.SGID) || r.gid.match(c.GID))),
		r.flags&ruleFOwner != 0 && !r.fowner.match(a.inode.UID),
		r.flags&ruleFGroup != 0 && !r.fgroup.match(a.inode.GID):
		return false
	}
	return true
}

func (r *Rule) matchLSM(a *access) bool {
	obj, subj := &a.inode.Label, &a.cred.Label
	have := [lsmRules]string{obj.User, obj.Role, obj.Type, subj.User, subj.Role, subj.Type}
	for i, c := range r.lsm {
		if c.set && (!c.defined || c.label != have[i]) {
			return false
		}
	}
	return true
}

func (r *Rule) hasLSM() bool {
	for _, c := range r.lsm {
		if c.set {
			return true
		}
	}
	return false
}

// decision is the answer of a policy to an access.
type decision struct {
	action   action
	pcr      int
	template *ima.Template
	// flags are options of the rules that matched.
	flags ruleFlags
}

// matchPolicy follows ima_match_policy: the rules are walked in order, the first
// that matches decides its class of actions, and the walk ends when each class
// in flags is decided.
func matchPolicy(rules []*Rule, flags action, a *access, d decision) decision {
	open := flags | flags<<1
	for _, r := range rules {
		if r.action&open == 0 || !r.match(a) {
			continue
		}
		d.action |= r.action & doMask
		d.flags |= r.flags & (ruleVerityRequired | ruleModsigAllowed)
		if r.action&doMask != 0 {
			open &^= r.action | r.action<<1
		} else {
			open &^= r.action | r.action>>1
		}
		if r.flags&rulePCR != 0 {
			d.pcr = r.pcr
		}
		if r.template != nil {
			d.template = r.template
		}
		if open == 0 {
			break
		}
	}
	return d
}

// policyFlag follows ima_update_policy_flags: the actions that any rule has.
// While it is zero the hooks return at once. (The kernel leaves out rules on
// SETXATTR_CHECK, which decide nothing here.)
func policyFlag(rules []*Rule) (flag action) {
	for _, r := range rules {
		flag |= r.action & doMask
	}
	return flag
}

// String returns the rule as the kernel shows it (ima_policy_show): each word with
// a blank after it, without the newline. A rule with a label that no LSM knows
// is not shown: it gives "".
func (r *Rule) String() string {
	var b strings.Builder
	for _, c := range r.lsm {
		if c.set && !c.defined {
			return ""
		}
	}
	for _, a := range actionNames {
		if r.action&a.action != 0 {
			b.WriteString(a.name + " ")
		}
	}
	for _, w := range r.words() {
		if r.flags&w.flag != 0 {
			b.WriteString(w.text + " ")
		}
	}
	for i, c := range r.lsm {
		if c.set {
			b.WriteString(lsmNames[i] + "=" + c.label + " ")
		}
	}
	if r.template != nil {
		b.WriteString("template=" + descriptorName(r.template) + " ")
	}
	for _, w := range r.appraiseWords() {
		if r.flags&w.flag != 0 {
			b.WriteString(w.text + " ")
		}
	}
	return b.String()
}

// ruleWord is a word of a rule that has the flag.
type ruleWord struct {
	flag ruleFlags
	text string
}

// shownMax is how much of a name is shown: the buffer tbuf of ima_policy_show
// without its NUL.
const shownMax = 63

// words are those before the labels, in the order in which they are shown.
func (r *Rule) words() []ruleWord {
	return []ruleWord{
		{ruleFunc, "func=" + r.hook.String()},
		{ruleMask, "mask=" + r.maskName()},
		{ruleInMask, "mask=^" + r.maskName()},
		{ruleFSMagic, "fsmagic=0x" + strconv.FormatUint(r.fsmagic, 16)},
		{ruleFSName, "fsname=" + r.fsname[:min(len(r.fsname), shownMax)]},
		{ruleFSSubtype, "fs_subtype=" + r.fssubtype[:min(len(r.fssubtype), shownMax)]},
		{ruleKeyrings, "keyrings=" + strings.Join(r.keyrings, "|")},
		{ruleLabel, "label=" + strings.Join(r.labels, "|")},
		{rulePCR, "pcr=" + strconv.Itoa(r.pcr)},
		{ruleFSUUID, "fsuuid=" + formatUUID(r.fsuuid)},
		{ruleUID, r.uid.text("uid")},
		{ruleEUID, r.uid.text("euid")},
		{ruleGID, r.gid.text("gid")},
		{ruleEGID, r.gid.text("egid")},
		{ruleFOwner, r.fowner.text("fowner")},
		{ruleFGroup, r.fgroup.text("fgroup")},
		{ruleValidateAlgos, "appraise_algos=" + joinAlgos(r.algos)},
	}
}

// appraiseWords are those after the template.
func (r *Rule) appraiseWords() []ruleWord {
	kind := "imasig"
	switch {
	case r.flags&ruleSigV3Required != 0:
		kind = "sigv3"
	case r.flags&ruleModsigAllowed != 0:
		kind = "imasig|modsig"
	}
	return []ruleWord{
		{ruleDigsigRequired, "appraise_type=" + kind},
		{ruleVerityRequired, "digest_type=verity"},
		{ruleShowBlacklist, "appraise_flag=check_blacklist"},
		{rulePermitDirectIO, "permit_directio"},
	}
}

func (r *Rule) maskName() string {
	for _, m := range maskNames {
		if r.mask == m.mask {
			return m.name
		}
	}
	return ""
}

// text prints ids as the kernel does, signed.
func (c idCondition) text(name string) string {
	return name + string(c.op) + strconv.Itoa(int(int32(c.value)))
}

func joinAlgos(algos []ima.HashAlgo) string {
	names := make([]string, len(algos))
	for i, a := range algos {
		names[i] = a.String()
	}
	return strings.Join(names, ",")
}

func formatUUID(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
