package wire

import "encoding/binary"

// Writer appends big-endian values to a byte slice. The zero value is ready;
// NewWriter reuses a buffer.
type Writer struct{ b []byte }

// NewWriter appends to b.
func NewWriter(b []byte) Writer { return Writer{b: b} }

// Data is everything written so far. It aliases the Writer's buffer.
func (w *Writer) Data() []byte { return w.b }

// Len is the number of bytes written so far.
func (w *Writer) Len() int { return len(w.b) }

// U8 appends a UINT8.
func (w *Writer) U8(v uint8) { w.b = append(w.b, v) }

// U16 appends a UINT16.
func (w *Writer) U16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }

// U32 appends a UINT32.
func (w *Writer) U32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

// U64 appends a UINT64.
func (w *Writer) U64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }

// YesNo appends a TPMI_YES_NO.
func (w *Writer) YesNo(v bool) {
	if v {
		w.U8(1)
	} else {
		w.U8(0)
	}
}

// Bytes appends p as it is.
func (w *Writer) Bytes(p []byte) { w.b = append(w.b, p...) }

// Sized appends p as a TPM2B; p must be shorter than 64 KiB.
func (w *Writer) Sized(p []byte) {
	w.U16(uint16(len(p)))
	w.Bytes(p)
}

// inner appends the size field of a TPM2B that holds a structure. The result is
// for end.
func (w *Writer) inner() int {
	w.U16(0)
	return w.Len()
}

// end fills in the size field of the structure appended since inner.
func (w *Writer) end(start int) { w.SetU16(start-2, uint16(w.Len()-start)) }

// SetU8 overwrites the byte at offset.
func (w *Writer) SetU8(offset int, v uint8) { w.b[offset] = v }

// SetU16 overwrites two bytes at offset.
func (w *Writer) SetU16(offset int, v uint16) { binary.BigEndian.PutUint16(w.b[offset:], v) }

// SetU32 overwrites four bytes at offset.
func (w *Writer) SetU32(offset int, v uint32) { binary.BigEndian.PutUint32(w.b[offset:], v) }
