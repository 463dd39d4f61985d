package main

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/swtpmd/swtpmd/ima"
)

// fileFacts is what IMA asks of a file besides its content.
type fileFacts struct {
	id       inodeID
	links    uint64
	uid, gid uint32
	mode     uint16 // type bits included
	// superblock is nil where nothing is known of file systems.
	superblock *ima.Superblock
	// xattrs are those that EVM protects, in its order, and security.evm.
	xattrs []ima.Xattr
	verity ima.FileDigest
}

// inodeID tells inodes apart.
type inodeID struct{ device, number uint64 }

// securityXattrs are EVM's names in its order (security/integrity/evm/
// evm_main.c, evm_config_default_xattrnames), and its own.
var securityXattrs = []string{
	"security.selinux", "security.SMACK64", "security.SMACK64EXEC", "security.SMACK64TRANSMUTE",
	"security.SMACK64MMAP", "security.apparmor", "security.ima", "security.capability", "security.evm",
}

// imageKind is what a kernel takes a file's content for when it is executed.
type imageKind uint8

const (
	otherImage   imageKind = iota
	scriptImage            // names an interpreter
	programImage           // ELF, of a program or a shared library
)

// imageKindOf reads the beginning of a file (fs/binfmt_script.c, fs/binfmt_elf.c).
func imageKindOf(r io.ReaderAt) imageKind {
	const typeAt, dataAt, executable, shared = 16, 5, 2, 3
	var head [18]byte
	n, _ := r.ReadAt(head[:], 0)
	if bytes.HasPrefix(head[:n], []byte("#!")) {
		return scriptImage
	}
	if n < len(head) || !bytes.HasPrefix(head[:], []byte("\x7fELF")) {
		return otherImage
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if head[dataAt] == 2 {
		order = binary.BigEndian
	}
	if kind := order.Uint16(head[typeAt:]); kind == executable || kind == shared {
		return programImage
	}
	return otherImage
}
