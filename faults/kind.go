package faults

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is what a rule does to a command. The kinds of faults are the types of this
// package that implement it; docs/faults.md lists them.
type Fault interface {
	// String returns the fault as ParseFault reads it: "rc=TPM_RC_RETRY".
	String() string

	kind() *Kind
	// apply decides about the command, which x.next sends on. The decision of x
	// tells what became of it.
	apply(x *exchange) (response []byte, err error)
}

// Kind is a kind of faults.
type Kind struct {
	// Word begins a fault of this kind in a plan: "rc".
	Word string
	// Value is the shape of what follows the equals sign: "CODE"; "[MAX]" if it may
	// be left out with the sign; empty if nothing may follow.
	Value string
	// Group is the section of docs/faults.md.
	Group Group
	// Doc says in one sentence what faults of this kind do.
	Doc string
	// Example is a rule with such a fault.
	Example string
	// Dangerous says what clients have done, if faults of this kind leave the protocol.
	// Plans have them only with Plan.Dangerous.
	Dangerous string
	// Ends reports whether no later rule sees a command that had such a fault.
	Ends bool

	// inside: the fault happens inside the TPM, which Layer.reach surrounds for it.
	inside bool
	// parse reads Value. Its error says what is wrong with the value, and not
	// where.
	parse func(value string) (Fault, error)
}

// Group parts the kinds.
type Group string

// The groups, in the order of docs/faults.md.
const (
	Availability Group = "Availability" // whether there is a TPM, and when it answers
	Answers      Group = "Answers"      // what it answers
	Bytes        Group = "Bytes"        // what is left of command and answer on the way
	Inside       Group = "Inside"       // what goes wrong in and around it
)

// kinds is the table of kinds: one row and one file for each.
func kinds() []*Kind {
	return []*Kind{
		&passKind, &holdKind, &delayKind, &slowKind, &absentKind, &goneKind, &flapKind, &powerKind,
		&answerKind, &failureKind, &testingKind, &hmacKind, &nonceKind, &identityKind, &capabilityKind,
		&dropKind, &stallKind, &truncateKind, &extendKind, &sizeKind, &flipKind, &splitKind, &closeKind,
		&entropyKind, &storeKind,
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
