package ima

import (
	"bytes"
	"fmt"
)

// EventData has the values from which the fields of a record are filled (struct
// ima_event_data, with what the kernel finds through its pointers). What an
// event does not have stays zero.
type EventData struct {
	// Filename is the path of the file or the name of the event.
	Filename string
	// Digest is the hash of the file or buffer (the iint's ima_hash). A
	// violation has none.
	Digest FileDigest
	// LegacyDigest is the sha1 or md5 hash of the same file, for a d field
	// when Digest has another hash.
	LegacyDigest Hex
	// HashAlgo is ima_hash, the kernel's default hash; it labels a violation.
	HashAlgo  HashAlgo
	Violation bool
	// Verity reports that the digest is that of fs-verity.
	Verity bool
	// IMAXattr and EVMXattr are the file's security.ima and security.evm,
	// type byte included.
	IMAXattr, EVMXattr []byte
	// Buf is a measured buffer.
	Buf []byte
	// Modsig is the file's appended signature.
	Modsig *Modsig
	// Inode is the part of the file's inode that the template evm-sig shows; nil for events
	// that are about no file.
	Inode *InodeData
	// Order is the byte order of the numbers.
	Order ByteOrder
}

// Modsig is an appended signature: the digest of the file without it, and the
// PKCS#7 blob.
type Modsig struct {
	Digest FileDigest
	Raw    []byte
}

// InodeData has the attributes of an inode that templates show.
type InodeData struct {
	Dentry   string // the last component of the path
	UID, GID uint32
	Mode     uint16 // type bits included
	// Xattrs are those protected by EVM that the file has, in EVM's order.
	Xattrs []Xattr
}

// Xattr is an extended attribute, its name with the prefix "security.".
type Xattr struct {
	Name  string
	Value []byte
}

// Types of the values of security.ima and security.evm (security/integrity/
// integrity.h, enum evm_ima_xattr_type).
const (
	xattrSignature       = 0x03 // EVM_IMA_XATTR_DIGSIG
	xattrPortable        = 0x05 // EVM_XATTR_PORTABLE_DIGSIG
	xattrVeritySignature = 0x06 // IMA_VERITY_DIGSIG
)

// eventNameOf is the size of the buffer in which the ima template hashes a name;
// eventNameMax is IMA_EVENT_NAME_LEN_MAX (ima.h), the longest name in the n field.
const (
	eventNameOf  = 256
	eventNameMax = eventNameOf - 1
)

// labeled is ima_eventdigest_init_common for a digest with a label.
func labeled(label string, sum []byte) []byte {
	return append(append([]byte(label), ':', 0), sum...)
}

func initDigest(e *EventData) ([]byte, error) {
	switch {
	case e.Violation:
		return make([]byte, SHA1.Size()), nil
	case e.Digest.Algo == SHA1 || e.Digest.Algo == MD5:
		return e.Digest.Sum, nil
	case len(e.LegacyDigest) == SHA1.Size() || len(e.LegacyDigest) == MD5.Size():
		return e.LegacyDigest, nil
	}
	return nil, fmt.Errorf("a digest of %s does not fit and LegacyDigest has %d bytes", e.Digest.Algo, len(e.LegacyDigest))
}

func initDigestNG(e *EventData) ([]byte, error) {
	algo, sum, err := e.ngDigest()
	if err != nil {
		return nil, err
	}
	return labeled(algo.String(), sum), nil
}

func initDigestNGv2(e *EventData) ([]byte, error) {
	algo, sum, err := e.ngDigest()
	if err != nil {
		return nil, err
	}
	kind := "ima"
	if e.Verity && !e.Violation {
		kind = "verity"
	}
	return labeled(kind+":"+algo.String(), sum), nil
}

