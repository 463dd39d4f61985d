package wire

// MaxContextBlob is the size in bytes of the largest TPMS_CONTEXT_DATA that
// decodes. No command is longer.
const MaxContextBlob = 4096

// Context is a TPMS_CONTEXT (Part 2, section "TPMS_CONTEXT"). A decoded Blob
// aliases the input.
type Context struct {
	Sequence    uint64
	SavedHandle Handle
	Hierarchy   Handle
	Blob        []byte // contextBlob: a TPMS_CONTEXT_DATA
}

// Context takes a TPMS_CONTEXT: TPM_RC_VALUE for a savedHandle that is no
// TPMI_DH_SAVED and for another hierarchy, TPM_RC_SIZE for a blob longer than
// MaxContextBlob.
//
// How many sessions there are is for the caller to look at. So is what follows:
// Windows Server 2019 fills the structure up with zeros to the size that
// TPM_PT_MAX_OBJECT_CONTEXT gives.
func (r *Reader) Context(c *Context) {
	c.Sequence = r.U64()
	c.SavedHandle = r.savedHandle()
	c.Hierarchy = r.hierarchy()
	c.Blob = r.Sized(MaxContextBlob)
}

// savedHandle takes a TPMI_DH_SAVED: a session, or one of three numbers that
// stand for an ordinary object, a sequence object and an object with stClear.
func (r *Reader) savedHandle() Handle {
	h := Handle(r.U32())
	switch h.Type() {
	case HTHMACSession, HTPolicySession:
	default:
		if h < TransientFirst || h > TransientFirst+2 {
			r.Fail(RCValue)
		}
	}
	return h
}

// hierarchy takes a TPMI_RH_HIERARCHY+, without the hierarchies limited to a
// firmware or its security version.
func (r *Reader) hierarchy() Handle {
	h := Handle(r.U32())
	switch h {
	case RHOwner, RHEndorsement, RHPlatform, RHNull:
	default:
		r.Fail(RCValue)
	}
	return h
}

// Context appends a TPMS_CONTEXT.
func (w *Writer) Context(c *Context) {
	w.U64(c.Sequence)
	w.U32(uint32(c.SavedHandle))
	w.U32(uint32(c.Hierarchy))
	w.Sized(c.Blob)
}
