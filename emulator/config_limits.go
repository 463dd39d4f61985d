package emulator

// Limits are the sizes and counts of a TPM.
type Limits struct {
	Buffer         uint32 // bytes of the command and of the response buffer
	InputBuffer    uint32 // bytes of a TPM2B_MAX_BUFFER
	Transient      uint32 // slots for transient objects and sequences
	Persistent     uint32 // persistent objects
	LoadedSessions uint32
	ActiveSessions uint32
	NVIndexSize    uint32 // bytes
	NVBuffer       uint32 // bytes of a TPM2B_MAX_NV_BUFFER
	// NVMemory are the bytes for NV indices, 152 for each besides its data, and
	// for persistent objects, 2,000 for each, or what it has if that is more.
	NVMemory uint32
	// NVOrderlyMemory are the bytes for the data of orderly NV indices, which
	// are not in NVMemory, and 12 for each.
	NVOrderlyMemory uint32
	ObjectContext   uint32 // bytes of the largest TPMS_CONTEXT of an object
	SessionContext  uint32 // bytes of the largest TPMS_CONTEXT of a session
}

// Limits of SetBufferSize as swtpm has them: a response must have room for the
// largest saved context, and no transport has more. A Config with a smaller
// buffer has only that.
const (
	minBuffer     = 2808
	defaultBuffer = 4096
)

// maxBuffer is the largest command and response buffer, that of libtpms 0.11 and of
// QEMU where the CRB interface sends in chunks. Signatures of ML-DSA-87 need more than
// defaultBuffer.
const maxBuffer = 8192

// largeObjectContext is the size in bytes that the context of an object may have where
// keys of ML-DSA-87 are on.
const largeObjectContext = 3200

// maxNVMemory bounds both kinds of NV memory in bytes, so that the state of a
// TPM with all of it in use stays below state.MaxSize, with fewer indices than
// state.MaxNVIndices.
const maxNVMemory = 1 << 18

// maxCapBuffer is TPM_PT_MAX_CAP_BUFFER, and maxCapData what it leaves of a
// TPMS_CAPABILITY_DATA for the list: less capability and count.
const (
	maxCapBuffer = 1024
	maxCapData   = maxCapBuffer - 4 - 4
)

// minSlots is what one command may need: three handles of objects, three
// sessions.
const minSlots = 3

// DefaultLimits are those of swtpm 0.7.1.
func DefaultLimits() Limits {
	return Limits{
		Buffer: defaultBuffer, InputBuffer: 1024, Transient: 3, Persistent: 7,
		LoadedSessions: 3, ActiveSessions: 64, NVIndexSize: 2048, NVBuffer: 1024,
		NVMemory: 1 << 17, NVOrderlyMemory: 512,
		ObjectContext: 2048, SessionContext: 404,
	}
}

// smallestBuffer is the least that SetBufferSize takes.
func (l *Limits) smallestBuffer() uint32 {
	least := uint32(minBuffer)
	if l.Buffer > defaultBuffer {
		least = max(least, l.ObjectContext+responseHeader)
	}
	return min(least, l.Buffer)
}