func (e *EventData) ngDigest() (HashAlgo, []byte, error) {
	algo, sum := e.Digest.Algo, []byte(e.Digest.Sum)
	if e.Violation {
		algo, sum = e.HashAlgo, make([]byte, e.HashAlgo.Size())
	}
	if !algo.valid() || len(sum) != algo.Size() {
		return 0, nil, fmt.Errorf("digest of %d bytes, one of %s has %d", len(sum), algo, algo.Size())
	}
	return algo, sum, nil
}

func initDigestModsig(e *EventData) ([]byte, error) {
	switch {
	case e.Modsig == nil:
		return nil, nil
	case e.Violation:
		return labeled(SHA1.String(), make([]byte, SHA1.Size())), nil
	case !e.Modsig.Digest.Algo.valid() || len(e.Modsig.Digest.Sum) == 0:
		return nil, fmt.Errorf("the appended signature's digest is missing")
	}
	return labeled(e.Modsig.Digest.Algo.String(), e.Modsig.Digest.Sum), nil
}

// initName cuts the name as the n field needs it: a file's too long path is
// replaced by its last component, other names are cut off.
func initName(e *EventData) ([]byte, error) {
	name := e.Filename
	switch {
	case len(name) <= eventNameMax:
	case e.Inode != nil:
		name = e.Inode.Dentry
	default:
		name = name[:eventNameMax]
	}
	return eventName(name)
}

func initNameNG(e *EventData) ([]byte, error) { return eventName(e.Filename) }

// eventName stores a name: every blank becomes an underscore, which is hashed
// and shown so (ima_write_template_field_data).
func eventName(name string) ([]byte, error) {
	b := append([]byte(name), 0)
	if i := bytes.IndexByte(b, 0); i != len(name) {
		return nil, fmt.Errorf("name with a NUL at byte %d", i)
	}
	return bytes.ReplaceAll(b, []byte{' '}, []byte{'_'}), nil
}

func initSig(e *EventData) ([]byte, error) {
	if len(e.IMAXattr) == 0 || e.Violation ||
		e.IMAXattr[0] != xattrSignature && e.IMAXattr[0] != xattrVeritySignature {
		return initEVMSig(e)
	}
	return e.IMAXattr, nil
}

func initEVMSig(e *EventData) ([]byte, error) {
	if len(e.EVMXattr) == 0 || e.EVMXattr[0] != xattrPortable {
		return nil, nil
	}
	return e.EVMXattr, nil
}

func initBuf(e *EventData) ([]byte, error) { return e.Buf, nil }

func initModsig(e *EventData) ([]byte, error) {
	if e.Modsig == nil {
		return nil, nil
	}
	return e.Modsig.Raw, nil
}

func initInodeUID(e *EventData) ([]byte, error) {
	if e.Inode == nil {
		return nil, nil
	}
	return e.Order.appendUint32(nil, e.Inode.UID), nil
}

func initInodeGID(e *EventData) ([]byte, error) {
	if e.Inode == nil {
		return nil, nil
	}
	return e.Order.appendUint32(nil, e.Inode.GID), nil
}

func initInodeMode(e *EventData) ([]byte, error) {
	if e.Inode == nil {
		return nil, nil
	}
	return e.Order.appendUint16(nil, e.Inode.Mode), nil
}

func initXattrNames(e *EventData) ([]byte, error) {
	if e.Inode == nil || len(e.Inode.Xattrs) == 0 {
		return nil, nil
	}
	var b []byte
	for i, x := range e.Inode.Xattrs {
		if i > 0 {
			b = append(b, '|')
		}
		b = append(b, x.Name...)
	}
	return append(b, 0), nil
}

func initXattrLengths(e *EventData) (b []byte, err error) {
	if e.Inode == nil {
		return nil, nil
	}
	for _, x := range e.Inode.Xattrs {
		b = e.Order.appendUint32(b, uint32(len(x.Value)))
	}
	return b, nil
}

func initXattrValues(e *EventData) (b []byte, err error) {
	if e.Inode == nil {
		return nil, nil
	}
	for _, x := range e.Inode.Xattrs {
		b = append(b, x.Value...)
	}
	return b, nil
}
