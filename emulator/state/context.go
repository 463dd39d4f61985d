package state

import "github.com/swtpmd/swtpmd/emulator/wire"

// AppendObject appends an object as a saved context has it: the version of the
// volatile section that has it in two bytes, then the fields.
func AppendObject(dst []byte, o *Object) []byte { return appendContext(dst, o.version(), o.fields) }

// DecodeObject is the inverse of AppendObject. On an error, a *FormatError or
// *VersionError, the Object is nil.
func DecodeObject(b []byte) (*Object, error) {
	o := &Object{}
	if err := decodeContext(b, o.fields); err != nil {
		return nil, err
	}
	return o, nil
}

// AppendSession appends a session as a saved context has it: the version of the
// volatile section in two bytes, then the fields without the handle, which a
// TPMS_CONTEXT has elsewhere.
func AppendSession(dst []byte, s *Session) []byte {
	return appendContext(dst, volatileSessions, s.context)
}

// DecodeSession is the inverse of AppendSession, for a handle. Errors are those
// of DecodeObject.
func DecodeSession(b []byte, h wire.Handle) (*Session, error) {
	s := &Session{Handle: h}
	if err := decodeContext(b, s.context); err != nil {
		return nil, err
	}
	return s, nil
}

func appendContext(dst []byte, version uint16, fields func(*coder)) []byte {
	c := coder{version: version, w: wire.NewWriter(dst)}
	c.w.U16(c.version)
	fields(&c)
	return c.w.Data()
}

func decodeContext(b []byte, fields func(*coder)) error {
	c := coder{decode: true, r: wire.NewReader(b, nil)}
	c.version = c.r.U16()
	if c.version == 0 || c.version > volatileVersion {
		return &VersionError{Section: tagVolatile, Version: c.version, Known: volatileVersion}
	}
	fields(&c)
	return c.end(0, len(b), tagVolatile)
}
