package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// fileSystems knows the mounted file systems.
type fileSystems struct {
	mounts map[uint64]mount // by the mount's number
	known  map[fsKey]*measure.Superblock
	// withoutUUID are the file systems whose UUID cannot be had, by a path on
	// each.
	withoutUUID []string
}

// fsKey tells superblocks apart.
type fsKey struct {
	device string
	fsType string
}

// factsOf asks the system about an open file.
func (s *fileSystems) factsOf(f *os.File) (*fileFacts, error) {
	fd := int(f.Fd())
	var st unix.Statx_t
	const mask = unix.STATX_BASIC_STATS | unix.STATX_MNT_ID
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, mask, &st); err != nil {
		return nil, fmt.Errorf("%s: statx: %w", f.Name(), err)
	}
	facts := &fileFacts{
		id:    inodeID{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino},
		links: uint64(st.Nlink), uid: st.Uid, gid: st.Gid, mode: st.Mode,
		verity: verityDigest(fd),
	}
	var err error
	if facts.superblock, err = s.superblock(f, fd, st.Mnt_id); err != nil {
		return nil, err
	}
	for _, name := range securityXattrs {
		value, ok, err := fgetxattr(fd, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", f.Name(), name, err)
		}
		if ok {
			facts.xattrs = append(facts.xattrs, ima.Xattr{Name: name, Value: value})
		}
	}
	return facts, nil
}

func (s *fileSystems) superblock(f *os.File, fd int, mountID uint64) (*measure.Superblock, error) {
	m, err := s.mount(mountID)
	if err != nil {
		return nil, err
	}
	key := fsKey{m.device, m.fsType}
	if sb := s.known[key]; sb != nil {
		return sb, nil
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return nil, fmt.Errorf("%s: statfs: %w", f.Name(), err)
	}
	sb := &measure.Superblock{
		// The number has 32 bits; where f_type is a signed int it may be
		// negative.
		Magic: uint64(uint32(st.Type)), FSName: m.fsType, Subtype: m.subtype,
		// fs/fuse/inode.c sets the flag for all of its kinds.
		Unverifiable: m.fuse(),
	}
	uuid, ok := fsUUID(fd, m)
	if !ok {
		s.withoutUUID = append(s.withoutUUID, f.Name())
	}
	sb.UUID = uuid
	if s.known == nil {
		s.known = map[fsKey]*measure.Superblock{}
	}
	s.known[key] = sb
	return sb, nil
}

// mount finds a mount by its number, and reads the table again if it is newer
// than that.
func (s *fileSystems) mount(id uint64) (mount, error) {
	if m, ok := s.mounts[id]; ok {
		return m, nil
	}
	table, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return mount{}, err
	}
	defer table.Close()
	if s.mounts, err = parseMountinfo(table); err != nil {
		return mount{}, fmt.Errorf("/proc/self/mountinfo: %w", err)
	}
	// A mount of another namespace is not in the table: only its type is not
	// known then.
	return s.mounts[id], nil
}

// fgetxattr reads an attribute; ok is false if the file has none.
func fgetxattr(fd int, name string) (value []byte, ok bool, err error) {
	value = make([]byte, 256)
	for {
		n, err := unix.Fgetxattr(fd, name, value)
		switch {
		case errors.Is(err, unix.ERANGE) && len(value) < 1<<16: // XATTR_SIZE_MAX
			value = make([]byte, 1<<16)
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
			return nil, false, nil
		case err != nil:
			return nil, false, err
		default:
			return slices.Clip(value[:n]), true, nil
		}
	}
}

// The requests of include/uapi/linux/fs.h and fsverity.h.
const (
	fsIocGetFSUUID      = 0x80111500 // struct fsuuid2: length (u8), 16 bytes
	fsIocMeasureVerity  = 0xc0046686 // struct fsverity_digest: algorithm, size (u16 each), digest
	verityDigestMaxSize = 64
)

// fsUUID returns s_uuid, which kernels since 6.9 tell. Before, the name that
// udev gives the device is taken, if it has the form of a UUID. What is on no
// device has none, and its UUID is zero.
func fsUUID(fd int, m mount) (uuid [16]byte, ok bool) {
	var told struct {
		length uint8
		uuid   [16]byte
	}
	if ioctl(fd, fsIocGetFSUUID, unsafe.Pointer(&told)) == nil {
		return told.uuid, told.length == 16
	}
	if m.source != "" && !filepath.IsAbs(m.source) {
		return uuid, true
	}
	const byUUID = "/dev/disk/by-uuid"
	names, err := os.ReadDir(byUUID)
	if err != nil {
		return uuid, false
	}
	for _, entry := range names {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(byUUID, entry.Name()), &st) != nil {
			continue
		}
		device := fmt.Sprintf("%d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)))
		if device != m.device && !sameDevice(m.source, uint64(st.Rdev)) {
			continue
		}
		if uuid, ok = parseUUID(entry.Name()); ok {
			return uuid, true
		}
	}
	return uuid, false
}

// sameDevice reports whether a path is that of a block device. The number in the
// table of mounts is not a device's for file systems of several.
func sameDevice(path string, device uint64) bool {
	var st unix.Stat_t
	return filepath.IsAbs(path) && unix.Stat(path, &st) == nil &&
		st.Mode&unix.S_IFMT == unix.S_IFBLK && uint64(st.Rdev) == device
}

// verityDigest returns the file's fs-verity digest, zero if it has none.
func verityDigest(fd int) (digest ima.FileDigest) {
	var told struct {
		algorithm, size uint16
		digest          [verityDigestMaxSize]byte
	}
	told.size = verityDigestMaxSize
	if ioctl(fd, fsIocMeasureVerity, unsafe.Pointer(&told)) != nil {
		return digest
	}
	switch told.algorithm { // FS_VERITY_HASH_ALG_*
	case 1:
		digest.Algo = ima.SHA256
	case 2:
		digest.Algo = ima.SHA512
	default:
		return digest
	}
	if int(told.size) != digest.Algo.Size() {
		return ima.FileDigest{}
	}
	digest.Sum = append(ima.Hex(nil), told.digest[:told.size]...)
	return digest
}

func ioctl(fd int, request uint, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
