package verify_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
)

// logWriter writes event logs as the TCG PC Client Platform Firmware Profile has
// them, with banks of sha1 and sha256, or in the older form.
type logWriter struct {
	buf   []byte
	agile bool
}

const (
	evNoAction = 3
	evSCRTM    = 8 // EV_S_CRTM_VERSION
	evIPL      = 13
)

func u16(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }
func u32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// specID is the content of the first event.
func specID(parts ...[]byte) []byte {
	return cat([]byte("Spec ID Event03\x00"), u32(0), []byte{0, 2, 106, 2}, cat(parts...))
}

func twoBanks() []byte {
	return specID(u32(2), u16(4), u16(20), u16(11), u16(32), []byte{0})
}

func newAgileLog(first []byte) *logWriter {
	w := new(logWriter)
	w.event(0, evNoAction, make([]byte, 20), first)
	w.agile = true
	return w
}

// event writes an event whose digests are already encoded.
func (w *logWriter) event(pcr, kind uint32, digests, data []byte) *logWriter {
	w.buf = append(w.buf, cat(u32(pcr), u32(kind), digests, u32(uint32(len(data))), data)...)
	return w
}

// measure writes an event whose digests are those of its data.
func (w *logWriter) measure(pcr, kind uint32, data string) *logWriter {
	a, b := sha1.Sum([]byte(data)), sha256.Sum256([]byte(data))
	if !w.agile {
		return w.event(pcr, kind, a[:], []byte(data))
	}
	return w.event(pcr, kind, cat(u32(2), u16(4), a[:], u16(11), b[:]), []byte(data))
}

// say writes an event that extends nothing.
func (w *logWriter) say(data string) *logWriter {
	return w.event(0, evNoAction, cat(u32(2), u16(4), make([]byte, 20), u16(11), make([]byte, 32)), []byte(data))
}

// kernelImage is what the boot loader of firmware() measures into PCR 9.
var kernelImage = sha256.Sum256([]byte("kernel image"))

func sha1Of(text string) []byte {
	sum := sha1.Sum([]byte(text))
	return sum[:]
}

// firmware is the event log of a machine.
func firmware() []byte {
	w := newAgileLog(twoBanks()).measure(0, evSCRTM, "firmware 1.0")
	for pcr := range uint32(8) {
		w.measure(pcr, 4, "separator")
	}
	return w.measure(4, evIPL, "boot loader").measure(9, evIPL, "kernel image").measure(9, evIPL, "initramfs").
		measure(8, evIPL, "command line: ima_policy=tcb").buf
}
