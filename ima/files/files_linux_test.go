package files

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

func TestInodeOfFacts(t *testing.T) {
	sb := &measure.Superblock{Magic: 1}
	facts := &fileFacts{
		id: inodeID{1, 2}, links: 2, uid: 3, gid: 4, mode: 0o104755, superblock: sb,
		xattrs: []ima.Xattr{{Name: "security.selinux", Value: []byte("u:r:t\x00")}}, verity: ima.FileDigest{Algo: ima.SHA256, Sum: make(ima.Hex, 32)},
	}
	m := Machine{SELinux: true}
	inode := m.inode(facts, "/x")
	assert.Same(t, sb, inode.Superblock)
	assert.Equal(t, measure.Label{User: "u", Role: "r", Type: "t"}, inode.Label)
	assert.Equal(t, []any{uint32(3), uint32(4), uint16(0o104755), facts.verity}, []any{inode.UID, inode.GID, inode.Mode, inode.VerityDigest})
	assert.Same(t, inode, m.inode(facts, "/other"))
	m.SELinux, facts.id = false, inodeID{1, 3}
	assert.Empty(t, m.inode(facts, "/x").Label)
}

// The UUID of a file's superblock is what the kernel tells, if it tells one.
func TestSuperblockHasTheUUIDThatTheKernelTells(t *testing.T) {
	file, err := os.Open(t.TempDir())
	require.NoError(t, err)
	defer file.Close()
	told, ok := fsUUID(int(file.Fd()), mount{})
	if !ok {
		t.Skip("the kernel does not tell UUIDs: it is older than 6.9")
	}
	var m Machine
	facts, err := m.systems.factsOf(file)
	require.NoError(t, err)
	assert.Equal(t, told, facts.superblock.UUID)
}
