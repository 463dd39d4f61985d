package files

import (
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// fileFacts are the attributes of a file that IMA needs, besides its content.
type fileFacts struct {
	id       inodeID
	links    uint64
	uid, gid uint32
	mode     uint16 // type bits included
	// superblock is nil where nothing is known of file systems.
	superblock *measure.Superblock
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
