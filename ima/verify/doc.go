// Package verify says what an attestation service may conclude from a
// measurement list of the Linux kernel's IMA: from the list, from PCR values or
// a quote of them, from the firmware's event log, and from what is known of the
// kernel's build.
//
//	evidence.go            what is given, and what is refused
//	finding.go codes.go    findings, and the table of their codes
//	verify.go              the order of things
//	list.go duplicates.go  what each record shows              security/integrity/ima/ima_fs.c
//	replay.go              the list against the PCRs           security/integrity/ima/ima_queue.c
//	piece.go               a list that does not begin at a boot
//	aggregate.go           the boot aggregate                  security/integrity/ima/ima_init.c
//	timing.go              when IMA started, and who says so
//	quote.go               signature, nonce, PCRs of a quote   TPM 2.0 Library Part 3, TPM2_Quote
//	attest.go              its structures                      TPM 2.0 Library Part 2, TPMS_ATTEST
//	signature.go           signatures outside of a TPM's structure
//	key.go public.go       files of keys                       Part 2, TPMT_PUBLIC
//	tcg_log.go             the firmware's event log            TCG PC Client Platform Firmware Profile
//	tcg_replay.go          the event log against the PCRs
//	pcr_file.go pcr_text.go files of PCR values
//	pcr_sysfs.go           those of the kernel                 drivers/char/tpm/tpm-sysfs.c
//	selection.go           which PCRs of which banks
//	policy.go appraise.go  what a service accepts
//	render.go              a verdict for a terminal
//
// Verify reads the evidence once, as a stream, and gives a Verdict: findings,
// each about records, PCRs of a bank, the quote, the event log or the build. A
// finding tells a fact, not whether it is acceptable. That is for a Policy, which
// says: it gives each finding an outcome (accept, cannot tell, reject), and
// Appraise adds them up to a Result.
//
// What cannot be known is not accepted. A PCR is one value: if no beginning of
// the list gives it, nothing shows which record is wrong. A zero boot
// aggregate is written by a kernel that found no TPM, and by anybody who can
// write a list. And the name of the boot aggregate, by which a kernel shows whether IMA
// started late, is worth what the code is worth that chose it: if the kernel
// chooses when it runs, that code ran after the window in which nothing was
// measured. Only a build that leaves no choice, and that the measured boot
// shows to have run, binds it.
//
// Nothing here does I/O but reading the list; nothing grows with its length.
package verify
