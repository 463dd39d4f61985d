package swtpm

import (
	"errors"
	"sync"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// What GET_CONFIG answers: which keys there are.
const (
	ConfigFileKey      uint32 = 1
	ConfigMigrationKey uint32 = 2
)

// sealing are the blobs that were sealed last, by their kind: a client may fetch one in
// pieces, and sealed anew the pieces would not fit together.
type sealing struct {
	mu     sync.Mutex
	sealed map[StateType]sealedBlob
}

type sealedBlob struct {
	blob  []byte
	flags uint32
}

// getConfig tells which keys are set for state files and blobs.
func (c *control) getConfig(req *request) Result {
	var flags uint32
	if c.s.opts.FileKey != nil {
		flags |= ConfigFileKey
	}
	if c.s.opts.MigrationKey != nil {
		flags |= ConfigMigrationKey
	}
	req.reply = []byte{0, 0, 0, byte(flags)}
	return Success
}

// filePurpose and migrationPurpose are what the two keys seal a blob for.
var (
	filePurpose      = map[StateType]state.Purpose{StatePermanent: state.SealedState, StateVolatile: state.SealedVolatile}
	migrationPurpose = map[StateType]state.Purpose{StatePermanent: state.SealedPermanent, StateVolatile: state.SealedMigration}
)

// seal seals a blob with the key of files, unless asked is for one without, and that
// with the key of migration. flags are those of the reply. From an offset on
// it is the blob that was sealed before.
func (s *Server) seal(kind StateType, asked, offset uint32, blob []byte) (sealed []byte, flags uint32, err error) {
	file, migration := s.opts.FileKey, s.opts.MigrationKey
	if asked&BlobDecrypted != 0 {
		file = nil
	}
	if file == nil && migration == nil {
		return blob, 0, nil
	}
	s.sealing.mu.Lock()
	defer s.sealing.mu.Unlock()
	if before, ok := s.sealing.sealed[kind]; ok && offset > 0 {
		return before.blob, before.flags, nil
	}
	if file != nil {
		flags = BlobEncrypted
		if blob, err = file.Seal(nil, filePurpose[kind], blob); err != nil {
			return nil, 0, err
		}
	}
	if migration != nil {
		if blob, err = migration.Seal(nil, migrationPurpose[kind], blob); err != nil {
			return nil, 0, err
		}
	}
	if s.sealing.sealed == nil {
		s.sealing.sealed = map[StateType]sealedBlob{}
	}
	s.sealing.sealed[kind] = sealedBlob{blob, flags}
	return blob, flags, nil
}

// open takes the seals of a blob off. One without the seal of migration is taken with a
// key for it too, as in swtpm: so a TPM gets such a key.
func (s *Server) open(kind StateType, flags uint32, blob []byte) ([]byte, Result) {
	if len(blob) == 0 {
		return blob, Success
	}
	var err error
	if key := s.opts.MigrationKey; state.SealedFor(blob) == migrationPurpose[kind] {
		if blob, err = key.Open(migrationPurpose[kind], blob); err != nil {
			return nil, s.unopened(kind, err)
		}
	}
	if key := s.opts.FileKey; flags&BlobEncrypted != 0 || state.Sealed(blob) {
		if blob, err = key.Open(filePurpose[kind], blob); err != nil {
			return nil, s.unopened(kind, err)
		}
	}
	return blob, Success
}

// unopened is the result for a blob that does not open.
func (s *Server) unopened(kind StateType, err error) Result {
	s.log.Warn("a state blob cannot be decrypted", "type", uint32(kind), "cause", err)
	var size *state.KeySizeError
	switch {
	case errors.Is(err, state.ErrNeedsKey):
		return KeyNotFound
	case errors.As(err, &size):
		return BadKeyProperty
	case errors.Is(err, state.ErrWrongKey):
		return DecryptError
	}
	return BadParameter
}
