package swtpm

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
)

// StateType is a kind of state of the TPM.
type StateType uint32

// The kinds of state.
const (
	StatePermanent StateType = 1
	StateVolatile  StateType = 2
	StateSave      StateType = 3 // of a TPM 1.2
)

// Flags of state blobs.
const (
	// BlobDecrypted asks for a blob that is not encrypted with the key of
	// the state files.
	BlobDecrypted uint32 = 1
	// BlobEncrypted says that a blob is.
	BlobEncrypted uint32 = 2
)

// Blob is a piece of the TPM's state, in the server's own format.
type Blob struct {
	Flags uint32
	Data  []byte
}

// GetStateBlob reads state from a running TPM. State that does not exist is a
// *ResultError with Retry set.
func (c *Client) GetStateBlob(ctx context.Context, kind StateType, flags uint32) (*Blob, error) {
	blob := &Blob{}
	for {
		total, piece, err := c.blobPiece(ctx, kind, flags, blob)
		if err != nil {
			return nil, err
		}
		blob.Data = append(blob.Data, piece...)
		// swtpm sends all there is from the offset on and says so; servers
		// that send in pieces say how much there is in all.
		if len(piece) == 0 || uint32(len(piece)) == total || uint32(len(blob.Data)) >= total {
			return blob, nil
		}
	}
}

func (c *Client) blobPiece(ctx context.Context, kind StateType, flags uint32, blob *Blob) (total uint32, piece []byte, err error) {
	payload := words(flags, uint32(kind), uint32(len(blob.Data)))
	err = c.exchange(ctx, CmdGetStateBlob,
		func() error { return c.write(CmdGetStateBlob, payload, nil) },
		func() error {
			result, err := c.word()
			if err != nil {
				return err
			}
			refused := &ResultError{Command: CmdGetStateBlob, Result: Result(result)}
			// A request that is refused for the TPM's state has no more;
			// any other reply has a whole header.
			if refused.Result == BadOrdinal {
				return refused
			}
			var head [12]byte
			if _, err := io.ReadFull(c.conn, head[:]); err != nil {
				return err
			}
			if refused.Result != Success {
				return refused
			}
			blob.Flags = binary.BigEndian.Uint32(head[0:])
			total = binary.BigEndian.Uint32(head[4:])
			if total > maxReply {
				return fmt.Errorf("state of %d bytes: more than %d are not taken", total, maxReply)
			}
			piece, err = c.text(binary.BigEndian.Uint32(head[8:]))
			return err
		})
	return total, piece, err
}

// SetStateBlob gives state to a stopped TPM, for its next INIT: the permanent
// state first.
func (c *Client) SetStateBlob(ctx context.Context, kind StateType, blob *Blob) error {
	payload := words(blob.Flags, uint32(kind), uint32(len(blob.Data)))
	return c.exchange(ctx, CmdSetStateBlob,
		func() error { return c.write(CmdSetStateBlob, payload, blob.Data) },
		func() error { return c.result(CmdSetStateBlob) })
}
