package faults

// Pass lets the command through: no later rule sees it. It is for exceptions before a
// wider rule. A rule without a fault has it.
type Pass struct{}

var passKind = Kind{
	Word: "pass", Group: Availability, Ends: true,
	Doc:     "The command goes to the TPM, and no later rule sees it: an exception before a wider rule.",
	Example: "GetCapability: pass",
	parse:   func(string) (Fault, error) { return Pass{}, nil },
}

func (Pass) kind() *Kind    { return &passKind }
func (Pass) String() string { return "pass" }

func (Pass) apply(x *exchange) ([]byte, error) { return x.sendBelow() }
