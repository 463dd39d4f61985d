// Package files tells an embedded IMA what a kernel's IMA asks of the files of this
// machine: file system, owner, mode, extended attributes, SELinux label, fs-verity
// digest, and what the content is when it is executed.
//
// Only Linux tells all of it. Elsewhere a file has its mode and content alone.
package files

import (
	"io"
	"os"

	"github.com/swtpmd/swtpmd/ima/measure"
)

// Machine is the files of this machine. The zero value is ready to use, without
// SELinux.
type Machine struct {
	// SELinux gives files labels: those of Contexts, otherwise those that files
	// have in security.selinux.
	SELinux  bool
	Contexts Contexts

	systems fileSystems
	// inodes are those of files with several names, which are measured once.
	inodes map[inodeID]*measure.Inode
}

// File is an open file.
type File struct {
	Inode *measure.Inode
	Image Image

	content *os.File
}

// Open opens a file. Its Inode reads the content as long as the file is open. A file
// that has several names has one Inode.
func (m *Machine) Open(path string) (*File, error) {
	content, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	facts, err := m.systems.factsOf(content)
	if err != nil {
		content.Close()
		return nil, err
	}
	f := &File{Inode: m.inode(facts, path), Image: imageOf(content), content: content}
	f.Inode.Content = func() (io.Reader, error) {
		_, err := content.Seek(0, io.SeekStart)
		return struct{ io.Reader }{content}, err // the file stays open until Close
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.content.Close() }

// WithoutUUID returns a path on each file system whose UUID the system does not tell.
func (m *Machine) WithoutUUID() []string { return m.systems.withoutUUID }

// inode makes the inode of a file, or finds that of another name of it.
func (m *Machine) inode(facts *fileFacts, path string) *measure.Inode {
	if known := m.inodes[facts.id]; known != nil {
		return known
	}
	inode := &measure.Inode{
		Superblock: facts.superblock, UID: facts.uid, GID: facts.gid, Mode: facts.mode,
		Xattrs: facts.xattrs, VerityDigest: facts.verity,
	}
	if m.SELinux {
		inode.Label = m.label(facts, path)
	}
	if facts.links > 1 {
		if m.inodes == nil {
			m.inodes = map[inodeID]*measure.Inode{}
		}
		m.inodes[facts.id] = inode
	}
	return inode
}

// label returns the label of the rules, otherwise that of the file.
func (m *Machine) label(facts *fileFacts, path string) measure.Label {
	if label, ok := m.Contexts.Label(path); ok {
		return label
	}
	for _, x := range facts.xattrs {
		if label, ok := ParseLabel(string(x.Value)); x.Name == "security.selinux" && ok {
			return label
		}
	}
	return unlabeled
}
