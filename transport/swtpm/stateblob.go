package swtpm

import (
	"encoding/binary"
	"errors"
	"time"

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
		req.handsOver = c.s.opts.ReleaseLockOutgoing
		return Retry // a TPM 2.0 has none
	}
	if kind != StatePermanent && kind != StateVolatile {
		return releases[c.s.opts.Version].noSuchState
	}
	m, _ := transport.As[transport.Migratable](c.s.device)
	begun := time.Now()
	permanent, volatile, err := m.SaveState()
	if err != nil {
		return c.s.result("GET_STATEBLOB", err)
	}
	if offset == 0 {
		// What is in execution ends first. What a fault holds has not come to the TPM.
		c.s.log.Info("the state of the TPM was fetched", "type", uint32(kind), "waited", time.Since(begun).Round(time.Millisecond))
	}
	blob := permanent
	if kind == StateVolatile {
		blob = volatile
		// What is fetched goes on elsewhere, and what is stored is older.
		if err := c.s.removeVolatile(); err != nil {
			c.s.log.Warn("stored volatile state was not removed", "cause", err)
		}
	}
	blob, sealed, err := c.s.seal(kind, binary.BigEndian.Uint32(req.payload), offset, blob)
	if err != nil {
		return c.s.result("GET_STATEBLOB", err)
	}
	blob = blob[min(uint64(offset), uint64(len(blob))):]
	req.reply = binary.BigEndian.AppendUint32(make([]byte, 0, 12+len(blob)), sealed)
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
	refused := blobRefusal(kind, req.body)
	if flags&BlobEncrypted != 0 && req.body > 0 && c.s.opts.FileKey == nil && refused == Success {
		refused = KeyNotFound
	}
	// What is refused is read all the same.
	_ = req.data(func(piece []byte) error {
		if refused == Success {
			blob = append(blob, piece...)
		}
		return nil
	})
	s := c.s
	if refused == Success && s.needLock() != nil {
		refused = IOError
	}
	s.switching.Lock()
	defer s.switching.Unlock()
	switch {
	case refused != Success:
		return refused
	case s.powered():
		return BadOrdinal
	case uint32(len(blob)) != req.body: // the connection broke
		return IOError
	}
	opened, result := s.open(kind, flags, blob)
	switch {
	case result != Success:
		return result
	case kind == StatePermanent:
		s.given.permanent = opened
	case kind == StateVolatile:
		s.given.volatile = opened
	}
	return Success
}

// blobRefusal says what is wrong with the head of a SET_STATEBLOB.
func blobRefusal(kind StateType, size uint32) Result {
	switch {
	case kind < StatePermanent || kind > StateSave:
		return BadParameter
	case size == 0:
		return Success
	case kind == StateSave:
		return BadParameter
	case size > maxBlob:
		return Fail
	}
	return Success
}

// initWith is INIT of a TPM that may have been given state, or have volatile state
// stored; the caller holds switching. If it cannot take that, it has no power and keeps
// what it had. Volatile state without permanent state goes with what the Device has.
func (s *Server) initWith(given givenState, stored []byte) error {
	m, _ := transport.As[transport.Migratable](s.device)
	permanent, volatile := given.permanent, given.volatile
	if len(volatile) == 0 {
		if len(permanent) > 0 {
			if err := errors.Join(s.power.PowerOff(), m.LoadState(permanent, nil)); err != nil {
				return err
			}
		}
		permanent, volatile = nil, stored
	}
	err := s.power.Init()
	if err == nil && len(volatile) > 0 {
		// Both at once, so that they are judged together before anything changes.
		if err = m.LoadState(permanent, volatile); err != nil {
			err = errors.Join(err, s.power.PowerOff())
		}
	}
	return err
}

// storeVolatile keeps volatile state for a later INIT, of another server too.
func (c *control) storeVolatile(*request) Result {
	m, _ := transport.As[transport.Migratable](c.s.device)
	err := c.s.ensureLocked(0)
	var volatile []byte
	if err == nil {
		_, volatile, err = m.SaveState()
	}
	if err == nil {
		err = c.s.opts.Storage.StoreVolatile(volatile)
	}
	return c.s.result("STORE_VOLATILE", err)
}

// storedVolatile is what STORE_VOLATILE has kept, nil if there is nothing that the
// Device could take.
func (s *Server) storedVolatile() ([]byte, error) {
	if !has[transport.Migratable](s.device) {
		return nil, nil
	}
	return s.opts.Storage.LoadVolatile()
}

// removeVolatile removes what STORE_VOLATILE has kept, if there is anything.
func (s *Server) removeVolatile() error {
	volatile, err := s.opts.Storage.LoadVolatile()
	if err != nil || volatile == nil {
		return err
	}
	return s.opts.Storage.RemoveVolatile()
}

// lockStorage takes the lock of the storage, with retries 10 ms apart. QEMU asks for it
// when a guest goes on that it has saved, or that could not go on elsewhere.
func (c *control) lockStorage(req *request) Result {
	tries := min(binary.BigEndian.Uint32(req.payload), maxLockTries)
	return c.s.result("LOCK_STORAGE", c.s.lockFor(tries, true))
}
