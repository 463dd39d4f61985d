package faults

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
