package faults

import (
	"fmt"
	"slices"
	"strings"
)

// kinds is the table of kinds: one row and one file for each.
func kinds() []*Kind {
	return []*Kind{
		&passKind, &holdKind, &delayKind, &slowKind, &absentKind, &goneKind, &flapKind, &powerKind,
		&answerKind, &failureKind, &testingKind, &hmacKind, &nonceKind, &identityKind, &capabilityKind,
		&dropKind, &stallKind, &truncateKind, &extendKind, &sizeKind, &flipKind, &splitKind, &closeKind,
		&entropyKind, &storeKind, &clockKind, &nvWearKind, &lockoutKind, &bankKind, &pcrExtendKind, &fillKind,
	}
}

// Kinds returns the kinds of faults in the order of docs/faults.md.
func Kinds() []Kind {
	var list []Kind
	for _, k := range kinds() {
		list = append(list, *k)
	}
	return list
}

// FaultError reports why a text is no fault.
type FaultError struct {
	Text   string
	Reason string
}

func (e *FaultError) Error() string { return fmt.Sprintf("fault %q: %s", e.Text, e.Reason) }

// ParseFault reads a fault as a plan has it: a kind's word, and after an equals sign
// its value. The error is a *FaultError.
func ParseFault(text string) (Fault, error) {
	text = strings.TrimSpace(text)
	word, value, has := strings.Cut(text, "=")
	for _, k := range kinds() {
		if k.Word != word {
			continue
		}
		switch {
		case k.Value == "" && has:
			return nil, &FaultError{text, fmt.Sprintf("%s takes no value", word)}
		case k.Value != "" && !strings.HasPrefix(k.Value, "[") && (!has || value == ""):
			return nil, &FaultError{text, fmt.Sprintf("write %s=%s, such as in %q", word, k.Value, k.Example)}
		case has && value == "":
			return nil, &FaultError{text, "nothing follows the equals sign"}
		}
		fault, err := k.parse(value)
		if err != nil {
			return nil, &FaultError{text, err.Error()}
		}
		return fault, nil
	}
	var words []string
	for _, k := range kinds() {
		words = append(words, k.Word)
	}
	slices.Sort(words)
	return nil, &FaultError{text, fmt.Sprintf("there is no fault %q; the faults are %s", word, strings.Join(words, ", "))}
}
