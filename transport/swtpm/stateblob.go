package swtpm

import (
	"encoding/binary"
	"errors"

	"github.com/swtpmd/swtpmd/transport"
)

// maxBlob is the largest state blob that is taken, in bytes: as in swtpm 0.11.
const maxBlob = 512 << 10

// givenState is what SET_STATEBLOB has given, for the next INIT.
type givenState struct{ permanent, volatile []byte }

// getStateBlob answers with a piece of the state from an offset to its end:
// flags, the size of what there is from the offset on, and that again as the
// size of what follows. A failure has the three numbers too, as zeros. The
// permanent and the volatile part are of one moment only if the TPM executes
// nothing between the two requests, which is up to the client.
func (c *control) getStateBlob(req *request) Result {
	kind := StateType(binary.BigEndian.Uint32(req.payload[4:]))
	offset := binary.BigEndian.Uint32(req.payload[8:])
	req.always, req.reply = true, make([]byte, 12)
	if kind == StateSave {
		return Retry // a TPM 2.0 has none
	}
	if kind != StatePermanent && kind != StateVolatile {
		return Fail
	}
	m, _ := transport.As[transport.Migratable](c.s.device)
	permanent, volatile, err := m.SaveState()
	if err != nil {
		return c.s.result("GET_STATEBLOB", err)
	}
	blob := permanent
	if kind == StateVolatile {
		blob = volatile
	}
	blob = blob[min(uint64(offset), uint64(len(blob))):]
	req.reply = make([]byte, 4, 12+len(blob)) // not encrypted
	for range 2 {
		req.reply = binary.BigEndian.AppendUint32(req.reply, uint32(len(blob)))
	}
	req.reply = append(req.reply, blob...)
	return Success
}

// setStateBlob keeps state for the next INIT, which reports whether it is any. One
// without data takes back what was given.
func (c *control) setStateBlob(req *request) Result {
	flags := binary.BigEndian.Uint32(req.payload)
	kind := StateType(binary.BigEndian.Uint32(req.payload[4:]))
	var blob []byte
	refused := blobRefusal(flags, kind, req.body)
	// What is refused is read all the same.
	_ = req.data(func(piece []byte) error {
		if refused == Success {
			blob = append(blob, piece...)
		}
		return nil
	})
	s := c.s
	s.switching.Lock()
	defer s.switching.Unlock()
	switch {
	case refused != Success:
		return refused
	case s.powered():
		return BadOrdinal
	case uint32(len(blob)) != req.body: // the connection broke
		return IOError
	case kind == StatePermanent:
		s.given.permanent = blob
	case kind == StateVolatile:
		s.given.volatile = blob
	}
	return Success
}

// blobRefusal says what is wrong with the head of a SET_STATEBLOB.
func blobRefusal(flags uint32, kind StateType, size uint32) Result {
	switch {
	case kind < StatePermanent || kind > StateSave:
		return BadParameter
	case size == 0:
		return Success
	case kind == StateSave:
		return BadParameter
	case size > maxBlob:
		return Fail
	case flags&BlobEncrypted != 0:
		return KeyNotFound
	}
	return Success
}

// initWith is INIT of a TPM that may have been given state; the caller holds
// switching. If it cannot take that, it has no power and keeps what it had.
// Volatile state alone is refused: it goes with the permanent state that was
// saved with it.
func (s *Server) initWith(given givenState) error {
	m, _ := transport.As[transport.Migratable](s.device)
	if len(given.volatile) == 0 && len(given.permanent) > 0 {
		if err := errors.Join(s.power.PowerOff(), m.LoadState(given.permanent, nil)); err != nil {
			return err
		}
	}
	err := s.power.Init()
	if err == nil && len(given.volatile) > 0 {
		// Both at once, so that they are judged together before anything changes.
		if err = m.LoadState(given.permanent, given.volatile); err != nil {
			err = errors.Join(err, s.power.PowerOff())
		}
	}
	return err
}
