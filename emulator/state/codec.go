package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The frame of the encoded form; FORMAT.md has the tables.
const (
	magic         = "swtpmdST"
	formatVersion = 1
	headerSize    = len(magic) + 2 + 2
	sectionHeader = 2 + 2 + 4
	maxSections   = 64
	// MaxSize is the size in bytes of the largest encoded state that Decode
	// takes.
	MaxSize = 1 << 21
)

// Section tags. Numbers are never used again for something else.
const (
	tagPersistent = 1
	tagOrderly    = 2
	tagReset      = 3
	tagClear      = 4
	tagVolatile   = 5
	tagNV         = 6
	tagObjects    = 7
)

// Versions of the sections that have objects. The newest is written only where there is
// something in the section that needs it: a key of ML-KEM or ML-DSA. An older program
// goes on with the state of a TPM that has none.
const (
	volatileSessions = 2
	volatileLattice  = 3
	// volatileVersion is the newest version of the volatile section, and of what saved
	// contexts have of it.
	volatileVersion = volatileLattice

	objectsFirst   = 1
	objectsLattice = 2
)

// FormatError says why bytes are no state of a TPM. Where they came from is
// damaged, or written by something else.
type FormatError struct {
	Offset int    // in bytes from the start
	What   string // what is wrong there
}

// Error names the place.
func (e *FormatError) Error() string {
	return fmt.Sprintf("TPM state, offset %d: %s: restore the state from a copy, or start with an empty store", e.Offset, e.What)
}

// VersionError says that a newer program has written a state, or that it is
// damaged just there. It is a *FormatError too.
type VersionError struct {
	Offset         int    // in bytes from the start
	Section        uint16 // tag of the section, 0 for the frame
	Version, Known uint16 // what is there, and the newest that this program knows
}

// Error names both versions.
func (e *VersionError) Error() string {
	what := "format"
	if e.Section != 0 {
		what = fmt.Sprintf("section %d", e.Section)
	}
	return fmt.Sprintf("TPM state, offset %d: %s version %d, this program knows %d: use the program that wrote it, or start with an empty store",
		e.Offset, what, e.Version, e.Known)
}

// Unwrap gives the *FormatError.
func (e *VersionError) Unwrap() error { return &FormatError{e.Offset, "a version that is not known"} }

// Encode appends what a Store keeps: all but Volatile.
func (s *State) Encode(dst []byte) []byte { return s.encode(dst, false) }

// EncodeSnapshot appends everything, Volatile included.
func (s *State) EncodeSnapshot(dst []byte) []byte { return s.encode(dst, true) }

func (s *State) encode(dst []byte, volatile bool) []byte {
	start := len(dst)
	dst = s.appendRest(s.appendHead(dst, volatile))
	return appendDigest(dst, start)
}

// appendDigest appends the digest of what is encoded from start on.
func appendDigest(dst []byte, start int) []byte {
	sum := sha256.Sum256(dst[start:])
	return append(dst, sum[:]...)
}

// appendHead appends the frame and the sections before that of NV.
func (s *State) appendHead(dst []byte, volatile bool) []byte {
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint16(dst, formatVersion)
	dst = binary.BigEndian.AppendUint16(dst, s.count(volatile))
	for _, sec := range sections[:tagNV-1] {
		if sec.tag != tagVolatile || volatile {
			dst = s.appendFields(dst, sec)
		}
	}
	return dst
}

// appendRest appends the section of NV and those after it.
func (s *State) appendRest(dst []byte) []byte {
	for _, sec := range sections[tagNV-1:] {
		if !s.empty(sec.tag) {
			dst = s.appendFields(dst, sec)
		}
	}
	for _, sec := range s.Unknown {
		dst = appendSection(dst, sec.Tag, sec.Version)
		binary.BigEndian.PutUint32(dst[len(dst)-4:], uint32(len(sec.Data)))
		dst = append(dst, sec.Data...)
	}
	return dst
}

// count is the number of sections.
func (s *State) count(volatile bool) uint16 {
	n := len(s.Unknown)
	for _, sec := range &sections {
		if !s.empty(sec.tag) && (sec.tag != tagVolatile || volatile) {
			n++
		}
	}
	return uint16(n)
}

func (s *State) appendFields(dst []byte, sec section) []byte {
	version := s.version(sec)
	c := coder{version: version, w: wire.NewWriter(appendSection(dst, sec.tag, version))}
	body := c.w.Len()
	s.fields(sec.tag, &c)
	c.w.SetU32(body-4, uint32(c.w.Len()-body))
	return c.w.Data()
}

// version is the version in which a section is written.
func (s *State) version(sec section) uint16 {
	switch sec.tag {
	case tagVolatile:
		version := uint16(volatileSessions)
		for i := range s.Volatile.Objects {
			version = max(version, s.Volatile.Objects[i].version())
		}
		return version
	case tagObjects:
		if !slices.ContainsFunc(s.Objects.List, func(p PersistentObject) bool { return p.Object.large() }) {
			return objectsFirst
		}
	}
	return sec.version
}

