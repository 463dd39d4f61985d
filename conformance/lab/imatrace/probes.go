package imatrace

import (
	"fmt"
	"strings"
)

// depth is how many components of a path are fetched: an argument has at most 63
// characters (kernel/trace/trace_probe.h, MAX_ARGSTR_LEN).
const depth = 8

// Probes returns the lines for kprobe_events of an x86-64 kernel with this layout. The
// events are in the group lab.
func Probes(l *Layout) (string, error) {
	b := &probeBuilder{layout: l}
	const file, cred = "%di", "%si"
	inode := b.at(file, "file", "f_inode")
	sb := b.at(inode, "inode", "i_sb")
	common := []string{
		"file=" + file + ":x64",
		"fmode=" + b.at(file, "file", "f_mode") + ":x32",
		"fflags=" + b.at(file, "file", "f_flags") + ":x32",
		"ino=" + b.at(inode, "inode", "i_ino") + ":u64",
		"gen=" + b.at(inode, "inode", "i_generation") + ":u32",
		"imode=" + b.at(inode, "inode", "i_mode") + ":x16",
		"iuid=" + b.at(inode, "inode", "i_uid") + ":u32",
		"igid=" + b.at(inode, "inode", "i_gid") + ":u32",
		"version=" + b.at(inode, "inode", "i_version") + ":x64",
		"magic=" + b.at(sb, "super_block", "s_magic") + ":x64",
		"sflags=" + b.at(sb, "super_block", "s_flags") + ":x64",
	}
	check := append([]string{
		"func=$stack1:u32", "mask=%r9:x32", "buf=%cx:x64", "size=%r8:s64",
		"uid=" + b.at(cred, "cred", "uid") + ":u32", "euid=" + b.at(cred, "cred", "euid") + ":u32", "suid=" + b.at(cred, "cred", "suid") + ":u32",
		"gid=" + b.at(cred, "cred", "gid") + ":u32", "egid=" + b.at(cred, "cred", "egid") + ":u32", "sgid=" + b.at(cred, "cred", "sgid") + ":u32",
		"caps=" + b.at(cred, "cred", "cap_effective") + ":x64",
	}, common...)
	check = append(check, "fs=+0("+b.at(b.at(sb, "super_block", "s_type"), "file_system_type", "name")+"):string")
	dentry := b.at(file, "file", "f_path", "dentry")
	for i := range depth {
		check = append(check, fmt.Sprintf("n%d=+0(%s):string", i, b.at(dentry, "dentry", "d_name", "name")))
		dentry = b.at(dentry, "dentry", "d_parent")
	}
	if b.err != nil {
		return "", b.err
	}
	return "p:lab/check process_measurement " + strings.Join(check, " ") + "\n" +
		"p:lab/free ima_file_free " + strings.Join(common, " ") + "\n" +
		"p:lab/policy ima_update_policy\n", nil
}

// probeBuilder makes the arguments of probes and keeps the first error.
type probeBuilder struct {
	layout *Layout
	err    error
}

// at returns the argument for a member of the struct to which another argument points.
func (b *probeBuilder) at(pointer, structName string, path ...string) string {
	offset, err := b.layout.Offset(structName, path...)
	if err != nil && b.err == nil {
		b.err = err
	}
	return fmt.Sprintf("+%d(%s)", offset, pointer)
}
