package verify

import "slices"

// The codes of findings. What each stands for is in the table of Codes.
const (
	ListUnreadable       Code = "list-unreadable"
	ListEmpty            Code = "list-empty"
	ListPiece            Code = "list-piece"
	ListNotFromBoot      Code = "list-not-from-boot"
	ListASCII            Code = "list-ascii"
	ASCIIAmbiguous       Code = "ascii-ambiguous"
	ASCIIUnproven        Code = "ascii-unproven"
	NameNewline          Code = "name-newline"
	DigestMismatch       Code = "digest-mismatch"
	BufferMismatch       Code = "buffer-mismatch"
	FileDigestZero       Code = "file-digest-zero"
	Violation            Code = "violation"
	Duplicate            Code = "duplicate"
	CustomTemplate       Code = "custom-template"
	OtherPCR             Code = "other-pcr"
	PCRNotInTPM          Code = "pcr-not-in-tpm"
	KernelVersion        Code = "kernel-version"
	KernelVersionPlace   Code = "kernel-version-place"
	KernelVersionDiffers Code = "kernel-version-differs"

	AggregateMissing    Code = "aggregate-missing"
	AggregateNotFirst   Code = "aggregate-not-first"
	AggregatePCR        Code = "aggregate-pcr"
	AggregateMatch      Code = "aggregate-match"
	AggregateShort      Code = "aggregate-short"
	AggregateOfLog      Code = "aggregate-of-event-log"
	AggregateMismatch   Code = "aggregate-mismatch"
	AggregateUnchecked  Code = "aggregate-unchecked"
	AggregateAfterQuote Code = "aggregate-after-quote"
	SeveralAggregates   Code = "several-aggregates"
	FirmwareUnmeasured  Code = "firmware-unmeasured"
	Bypass              Code = "bypass"
	ZeroLiveTPM         Code = "zero-aggregate-live-tpm"
	ZeroUnmatched       Code = "zero-aggregate-unmatched"
	ZeroUnchecked       Code = "zero-aggregate-unchecked"

	ReplayMatch       Code = "replay-match"
	ReplayMismatch    Code = "replay-mismatch"
	BankMismatch      Code = "bank-mismatch"
	BanksDisagree     Code = "banks-disagree"
	PCRAtReset        Code = "pcr-at-reset"
	PCRNotGiven       Code = "pcr-not-given"
	PCRAtStart        Code = "pcr-at-start"
	StartNotGiven     Code = "start-not-given"
	RecordsAfter      Code = "records-after"
	DigestsPadded     Code = "digests-padded"
	SHA1Only          Code = "sha1-only"
	BankNotReplayable Code = "bank-not-replayable"
	PCRsVouched       Code = "pcrs-vouched"
	PCRsUnquoted      Code = "pcrs-unquoted"

	QuoteVerified       Code = "quote-verified"
	QuoteUnreadable     Code = "quote-unreadable"
	QuoteForeign        Code = "quote-foreign"
	QuoteSignature      Code = "quote-signature"
	QuoteNonce          Code = "quote-nonce"
	QuoteNonceUnchecked Code = "quote-nonce-unchecked"
	QuoteDigest         Code = "quote-digest"
	QuotePCRsMissing    Code = "quote-pcrs-missing"
	QuoteClockUnsafe    Code = "quote-clock-unsafe"

	EventLogMatch      Code = "event-log-match"
	EventLogMismatch   Code = "event-log-mismatch"
	EventLogUnreadable Code = "event-log-unreadable"
	EventLogDeviates   Code = "event-log-deviates"
	EventLogBank       Code = "event-log-bank"

	BuildBound         Code = "build-bound"
	BuildUnbound       Code = "build-unbound"
	TimingUnknown      Code = "timing-unknown"
	OnTimeClaimed      Code = "on-time-claimed"
	LateClaimed        Code = "late-claimed"
	OnTimeBound        Code = "on-time-bound"
	LateBound          Code = "late-bound"
	DeniedBound        Code = "denied-bound"
	GapUnproven        Code = "gap-unproven"
	NameContradicts    Code = "name-contradicts-build"
	BeforeStartUnknown Code = "before-start-unknown"
)

// code is a row of the table of codes.
type code struct {
	code     Code
	part     Part
	severity Severity
	// floor is the best outcome that a policy may give the finding. It is
	// above Accept where accepting would mean to know what cannot be known.
	floor Outcome
	doc   string
}

