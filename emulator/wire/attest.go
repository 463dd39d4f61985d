package wire

// Attest is a TPMS_ATTEST (Part 2, section "TPMS_ATTEST"). Of the fields after
// FirmwareVersion those are in use that the type has.
type Attest struct {
	Type            ST
	QualifiedSigner []byte
	ExtraData       []byte
	Clock           ClockInfo
	FirmwareVersion uint64

	Name, QualifiedName []byte        // CERTIFY
	PCRs                PCRSelections // QUOTE
	// Digest is the pcrDigest of QUOTE, the creationHash of CREATION, the
	// sessionDigest of SESSION_AUDIT, the auditDigest of COMMAND_AUDIT, the
	// nvDigest of NV_DIGEST.
	Digest []byte

	ObjectName       []byte   // CREATION
	ExclusiveSession bool     // SESSION_AUDIT
	AuditCounter     uint64   // COMMAND_AUDIT
	DigestAlg        AlgID    // COMMAND_AUDIT
	CommandDigest    []byte   // COMMAND_AUDIT
	Time             TimeInfo // TIME
	IndexName        []byte   // NV and NV_DIGEST
	Offset           uint16   // NV
	NVContents       []byte   // NV
}
