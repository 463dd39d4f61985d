//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

type handles = []wire.Handle

// What authorizes commands.
const (
	sessionHMAC     = "hmac"
	sessionPassword = "password"
)

// tpm is the TPM that is measured, and what was loaded in it.
type tpm struct {
	engine *emulator.TPM
	loaded []wire.Handle
	unique uint64 // templates that were made
}

// start is a TPM of the profile v185 after TPM2_Startup.
func start() (*tpm, error) {
	profile, err := emulator.ProfileByName("v185")
	if err != nil {
		return nil, err
	}
	engine, err := emulator.New(emulator.Platform{}, profile.Config)
	if err != nil {
		return nil, err
	}
	if err := engine.Init(); err != nil {
		return nil, err
	}
	t := &tpm{engine: engine}
	_, err = t.send(et.Command(wire.CCStartup, nil, nil, et.U16(0)))
	return t, err
}

// send sends a command that must succeed.
func (t *tpm) send(command []byte) ([]byte, error) {
	response, err := t.engine.Send(context.Background(), 0, command)
	if err != nil {
		return nil, err
	}
	if rc := et.ResponseCode(response); rc != wire.RCSuccess {
		code := wire.NewReader(command[6:], nil)
		return nil, fmt.Errorf("%v answered %v", wire.CC(code.U32()), rc)
	}
	return response, nil
}

// load sends a command that loads something, and keeps its handle.
func (t *tpm) load(command []byte) (wire.Handle, []byte, error) {
	response, err := t.send(command)
	if err != nil {
		return 0, nil, err
	}
	h := et.ResponseHandle(response)
	t.loaded = append(t.loaded, h)
	return h, et.Parameters(response, true), nil
}

func (t *tpm) flush(h wire.Handle) error {
	_, err := t.send(et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(h))))
	return err
}

// flushAll flushes what was loaded.
func (t *tpm) flushAll() {
	for _, h := range t.loaded {
		if err := t.flush(h); err != nil {
			panic(fmt.Sprintf("internal error: what was loaded cannot be flushed: %v", err))
		}
	}
	t.loaded = nil
}

// A loadedKey is a key of the TPM, and its encoded public area and Name.
type loadedKey struct {
	handle     wire.Handle
	area, name []byte
}

// loadKey makes and loads a key whose nameAlg is SHA-256.
func (t *tpm) loadKey(template wire.Public) (*loadedKey, error) {
	h, parameters, err := t.load(et.Command(wire.CCCreatePrimary, handles{wire.RHOwner}, et.NoAuth(), t.creation(template)))
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(slices.Clone(parameters), nil)
	k := &loadedKey{handle: h, area: r.Sized(len(parameters))}
	name := sha256.Sum256(k.area)
	k.name = append(et.U16(uint16(wire.AlgSHA256)), name[:]...)
	return k, nil
}

// unique is the end of the public area: a public key of n bytes.
func (k *loadedKey) unique(n int) []byte { return k.area[len(k.area)-n:] }

// creation are the parameters of TPM2_CreatePrimary for a template that no key was made
// from before.
func (t *tpm) creation(p wire.Public) []byte {
	t.unique++
	number := et.U64(t.unique)
	switch p.Parms.Type {
	case wire.AlgRSA:
		p.Unique = append(make([]byte, 248), number...)
	case wire.AlgECC:
		p.Point.X = append(make([]byte, 24), number...)
	default:
		p.Unique = number
	}
	var w wire.Writer
	w.Sized([]byte{0, 0, 0, 0}) // no authValue, no data
	w.SizedPublic(&p)
	w.Sized(nil)
	w.U32(0)
	return w.Data()
}

// A request is a command that is sent again and again, with another nonce and HMAC each
// time if an HMAC session authorizes it.
type request struct {
	t          *tpm
	code       wire.CC
	handles    handles
	parameters []byte
	name       []byte // of the first handle
	session    wire.Handle
	nonceTPM   []byte

	command, response []byte

	// Room for what the client computes, so that its garbage is not collected in the
	// TPM's time.
	hmac   hash.Hash
	hashed []byte
}

// newRequest makes a request that a session of a kind authorizes, or nothing if that is
// empty. name is that of the handle.
func (t *tpm) newRequest(kind string, code wire.CC, h wire.Handle, name []byte, parameters ...[]byte) (*request, error) {
	r := &request{t: t, code: code, handles: handles{h}, name: name, parameters: slices.Concat(parameters...)}
	switch kind {
	case "":
		r.command = et.Command(code, r.handles, nil, r.parameters)
	case sessionPassword:
		r.command = et.Command(code, r.handles, et.NoAuth(), r.parameters)
	default:
		s, answer, err := t.load(et.Command(wire.CCStartAuthSession, handles{wire.RHNull, wire.RHNull}, nil, et.Sized(make([]byte, 16)), et.Sized(nil),
			et.U8(uint8(wire.SEHMAC)), et.U16(uint16(wire.AlgNull)), et.U16(uint16(wire.AlgSHA256))))
		if err != nil {
			return nil, err
		}
		r.session, r.nonceTPM, r.hmac = s, slices.Clone(answer[2:]), hmac.New(sha256.New, nil)
	}
	return r, nil
}

// sign puts the command together with the HMAC that authorizes it; the authorization
// value is empty (Part 1, section "Command Processing").
func (r *request) sign() {
	if r.session == 0 {
		return
	}
	b := binary.BigEndian.AppendUint32(r.hashed[:0], uint32(r.code))
	b = append(append(b, r.name...), r.parameters...)
	cp := sha256.Sum256(b)
	nonce := make([]byte, 16)
	b = append(append(append(b[:0], cp[:]...), nonce...), r.nonceTPM...)
	r.hashed = append(b, byte(wire.SessionContinue))
	r.hmac.Reset()
	r.hmac.Write(r.hashed)
	r.command = et.CommandWithSessions(r.code, r.handles,
		[]wire.AuthCommand{{Session: r.session, Nonce: nonce, Attributes: wire.SessionContinue, HMAC: r.hmac.Sum(nil)}}, r.parameters)
}

func (r *request) send() (err error) {
	r.response, err = r.t.send(r.command)
	return err
}

// roll takes the nonce that the next HMAC is computed with from the response.
func (r *request) roll() error {
	if r.session == 0 {
		return nil
	}
	at := 10
	if r.code == wire.CCCreatePrimary {
		at += 4
	}
	reader := wire.NewReader(r.response[at:], nil)
	reader.Bytes(int(reader.U32()))
	r.nonceTPM = append(r.nonceTPM[:0], reader.Sized(64)...)
	if rc := reader.RC(); rc != wire.RCSuccess {
		return fmt.Errorf("the nonce of a response: %v", rc)
	}
	return nil
}

// operation sends the request.
func (r *request) operation() operation {
	return operation{before: r.sign, run: r.send, after: r.roll}
}

// once sends the request before anything is measured, and gives the response parameters.
func (r *request) once() ([]byte, error) {
	r.sign()
	if err := r.send(); err != nil {
		return nil, err
	}
	parameters := slices.Clone(et.Parameters(r.response, false))
	return parameters, r.roll()
}

// answers sends the request once, whose answer must have these parameters.
func (r *request) answers(parameters []byte) error {
	answer, err := r.once()
	if err == nil && !bytes.Equal(answer, parameters) {
		err = errOther
	}
	return err
}
