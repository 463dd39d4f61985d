//go:build linux

package soak

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/transport/raw"
)

// commandAttacks are those of a client whose commands arrive as they should.
var commandAttacks = []Attack{
	{Name: "odd-commands", Does: "sends commands of every code with random handles and parameters", run: func(b *bout) error {
		return b.as(func(send sender) error {
			for b.again() {
				c := conformance.Commands()[b.rnd.IntN(len(conformance.Commands()))]
				if c.Code == ccFlushContext {
					continue // what it names may be another client's
				}
				rest := b.bytes(b.rnd.IntN(200))
				p := conformance.Packet{Code: c.Code, Parameters: rest}
				if b.rnd.IntN(2) == 0 {
					p.Tag = conformance.Sessions
				}
				if _, err := send(p.Bytes()); err != nil {
					return err
				}
			}
			return nil
		})
	}},
	{Name: "lockout-storm", Does: "guesses an authorization until the TPM locks it out, and goes on", run: func(b *bout) error {
		return b.as(func(send sender) error {
			const index = firstIndex + 0x1000
			_, err := send(nvDefine(index, nvAuthRead|nvAuthWrite, []byte("guess"), 8))
			for err == nil && b.again() {
				_, err = send(nvRead(index, b.bytes(8), 8))
			}
			return err
		})
	}},
	{Name: "nv-storm", Does: "defines NV indices until there is no space, and removes them", run: func(b *bout) error {
		return b.as(func(send sender) error {
			const index, most = firstIndex + 0x2000, 64
			for b.again() {
				n := uint32(0)
				for code := uint32(rcSuccess); n < most && code == rcSuccess; n++ {
					response, err := send(nvDefine(index+n, nvAuthRead|nvAuthWrite|nvNoDA, nil, 1024))
					if err != nil {
						return err
					}
					if code = rc(response); code == rcNVDefined {
						code = rcSuccess
					}
					if b.ctx.Err() != nil {
						n++
						break
					}
				}
				for ; n > 0; n-- {
					if _, err := send(nvUndefine(index + n - 1)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}},
	{Name: "handle-leak", Does: "makes keys and sessions, saves their contexts and forgets them", run: func(b *bout) error {
		return b.as(func(send sender) error {
			for b.again() {
				for _, make := range [][]byte{eccPrimary(rhNull), startSession()} {
					response, err := send(make)
					if err != nil {
						return err
					}
					h := handle(response)
					if h == 0 {
						// No room is left: what was forgotten is in the way.
						if err := b.flushAll(send); err != nil {
							return err
						}
						continue
					}
					if _, err := send(contextSave(h)); err != nil {
						return err
					}
				}
			}
			return b.flushAll(send)
		})
	}},
}

// sender sends a command to the clients' TPM. Response codes are no errors.
type sender func(command []byte) (response []byte, err error)

// as has f be a client of the steady TPM. There is nothing to do where that has as
// many as it takes.
func (b *bout) as(f func(sender) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), commandTime)
	defer cancel()
	tpm, err := raw.Dial(ctx, "unix", b.steady.ready.Data)
	if err != nil {
		b.blows++
		return nil
	}
	defer tpm.Close()
	served := false
	err = f(func(command []byte) ([]byte, error) {
		b.blows++
		response, err := tpm.Send(ctx, 0, command)
		served = served || err == nil
		return response, err
	})
	if !served {
		wait(b.ctx, time.Millisecond)
		b.blows = max(b.blows, 1)
		return nil // refused, because others have all connections
	}
	return err
}

// flushAll removes every transient object and session, loaded or saved.
func (b *bout) flushAll(send sender) error {
	const handles = 1
	for _, kind := range []uint32{0x80000000, 0x02000000, 0x03000000} {
		response, err := send(capability(handles, kind, 64))
		if err != nil {
			return err
		}
		if rc(response) != rcSuccess || len(response) < 19 {
			continue
		}
		for list := response[19:]; len(list) >= 4; list = list[4:] {
			if _, err := send(flush(binary.BigEndian.Uint32(list))); err != nil {
				return err
			}
		}
	}
	return nil
}
