package swtpm

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// ResultError is a result other than SUCCESS.
type ResultError struct {
	Command Command
	Result  Result
}

func (e *ResultError) Error() string {
	hint := ""
	switch e.Result {
	case BadOrdinal:
		hint = " (unknown to the server, or not in this state of the TPM: INIT and STOP change it)"
	case IOError:
		hint = " (is there another data channel?)"
	}
	return fmt.Sprintf("%v: %v%s", e.Command, e.Result, hint)
}

// BrokenError says that a control connection cannot be used any more, because
// a request was broken off. Dial again.
type BrokenError struct {
	Command Command // the request that was broken off
	Cause   error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("control connection lost in %v: %v", e.Command, e.Cause)
}

// Unwrap returns what broke the connection.
func (e *BrokenError) Unwrap() error { return e.Cause }

// maxReply bounds what a reply may announce, in bytes: swtpm's own bound of
// state blobs is 512 KiB.
const maxReply = 1 << 20

// Client is a control connection to swtpm, or to a Server. Its methods may be
// called from several goroutines; requests are sent one after the other.
//
// A request that the server refuses is a *ResultError. After any other error,
// ctx's included, the connection is closed and every request a *BrokenError, unless
// Redial has said how to connect anew.
type Client struct {
	mu     sync.Mutex // held during a request
	out    []byte
	broken error
	redial func(context.Context) (net.Conn, error)

	connMu sync.Mutex // of what follows; conn changes with both held
	conn   net.Conn
	closed bool
}

// DialControl connects to a control channel at a "unix" or "tcp" address. A
// server that serves one control client at a time, as swtpm does, lets the
// first request of a second one wait.
func DialControl(ctx context.Context, network, address string) (*Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return NewClient(conn), nil
}

// NewClient returns a client over a connection, which it takes over.
func NewClient(conn net.Conn) *Client { return &Client{conn: conn} }

// Redial has the request after one that lost the connection make a new one with dial. The
// request that was lost is not repeated, because nobody knows whether the server has
// seen it. Call it before the first request.
func (c *Client) Redial(dial func(context.Context) (net.Conn, error)) { c.redial = dial }

// connect makes a new connection, if the last one is lost.
func (c *Client) connect(ctx context.Context, code Command) error {
	if c.broken == nil {
		return nil
	}
	conn, err := c.redial(ctx)
	if err != nil {
		return &BrokenError{Command: code, Cause: err}
	}
	c.connMu.Lock()
	defer c.connMu.Unlock()
	if c.closed {
		_ = conn.Close()
		return &BrokenError{Command: code, Cause: net.ErrClosed}
	}
	c.conn, c.broken = conn, nil
	return nil
}

