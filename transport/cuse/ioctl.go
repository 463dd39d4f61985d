package cuse

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// Control takes the control requests; a *swtpm.Client is one.
type Control interface {
	Capabilities(ctx context.Context) (swtpm.Capability, error)
	Init(ctx context.Context, flags uint32) error
	Shutdown(ctx context.Context) error
	TPMEstablished(ctx context.Context) (bool, error)
	SetLocality(ctx context.Context, locality uint8) error
	HashStart(ctx context.Context) error
	HashData(ctx context.Context, data []byte) error
	HashEnd(ctx context.Context) error
	Cancel(ctx context.Context) error
	StoreVolatile(ctx context.Context) error
	ResetTPMEstablished(ctx context.Context, locality uint8) error
	GetStateBlob(ctx context.Context, kind swtpm.StateType, flags uint32) (*swtpm.Blob, error)
	SetStateBlob(ctx context.Context, kind swtpm.StateType, blob *swtpm.Blob) error
	Stop(ctx context.Context) error
	Config(ctx context.Context) (uint32, error)
	SetBufferSize(ctx context.Context, size uint32) (swtpm.Sizes, error)
	InfoText(ctx context.Context, flags uint64) ([]byte, error)
	LockStorage(ctx context.Context, retries uint32) error
}

// Sizes of pieces of state blobs, texts and measured data in one structure, in bytes.
const (
	blobPiece = 3072
	textPiece = 3072
	hashPiece = 4096
)

// ioctlRow describes one control request: the number that an ioctl's code has besides
// type, direction and size, and the size of the structure. A request without input has
// one for its result.
type ioctlRow struct {
	number uint32
	size   uint32
	input  bool
	do     func(s *service, in []byte) (out []byte, err error)
}

// ioctlType is the type of all codes.
const ioctlType = 'P'

// ioctls are the control requests of swtpm's interface cuse. SET_DATAFD (15) is for
// sockets only.
var ioctls = []ioctlRow{
	{0, 8, false, (*service).getCapability},
	{1, 4, true, simple(func(c Control, ctx context.Context, in []byte) error { return c.Init(ctx, word(in, 0)) })},
	{2, 4, false, simple(func(c Control, ctx context.Context, _ []byte) error { return c.Shutdown(ctx) })},
	{3, 8, false, (*service).getEstablished},
	{4, 4, true, simple(func(c Control, ctx context.Context, in []byte) error { return c.SetLocality(ctx, in[0]) })},
	{5, 4, false, simple(func(c Control, ctx context.Context, _ []byte) error { return c.HashStart(ctx) })},
	{6, 4 + hashPiece, true, simple(hashData)},
	{7, 4, false, simple(func(c Control, ctx context.Context, _ []byte) error { return c.HashEnd(ctx) })},
	{8, 4, false, simple(func(c Control, ctx context.Context, _ []byte) error { return c.Cancel(ctx) })},
	{9, 4, false, simple(func(c Control, ctx context.Context, _ []byte) error { return c.StoreVolatile(ctx) })},
	{10, 4, true, simple(func(c Control, ctx context.Context, in []byte) error { return c.ResetTPMEstablished(ctx, in[0]) })},
	{11, 16 + blobPiece, true, (*service).getStateBlob},
	{12, 12 + blobPiece, true, (*service).setStateBlob},
	{13, 4, false, simple(func(c Control, ctx context.Context, _ []byte) error { return c.Stop(ctx) })},
	{14, 8, false, (*service).getConfig},
	{16, 16, true, (*service).setBufferSize},
	{17, 16 + textPiece, true, (*service).getInfo},
	{18, 4, true, simple(func(c Control, ctx context.Context, in []byte) error { return c.LockStorage(ctx, word(in, 0)) })},
}

// lookup finds the request of an ioctl; it is nil if there is none with these sizes.
func lookup(r *request) *ioctlRow {
	if r.cmd>>8&0xFF != ioctlType {
		return nil
	}
	for i := range ioctls {
		row := &ioctls[i]
		in := uint32(0)
		if row.input {
			in = row.size
		}
		if r.cmd&0xFF == row.number && r.size == row.size && uint64(len(r.data)) == uint64(in) {
			return row
		}
	}
	return nil
}

// execute executes the request of an ioctl and returns the reply.
func (s *service) execute(unique uint64, row *ioctlRow, in []byte) []byte {
	out, err := row.do(s, in)
	if err != nil {
		s.log.Warn("control request failed", "cause", err)
		return reply(unique, eIO, nil)
	}
	body := make([]byte, ioctlOutSize) // the ioctl's own result is 0
	body = append(body, out...)
	return reply(unique, 0, append(body, make([]byte, int(row.size)-len(out))...))
}

func word(b []byte, offset int) uint32 { return binary.NativeEndian.Uint32(b[offset:]) }

// result turns an error of Control into the result word; what is none of its results
// stays an error.
func result(err error) (uint32, error) {
	var refused *swtpm.ResultError
	if errors.As(err, &refused) {
		return uint32(refused.Result), nil
	}
	return 0, err
}

// simple makes a request of one whose reply is its result and nothing else.
func simple(do func(c Control, ctx context.Context, in []byte) error) func(*service, []byte) ([]byte, error) {
	return func(s *service, in []byte) ([]byte, error) {
		code, err := result(do(s.control, s.asking, in))
		return words(code), err
	}
}

// hashData takes a length and as many bytes.
func hashData(c Control, ctx context.Context, in []byte) error {
	length := word(in, 0)
	if length > hashPiece {
		return &swtpm.ResultError{Command: swtpm.CmdHashData, Result: swtpm.BadParameter}
	}
	return c.HashData(ctx, in[4:4+length])
}

// socketsOnly are capabilities that this interface does not have.
const socketsOnly = swtpm.CapSetDataFD | swtpm.CapSendCommandHeader

// getCapability has no result word.
func (s *service) getCapability([]byte) ([]byte, error) {
	bits, err := s.control.Capabilities(s.asking)
	return binary.NativeEndian.AppendUint64(nil, uint64(bits&^socketsOnly)), err
}

func (s *service) getEstablished([]byte) ([]byte, error) {
	established, err := s.control.TPMEstablished(s.asking)
	code, err := result(err)
	out := append(words(code), 0)
	if established {
		out[4] = 1
	}
	return out, err
}

func (s *service) getConfig([]byte) ([]byte, error) {
	flags, err := s.control.Config(s.asking)
	code, err := result(err)
	return words(code, flags), err
}

func (s *service) setBufferSize(in []byte) ([]byte, error) {
	sizes, err := s.control.SetBufferSize(s.asking, word(in, 0))
	code, err := result(err)
	return words(code, sizes.Size, sizes.Min, sizes.Max), err
}

// getInfo gives a piece of the text, which ends with a zero.
func (s *service) getInfo(in []byte) ([]byte, error) {
	text, err := s.control.InfoText(s.asking, binary.NativeEndian.Uint64(in))
	code, err := result(err)
	if err != nil || code != 0 {
		return words(code, 0, 0), err
	}
	text = append(text, 0)
	offset := word(in, 8)
	if uint64(offset) >= uint64(len(text)) {
		return words(uint32(swtpm.BadParameter), 0, 0), nil
	}
	piece := text[offset:min(len(text), int(offset)+textPiece)]
	return append(words(0, uint32(len(text)), uint32(len(piece))), piece...), nil
}
