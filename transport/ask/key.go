package ask

import (
	"context"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// maxPublic bounds a TPMT_PUBLIC, in octets.
const maxPublic = 1 << 12

// CreatePrimary creates a primary key in a hierarchy from a template, a TPMT_PUBLIC.
// public is the TPMT_PUBLIC of the key, which is the caller's to flush.
func (t TPM) CreatePrimary(ctx context.Context, hierarchy wire.Handle, template []byte) (handle wire.Handle, public []byte, err error) {
	const name = "TPM2_CreatePrimary"
	w := wire.NewWriter(nil)
	w.Sized([]byte{0, 0, 0, 0}) // inSensitive: no authValue, no data
	w.Sized(template)
	w.Sized(nil) // outsideInfo
	writeSelections(&w, nil)
	r, err := t.execute(ctx, name, wire.CCCreatePrimary, []wire.Handle{hierarchy}, nil, w.Data(), &handle)
	if err != nil {
		return 0, nil, err
	}
	public = r.Sized(maxPublic)
	return handle, public, complete(name, r)
}

// Flush removes a transient object from the TPM (TPM2_FlushContext).
func (t TPM) Flush(ctx context.Context, handle wire.Handle) error {
	_, err := t.execute(ctx, "TPM2_FlushContext", wire.CCFlushContext, nil, nil, binary.BigEndian.AppendUint32(nil, uint32(handle)), nil)
	return err
}

// Persist gives a transient object a persistent handle too, with the owner's
// authorization (TPM2_EvictControl).
func (t TPM) Persist(ctx context.Context, object, persistent wire.Handle) error {
	_, err := t.execute(ctx, "TPM2_EvictControl", wire.CCEvictControl, []wire.Handle{wire.RHOwner}, []wire.Handle{object},
		binary.BigEndian.AppendUint32(nil, uint32(persistent)), nil)
	return err
}

// ReadPublic returns the TPMT_PUBLIC of an object (TPM2_ReadPublic).
func (t TPM) ReadPublic(ctx context.Context, object wire.Handle) (public []byte, err error) {
	const name = "TPM2_ReadPublic"
	r, err := t.execute(ctx, name, wire.CCReadPublic, nil, []wire.Handle{object}, nil, nil)
	if err != nil {
		return nil, err
	}
	public = r.Sized(maxPublic)
	return public, complete(name, r)
}
