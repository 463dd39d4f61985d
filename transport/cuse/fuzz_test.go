package cuse_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/cuse"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// script is a /dev/cuse that sends what a fuzzer has found and checks what comes back.
type script struct {
	t        *testing.T
	messages [][]byte
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.messages) == 0 {
		return 0, context.Canceled
	}
	n := copy(p, s.messages[0])
	s.messages = s.messages[1:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	if len(p) < 16 || int(native.Uint32(p)) != len(p) {
		s.t.Errorf("a reply of %d bytes: %x", len(p), p)
	}
	if code := int32(native.Uint32(p[4:])); code < 0 && len(p) != 16 {
		s.t.Errorf("an error with a body: %x", p)
	}
	return len(p), nil
}

func (s *script) Close() error                    { return nil }
func (s *script) SetReadDeadline(time.Time) error { return nil }

// still answers everything at once.
type still struct{}

func (still) Respond(context.Context, []byte) []byte { return transport.AppendResponse(nil, 0) }

func (still) Capabilities(context.Context) (swtpm.Capability, error)     { return 0xFFFF, nil }
func (still) Init(context.Context, uint32) error                         { return nil }
func (still) Shutdown(context.Context) error                             { return nil }
func (still) TPMEstablished(context.Context) (bool, error)               { return true, nil }
func (still) SetLocality(context.Context, uint8) error                   { return nil }
func (still) HashStart(context.Context) error                            { return nil }
func (still) HashData(context.Context, []byte) error                     { return nil }
func (still) HashEnd(context.Context) error                              { return nil }
func (still) Cancel(context.Context) error                               { return nil }
func (still) StoreVolatile(context.Context) error                        { return nil }
func (still) ResetTPMEstablished(context.Context, uint8) error           { return nil }
func (still) Stop(context.Context) error                                 { return nil }
func (still) Config(context.Context) (uint32, error)                     { return 0, nil }
func (still) InfoText(context.Context, uint64) ([]byte, error)           { return []byte("{}"), nil }
func (still) LockStorage(context.Context, uint32) error                  { return nil }
func (still) SetBufferSize(context.Context, uint32) (swtpm.Sizes, error) { return swtpm.Sizes{}, nil }

func (still) GetStateBlob(context.Context, swtpm.StateType, uint32) (*swtpm.Blob, error) {
	return &swtpm.Blob{Data: blob}, nil
}

func (still) SetStateBlob(context.Context, swtpm.StateType, *swtpm.Blob) error { return nil }

// FuzzRequests: whatever comes from /dev/cuse, each reply is whole, and nothing grows
// beyond its bound. The input is messages behind their sizes in two bytes.
func FuzzRequests(f *testing.F) {
	k := &kernel{}
	seed := func(messages ...[]byte) {
		var all []byte
		for _, m := range messages {
			all = append(append(all, byte(len(m)>>8), byte(len(m))), m...)
		}
		f.Add(all)
	}
	open := k.request(opOpen, u32(2, 0))
	write := k.request(opWrite, writeBody([]byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x7B}))
	seed(open, write, k.request(opRead, readBody(10, 0)), k.request(opRelease, make([]byte, 24)))
	seed(open, k.request(opPoll, pollBody(1, 1)), k.request(opInterrupt, u32(4, 0)))
	seed(open, k.request(opIoctl, ioctlBody(getStateBlob, make([]byte, 3088), 3088)), k.request(opRead, readBody(100, 0)))
	seed(open, k.request(opIoctl, ioctlBody(ptmInit, u32(0), 4)), k.request(opIoctl, ioctlBody(getCapability, nil, 8)))
	seed(slices.Concat(open, write))
	f.Fuzz(func(t *testing.T, input []byte) {
		s := &script{t: t}
		for len(input) >= 2 {
			size := min(int(input[0])<<8|int(input[1]), len(input)-2)
			s.messages = append(s.messages, input[2:2+size])
			input = input[2+size:]
		}
		device := cuse.NewTest(s, cuse.Options{Name: "fuzz"}, func() bool { return false })
		_ = device.Serve(t.Context(), still{}, still{}, nil)
	})
}
