// Package cel reads and writes the Canonical Event Log of the TCG (TCG Canonical
// Event Log Format 1.1), in which records of several sources stand in one log:
// here those of IMA (content ima_template) and those of the firmware (content
// pcclient_std). Others are passed over.
//
//	record.go    the information model, its limits
//	reader.go    which encoding a log has, and the reading of it
//	tlv.go       CEL-TLV
//	json.go      CEL-JSON, json_scan.go its texts
//	cbor.go      CEL-CBOR
//	writer.go    writing
//	cmw.go       logs in a Conceptual Messages Wrapper (RFC 9999)
//	list.go      the IMA records as a measurement list (package ima)
//	event_log.go the firmware's records as binary_bios_measurements
//
// A Reader is strict and reads a stream: it keeps one record, bounds what a length
// may ask for, and answers an ima.ListError, with the number of the record and the
// offset, to what no writer of the format writes. Digests are what was extended:
// of a violation, which IMA shows as zeros and extends as ones, both are taken and
// ones are written.
//
// Not read are records of NV indices, content ima_tlv, which no kernel writes, and
// registers other than PCRs.
package cel