// codes is the table, in the order in which findings about records are given.
var codes = []code{
	{ListUnreadable, PartList, Failure, Reject, "the list is not what a kernel writes from here on"},
	{ListEmpty, PartList, Failure, CannotTell, "the list has no record, not even a boot aggregate"},
	{ListPiece, PartList, Caution, Accept, "the list does not begin at a boot but at PCR values that were given"},
	{ListNotFromBoot, PartList, Failure, CannotTell, "the list does not begin at a boot, and the PCR values at its beginning were not given"},
	{ListASCII, PartList, Note, Accept, "the list was read in its ASCII form, in which the kernel escapes nothing: only the binary form is unambiguous"},
	{ASCIIAmbiguous, PartList, Caution, Accept, "a newline is in the name, so other readers of the ASCII list see something else; the template digest proves this reading"},
	{ASCIIUnproven, PartList, Failure, CannotTell, "the record spans lines and no template digest proves that reading, as with a violation; the binary list would tell"},
	{NameNewline, PartList, Caution, Accept, "a newline is in the name: in the ASCII list it would look like the beginning of another record"},
	{DigestMismatch, PartList, Failure, Reject, "the template digest is not that of the record's data: the record was changed, or the kernel had another byte order"},
	{BufferMismatch, PartList, Failure, CannotTell, "the digest of the buffer is not that of the buffer shown"},
	{FileDigestZero, PartList, Caution, Accept, "the file's digest is zero: the kernel could not hash it, as it was opened with O_DIRECT, or could not be read for that (files of sysfs are such); what was read is unknown"},
	{Violation, PartList, Caution, Accept, "a violation: a file that was measured was open for writing (ToMToU or open writers, which the list does not tell apart), so what was read may not be what was measured"},
	{Duplicate, PartList, Caution, Accept, "the record was there before: a kernel records it twice only without its table (CONFIG_IMA_DISABLE_HTABLE, ima_flush_htable)"},
	{CustomTemplate, PartList, Note, Accept, "the template is none of the kernel's own but a format (ima_template_fmt=)"},
	{OtherPCR, PartList, Note, Accept, "the record is for another PCR than the boot aggregate's (a rule's pcr=)"},
	{PCRNotInTPM, PartList, Caution, Accept, "no TPM has this PCR: the record was never extended, and nothing vouches for it"},
	{KernelVersion, PartList, Note, Accept, "the kernel's release as a record says it"},
	{KernelVersionPlace, PartList, Caution, Accept, "kernel_version does not follow a boot aggregate, after which a kernel records it when IMA starts"},
	{KernelVersionDiffers, PartList, Failure, CannotTell, "kernel_version is not the release of the build"},

	{AggregateMissing, PartList, Failure, CannotTell, "the list has no boot aggregate, so nothing ties it to the boot of this machine"},
	{AggregateNotFirst, PartList, Failure, Accept, "records stand before the first boot aggregate, which a kernel records first: the beginning of the list is missing or was made up"},
	{AggregatePCR, PartList, Failure, CannotTell, "the boot aggregate is not for the PCR of IMA, which is 10 unless the build has another one"},
	{AggregateMatch, PartList, Note, Accept, "the boot aggregate is that of the PCRs"},
	{AggregateShort, PartList, Caution, Accept, "the boot aggregate is that of PCR 0-7; kernels since 5.8 take PCR 8 and 9 too"},
	{AggregateOfLog, PartList, Caution, Accept, "the boot aggregate is that of the event log's PCRs, of which PCR 8 or 9 was not given or has been extended since IMA started"},
	{AggregateMismatch, PartList, Failure, CannotTell, "the boot aggregate is not that of the PCRs"},
	{AggregateUnchecked, PartList, Caution, CannotTell, "the PCRs of the boot aggregate were not given"},
	{AggregateAfterQuote, PartList, Failure, CannotTell, "the boot aggregate comes after the records that a PCR vouches for"},
	{SeveralAggregates, PartList, Caution, Accept, "the list has several boot aggregates"},
	{FirmwareUnmeasured, PartPCRs, Caution, Accept, "PCR 0-7 are zero: the firmware measured nothing, so the boot aggregate tells nothing of this boot"},
	{Bypass, PartList, Failure, CannotTell, "the boot aggregate is zero and the PCR at reset, so nothing was extended: TPM-bypass, or a TPM in field failure mode; the list is unauthenticated data of the running software"},
	{ZeroLiveTPM, PartList, Failure, CannotTell, "the boot aggregate is zero although the PCR has been extended with the list"},
	{ZeroUnmatched, PartList, Failure, CannotTell, "the boot aggregate is zero, and the PCR neither at reset nor what the list makes of it"},
	{ZeroUnchecked, PartList, Failure, CannotTell, "the boot aggregate is zero, and no value of its PCR was given"},

	{ReplayMatch, PartPCRs, Note, Accept, "the list gives the value of the PCR"},
	{ReplayMismatch, PartPCRs, Failure, CannotTell, "no beginning of the list gives the value of the PCR"},
	{BankMismatch, PartPCRs, Caution, Accept, "the list gives the value of the PCR in another bank, but not in this one"},
	{BanksDisagree, PartPCRs, Caution, Accept, "the banks stand at different records"},
	{PCRAtReset, PartPCRs, Failure, CannotTell, "the PCR is at its reset value although the list has records for it"},
	{PCRNotGiven, PartPCRs, Caution, CannotTell, "the list has records for a PCR of which no value was given"},
	{PCRAtStart, PartPCRs, Caution, CannotTell, "the PCR has the value that was given for the beginning of the list: no record of it was in the PCR yet"},
	{StartNotGiven, PartPCRs, Note, Accept, "the bank was not compared, as the PCR's value in it at the beginning of the list was not given"},
	{RecordsAfter, PartPCRs, Note, Accept, "the list has records after those that give the value of the PCR; a list that was read after the PCR has them, and nothing vouches for them yet"},
	{DigestsPadded, PartPCRs, Note, Accept, "the bank was extended with padded sha1 digests"},
	{SHA1Only, PartPCRs, Caution, Accept, "only sha1 vouches for the list"},
	{BankNotReplayable, PartPCRs, Caution, Accept, "the bank's hash cannot be computed here"},
	{PCRsVouched, PartPCRs, Note, Accept, "the PCR values are vouched for by who gave them"},
	{PCRsUnquoted, PartPCRs, Caution, Accept, "no quote covers the PCR values"},

	{QuoteVerified, PartQuote, Note, Accept, "the quote is signed with the key given and is of the PCR values given"},
	{QuoteUnreadable, PartQuote, Failure, Reject, "the quote or its signature is not one"},
	{QuoteForeign, PartQuote, Failure, Reject, "what was signed is no quote that a TPM has made"},
	{QuoteSignature, PartQuote, Failure, Reject, "the signature of the quote is wrong"},
	{QuoteNonce, PartQuote, Failure, Reject, "the quote has another nonce"},
	{QuoteNonceUnchecked, PartQuote, Caution, Accept, "the nonce is not known, so the quote may be an old one"},
	{QuoteDigest, PartQuote, Failure, Reject, "the PCR values are not those quoted"},
	{QuotePCRsMissing, PartQuote, Failure, CannotTell, "the quote is of PCRs whose values were not given"},
	{QuoteClockUnsafe, PartQuote, Note, Accept, "the TPM's clock may repeat values"},

	{EventLogMatch, PartEventLog, Note, Accept, "the event log gives the values of PCRs"},
	{EventLogMismatch, PartEventLog, Caution, Accept, "the event log does not give the values of PCRs"},
	{EventLogUnreadable, PartEventLog, Failure, CannotTell, "the event log is not one"},
	{EventLogDeviates, PartEventLog, Caution, Accept, "the event log is not as its specification has it, in what does not change where it leads"},
	{EventLogBank, PartEventLog, Caution, Accept, "the event log has no bank of which PCR 0-9 were given"},

	{BuildBound, PartBuild, Note, Accept, "the measured boot shows which build of the kernel ran"},
	{BuildUnbound, PartBuild, Caution, Accept, "nothing shows that the build named is the one that ran"},
	{TimingUnknown, PartBuild, Caution, Accept, "when IMA started is not known: nothing is known of the kernel's build"},
	{OnTimeClaimed, PartBuild, Caution, Accept, "the name says that IMA did not start late, but it was chosen when the kernel ran"},
	{LateClaimed, PartBuild, Caution, Accept, "the name says that IMA started late, and it was chosen when the kernel ran"},
	{OnTimeBound, PartBuild, Note, Accept, "the build starts IMA at late, and nowhere else"},
	{LateBound, PartBuild, Caution, Accept, "the build starts IMA at late_sync, and nowhere else"},
	{DeniedBound, PartBuild, Note, Accept, "the build denies access to files until IMA has its TPM"},
	{GapUnproven, PartBuild, Caution, Accept, "records from before the last boot aggregate may have been kept in memory before they were extended"},
	{NameContradicts, PartBuild, Failure, CannotTell, "the build does not write a boot aggregate of this name"},
	{BeforeStartUnknown, PartBuild, Note, Accept, "nothing is known of files used before IMA started"},
}

// codeRow finds the row of a code; every code has one.
func codeRow(c Code) *code {
	i := slices.IndexFunc(codes, func(row code) bool { return row.code == c })
	return &codes[i]
}

// CodeInfo is the row of the table for a code.
type CodeInfo struct {
	Code     Code     `json:"code"`
	Part     Part     `json:"part"`
	Severity Severity `json:"severity"`
	// Floor is the best outcome that a policy may give the finding: what
	// cannot be known, no policy accepts.
	Floor Outcome `json:"floor"`
	// Doc says what the finding stands for.
	Doc string `json:"doc"`
}

// Codes lists all codes.
func Codes() []CodeInfo {
	all := make([]CodeInfo, len(codes))
	for i, c := range codes {
		all[i] = CodeInfo{Code: c.code, Part: c.part, Severity: c.severity, Floor: c.floor, Doc: c.doc}
	}
	return all
}
