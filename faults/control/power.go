package control

import (
	"errors"
	"net/http"
)

// Power is what can be done to the power of a TPM, and what was done to it.
type Power string

// The ways to switch power.
const (
	PowerOn    Power = "on"    // apply it, unless it is there
	PowerOff   Power = "off"   // take it away
	PowerReset Power = "reset" // reset a TPM that has power, or apply it: _TPM_Init
)

// powerRequest is the body of POST /power.
type powerRequest struct {
	Power Power `json:"power"`
}

var (
	errNoPower    = errors.New(`the request says nothing to do; send {"power":"on"}, or off, or reset`)
	errNoSwitches = errors.New("this TPM's power cannot be switched from here")
	errNoSnapshot = errors.New("this TPM cannot be saved from here")
	errEmptySaved = errors.New("the snapshot has no permanent state; send what GET /snapshot has answered")
)

func (p *Panel) servePower(w http.ResponseWriter, r *http.Request) {
	var request powerRequest
	err := read(http.MaxBytesReader(w, r.Body, maxRequest), &request)
	if err == nil && request.Power != PowerOn && request.Power != PowerOff && request.Power != PowerReset {
		err = errNoPower
	}
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, err)
		return
	case p.Switch == nil:
		err = errNoSwitches
	default:
		err = p.Switch(request.Power)
	}
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	answer(w, p.Status())
}

// RecordPower takes down what was done to the power of the TPM.
func (p *Panel) RecordPower(what Power) { p.tell(Event{Kind: PowerEvent, Power: what}) }

// Snapshot is a TPM as it was between two commands, with its secrets: the two parts of
// transport.Migratable.
type Snapshot struct {
	// Permanent is what survives the loss of power, Volatile what does not.
	Permanent []byte `json:"permanent"`
	Volatile  []byte `json:"volatile"`
}

// MaxSnapshot bounds a Snapshot as JSON, in bytes.
const MaxSnapshot = 16 << 20

func (p *Panel) serveSave(w http.ResponseWriter, _ *http.Request) {
	if p.Save == nil {
		refuse(w, http.StatusBadGateway, errNoSnapshot)
		return
	}
	s, err := p.Save()
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	answer(w, s)
}

func (p *Panel) serveRestore(w http.ResponseWriter, r *http.Request) {
	var s Snapshot
	err := read(http.MaxBytesReader(w, r.Body, MaxSnapshot), &s)
	if err == nil && len(s.Permanent) == 0 {
		err = errEmptySaved
	}
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, err)
		return
	case p.Restore == nil:
		err = errNoSnapshot
	default:
		err = p.Restore(s)
	}
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	p.tell(Event{Kind: RestoreEvent})
	answer(w, p.Status())
}
