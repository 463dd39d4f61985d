//go:build linux

package soak

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/transport/raw"
)

// record is a number that a TPM keeps over a kill, and that goes up by one with every
// command that next returns.
type record interface {
	// prepare makes what is not there of the record yet.
	prepare(ctx context.Context, tpm *raw.Client) error
	// next is the command that makes the number n.
	next(n uint64) []byte
	// read returns the number, which is near the one that was acknowledged last.
	read(ctx context.Context, tpm *raw.Client, near uint64) (uint64, error)
	// allows reports whether a number may be what a kill has left.
	allows(got, acknowledged, sent uint64) bool
}

// exact is a record of which every acknowledged command is kept, and no more than one
// that was not acknowledged.
type exact struct{}

func (exact) allows(got, acknowledged, sent uint64) bool { return acknowledged <= got && got <= sent }

// succeeded sends a command that must not fail.
func succeeded(ctx context.Context, tpm *raw.Client, name string, command []byte) ([]byte, error) {
	response, err := tpm.Send(ctx, 0, command)
	if err == nil && rc(response) != rcSuccess {
		err = &codeError{name, rc(response)}
	}
	return response, err
}

// ordinary is an NV index that the number is written to.
type ordinary struct {
	exact
	index uint32
}

func (r *ordinary) prepare(ctx context.Context, tpm *raw.Client) error {
	return define(ctx, tpm, r.index, nvAuthRead|nvAuthWrite|nvNoDA)
}

// define makes an NV index of 8 octets, if it is not there.
func define(ctx context.Context, tpm *raw.Client, index, attributes uint32) error {
	response, err := tpm.Send(ctx, 0, nvDefine(index, attributes, nil, 8))
	if err != nil {
		return err
	}
	if code := rc(response); code != rcSuccess && code != rcNVDefined {
		return &codeError{"TPM2_NV_DefineSpace", code}
	}
	return nil
}

func (r *ordinary) next(n uint64) []byte {
	return nvWrite(r.index, binary.BigEndian.AppendUint64(nil, n))
}

func (r *ordinary) read(ctx context.Context, tpm *raw.Client, _ uint64) (uint64, error) {
	response, err := tpm.Send(ctx, 0, nvRead(r.index, nil, 8))
	if err != nil {
		return 0, err
	}
	return number(response)
}

// counter is an NV counter. Its count begins at what the TPM decides.
type counter struct {
	exact
	index      uint32
	attributes uint32
	base       uint64 // the count after the first increment, 0 before
}

func (r *counter) prepare(ctx context.Context, tpm *raw.Client) error {
	if r.base != 0 {
		return nil
	}
	if err := define(ctx, tpm, r.index, nvAuthRead|nvAuthWrite|nvNoDA|nvCounter|r.attributes); err != nil {
		return err
	}
	if _, err := succeeded(ctx, tpm, "TPM2_NV_Increment", nvIncrement(r.index)); err != nil {
		return err
	}
	count, err := (&ordinary{index: r.index}).read(ctx, tpm, 0)
	r.base = count
	return err
}

func (r *counter) next(uint64) []byte { return nvIncrement(r.index) }

func (r *counter) read(ctx context.Context, tpm *raw.Client, _ uint64) (uint64, error) {
	count, err := (&ordinary{index: r.index}).read(ctx, tpm, 0)
	if err == nil && count < r.base {
		err = fmt.Errorf("the counter went back to %d from %d at least", count, r.base)
	}
	return count - r.base, err
}

// orderly is an NV counter whose count is in RAM: after a kill it goes on from the
// highest count that it may have had, so that none comes twice. How many of its bits
// may differ is TPM_PT_ORDERLY_COUNT (TPM 2.0 Library Part 2, section "TPM_PT").
type orderly struct{ counter }

// maxOrderly is that property of swtpmd.
const maxOrderly = 0xFF

func (*orderly) allows(got, acknowledged, sent uint64) bool {
	return acknowledged <= got && got <= sent+maxOrderly
}

// persistent counts by which of a few handles have a persistent object: each step
// makes or evicts one of them, in the order of a Gray code.
type persistent struct {
	exact
	first  uint32 // of the handles
	object uint32 // a transient one
	name   []byte
}

// persistentHandles is how many handles there are.
const persistentHandles = 3

func (r *persistent) prepare(ctx context.Context, tpm *raw.Client) error {
	// The object of the last time is there only if nobody was killed.
	if _, err := tpm.Send(ctx, 0, flush(r.object)); err != nil {
		return err
	}
	response, err := succeeded(ctx, tpm, "TPM2_CreatePrimary", eccPrimary(rhOwner))
	if err != nil {
		return err
	}
	r.object = handle(response)
	if r.name, err = publicName(ctx, tpm, r.object); err == nil && r.name == nil {
		err = errors.New("the object that was just made is not there")
	}
	return err
}

// publicName returns the Name of an object, nil if there is none.
func publicName(ctx context.Context, tpm *raw.Client, object uint32) ([]byte, error) {
	response, err := tpm.Send(ctx, 0, command(ccReadPublic, []uint32{object}, nil, nil))
	if err != nil || rc(response) == rcHandle1 {
		return nil, err
	}
	if rc(response) != rcSuccess {
		return nil, &codeError{"TPM2_ReadPublic", rc(response)}
	}
	p := response[conformance.HeaderSize:]
	for range 2 { // outPublic, then name
		if len(p) < 2 || len(p) < 2+int(binary.BigEndian.Uint16(p)) {
			return nil, fmt.Errorf("TPM2_ReadPublic answered %x", response)
		}
		size := 2 + int(binary.BigEndian.Uint16(p))
		response, p = p[2:size], p[size:]
	}
	return response, nil
}

// bit is the one that a Gray code changes in the step to n.
func bit(n uint64) int { return min(bits.TrailingZeros64(n), persistentHandles-1) }

// gray returns the code of n, and of numbers that differ by a multiple of
// 1<<persistentHandles the same one.
func gray(n uint64) uint64 {
	n %= 1 << persistentHandles
	return n ^ n>>1
}

func (r *persistent) next(n uint64) []byte {
	at := r.first + uint32(bit(n))
	object := r.object
	if gray(n)&(1<<bit(n)) == 0 {
		object = at // evicts it
	}
	return command(ccEvictControl, []uint32{rhOwner, object}, []conformance.Session{password}, numbers32(at))
}

func (r *persistent) read(ctx context.Context, tpm *raw.Client, near uint64) (uint64, error) {
	var code uint64
	for i := range persistentHandles {
		name, err := publicName(ctx, tpm, r.first+uint32(i))
		if err != nil {
			return 0, err
		}
		if name == nil {
			continue
		}
		if !bytes.Equal(name, r.name) {
			return 0, fmt.Errorf("the persistent object %d is another one: %x instead of %x", i, name, r.name)
		}
		code |= 1 << i
	}
	// The nearest number with this code.
	const all = 1 << persistentHandles
	for distance := range uint64(all/2 + 1) {
		if gray(near+distance) == code {
			return near + distance, nil
		}
		if near >= distance && gray(near-distance) == code {
			return near - distance, nil
		}
	}
	return 0, fmt.Errorf("the persistent objects %03b are those of no number", code)
}
