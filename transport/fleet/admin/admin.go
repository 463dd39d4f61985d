// Package admin is the admin socket of a fleet: TPMs are added, listed and removed, each is
// steered as the admin socket of one TPM steers it, and what happens is counted.
//
// It is HTTP with JSON bodies, as in faults/control:
//
//	GET  /tpms          []fleet.Status, in the order of the names
//	POST /tpms          {"name":"web1","config":"profile=tiny\n"}: add a TPM; config is the
//	                    text of NAME.tpm (fleet.ParseConfig); answers fleet.Status
//	POST /tpms/remove   {"name":"web1","force":false}: remove a TPM; answers {"name":"web1"}
//	GET  /tpms/NAME     fleet.Status
//	     /tpms/NAME/…   the requests of faults/control for that TPM, such as
//	                    POST /tpms/web1/level
//	GET  /metrics       counters and gauges in Prometheus's text format 0.0.4
//
// An error is answered as {"error":"…"} with status 400 (the request is wrong), 404 (there
// is no such TPM), 409 (the name is taken, or the TPM is in use), 503 (the fleet has
// ended, or there may be no descriptors for one more) or 500 (the system refused).
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/transport/fleet"
)

// Fleet is what the socket needs of a *fleet.Fleet.
type Fleet interface {
	Add(ctx context.Context, name string, c fleet.Config) error
	Remove(ctx context.Context, name string, force bool) error
	Status(name string) (fleet.Status, bool)
	List() []fleet.Status
	Panel(name string) *control.Panel
}

// Handler answers the requests of the package comment.
func Handler(f Fleet) http.Handler {
	a := &admin{f}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tpms", func(w http.ResponseWriter, _ *http.Request) { answer(w, f.List()) })
	mux.HandleFunc("POST /tpms", a.add)
	mux.HandleFunc("POST /tpms/remove", a.remove)
	mux.HandleFunc("GET /tpms/{name}", a.status)
	mux.HandleFunc("/tpms/{name}/", a.panel)
	mux.HandleFunc("GET /metrics", a.metrics)
	return mux
}

type admin struct{ fleet Fleet }

// addRequest is the body of POST /tpms.
type addRequest struct {
	Name   *string `json:"name"`
	Config string  `json:"config"`
}

// removeRequest is the body of POST /tpms/remove.
type removeRequest struct {
	Name  *string `json:"name"`
	Force bool    `json:"force"`
}

// removed is the answer to POST /tpms/remove.
type removed struct {
	Name string `json:"name"`
}

var (
	errNoName   = errors.New(`the request names no TPM; send {"name":"web1"}`)
	errTrailing = errors.New("the request goes on after its JSON object; send one object")
)

// maxRequest bounds the body of a request, in bytes: a config with each byte escaped.
const maxRequest = 6*fleet.MaxConfig + 4096

// read takes one JSON object with the fields of into and nothing else.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}

func (a *admin) add(w http.ResponseWriter, r *http.Request) {
	var request addRequest
	err := read(w, r, &request)
	if err == nil && request.Name == nil {
		err = errNoName
	}
	var config fleet.Config
	if err == nil {
		config, err = fleet.ParseConfig("", []byte(request.Config))
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if err := a.fleet.Add(r.Context(), *request.Name, config); err != nil {
		refuse(w, status(err), err)
		return
	}
	a.answerStatus(w, *request.Name)
}

func (a *admin) remove(w http.ResponseWriter, r *http.Request) {
	var request removeRequest
	err := read(w, r, &request)
	if err == nil && request.Name == nil {
		err = errNoName
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	// A client that leaves does not have the TPM removed by half.
	if err := a.fleet.Remove(context.WithoutCancel(r.Context()), *request.Name, request.Force); err != nil {
		refuse(w, status(err), err)
		return
	}
	answer(w, removed{*request.Name})
}

func (a *admin) status(w http.ResponseWriter, r *http.Request) {
	a.answerStatus(w, r.PathValue("name"))
}

func (a *admin) answerStatus(w http.ResponseWriter, name string) {
	s, ok := a.fleet.Status(name)
	if !ok {
		refuse(w, http.StatusNotFound, &fleet.Error{Name: name, Err: fleet.ErrNone})
		return
	}
	answer(w, s)
}

// panel has the panel of a TPM answer.
func (a *admin) panel(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	panel := a.fleet.Panel(name)
	if panel == nil {
		refuse(w, http.StatusNotFound, &fleet.Error{Name: name, Err: fleet.ErrNone})
		return
	}
	http.StripPrefix("/tpms/"+name, panel.Handler()).ServeHTTP(w, r)
}

// status is that of an error of a fleet.
func status(err error) int {
	var config *fleet.ConfigError
	var limit *fleet.LimitError
	switch {
	case errors.Is(err, fleet.ErrNone):
		return http.StatusNotFound
	case errors.Is(err, fleet.ErrTaken), errors.Is(err, fleet.ErrInUse):
		return http.StatusConflict
	case errors.Is(err, fleet.ErrClosed), errors.As(err, &limit):
		return http.StatusServiceUnavailable
	case errors.Is(err, fleet.ErrName), errors.As(err, &config):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// The value marshals; what can fail is the connection, and then there is nobody left
	// to tell.
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}
