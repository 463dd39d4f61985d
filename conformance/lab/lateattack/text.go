package lateattack

import (
	"fmt"
	"io"
	"strings"

	"github.com/swtpmd/swtpmd/ima/verify"
)

// WriteText writes for people what a scene has shown.
func WriteText(w io.Writer, s Scene, seen *Seen) error {
	var b strings.Builder
	fmt.Fprintf(&b, "== %s\n%s\n\n", s.Name, fold(s.Teaches))
	first := fmt.Sprintf("the program ran at %.3f s, before IMA looked for a TPM at %.3f s", seen.RanAt, seen.ImaAt)
	if seen.RanAt > seen.ImaAt {
		first = fmt.Sprintf("IMA looked for a TPM at %.3f s, before the program ran at %.3f s", seen.ImaAt, seen.RanAt)
	}
	fmt.Fprintf(&b, "what came first   %s\n", first)
	fmt.Fprintf(&b, "in the guest      still runs: %s\n", seen.Alive)
	fmt.Fprintf(&b, "the list          %d records; %s\n", seen.Records, choose(seen.SameList, "the list of the boot with the honest modprobe, byte for byte", "not the list of the boot with the honest modprobe"))
	for _, line := range seen.Only {
		fmt.Fprintf(&b, "                  only here: %s\n", line)
	}
	fmt.Fprintf(&b, "the TPM           %s; PCR 10 is %s\n",
		choose(s.Vouched, "vouches for the list", "has never heard of the list (TPM-bypass)"),
		choose(seen.SamePCR, "that of the boot with the honest modprobe, in each bank", "not that of the boot with the honest modprobe"))
	for _, o := range seen.Opinions {
		fmt.Fprintf(&b, "policy            %-12s %s (%s)\n", o.Policy, o.Outcome, codes(o.Decided))
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func choose(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func codes(all []verify.Code) string {
	names := make([]string, len(all))
	for i, code := range all {
		names[i] = string(code)
	}
	return strings.Join(names, ", ")
}

// fold breaks a text into lines of at most 80 characters.
func fold(text string) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > 80 {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return strings.Join(append(lines, line), "\n")
}
