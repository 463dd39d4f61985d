package ask

import (
	"context"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// NVDefine defines an index that has no authValue, with the platform's authorization
// (TPM2_NV_DefineSpace).
func (t TPM) NVDefine(ctx context.Context, public *wire.NVPublic) error {
	w := wire.NewWriter(nil)
	w.Sized(nil) // auth
	w.NVPublic(public)
	_, err := t.execute(ctx, "TPM2_NV_DefineSpace", wire.CCNVDefineSpace, []wire.Handle{wire.RHPlatform}, nil, w.Data(), nil)
	return err
}

// NVWrite writes to an index from its beginning, with the platform's authorization
// and at most piece octets a command (TPM2_NV_Write).
func (t TPM) NVWrite(ctx context.Context, index wire.Handle, data []byte, piece int) error {
	for at := 0; at < len(data); at += piece {
		w := wire.NewWriter(nil)
		w.Sized(data[at:min(at+piece, len(data))])
		w.U16(uint16(at))
		if _, err := t.execute(ctx, "TPM2_NV_Write", wire.CCNVWrite, []wire.Handle{wire.RHPlatform}, []wire.Handle{index}, w.Data(), nil); err != nil {
			return err
		}
	}
	return nil
}

// NVWriteLock locks an index against writing, with the platform's authorization
// (TPM2_NV_WriteLock).
func (t TPM) NVWriteLock(ctx context.Context, index wire.Handle) error {
	_, err := t.execute(ctx, "TPM2_NV_WriteLock", wire.CCNVWriteLock, []wire.Handle{wire.RHPlatform}, []wire.Handle{index}, nil, nil)
	return err
}

// NVReadPublic returns the public area of an index (TPM2_NV_ReadPublic).
func (t TPM) NVReadPublic(ctx context.Context, index wire.Handle) (public wire.NVPublic, err error) {
	const name = "TPM2_NV_ReadPublic"
	r, err := t.execute(ctx, name, wire.CCNVReadPublic, nil, []wire.Handle{index}, nil, nil)
	if err != nil {
		return wire.NVPublic{}, err
	}
	r.U16() // the size of what follows
	public = wire.NVPublic{Index: wire.Handle(r.U32()), NameAlg: wire.AlgID(r.U16()), Attributes: wire.NVAttributes(r.U32()),
		Policy: r.Sized(wire.MaxDigest), Size: r.U16()}
	return public, complete(name, r)
}

// NVRead reads a whole index with its own empty authValue, at most piece octets a
// command (TPM2_NV_Read).
func (t TPM) NVRead(ctx context.Context, index wire.Handle, piece int) (data []byte, err error) {
	const name = "TPM2_NV_Read"
	public, err := t.NVReadPublic(ctx, index)
	if err != nil {
		return nil, err
	}
	for len(data) < int(public.Size) {
		size := min(piece, int(public.Size)-len(data))
		w := wire.NewWriter(nil)
		w.U16(uint16(size))
		w.U16(uint16(len(data)))
		r, err := t.execute(ctx, name, wire.CCNVRead, []wire.Handle{index}, []wire.Handle{index}, w.Data(), nil)
		if err != nil {
			return nil, err
		}
		read := r.Sized(size)
		if err := complete(name, r); err != nil {
			return nil, err
		}
		if len(read) == 0 {
			return nil, &ResponseError{name, "no data"}
		}
		data = append(data, read...)
	}
	return data, nil
}

// AllocationError is an allocation of PCR banks that the TPM cannot have.
type AllocationError struct{ Needed, Available uint32 } // octets

func (e *AllocationError) Error() string {
	return fmt.Sprintf("TPM2_PCR_Allocate: the banks need %d bytes, and there are %d", e.Needed, e.Available)
}

// Allocate sets which PCRs each bank has from the next _TPM_Init on, with the
// platform's authorization (TPM2_PCR_Allocate). Banks that are not named stay as they
// are.
func (t TPM) Allocate(ctx context.Context, banks []Selection) error {
	const name = "TPM2_PCR_Allocate"
	w := wire.NewWriter(nil)
	writeSelections(&w, banks)
	r, err := t.execute(ctx, name, wire.CCPCRAllocate, []wire.Handle{wire.RHPlatform}, nil, w.Data(), nil)
	if err != nil {
		return err
	}
	success := r.U8()
	r.U32() // maxPCR
	needed, available := r.U32(), r.U32()
	if err := complete(name, r); err != nil {
		return err
	}
	if success != 1 {
		return &AllocationError{needed, available}
	}
	return nil
}
