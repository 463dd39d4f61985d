package files

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Image is the kind of executable for which a kernel takes a file's content.
type Image uint8

// The kinds of executables; Other is neither a script nor an ELF file.
const (
	Other   Image = iota // none of these
	Script               // names an interpreter
	Program              // ELF, of a program or a shared library
)

// imageOf reads the beginning of a file (fs/binfmt_script.c, fs/binfmt_elf.c).
func imageOf(r io.ReaderAt) Image {
	const typeAt, dataAt, executable, shared = 16, 5, 2, 3
	var head [18]byte
	n, _ := r.ReadAt(head[:], 0)
	if bytes.HasPrefix(head[:n], []byte("#!")) {
		return Script
	}
	if n < len(head) || !bytes.HasPrefix(head[:], []byte("\x7fELF")) {
		return Other
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if head[dataAt] == 2 {
		order = binary.BigEndian
	}
	if kind := order.Uint16(head[typeAt:]); kind == executable || kind == shared {
		return Program
	}
	return Other
}
