package measure

import "github.com/swtpmd/swtpmd/ima"

// descriptorName is the name of struct ima_template_desc, which a custom format
// does not have.
func descriptorName(t *ima.Template) string {
	if t.Name() == t.Format() {
		return ""
	}
	return t.Name()
}

// hasModsig follows ima_template_has_modsig.
func hasModsig(t *ima.Template) bool { return t.HasField("modsig") || t.HasField("d-modsig") }
