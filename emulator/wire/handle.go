package wire

// Handle is a TPM_HANDLE (Part 2, chapter "Handles").
type Handle uint32

// HT is a TPM_HT, the most significant octet of a handle.
type HT uint8

// The handle types.
const (
	HTPCR           HT = 0x00
	HTNVIndex       HT = 0x01
	HTHMACSession   HT = 0x02 // also the loaded sessions in GetCapability
	HTPolicySession HT = 0x03 // also the saved sessions in GetCapability
	HTExternalNV    HT = 0x11
	HTPermanentNV   HT = 0x12
	HTPermanent     HT = 0x40
	HTTransient     HT = 0x80
	HTPersistent    HT = 0x81
	HTAC            HT = 0x90
)

// Type is the handle's type.
func (h Handle) Type() HT { return HT(h >> 24) }

// Index is the handle without its type.
func (h Handle) Index() uint32 { return uint32(h) & 0xFFFFFF }

// The first and last handles of the ranges, without those of a permanent kind.
const (
	PCRFirst        Handle = 0x00000000
	NVIndexFirst    Handle = 0x01000000
	HMACFirst       Handle = 0x02000000
	PolicyFirst     Handle = 0x03000000
	PermanentFirst  Handle = RHOwner
	PermanentLast   Handle = RHFWNull + 0xFFFF
	TransientFirst  Handle = 0x80000000
	PersistentFirst Handle = 0x81000000
	PlatformPersist Handle = 0x81800000 // first persistent handle of the platform
	PersistentLast  Handle = 0x81FFFFFF
)

// The permanent handles (Part 2, section "TPM_RH (Permanent Handles)").
const (
	RHOwner         Handle = 0x40000001
	RHRevoke        Handle = 0x40000002
	RHTransport     Handle = 0x40000003
	RHOperator      Handle = 0x40000004
	RHAdmin         Handle = 0x40000005
	RHEK            Handle = 0x40000006
	RHNull          Handle = 0x40000007
	RHUnassigned    Handle = 0x40000008
	RSPW            Handle = 0x40000009
	RHLockout       Handle = 0x4000000A
	RHEndorsement   Handle = 0x4000000B
	RHPlatform      Handle = 0x4000000C
	RHPlatformNV    Handle = 0x4000000D
	RHAuth00        Handle = 0x40000010
	RHAuthFF        Handle = 0x4000010F
	RHACT0          Handle = 0x40000110
	RHACTF          Handle = 0x4000011F
	RHFWOwner       Handle = 0x40000140
	RHFWEndorsement Handle = 0x40000141
	RHFWPlatform    Handle = 0x40000142
	RHFWNull        Handle = 0x40000143
)