func appendSection(dst []byte, tag, version uint16) []byte {
	dst = binary.BigEndian.AppendUint16(dst, tag)
	dst = binary.BigEndian.AppendUint16(dst, version)
	return append(dst, 0, 0, 0, 0)
}

// section is a tag with the newest version of its section.
type section struct{ tag, version uint16 }

// sections are all known sections in ascending order of tag.
var sections = [...]section{
	{tagPersistent, 3},
	{tagOrderly, 1},
	{tagReset, 2},
	{tagClear, 2},
	{tagVolatile, volatileVersion},
	{tagNV, 1},
	{tagObjects, objectsLattice},
}

// fields codes the fields of a section.
func (s *State) fields(tag uint16, c *coder) {
	switch tag {
	case tagPersistent:
		s.Persistent.fields(c)
	case tagOrderly:
		s.Orderly.fields(c)
	case tagReset:
		s.Reset.fields(c)
	case tagClear:
		s.Clear.fields(c)
	case tagVolatile:
		s.Volatile.fields(c)
	case tagNV:
		s.NV.fields(c)
	case tagObjects:
		s.Objects.fields(c)
	}
}

// empty reports whether a section is left out because there is nothing in it.
func (s *State) empty(tag uint16) bool {
	return tag == tagNV && s.NV.Undefined() || tag == tagObjects && s.Objects.Undefined()
}

// Decode is the inverse of Encode and EncodeSnapshot: Volatile stays zero if it
// is not there. On an error, a *FormatError or *VersionError, the State is nil.
func Decode(b []byte) (*State, error) {
	if len(b) > MaxSize {
		return nil, &FormatError{MaxSize, "longer than a state can be"}
	}
	if len(b) < headerSize+sha256.Size || !bytes.HasPrefix(b, []byte(magic)) {
		return nil, &FormatError{0, "not the start of a TPM state"}
	}
	// First: what follows may be different in another version.
	if v := binary.BigEndian.Uint16(b[len(magic):]); v != formatVersion {
		return nil, &VersionError{Offset: len(magic), Version: v, Known: formatVersion}
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[:]) {
		return nil, &FormatError{len(body), "the checksum is wrong"}
	}
	count := int(binary.BigEndian.Uint16(b[len(magic)+2:]))
	if count > maxSections {
		return nil, &FormatError{len(magic) + 2, "too many sections"}
	}
	return decodeSections(body, count)
}

func decodeSections(body []byte, count int) (*State, error) {
	s := &State{}
	last := uint16(0)
	at := headerSize
	for range count {
		if len(body)-at < sectionHeader {
			return nil, &FormatError{at, "a section header is cut short"}
		}
		tag, version := binary.BigEndian.Uint16(body[at:]), binary.BigEndian.Uint16(body[at+2:])
		n := binary.BigEndian.Uint32(body[at+4:])
		at += sectionHeader
		if uint64(n) > uint64(len(body)-at) {
			return nil, &FormatError{at, "a section is cut short"}
		}
		if tag <= last || last < tagClear && tag != last+1 {
			return nil, &FormatError{at, fmt.Sprintf("section %d is not expected after section %d", tag, last)}
		}
		last = tag
		if err := s.decodeSection(tag, version, at, body[at:at+int(n)]); err != nil {
			return nil, err
		}
		at += int(n)
	}
	if last < tagClear {
		return nil, &FormatError{at, "a section is missing"}
	}
	if at != len(body) {
		return nil, &FormatError{at, "there is something after the last section"}
	}
	return s, nil
}

func (s *State) decodeSection(tag, version uint16, at int, data []byte) error {
	for _, sec := range &sections {
		if sec.tag != tag {
			continue
		}
		if version == 0 || version > sec.version {
			return &VersionError{Offset: at - sectionHeader + 2, Section: tag, Version: version, Known: sec.version}
		}
		c := coder{decode: true, version: version, r: wire.NewReader(data, nil)}
		s.fields(tag, &c)
		return c.end(at, len(data), tag)
	}
	s.Unknown = append(s.Unknown, Section{tag, version, bytes.Clone(data)})
	return nil
}

// end returns the first error of the fields that were decoded, of which there are
// size bytes from offset at on.
func (c *coder) end(at, size int, tag uint16) error {
	if c.bad == "" && c.r.RC() != wire.RCSuccess {
		c.bad = "a field is cut short"
	}
	if c.bad == "" && c.r.Len() != 0 {
		c.bad = "there is something after the last field"
	}
	if c.bad != "" {
		return &FormatError{at + size - c.r.Len(), fmt.Sprintf("section %d: %s", tag, c.bad)}
	}
	return nil
}
