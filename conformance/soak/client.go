//go:build linux

package soak

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/transport/dial"
	"github.com/swtpmd/swtpmd/transport/raw"
)

const (
	// commandTime is how long a well-behaved client waits for an answer before it
	// counts as frozen.
	commandTime = time.Minute
	// refusedTime is how long NV memory may stay unavailable.
	refusedTime = time.Minute
	// pause is the longest that a client thinks between two commands.
	pause = 20 * time.Millisecond
	// firstIndex is the NV index of the first client; each has one of its own.
	firstIndex = 0x01800100
)

// client behaves well: it sends one command, waits for the answer, looks at it, and
// thinks before the next one.
type client struct {
	tpm   dial.TPM
	rnd   *rand.Rand
	index uint32 // of its NV index
	// again connects anew, which the client does from time to time; nil: it stays. dialed
	// counts the connections, way is the transport's number.
	again       func(context.Context) (dial.TPM, error)
	dialed, way int

	commands, acknowledged, lost uint64
	refused, canceled            uint64
	last                         uint64 // the last number whose write was acknowledged
	took                         []time.Duration
}

// newClient connects a client and makes its NV index.
func newClient(ctx context.Context, path string, n int, rnd *rand.Rand) (*client, error) {
	tpm, err := raw.Dial(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return makeClient(ctx, tpm, n, rnd)
}

// makeClient makes a client with a connection, which it takes over, and its NV index.
func makeClient(ctx context.Context, tpm dial.TPM, n int, rnd *rand.Rand) (*client, error) {
	c := &client{tpm: tpm, rnd: rnd, index: firstIndex + uint32(n)}
	_, err := c.send(ctx, "TPM2_NV_DefineSpace", nvDefine(c.index, nvAuthRead|nvAuthWrite|nvNoDA, nil, 8))
	if err != nil {
		tpm.Close()
		return nil, err
	}
	c.took = c.took[:0]
	return c, nil
}

// acts are what a client does, in no order.
var acts = []struct {
	name string
	do   func(*client, context.Context) error
}{
	{"TPM2_GetRandom", (*client).random},
	{"TPM2_PCR_Read", func(c *client, ctx context.Context) error { return c.any(ctx, "TPM2_PCR_Read", pcrRead(10)) }},
	{"TPM2_PCR_Extend", (*client).extend},
	{"TPM2_GetCapability", func(c *client, ctx context.Context) error {
		return c.any(ctx, "TPM2_GetCapability", capability(6, 0x100, 64))
	}},
	{"TPM2_Hash", (*client).hash},
	{"TPM2_NV_Write", (*client).write},
	{"TPM2_NV_Read", (*client).read},
}

// run lets the client act until ctx ends. The error is the first answer that was
// wrong, or did not come.
func (c *client) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.reconnect(ctx); err != nil {
			return fmt.Errorf("client %d: %w", c.index-firstIndex, err)
		}
		act := acts[c.rnd.IntN(len(acts))]
		if err := act.do(c, context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("client %d: %w", c.index-firstIndex, err)
		}
		wait(ctx, time.Duration(c.rnd.Int64N(int64(pause))))
	}
	return c.read(context.WithoutCancel(ctx))
}

// stays is how many commands a client sends over a connection, on an average.
const stays = 50

// reconnect connects anew, if it is time to.
func (c *client) reconnect(ctx context.Context) error {
	if c.again == nil || c.rnd.IntN(stays) != 0 {
		return nil
	}
	if err := c.tpm.Close(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTime)
	defer cancel()
	tpm, err := c.again(ctx)
	if err != nil {
		return err
	}
	c.tpm = tpm
	c.dialed++
	return nil
}

// wait waits for a time or the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// send sends a command until it is executed: one for which there is no room on the
// disk, or that another client has canceled, is sent again.
func (c *client) send(ctx context.Context, name string, command []byte) ([]byte, error) {
	begin := time.Now()
	for {
		response, err := c.once(ctx, command)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		switch rc := rc(response); {
		case rc == rcSuccess:
			return response, nil
		case rc == rcCanceled:
			c.canceled++
		case rc == rcNVUnavailable && time.Since(begin) < refusedTime:
			c.refused++
			wait(ctx, time.Millisecond)
		default:
			return nil, &codeError{name, rc}
		}
	}
}

func (c *client) once(ctx context.Context, command []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	begin := time.Now()
	response, err := c.tpm.Send(ctx, 0, command)
	c.took = append(c.took, time.Since(begin))
	c.commands++
	return response, err
}

func (c *client) any(ctx context.Context, name string, command []byte) error {
	_, err := c.send(ctx, name, command)
	return err
}

func (c *client) random(ctx context.Context) error {
	const n = 16
	response, err := c.send(ctx, "TPM2_GetRandom", getRandom(n))
	if err == nil && len(response) != conformance.HeaderSize+2+n {
		err = fmt.Errorf("TPM2_GetRandom answered %d bytes", len(response))
	}
	return err
}

func (c *client) extend(ctx context.Context) error {
	return c.any(ctx, "TPM2_PCR_Extend", pcrExtend(10, sha256.Sum256(numbers32(c.index, c.rnd.Uint32()))))
}

func (c *client) hash(ctx context.Context) error {
	data := make([]byte, c.rnd.IntN(1024))
	for i := range data {
		data[i] = byte(c.rnd.Uint32())
	}
	response, err := c.send(ctx, "TPM2_Hash", hash(data))
	if err != nil {
		return err
	}
	digest := sha256.Sum256(data)
	if !bytes.Equal(response[conformance.HeaderSize:][2:][:32], digest[:]) {
		return fmt.Errorf("TPM2_Hash answered %x for %x", response, data)
	}
	return nil
}

// write counts up in the client's index.
func (c *client) write(ctx context.Context) error {
	next := c.last + 1
	if _, err := c.send(ctx, "TPM2_NV_Write", nvWrite(c.index, binary.BigEndian.AppendUint64(nil, next))); err != nil {
		return err
	}
	c.last = next
	c.acknowledged++
	return nil
}

// read looks whether what was written last is there.
func (c *client) read(ctx context.Context) error {
	if c.last == 0 {
		return nil
	}
	response, err := c.send(ctx, "TPM2_NV_Read", nvRead(c.index, nil, 8))
	if err != nil {
		return err
	}
	got, err := number(response)
	if err == nil && got != c.last {
		c.lost++
		err = fmt.Errorf("TPM2_NV_Read answered %d, and %d was acknowledged", got, c.last)
	}
	return err
}

// percentile is the time in which so many of a hundred commands were answered. It
// sorts the times.
func percentile(times []time.Duration, p float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[min(int(float64(len(times))*p/100), len(times)-1)]
}
