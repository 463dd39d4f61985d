package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Client asks the panel that listens on a unix socket.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a client for the panel at the unix socket path.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close closes the connections that are kept for further requests. The client can be
// used on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// RequestError is the panel's refusal.
type RequestError struct {
	Request string // such as "POST /level"
	Status  int    // HTTP status
	Reason  string
}

func (e *RequestError) Error() string { return e.Request + ": " + e.Reason }

// Status asks how things stand.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.do(ctx, http.MethodGet, "/status", nil, &s)
}

// Journal asks for the decisions that are kept, oldest first.
func (c *Client) Journal(ctx context.Context) ([]Entry, error) {
	var j []Entry
	return j, c.do(ctx, http.MethodGet, "/journal", nil, &j)
}

// PCRs asks for the values of all PCRs.
func (c *Client) PCRs(ctx context.Context) (PCRs, error) {
	var p PCRs
	return p, c.do(ctx, http.MethodGet, "/pcrs", nil, &p)
}

// Advance moves the boot on to level.
func (c *Client) Advance(ctx context.Context, level initcall.Level) (Status, error) {
	var s Status
	return s, c.do(ctx, http.MethodPost, "/level", levelRequest{&level}, &s)
}

// maxAnswer bounds what is read from the panel, in bytes: the journal at its
// longest stays well below it.
const maxAnswer = 16 << 20

func (c *Client) do(ctx context.Context, method, path string, body, result any) error {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://swtpmd"+path, sent)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("no answer from a running swtpmd at %s: %w", c.socket, err)
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode != http.StatusOK {
		var refused errorBody
		if decoder.Decode(&refused) != nil || refused.Error == "" {
			refused.Error = response.Status
		}
		return &RequestError{Request: method + " " + path, Status: response.StatusCode, Reason: refused.Error}
	}
	return decoder.Decode(result)
}
