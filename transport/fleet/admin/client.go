package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/transport/fleet"
)

// Client asks the admin socket of a fleet.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a client for the fleet whose admin socket is at path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{socket: path, http: http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close closes the connections that are kept for further requests. The client can be
// used on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// List asks for all TPMs, in the order of their names.
func (c *Client) List(ctx context.Context) ([]fleet.Status, error) {
	var list []fleet.Status
	return list, c.do(ctx, http.MethodGet, "/tpms", nil, &list)
}

// Status asks for one TPM.
func (c *Client) Status(ctx context.Context, name string) (fleet.Status, error) {
	var s fleet.Status
	return s, c.do(ctx, http.MethodGet, "/tpms/"+url.PathEscape(name), nil, &s)
}

// Add adds a TPM; config is the text of its file.
func (c *Client) Add(ctx context.Context, name, config string) (fleet.Status, error) {
	var s fleet.Status
	return s, c.do(ctx, http.MethodPost, "/tpms", addRequest{&name, config}, &s)
}

// Remove removes a TPM. One with clients is refused, unless it is forced or asked twice.
func (c *Client) Remove(ctx context.Context, name string, force bool) error {
	return c.do(ctx, http.MethodPost, "/tpms/remove", removeRequest{&name, force}, new(removed))
}

// Metrics copies the metrics to out, in Prometheus's text format.
func (c *Client) Metrics(ctx context.Context, out io.Writer) error {
	response, err := c.send(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(out, io.LimitReader(response.Body, maxAnswer))
	return err
}

// maxAnswer bounds what is read, in bytes.
const maxAnswer = 64 << 20

// do sends a request and decodes its answer.
func (c *Client) do(ctx context.Context, method, path string, body, result any) error {
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(result)
}

// send sends a request. The error of one that is refused is a *control.RequestError.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://swtpmd"+path, sent)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no answer from a running swtpmd fleet at %s: %w", c.socket, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	var refused struct {
		Error string `json:"error"`
	}
	if json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&refused) != nil || refused.Error == "" {
		refused.Error = response.Status
	}
	return nil, &control.RequestError{Request: method + " " + path, Status: response.StatusCode, Reason: refused.Error}
}
