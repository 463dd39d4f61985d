package control

import (
	"bufio"
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
	below  string // before the path of each request
	http   http.Client
}

// NewClient returns a client for the panel at the unix socket path.
func NewClient(socket string) *Client { return NewClientBelow(socket, "") }

// NewClientBelow returns a client for a panel of several at a socket, whose requests have
// below before their path, such as "/tpms/web1" for a TPM of a fleet.
func NewClientBelow(socket, below string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, below: below, http: http.Client{Transport: &http.Transport{DialContext: dial}}}
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

// Rules asks for the rules.
func (c *Client) Rules(ctx context.Context) ([]RuleStatus, error) {
	var list []RuleStatus
	return list, c.do(ctx, http.MethodGet, "/rules", nil, &list)
}

// AddRules adds rules, as a plan has them, after those that there are.
func (c *Client) AddRules(ctx context.Context, rules ...string) ([]RuleStatus, error) {
	var list []RuleStatus
	return list, c.do(ctx, http.MethodPost, "/rules", addRequest{rules}, &list)
}

// RemoveRule removes a rule by its name.
func (c *Client) RemoveRule(ctx context.Context, name string) ([]RuleStatus, error) {
	var list []RuleStatus
	return list, c.do(ctx, http.MethodPost, "/rules/remove", nameRequest{&name}, &list)
}

// EnableRule enables or disables a rule by its name.
func (c *Client) EnableRule(ctx context.Context, name string, enabled bool) ([]RuleStatus, error) {
	var list []RuleStatus
	return list, c.do(ctx, http.MethodPost, "/rules/enable", enableRequest{&name, &enabled}, &list)
}

// Power switches the TPM's power.
func (c *Client) Power(ctx context.Context, what Power) (Status, error) {
	var s Status
	return s, c.do(ctx, http.MethodPost, "/power", powerRequest{what}, &s)
}

// Save asks for the whole TPM.
func (c *Client) Save(ctx context.Context) (Snapshot, error) {
	var s Snapshot
	return s, c.do(ctx, http.MethodGet, "/snapshot", nil, &s)
}

// Restore makes the TPM the one that was saved.
func (c *Client) Restore(ctx context.Context, saved Snapshot) (Status, error) {
	var s Status
	return s, c.do(ctx, http.MethodPost, "/snapshot", saved, &s)
}

// Events reads what happens until ctx or the daemon ends, or each returns an error, which
// is the result then. With commands each command is an event too. Ready, if it is not nil,
// is called once nothing that happens can be missed.
func (c *Client) Events(ctx context.Context, commands bool, ready func(), each func(Event) error) error {
	path := "/events"
	if commands {
		path += "?commands=yes"
	}
	response, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if ready != nil {
		ready()
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return lines.Err()
}

// maxEvent bounds an event as JSON, in bytes.
const maxEvent = 4 << 20

// maxAnswer bounds what is read from the panel, in bytes: the journal at its
// longest stays well below it.
const maxAnswer = 16 << 20

// do sends a request and decodes its answer.
func (c *Client) do(ctx context.Context, method, path string, body, result any) error {
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(result)
}

// send sends a request. The error of one that is refused is a *RequestError.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://swtpmd"+c.below+path, sent)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no answer from a running swtpmd at %s: %w", c.socket, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	var refused errorBody
	if json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&refused) != nil || refused.Error == "" {
		refused.Error = response.Status
	}
	return nil, &RequestError{Request: method + " " + request.URL.Path, Status: response.StatusCode, Reason: refused.Error}
}