// Close closes the connection. It leaves the TPM as it is.
func (c *Client) Close() error {
	c.connMu.Lock()
	defer c.connMu.Unlock()
	c.closed = true
	err := c.conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// exchange sends a request with send and reads its reply with receive.
func (c *Client) exchange(ctx context.Context, code Command, send, receive func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil && c.redial == nil {
		return c.broken
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.connect(ctx, code); err != nil {
		return err
	}
	conn := c.conn // the next request may have another one
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := send()
	if err == nil {
		err = receive()
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	var refused *ResultError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	_ = c.conn.Close()
	c.broken = &BrokenError{Command: code, Cause: err}
	return c.broken
}

// request sends a code and its payload, and fills reply with what follows the
// result of a success.
func (c *Client) request(ctx context.Context, code Command, payload, reply []byte) error {
	return c.exchange(ctx, code,
		func() error { return c.write(code, payload, nil) },
		func() error {
			if err := c.result(code); err != nil {
				return err
			}
			_, err := io.ReadFull(c.conn, reply)
			return err
		})
}

// write sends a request in one write: that is how swtpm takes it.
func (c *Client) write(code Command, payload, body []byte) error {
	c.out = binary.BigEndian.AppendUint32(c.out[:0], uint32(code))
	c.out = append(append(c.out, payload...), body...)
	_, err := c.conn.Write(c.out)
	return err
}

func (c *Client) result(code Command) error {
	n, err := c.word()
	if err == nil && n != 0 {
		err = &ResultError{Command: code, Result: Result(n)}
	}
	return err
}

func (c *Client) word() (uint32, error) {
	var b [4]byte
	_, err := io.ReadFull(c.conn, b[:])
	return binary.BigEndian.Uint32(b[:]), err
}

// text reads n bytes that a reply has announced.
func (c *Client) text(n uint32) ([]byte, error) {
	if n > maxReply {
		return nil, fmt.Errorf("reply of %d bytes: more than %d are not taken", n, maxReply)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c.conn, b)
	return b, err
}

func words(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// Capabilities asks what the server can do.
func (c *Client) Capabilities(ctx context.Context) (Capability, error) {
	var reply [4]byte
	err := c.request(ctx, CmdGetCapability, nil, reply[:])
	return Capability(binary.BigEndian.Uint32(reply[:])), err
}

// Init applies power to the TPM, or resets it. The flags are 0 or
// InitDeleteVolatile.
func (c *Client) Init(ctx context.Context, flags uint32) error {
	return c.request(ctx, CmdInit, words(flags), nil)
}

// Stop takes the TPM's power.
func (c *Client) Stop(ctx context.Context) error { return c.request(ctx, CmdStop, nil, nil) }

// Shutdown takes the TPM's power and ends the server.
func (c *Client) Shutdown(ctx context.Context) error { return c.request(ctx, CmdShutdown, nil, nil) }

// TPMEstablished reads the tpmEstablished flag.
func (c *Client) TPMEstablished(ctx context.Context) (bool, error) {
	var reply [4]byte
	err := c.request(ctx, CmdGetTPMEstablished, nil, reply[:])
	return reply[0] != 0, err
}

// ResetTPMEstablished clears the flag, as localities 3 and 4 may.
func (c *Client) ResetTPMEstablished(ctx context.Context, locality uint8) error {
	return c.request(ctx, CmdResetTPMEstablished, []byte{locality, 0, 0, 0}, nil)
}

// SetLocality sets the locality, 0 to 4, of the commands on every data
// channel.
func (c *Client) SetLocality(ctx context.Context, locality uint8) error {
	return c.request(ctx, CmdSetLocality, []byte{locality, 0, 0, 0}, nil)
}

// HashStart sends the signal _TPM_Hash_Start.
func (c *Client) HashStart(ctx context.Context) error {
	return c.request(ctx, CmdHashStart, nil, nil)
}

// HashData sends the signal _TPM_Hash_Data, as often as the length of data
// needs it.
func (c *Client) HashData(ctx context.Context, data []byte) error {
	const most = 4096
	for first := true; first || len(data) > 0; first = false {
		piece := data[:min(most, len(data))]
		data = data[len(piece):]
		payload := append(words(uint32(len(piece))), piece...)
		if err := c.request(ctx, CmdHashData, payload, nil); err != nil {
			return err
		}
	}
	return nil
}

// HashEnd sends the signal _TPM_Hash_End.
func (c *Client) HashEnd(ctx context.Context) error { return c.request(ctx, CmdHashEnd, nil, nil) }

// Cancel asks the TPM to give up the command in execution. swtpm itself hears
// of it after the command.
func (c *Client) Cancel(ctx context.Context) error {
	return c.request(ctx, CmdCancelTPMCmd, nil, nil)
}

// StoreVolatile writes the volatile state to swtpm's state directory.
func (c *Client) StoreVolatile(ctx context.Context) error {
	return c.request(ctx, CmdStoreVolatile, nil, nil)
}

// LockStorage takes the lock of the state storage, with so many retries 10 ms
// apart.
func (c *Client) LockStorage(ctx context.Context, retries uint32) error {
	return c.request(ctx, CmdLockStorage, words(retries), nil)
}

// Config asks which keys are set: bit 0 for state files, bit 1 for blobs.
func (c *Client) Config(ctx context.Context) (uint32, error) {
	var reply [4]byte
	err := c.request(ctx, CmdGetConfig, nil, reply[:])
	return binary.BigEndian.Uint32(reply[:]), err
}

// Sizes are the size of the command and response buffers and its limits, in
// bytes.
type Sizes struct{ Size, Min, Max uint32 }

// SetBufferSize sets the size, which the server clamps to its limits; 0 only
// asks. The TPM must be stopped for any other.
func (c *Client) SetBufferSize(ctx context.Context, size uint32) (Sizes, error) {
	var reply [12]byte
	err := c.request(ctx, CmdSetBufferSize, words(size), reply[:])
	return Sizes{
		Size: binary.BigEndian.Uint32(reply[0:]),
		Min:  binary.BigEndian.Uint32(reply[4:]),
		Max:  binary.BigEndian.Uint32(reply[8:]),
	}, err
}

// Info asks what the flags (InfoSpecification and so on) select.
func (c *Client) Info(ctx context.Context, flags uint64) (*Info, error) {
	text, err := c.InfoText(ctx, flags)
	if err != nil {
		return nil, err
	}
	info := &Info{}
	if err := json.Unmarshal(text, info); err != nil {
		return nil, fmt.Errorf("%v: %w", CmdGetInfo, err)
	}
	return info, nil
}

// InfoText is Info as the server's JSON text.
func (c *Client) InfoText(ctx context.Context, flags uint64) ([]byte, error) {
	var text []byte
	for {
		total, piece, err := c.infoPiece(ctx, flags, uint32(len(text)))
		if err != nil {
			return nil, err
		}
		text = append(text, piece...)
		if uint32(len(text)) >= total || len(piece) == 0 {
			break
		}
	}
	for len(text) > 0 && text[len(text)-1] == 0 { // it ends as in C
		text = text[:len(text)-1]
	}
	return text, nil
}

func (c *Client) infoPiece(ctx context.Context, flags uint64, offset uint32) (total uint32, piece []byte, err error) {
	payload := binary.BigEndian.AppendUint64(nil, flags)
	payload = append(payload, words(offset, 0)...)
	err = c.exchange(ctx, CmdGetInfo,
		func() error { return c.write(CmdGetInfo, payload, nil) },
		func() error {
			if err := c.result(CmdGetInfo); err != nil {
				return err
			}
			if total, err = c.word(); err != nil {
				return err
			}
			length, err := c.word()
			if err != nil {
				return err
			}
			if total > maxReply {
				return fmt.Errorf("text of %d bytes: more than %d are not taken", total, maxReply)
			}
			piece, err = c.text(length)
			return err
		})
	return total, piece, err
}
