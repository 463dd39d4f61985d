package measure

import (
	"fmt"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// PolicyConfig says what the kernel that parses a policy was built with.
type PolicyConfig struct {
	Kernel Kernel
	// MeasureKeys is CONFIG_IMA_MEASURE_ASYMMETRIC_KEYS: func=KEY_CHECK and
	// keyrings=.
	MeasureKeys bool
	// Modsig is CONFIG_IMA_APPRAISE_MODSIG: appraise_type=imasig|modsig and
	// appraise_flag=.
	Modsig bool
	// LSM reports that an LSM is loaded that knows the labels of obj_user= and
	// the like. Without one, the labels are undefined.
	LSM bool
	// Custom is the template of ima_template_fmt=, which template= finds by
	// its format; nil if there is none.
	Custom *ima.Template
	// Unavailable lists hashes that the kernel was built without.
	Unavailable []ima.HashAlgo
	// builtin reports that the built-in rules are in force, which makes a rule
	// with an undefined label an error.
	builtin bool
}

// RuleError says which token of which line of a policy the kernel refuses. It
// refuses the whole policy then.
type RuleError struct {
	// Line is the number of the line, from 1.
	Line int
	// Token is the offending word, empty if it is the rule as a whole.
	Token string
	// Reason says why, and what would be taken.
	Reason string
}

func (e *RuleError) Error() string {
	if e.Token == "" {
		return fmt.Sprintf("policy line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("policy line %d: %q: %s", e.Line, clip.String(e.Token), e.Reason)
}

// Unwrap returns EINVAL, the kernel's answer.
func (e *RuleError) Unwrap() error { return EINVAL }
