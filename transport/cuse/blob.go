package cuse

import (
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// A structure has room for a piece of a state blob. Reading goes on with a greater
// offset, or by read(2); writing with another structure after a full one, or by write(2)
// after an empty one.

// upload is a state blob that comes in pieces.
type upload struct {
	begun   bool
	byWrite bool
	kind    swtpm.StateType
	flags   uint32
	data    []byte
}

// getStateBlob gives flags, the size of the blob, the size of the piece, and the piece.
func (s *service) getStateBlob(in []byte) ([]byte, error) {
	flags, kind, offset := word(in, 0), swtpm.StateType(word(in, 4)), word(in, 8)
	blob, err := s.control.GetStateBlob(s.asking, kind, flags)
	code, err := result(err)
	if err != nil || code != 0 {
		return words(code, 0, 0, 0), err
	}
	rest := blob.Data[min(uint64(offset), uint64(len(blob.Data))):]
	piece := rest[:min(len(rest), blobPiece)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.file.running {
		s.file.rest = rest[len(piece):]
	}
	return append(words(0, blob.Flags, uint32(len(blob.Data)), uint32(len(piece))), piece...), nil
}

// setStateBlob takes a piece. The last one gives the blob to the TPM.
func (s *service) setStateBlob(in []byte) ([]byte, error) {
	flags, kind, length := word(in, 0), swtpm.StateType(word(in, 4)), word(in, 8)
	if length > blobPiece {
		return words(uint32(swtpm.BadParameter)), nil
	}
	whole, refused := s.take(flags, kind, in[12:12+length])
	if whole == nil {
		return words(uint32(refused)), nil
	}
	code, err := result(s.control.SetStateBlob(s.asking, kind, &swtpm.Blob{Flags: whole.flags, Data: whole.data}))
	return words(code), err
}

// take adds a piece to the upload, and returns it when it is whole.
func (s *service) take(flags uint32, kind swtpm.StateType, piece []byte) (*upload, swtpm.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &s.file.upload
	if u.begun && u.kind != kind {
		*u = upload{}
		return nil, swtpm.BadParameter
	}
	if len(u.data)+len(piece) > mostState {
		*u = upload{}
		return nil, swtpm.Fail
	}
	first := !u.begun
	u.begun, u.kind, u.flags = true, kind, flags
	u.data = append(u.data, piece...)
	switch {
	case first && len(piece) == 0:
		u.byWrite = true
		return nil, swtpm.Success
	case len(piece) == blobPiece:
		return nil, swtpm.Success
	}
	whole := *u
	*u = upload{}
	return &whole, swtpm.Success
}
