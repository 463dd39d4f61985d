// Package ask sends the few TPM commands with which this module itself asks a TPM,
// and reads the responses: properties, PCR banks and values, an extend, a quote, and
// what a TPM gets before it is sold, keys and NV indices.
//
// It takes algorithms by their numbers, so that a bank may have any hash. It sends
// at locality 0, with empty passwords.
package ask

import (
	"context"
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// TPM is a TPM that is asked. Its methods return an error that wraps a wire.RC if
// the TPM refuses the command, a *ResponseError if what it answers is no response
// to the command, and otherwise the error of the Device.
type TPM struct {
	Device transport.Device
}

// Selection is a TPMS_PCR_SELECTION (TPM 2.0 Library Part 2): PCR n is bit n%8 of
// octet n/8 of Bits.
type Selection struct {
	Hash wire.AlgID
	Bits []byte
}

// Empty reports whether no PCR is selected.
func (s Selection) Empty() bool { return len(s.PCRs()) == 0 }

// PCRs returns the selected PCRs in ascending order.
func (s Selection) PCRs() (list []int) {
	for i, b := range s.Bits {
		for bit := range 8 {
			if b>>bit&1 != 0 {
				list = append(list, 8*i+bit)
			}
		}
	}
	return list
}

// Select selects PCRs below 24 of a bank.
func Select(hash wire.AlgID, pcrs ...int) Selection {
	s := Selection{hash, make([]byte, wire.PCRSelectMin)}
	for _, pcr := range pcrs {
		s.Bits[pcr/8] |= 1 << (pcr % 8)
	}
	return s
}

func writeSelections(w *wire.Writer, list []Selection) {
	w.U32(uint32(len(list)))
	for _, s := range list {
		w.U16(uint16(s.Hash))
		w.U8(uint8(len(s.Bits)))
		w.Bytes(s.Bits)
	}
}

func readSelections(r *wire.Reader) (list []Selection) {
	for range r.Count(wire.MaxHashes) {
		list = append(list, Selection{wire.AlgID(r.U16()), r.Bytes(int(r.U8()))})
	}
	return list
}

// ResponseError is an answer that is no response to the command.
type ResponseError struct {
	Command string // such as TPM2_Quote
	Reason  string
}

func (e *ResponseError) Error() string {
	return fmt.Sprintf("%s: the answer is no response of a TPM: %s", e.Command, e.Reason)
}

// execute sends a command and returns a reader of the response's parameters, after
// setting handle if the response has one. authorized are the command's first
// handles, each of which is authorized with an empty password; free are the others.
func (t TPM) execute(ctx context.Context, name string, code wire.CC, authorized, free []wire.Handle, parameters []byte, handle *wire.Handle) (*wire.Reader, error) {
	w := wire.NewWriter(nil)
	tag := transport.TagNoSessions
	for _, list := range [][]wire.Handle{authorized, free} {
		for _, h := range list {
			w.U32(uint32(h))
		}
	}
	if len(authorized) > 0 {
		tag = transport.TagSessions
		sizeAt := w.Len()
		w.U32(0)
		for range authorized {
			w.AuthCommand(&wire.AuthCommand{Session: wire.RSPW})
		}
		w.SetU32(sizeAt, uint32(w.Len()-sizeAt-4))
	}
	w.Bytes(parameters)
	response, err := t.Device.Send(ctx, 0, transport.NewCommand(tag, uint32(code), w.Data()))
	if err != nil {
		return nil, err
	}
	return responseParameters(name, response, tag, handle)
}

// responseParameters takes the header off, and the sizes that come with sessions.
func responseParameters(name string, response []byte, tag uint16, handle *wire.Handle) (*wire.Reader, error) {
	h, ok := transport.ParseHeader(response)
	if !ok || uint64(h.Size) != uint64(len(response)) {
		return nil, &ResponseError{name, fmt.Sprintf("%d bytes, which the header does not announce", len(response))}
	}
	if rc := wire.RC(h.Code); rc != wire.RCSuccess {
		return nil, fmt.Errorf("%s: %w", name, rc)
	}
	if h.Tag != tag {
		return nil, &ResponseError{name, fmt.Sprintf("tag 0x%04X", h.Tag)}
	}
	r := wire.NewReader(response[transport.HeaderSize:], nil)
	if handle != nil {
		*handle = wire.Handle(r.U32())
	}
	if tag == transport.TagSessions {
		size := r.U32()
		if r.RC() != wire.RCSuccess || uint64(size) > uint64(r.Len()) {
			return nil, &ResponseError{name, "the size of the parameters is beyond the end"}
		}
		r = wire.NewReader(r.Bytes(int(size)), nil)
	}
	return &r, nil
}

// Startup is TPM2_Startup.
func (t TPM) Startup(ctx context.Context, kind wire.SU) error {
	w := wire.NewWriter(nil)
	w.U16(uint16(kind))
	_, err := t.execute(ctx, "TPM2_Startup", wire.CCStartup, nil, nil, w.Data(), nil)
	return err
}

// Shutdown is TPM2_Shutdown.
func (t TPM) Shutdown(ctx context.Context, kind wire.SU) error {
	w := wire.NewWriter(nil)
	w.U16(uint16(kind))
	_, err := t.execute(ctx, "TPM2_Shutdown", wire.CCShutdown, nil, nil, w.Data(), nil)
	return err
}

// complete returns an error if the response ended early.
func complete(name string, r *wire.Reader) error {
	if r.RC() != wire.RCSuccess {
		return &ResponseError{name, "it ends too early, or announces too much"}
	}
	return nil
}

// capability is TPM2_GetCapability of one entry, after moreData and capability.
func (t TPM) capability(ctx context.Context, id wire.Cap, property uint32) (*wire.Reader, error) {
	const name = "TPM2_GetCapability"
	w := wire.NewWriter(nil)
	w.U32(uint32(id))
	w.U32(property)
	w.U32(1)
	r, err := t.execute(ctx, name, wire.CCGetCapability, nil, nil, w.Data(), nil)
	if err != nil {
		return nil, err
	}
	r.U8() // moreData
	if got := wire.Cap(r.U32()); r.RC() == wire.RCSuccess && got != id {
		return nil, &ResponseError{name, fmt.Sprintf("capability %d", got)}
	}
	return r, complete(name, r)
}

// PropertyError is a property that the TPM does not have.
type PropertyError struct {
	Property wire.PT
}

func (e *PropertyError) Error() string {
	return fmt.Sprintf("TPM2_GetCapability: no property 0x%X", uint32(e.Property))
}

// Property returns a TPM property, or a *PropertyError.
func (t TPM) Property(ctx context.Context, pt wire.PT) (uint32, error) {
	r, err := t.capability(ctx, wire.CapTPMProperties, uint32(pt))
	if err != nil {
		return 0, err
	}
	if r.U32() == 0 || wire.PT(r.U32()) != pt {
		return 0, &PropertyError{pt}
	}
	value := r.U32()
	return value, complete("TPM2_GetCapability", r)
}

// HasAlgorithm reports whether the TPM lists an algorithm (TPM_CAP_ALGS).
func (t TPM) HasAlgorithm(ctx context.Context, alg wire.AlgID) (bool, error) {
	r, err := t.capability(ctx, wire.CapAlgs, uint32(alg))
	if err != nil {
		return false, err
	}
	has := r.U32() != 0 && wire.AlgID(r.U16()) == alg
	return has, nil
}

// HasCurve reports whether the TPM lists a curve (TPM_CAP_ECC_CURVES).
func (t TPM) HasCurve(ctx context.Context, curve wire.Curve) (bool, error) {
	r, err := t.capability(ctx, wire.CapECCCurves, uint32(curve))
	if err != nil {
		return false, err
	}
	has := r.U32() != 0 && wire.Curve(r.U16()) == curve
	return has, nil
}

// TestParms returns an error that wraps the wire.RC of a TPM that does not take
// parameters, a TPMT_PUBLIC_PARMS (TPM2_TestParms).
func (t TPM) TestParms(ctx context.Context, parameters []byte) error {
	_, err := t.execute(ctx, "TPM2_TestParms", wire.CCTestParms, nil, nil, parameters, nil)
	return err
}

// Banks returns the banks that have any PCR, in the TPM's order.
func (t TPM) Banks(ctx context.Context) ([]Selection, error) {
	all, err := t.AllBanks(ctx)
	return slices.DeleteFunc(all, Selection.Empty), err
}

// AllBanks returns the banks that the TPM has, those without PCRs too.
func (t TPM) AllBanks(ctx context.Context) (banks []Selection, err error) {
	r, err := t.capability(ctx, wire.CapPCRs, 0)
	if err != nil {
		return nil, fmt.Errorf("which banks the TPM has: %w", err)
	}
	banks = readSelections(r)
	return banks, complete("TPM2_GetCapability", r)
}

// maxDigests bounds a TPML_DIGEST (Part 2, section "TPML_DIGEST").
const maxDigests = 8

// read is TPM2_PCR_Read: it returns at most eight of the PCRs, by index.
func (t TPM) read(ctx context.Context, s Selection) (map[int][]byte, error) {
	const name = "TPM2_PCR_Read"
	w := wire.NewWriter(nil)
	writeSelections(&w, []Selection{s})
	r, err := t.execute(ctx, name, wire.CCPCRRead, nil, nil, w.Data(), nil)
	if err != nil {
		return nil, err
	}
	r.U32() // pcrUpdateCounter
	out := readSelections(r)
	var digests [][]byte
	for range r.Count(maxDigests) {
		digests = append(digests, r.Sized(wire.MaxDigest))
	}
	if err := complete(name, r); err != nil {
		return nil, err
	}
	if len(digests) == 0 || len(out) != 1 || out[0].Hash != s.Hash || len(out[0].PCRs()) != len(digests) {
		return nil, &ResponseError{name, fmt.Sprintf("%d digests for the PCRs %v of %v", len(digests), s.PCRs(), s.Hash)}
	}
	values := make(map[int][]byte)
	for i, pcr := range out[0].PCRs() {
		values[pcr] = digests[i]
	}
	return values, nil
}

// ReadPCRs returns the values of the selected PCRs, by index. The TPM returns at most
// eight at a time and says which (TPM 2.0 Library Part 3, section "TPM2_PCR_Read").
func (t TPM) ReadPCRs(ctx context.Context, s Selection) (map[int][]byte, error) {
	values := make(map[int][]byte)
	left := Selection{s.Hash, slices.Clone(s.Bits)}
	for !left.Empty() {
		read, err := t.read(ctx, left)
		if err != nil {
			return nil, err
		}
		for pcr, value := range read {
			if pcr/8 >= len(left.Bits) || left.Bits[pcr/8]>>(pcr%8)&1 == 0 {
				return nil, fmt.Errorf("the TPM reads PCR %d, which it was not asked for", pcr)
			}
			left.Bits[pcr/8] &^= 1 << (pcr % 8)
			values[pcr] = value
		}
	}
	return values, nil
}

// Extend extends a PCR in the banks of the digests (TPM2_PCR_Extend).
func (t TPM) Extend(ctx context.Context, pcr int, digests []wire.HA) error {
	w := wire.NewWriter(nil)
	w.DigestValues(digests)
	_, err := t.execute(ctx, "TPM2_PCR_Extend", wire.CCPCRExtend, []wire.Handle{wire.PCRFirst + wire.Handle(pcr)}, nil, w.Data(), nil)
	return err
}

// Quote has a key sign PCR values (TPM2_Quote), with the scheme of the key. attest
// is a TPMS_ATTEST, signature a TPMT_SIGNATURE.
func (t TPM) Quote(ctx context.Context, key wire.Handle, nonce []byte, pcrs []Selection) (attest, signature []byte, err error) {
	const name = "TPM2_Quote"
	w := wire.NewWriter(nil)
	w.Sized(nonce)
	w.U16(uint16(wire.AlgNull))
	writeSelections(&w, pcrs)
	r, err := t.execute(ctx, name, wire.CCQuote, []wire.Handle{key}, nil, w.Data(), nil)
	if err != nil {
		return nil, nil, err
	}
	attest = r.Sized(1 << 12)
	return attest, r.Rest(), complete(name, r)
}
