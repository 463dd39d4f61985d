package measure

import "fmt"

// What ima_validate_rule allows in a rule, by its hook.
const (
	fileRule = ruleFunc | ruleMask | ruleInMask | ruleFSMagic | ruleFSName | ruleFSSubtype | ruleFSUUID |
		ruleUID | ruleEUID | ruleGID | ruleEGID | ruleFOwner | ruleFGroup | rulePCR |
		ruleDigsigRequired | rulePermitDirectIO | ruleValidateAlgos
	moduleRule = fileRule | ruleModsigAllowed | ruleCheckBlacklist | ruleShowBlacklist
	bufferRule = ruleFunc | ruleUID | ruleGID | rulePCR
)

var allowedFlags = [hooks]ruleFlags{
	hookNone:                fileRule | ruleVerityRequired,
	hookFileCheck:           fileRule | ruleVerityRequired,
	hookMmapCheck:           fileRule | ruleVerityRequired,
	hookMmapCheckReqprot:    fileRule | ruleVerityRequired,
	hookBprmCheck:           fileRule | ruleVerityRequired,
	hookCredsCheck:          fileRule | ruleVerityRequired,
	hookFirmwareCheck:       fileRule | ruleVerityRequired,
	hookPolicyCheck:         fileRule | ruleVerityRequired,
	hookModuleCheck:         moduleRule,
	hookKexecKernelCheck:    moduleRule,
	hookKexecInitramfsCheck: moduleRule,
	hookKexecCmdline: ruleFunc | ruleFSMagic | ruleFSName | ruleFSSubtype | ruleFSUUID | ruleUID | ruleEUID |
		ruleGID | ruleEGID | ruleFOwner | ruleFGroup | rulePCR,
	hookKeyCheck:      bufferRule | ruleKeyrings,
	hookCriticalData:  bufferRule | ruleLabel,
	hookSetxattrCheck: ruleFunc | ruleValidateAlgos,
}

// allowed returns the flags that the rule may have.
func (r *Rule) allowed(k *Kernel) ruleFlags {
	allowed := allowedFlags[r.hook]
	switch {
	case allowed == moduleRule:
		if k.SigV3Modules {
			allowed |= ruleSigV3Required
		}
	case allowed&ruleVerityRequired != 0:
		// Before SigV3 the flag stands for that of fs-verity, which is in
		// the table.
		allowed |= ruleSigV3Required
		if k.BlacklistAlways {
			allowed |= ruleCheckBlacklist
		}
	}
	return allowed
}

// invalid returns why a kernel refuses the rule as a whole, empty if it does not
// (ima_validate_rule).
func (r *Rule) invalid(k *Kernel) string {
	buffer := r.hook == hookKexecCmdline || r.hook == hookKeyCheck || r.hook == hookCriticalData
	switch {
	case r.action == 0:
		return "the rule has no action"
	case r.action != actionMeasure && r.flags&rulePCR != 0:
		return "pcr= belongs to a measure rule"
	case r.action != actionAppraise && r.flags&(ruleDigsigRequired|ruleModsigAllowed|ruleCheckBlacklist|ruleValidateAlgos) != 0:
		return "appraise_type=, appraise_flag= and appraise_algos= belong to an appraise rule"
	case buffer && r.action != actionMeasure && r.action != actionDontMeasure:
		return fmt.Sprintf("func=%s belongs to a measure or dont_measure rule", r.hook)
	case r.flags&^r.allowed(k) != 0:
		return fmt.Sprintf("a rule with func=%s cannot have one of these options", r.hook)
	case (r.hook == hookKeyCheck || r.hook == hookCriticalData) && r.hasLSM():
		return fmt.Sprintf("a rule with func=%s cannot have conditions on labels", r.hook)
	case r.hook == hookSetxattrCheck && (r.action != actionAppraise || r.flags&ruleValidateAlgos == 0):
		return "func=SETXATTR_CHECK belongs to an appraise rule with appraise_algos="
	case r.flags&ruleShowBlacklist != 0 && r.flags&ruleModsigAllowed == 0:
		return "appraise_flag=check_blacklist needs appraise_type=imasig|modsig"
	case r.action == actionAppraise && r.flags&ruleVerityRequired != 0 && r.flags&ruleDigsigRequired == 0:
		return "digest_type=verity in an appraise rule needs appraise_type=sigv3"
	}
	return ""
}
