package main

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// client asks a TPM at locality 0 what the commands of this program need: banks,
// PCRs, quotes. It takes algorithms by number, so that a bank may have any hash.
type client struct {
	ctx    context.Context
	device transport.Device
}

// selection is a TPMS_PCR_SELECTION: PCR n is bit n%8 of octet n/8.
type selection struct {
	hash wire.AlgID
	bits []byte
}

func (s selection) empty() bool { return len(s.pcrs()) == 0 }

// pcrs are the selected PCRs in ascending order.
func (s selection) pcrs() (list []int) {
	for i, b := range s.bits {
		for bit := range 8 {
			if b>>bit&1 != 0 {
				list = append(list, 8*i+bit)
			}
		}
	}
	return list
}

// selected selects PCRs below 24.
func selected(hash wire.AlgID, pcrs ...int) selection {
	s := selection{hash, make([]byte, wire.PCRSelectMin)}
	for _, pcr := range pcrs {
		s.bits[pcr/8] |= 1 << (pcr % 8)
	}
	return s
}

func writeSelections(w *wire.Writer, list []selection) {
	w.U32(uint32(len(list)))
	for _, s := range list {
		w.U16(uint16(s.hash))
		w.U8(uint8(len(s.bits)))
		w.Bytes(s.bits)
	}
}

func readSelections(r *wire.Reader) (list []selection) {
	for range r.Count(wire.MaxHashes) {
		list = append(list, selection{wire.AlgID(r.U16()), r.Bytes(int(r.U8()))})
	}
	return list
}

// responseError says what is wrong with a response that is none.
type responseError struct {
	command string
	reason  string
}

func (e *responseError) Error() string {
	return fmt.Sprintf("%s: the answer is no response of a TPM: %s", e.command, e.reason)
}

// execute sends a command and gives the parameters of the response, after handle
// if it has one. Handles that need authorization come first, each with an empty
// password. A TPM that refuses gives a wire.RC.
func (c client) execute(name string, code wire.CC, authorized []wire.Handle, parameters []byte, handle *wire.Handle) (*wire.Reader, error) {
	w := wire.NewWriter(nil)
	tag := wire.STNoSessions
	if len(authorized) > 0 {
		tag = wire.STSessions
	}
	w.U16(uint16(tag))
	w.U32(0) // size
	w.U32(uint32(code))
	for _, h := range authorized {
		w.U32(uint32(h))
	}
	if len(authorized) > 0 {
		sizeAt := w.Len()
		w.U32(0)
		for range authorized {
			w.AuthCommand(&wire.AuthCommand{Session: wire.RSPW})
		}
		w.SetU32(sizeAt, uint32(w.Len()-sizeAt-4))
	}
	w.Bytes(parameters)
	w.SetU32(2, uint32(w.Len()))
	response, err := c.device.Send(c.ctx, 0, w.Data())
	if err != nil {
		return nil, err
	}
	return responseParameters(name, response, tag, handle)
}

const headerSize = 10

// responseParameters takes the header off, and the sizes that come with sessions.
func responseParameters(name string, response []byte, tag wire.ST, handle *wire.Handle) (*wire.Reader, error) {
	if len(response) < headerSize || int(binary.BigEndian.Uint32(response[2:])) != len(response) {
		return nil, &responseError{name, fmt.Sprintf("%d bytes, which the header does not announce", len(response))}
	}
	if rc := wire.RC(binary.BigEndian.Uint32(response[6:])); rc != wire.RCSuccess {
		return nil, fmt.Errorf("%s: %w", name, rc)
	}
	if got := wire.ST(binary.BigEndian.Uint16(response)); got != tag {
		return nil, &responseError{name, fmt.Sprintf("tag 0x%04X", uint16(got))}
	}
	r := wire.NewReader(response[headerSize:], nil)
	if handle != nil {
		*handle = wire.Handle(r.U32())
	}
	if tag == wire.STSessions {
		size := r.U32()
		if r.RC() != wire.RCSuccess || uint64(size) > uint64(r.Len()) {
			return nil, &responseError{name, "the size of the parameters is beyond the end"}
		}
		r = wire.NewReader(r.Bytes(int(size)), nil)
	}
	return &r, nil
}

// complete reports a response that ended early.
func complete(name string, r *wire.Reader) error {
	if r.RC() != wire.RCSuccess {
		return &responseError{name, "it ends too early, or announces too much"}
	}
	return nil
}

