package wire

// Context is a TPMS_CONTEXT (Part 2, section "TPMS_CONTEXT"). A decoded Blob
// aliases the input.
type Context struct {
	Sequence    uint64
	SavedHandle Handle
	Hierarchy   Handle
	Blob        []byte // contextBlob: a TPMS_CONTEXT_DATA
}
