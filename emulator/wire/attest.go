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
	TimeFirmware     uint64   // TIME: firmwareVersion, never obfuscated
	IndexName        []byte   // NV and NV_DIGEST
	Offset           uint16   // NV
	NVContents       []byte   // NV
}

// Attest appends a TPMS_ATTEST, starting with TPM_GENERATED_VALUE.
func (w *Writer) Attest(a *Attest) {
	w.U32(GeneratedValue)
	w.U16(uint16(a.Type))
	w.Sized(a.QualifiedSigner)
	w.Sized(a.ExtraData)
	w.ClockInfo(&a.Clock)
	w.U64(a.FirmwareVersion)
	w.attested(a)
}

// attested appends the TPMU_ATTEST of a.Type.
func (w *Writer) attested(a *Attest) {
	switch a.Type {
	case STAttestCertify:
		w.Sized(a.Name)
		w.Sized(a.QualifiedName)
	case STAttestCreation:
		w.Sized(a.ObjectName)
		w.Sized(a.Digest)
	case STAttestQuote:
		w.PCRSelections(a.PCRs.Slice())
		w.Sized(a.Digest)
	case STAttestCommandAudit:
		w.U64(a.AuditCounter)
		w.U16(uint16(a.DigestAlg))
		w.Sized(a.Digest)
		w.Sized(a.CommandDigest)
	case STAttestSessionAudit:
		w.YesNo(a.ExclusiveSession)
		w.Sized(a.Digest)
	case STAttestTime:
		w.TimeInfo(&a.Time)
		w.U64(a.TimeFirmware)
	case STAttestNV:
		w.Sized(a.IndexName)
		w.U16(a.Offset)
		w.Sized(a.NVContents)
	case STAttestNVDigest:
		w.Sized(a.IndexName)
		w.Sized(a.Digest)
	}
}