// capability is TPM2_GetCapability of one entry, after moreData and capability.
func (c client) capability(id wire.Cap, property uint32) (*wire.Reader, error) {
	const name = "TPM2_GetCapability"
	w := wire.NewWriter(nil)
	w.U32(uint32(id))
	w.U32(property)
	w.U32(1)
	r, err := c.execute(name, wire.CCGetCapability, nil, w.Data(), nil)
	if err != nil {
		return nil, err
	}
	r.U8() // moreData
	if got := wire.Cap(r.U32()); r.RC() == wire.RCSuccess && got != id {
		return nil, &responseError{name, fmt.Sprintf("capability %d", got)}
	}
	return r, complete(name, r)
}

// property is a TPM property, ok false if the TPM does not tell it.
func (c client) property(pt wire.PT) (value uint32, ok bool) {
	r, err := c.capability(wire.CapTPMProperties, uint32(pt))
	if err != nil || r.U32() == 0 || wire.PT(r.U32()) != pt {
		return 0, false
	}
	value = r.U32()
	return value, r.RC() == wire.RCSuccess
}

// banks lists the banks that have any PCR, in the TPM's order.
func (c client) banks() (banks []selection, err error) {
	r, err := c.capability(wire.CapPCRs, 0)
	if err != nil {
		return nil, fmt.Errorf("which banks the TPM has: %w", err)
	}
	for _, s := range readSelections(r) {
		if !s.empty() {
			banks = append(banks, s)
		}
	}
	return banks, complete("TPM2_GetCapability", r)
}

// maxDigests bounds a TPML_DIGEST (Part 2, section "TPML_DIGEST").
const maxDigests = 8

// read is TPM2_PCR_Read: at most eight of the PCRs, by index.
func (c client) read(s selection) (map[int][]byte, error) {
	const name = "TPM2_PCR_Read"
	w := wire.NewWriter(nil)
	writeSelections(&w, []selection{s})
	r, err := c.execute(name, wire.CCPCRRead, nil, w.Data(), nil)
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
	if len(digests) == 0 || len(out) != 1 || out[0].hash != s.hash || len(out[0].pcrs()) != len(digests) {
		return nil, &responseError{name, fmt.Sprintf("%d digests for the PCRs %v of %v", len(digests), s.pcrs(), s.hash)}
	}
	values := make(map[int][]byte)
	for i, pcr := range out[0].pcrs() {
		values[pcr] = digests[i]
	}
	return values, nil
}

// extend is TPM2_PCR_Extend.
func (c client) extend(pcr int, digests []wire.HA) error {
	w := wire.NewWriter(nil)
	w.DigestValues(digests)
	_, err := c.execute("TPM2_PCR_Extend", wire.CCPCRExtend, []wire.Handle{wire.PCRFirst + wire.Handle(pcr)}, w.Data(), nil)
	return err
}

// createPrimary is TPM2_CreatePrimary in the owner hierarchy; public is the
// TPMT_PUBLIC of the key.
func (c client) createPrimary(template *wire.Public) (handle wire.Handle, public []byte, err error) {
	const name = "TPM2_CreatePrimary"
	w := wire.NewWriter(nil)
	w.Sized([]byte{0, 0, 0, 0}) // inSensitive: no authValue, no data
	w.SizedPublic(template)
	w.Sized(nil) // outsideInfo
	writeSelections(&w, nil)
	r, err := c.execute(name, wire.CCCreatePrimary, []wire.Handle{wire.RHOwner}, w.Data(), &handle)
	if err != nil {
		return 0, nil, err
	}
	public = r.Sized(1 << 12)
	return handle, public, complete(name, r)
}

// flush is TPM2_FlushContext.
func (c client) flush(handle wire.Handle) error {
	_, err := c.execute("TPM2_FlushContext", wire.CCFlushContext, nil, binary.BigEndian.AppendUint32(nil, uint32(handle)), nil)
	return err
}

// quote is TPM2_Quote with the scheme of the key: a TPMS_ATTEST and a
// TPMT_SIGNATURE.
func (c client) quote(key wire.Handle, nonce []byte, pcrs []selection) (attest, signature []byte, err error) {
	const name = "TPM2_Quote"
	w := wire.NewWriter(nil)
	w.Sized(nonce)
	w.U16(uint16(wire.AlgNull))
	writeSelections(&w, pcrs)
	r, err := c.execute(name, wire.CCQuote, []wire.Handle{key}, w.Data(), nil)
	if err != nil {
		return nil, nil, err
	}
	attest = r.Sized(1 << 12)
	return attest, r.Rest(), complete(name, r)
}
