package state

import (
	"slices"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Bounds of the fixed tables.
const (
	MaxBanks   = 8   // PCR banks: SHA-1, four of SHA-2, three of SHA-3
	SavedPCRs  = 16  // PCR 0 to 15 are kept by TPM2_Shutdown(STATE)
	PCRGroups  = 1   // PCR groups with an authorization value or policy
	MaxObjects = 256 // slots for transient objects
)

// TPM2B is a byte string of at most 64 octets: authorization values, proofs,
// seeds, digests. The zero value is the empty string. It compares with ==
// because octets after the size are zero.
type TPM2B struct {
	Size uint8
	Buf  [wire.MaxDigest]byte
}

// Bytes is the string; it aliases b.
func (b *TPM2B) Bytes() []byte { return b.Buf[:b.Size] }

// Set replaces the string by at most 64 octets of p.
func (b *TPM2B) Set(p []byte) {
	*b = TPM2B{}
	b.Size = uint8(copy(b.Buf[:], p))
}

// Policy is an authorization policy; with no policy Alg is TPM_ALG_NULL.
type Policy struct {
	Alg    wire.AlgID
	Digest TPM2B
}

// Shutdown is what the TPM knows about how the last power cycle ended, kept in
// Persistent.
type Shutdown uint8

// The kinds of ending.
const (
	ShutdownNone  Shutdown = iota // no TPM2_Shutdown, or one that was undone
	ShutdownClear                 // TPM2_Shutdown(CLEAR)
	ShutdownState                 // TPM2_Shutdown(STATE)
)

// Persistent is what only commands change.
type Persistent struct {
	EPSeed, SPSeed, PPSeed                        TPM2B // primary seeds
	EHProof, SHProof, PHProof                     TPM2B
	OwnerAuth, EndorsementAuth, LockoutAuth       TPM2B
	OwnerPolicy, EndorsementPolicy, LockoutPolicy Policy
	PCRPolicy                                     [PCRGroups]Policy

	DisableClear bool

	Shutdown         Shutdown
	ShutdownHCRTM    bool // the H-CRTM had measured in the cycle of Shutdown(STATE)
	ShutdownLocality uint8

	TotalResetCount uint64
	ResetCount      uint32

	// Allocation is the allocation of PCR banks from the next _TPM_Init on,
	// one entry per implemented bank.
	Allocation wire.PCRSelections

	// Dictionary attack protection; times in seconds.
	FailedTries, MaxTries         uint32
	RecoveryTime, LockoutRecovery uint32
	LockoutAuthEnabled            bool

	AuditCounter uint64
	Established  bool // tpmEstablished of the PC Client Platform TPM Profile

	// PPCommands are the commands that TPM2_PP_Commands has put on the list
	// of those that need physical presence.
	PPCommands CommandBits
	// DAUsed says that an authorization with dictionary attack protection was
	// tried in this power cycle. Set before a stop without shutdown, it
	// counts as a failed try.
	DAUsed bool

	// AuditAlg is the hash of the command audit digest, and AuditCommands the
	// commands that go into it (Part 1, section "Command Audit").
	AuditAlg      wire.AlgID
	AuditCommands CommandBits
	AlgorithmSet  uint32 // TPM2_SetAlgorithmSet
}

// firstCommand is the code of the first command that a CommandBits can have.
const firstCommand = wire.CCNVUndefineSpaceSpecial

// CommandBits is a set of command codes: bit n%8 of octet n/8 is code 0x11F + n.
type CommandBits [20]uint8

// Has reports whether the set has the command.
func (b *CommandBits) Has(code wire.CC) bool {
	n := code - firstCommand
	return uint64(n) < uint64(len(b)*8) && b[n/8]>>(n%8)&1 != 0
}

// Set adds the command, which must be one of Part 3.
func (b *CommandBits) Set(code wire.CC) { n := code - firstCommand; b[n/8] |= 1 << (n % 8) }

// Clear removes the command, which must be one of Part 3.
func (b *CommandBits) Clear(code wire.CC) { n := code - firstCommand; b[n/8] &^= 1 << (n % 8) }

// Orderly is saved by TPM2_Shutdown and at every Clock update.
type Orderly struct {
	Clock uint64 // milliseconds
	Safe  bool   // no lower value of Clock was reported since the last save
	// Time is the value of Time at the last save, to which the two timers
	// refer: the Time at which dictionary attack recovery started, in
	// milliseconds.
	Time                        uint64
	SelfHealTimer, LockoutTimer int64
}

// Reset is what TPM Restart and TPM Resume keep.
type Reset struct {
	NullProof, NullSeed TPM2B
	ClearCount          uint32
	RestartCount        uint32
	ObjectContextID     uint64
	PCRUpdateCounter    uint32

	// CommandAuditDigest is empty until a command is audited.
	CommandAuditDigest TPM2B
	// ContextCounter is the sequence number of the next session context that
	// is saved, and ActiveSessions the sessions by the index of their handles.
	ContextCounter uint64
	ActiveSessions []ActiveSession
	// Commitments of TPM2_Commit and TPM2_EC_Ephemeral: the number of the next
	// one, the secret they are made from, and which of the last ones are not
	// used up (Part 1, annex "TPM2_Commit() Algorithm").
	CommitCounter uint64
	CommitNonce   TPM2B
	CommitArray   [MaxCommits / 8]uint8
}

// MaxCommits is how many commitments can be outstanding.
const MaxCommits = 128

// Clear is what only TPM Resume keeps.
type Clear struct {
	ShEnable, EhEnable, PhEnableNV bool
	PlatformAuth                   TPM2B
	PlatformPolicy                 Policy
	PCRAuth                        [PCRGroups]TPM2B
	PCRs                           PCRs // PCR 0 to 15 as TPM2_Shutdown(STATE) left them
	ReadOnly                       bool // TPM2_ReadOnlyControl (rev 1.84)
}

// PCRs are the values of all PCR banks. A copy has the same values; Saved returns one with
// values of its own.
type PCRs struct {
	Count int
	Banks [MaxBanks]Bank
}

// Bank is one PCR bank. A PCR that is not allocated is zero and unused.
type Bank struct {
	Alg       wire.AlgID
	Size      uint8 // of a digest, in bytes
	Allocated wire.PCRSelect
	values    []byte // from PCR 0 on
}

// NewBank returns a bank whose digests have size bytes, with all PCRs zero.
func NewBank(alg wire.AlgID, size uint8, allocated wire.PCRSelect) Bank {
	return Bank{alg, size, allocated, make([]byte, wire.PCRCount*int(size))}
}

// Slice is the list of banks.
func (p *PCRs) Slice() []Bank { return p.Banks[:p.Count] }

// Bank is the bank of an algorithm, else nil.
func (p *PCRs) Bank(alg wire.AlgID) *Bank {
	for i := range p.Banks[:p.Count] {
		if p.Banks[i].Alg == alg {
			return &p.Banks[i]
		}
	}
	return nil
}

// Allocation is the list of banks with the PCRs that each has.
func (p *PCRs) Allocation() wire.PCRSelections {
	l := wire.PCRSelections{Count: p.Count}
	for i := range p.Banks[:p.Count] {
		b := &p.Banks[i]
		l.List[i] = wire.PCRSelection{Hash: b.Alg, Size: wire.PCRSelectMax, Select: b.Allocated}
	}
	return l
}

// Saved returns PCR 0 to SavedPCRs-1 of all banks, without the others.
func (p *PCRs) Saved() PCRs {
	saved := *p
	for i := range saved.Slice() {
		b := &saved.Banks[i]
		b.values = slices.Clone(b.values[:SavedPCRs*int(b.Size)])
	}
	return saved
}

// Value returns the value of one PCR, which aliases b. In what TPM2_Shutdown(STATE) has
// left only PCR 0 to SavedPCRs-1 have one.
func (b *Bank) Value(pcr int) []byte {
	at := pcr * int(b.Size)
	return b.values[at : at+int(b.Size) : at+int(b.Size)]
}

// DRBG is the working state of the random bit generator: crypt.DRBGState.
type DRBG struct {
	Key     [32]byte
	V       [16]byte
	Reseeds uint64
}

// HashState is a marshaled hash.
type HashState struct {
	Alg  wire.AlgID
	Size uint8
	Buf  [224]byte
}

// Volatile is what _TPM_Init takes away.
type Volatile struct {
	Started          bool
	HCRTM            bool // _TPM_Hash_End came before TPM2_Startup
	StartupLocality  uint8
	PreviousShutdown Shutdown // how the cycle before this one ended
	PhEnable         bool
	Reconfigured     bool   // TPM2_PCR_Allocate came in this cycle
	Time             uint64 // milliseconds since _TPM_Init
	RateAdjust       int32  // TPM2_ClockRateAdjust, in steps of FINE
	DRBG             DRBG
	PCRs             PCRs
	Objects          []Object // transient object slots, TransientFirst upwards
	DRTMSlot         uint16   // slot, counted from 1, of the running hash sequence of locality 4; 0 for none
	DAPending        bool     // a change of the lockout state waits for NV
	SelfTested       []wire.AlgID
	ExclusiveSession wire.Handle
	FailureCode      uint32    // not 0 in failure mode
	Sessions         []Session // slots for loaded sessions
	// TimeEpoch is a random number that tells this period of Time from others.
	TimeEpoch uint64
	// Of a snapshot: nanoseconds that are not in Time yet, and the size of the
	// command and response buffers in bytes.
	Fraction   uint64
	BufferSize uint32
}

// Section is a section of the encoded form that this version does not know.
type Section struct {
	Tag, Version uint16
	Data         []byte
}

// State is all of it.
type State struct {
	Persistent Persistent
	Orderly    Orderly
	Reset      Reset
	Clear      Clear
	Volatile   Volatile
	NV         NV
	Objects    PersistentObjects
	// Unknown are sections of a newer version, kept for it.
	Unknown []Section
}
