package conform

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// Case is one question to a TPM, whose answer the specification states.
type Case struct {
	// Name is a sentence that says what is asked, and what the answer is.
	Name    string
	Section Section
	Needs   Needs
	// Harm is what a case does to the TPM that outlasts it. Without leave to destroy,
	// such a case is refused.
	Harm  Harm
	Steps []Step
	// After are steps that run at the end, whatever has happened before: they put back
	// what Steps have changed. Their answers are not judged.
	After []Step
}

// Section is a place in the TPM 2.0 Library, or in another specification of the TCG.
type Section struct {
	// Document is the specification, such as "Part 3".
	Document string
	// Clause is its number, such as "31.13", as revision 1.59 numbers it, or version 185 what
	// came with that.
	Clause string
	Title  string
	// Since is the library revision from which on a TPM answers so, times 100, or 185 for
	// the version of that number; 0 stands for 116, the first one that was published.
	Since uint32
}

// String returns the section as it is cited.
func (s Section) String() string {
	text := s.Document
	if s.Clause != "" {
		text += ", " + s.Clause
	}
	if s.Title != "" {
		text += ", " + s.Title
	}
	return text + " (rev " + s.Revision() + ")"
}

// Revision returns Since as it is written, such as "1.59" or "185".
func (s Section) Revision() string {
	return revisionText(max(s.Since, firstRevision))
}

// revisionText writes a revision times 100. From 185 on it is the number of a version
// (TPM_PT_REVISION).
func revisionText(revision uint32) string {
	if revision >= 185 {
		return fmt.Sprint(revision)
	}
	return fmt.Sprintf("%d.%02d", revision/100, revision%100)
}

// firstRevision is that of the first library specification for TPM 2.0.
const firstRevision = 116

// Needs is what a case needs of a TPM besides the commands of its steps and the
// hierarchies that its steps use, which the runner finds in the steps. What is missing
// makes the case one that is not supported.
type Needs struct {
	Commands []tpm2.TPMCC
	Algs     []tpm2.TPMAlgID
	Curves   []tpm2.TPMECCCurve
	// Sets are parameter sets of ML-KEM and ML-DSA.
	Sets []ParameterSet
	// Banks are hash algorithms with PCRs.
	Banks []tpm2.TPMAlgID
	// Power needs a channel by which the TPM can be reset. A case with such a step harms
	// by Resets.
	Power bool
	// HashSequence needs the signals of a DRTM.
	HashSequence bool
	// Localities needs a transport that sends commands at other localities than 0.
	Localities bool
	// PCR needs PCR 16 and 23 to be at their reset values: the case changes and resets
	// them.
	PCR bool
	// Objects is how many transient objects have to fit at the same time, if more than 3,
	// which every TPM holds.
	Objects uint32
	// Buffer is the size of the largest command or response, if a TPM of that revision may
	// have less.
	Buffer uint32
	// Other is a question about the TPM; its text says what is missing, "" if nothing is.
	Other func(*Features) string
}

// Harm is what a case does that outlasts it.
type Harm uint16

// The kinds of harm.
const (
	// Clears takes objects and NV indices of a hierarchy away.
	Clears Harm = 1 << iota
	// ChangesHierarchy changes authorization values, policies, seeds or whether a
	// hierarchy is enabled, be it for a while.
	ChangesHierarchy
	// Resets takes the power away, and with it all PCRs, sessions and transient objects.
	Resets
	// LocksOut counts as failed tries of authorization, or changes how they are counted.
	LocksOut
	// WritesNV leaves something in NV memory.
	WritesNV
	// ExtendsPCR changes PCRs that a host uses.
	ExtendsPCR
	// MovesClock sets Clock forward.
	MovesClock
	// Locks sets a lock that only a reset takes away.
	Locks
)

var harms = []struct {
	harm Harm
	text string
}{
	{Clears, "it clears hierarchies"},
	{ChangesHierarchy, "it changes a hierarchy"},
	{Resets, "it resets the TPM"},
	{LocksOut, "it counts as failed tries of authorization"},
	{WritesNV, "it leaves something in NV memory"},
	{ExtendsPCR, "it extends PCRs that a host uses"},
	{MovesClock, "it sets the clock forward"},
	{Locks, "it sets a lock that only a reset takes away"},
}

// String says what harm is done.
func (h Harm) String() string {
	text := ""
	for _, known := range harms {
		if h&known.harm == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += known.text
	}
	return text
}

// Suite is a list of cases with the fixtures that they share.
type Suite struct {
	Cases []Case
	// Fixtures are made when the first case needs one, and kept as long as there is room.
	Fixtures []Fixture
}

// Fixture is an object that several cases use. Steps refer to it as a label that begins
// with @.
type Fixture struct {
	// Name begins with @.
	Name string
	// Step makes it. It depends on no other step.
	Step Step
}
