package emulator

import (
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// TPM2_HMAC or TPM2_MAC of Part 3, chapter "Symmetric Primitives", and
// TPM2_HMAC_Start or TPM2_MAC_Start of chapter "Hash/HMAC/Event Sequences". A
// code stands for both commands; as there are block ciphers here it is that of
// the second, which does all that the first does.

// macState is a MAC in progress.
type macState interface {
	Write(p []byte) (int, error)
	Finish(dst []byte) []byte
	MarshalBinary() ([]byte, error)
}

// The first octet of the state of a MAC sequence.
const (
	macHMAC = 0
	macCMAC = 1
)

// macKey checks that a key makes MACs, and gives the scheme: the key's own, or
// the one that was asked for in parameter p.
func (t *TPM) macKey(c *call, asked wire.AlgID, p int) (*object, wire.AlgID, wire.RC) {
	o := c.entities[0].object
	own := wire.AlgNull
	hmac := o.loaded() && o.public.Parms.Type == wire.AlgKeyedHash
	switch {
	case hmac:
		if s := o.public.Parms.Scheme; s.Alg != wire.AlgNull {
			own = s.Hash
		}
	case o.loaded() && o.public.Parms.Type == wire.AlgSymCipher:
		own = o.public.Parms.Sym.Mode
	default:
		return nil, 0, c.badHandle(1, wire.RCType)
	}
	switch {
	case asked == wire.AlgNull:
		asked = own
	case own != wire.AlgNull && asked != own:
		return nil, 0, c.badParam(p, wire.RCValue)
	}
	switch {
	case asked == wire.AlgNull:
		return nil, 0, c.badParam(p, wire.RCValue)
	case hmac != (t.algs.DigestSize(asked) != 0), !hmac && asked != wire.AlgCMAC:
		return nil, 0, c.badParam(p, wire.RCScheme)
	case o.has(wire.ObjectRestricted):
		return nil, 0, c.badHandle(1, wire.RCAttributes)
	case !o.has(wire.ObjectSignEncrypt):
		return nil, 0, c.badHandle(1, wire.RCKey)
	}
	return o, asked, wire.RCSuccess
}

// startMAC starts a MAC with a key that macKey has found.
func startMAC(o *object, scheme wire.AlgID) (macState, wire.RC) {
	if scheme != wire.AlgCMAC {
		return crypt.NewHMAC(scheme, o.sensitive.Data), wire.RCSuccess
	}
	m, err := crypt.NewCMAC(o.public.Parms.Sym.Alg, o.sensitive.Data)
	if err != nil {
		return nil, rcOf(err)
	}
	return m, wire.RCSuccess
}

// mac is TPM2_MAC.
func (t *TPM) mac(c *call) wire.RC {
	data := c.buffer()
	asked := c.next().MACScheme(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o, scheme, rc := t.macKey(c, asked, 2)
	if rc != wire.RCSuccess {
		return rc
	}
	m, rc := startMAC(o, scheme)
	if rc != wire.RCSuccess {
		return rc
	}
	m.Write(data)
	var space [wire.MaxDigest]byte
	c.out.Sized(m.Finish(space[:0]))
	return wire.RCSuccess
}

// macStart is TPM2_MAC_Start.
func (t *TPM) macStart(c *call) wire.RC {
	auth := c.auth()
	asked := c.next().MACScheme(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o, scheme, rc := t.macKey(c, asked, 2)
	if rc != wire.RCSuccess {
		return rc
	}
	m, rc := startMAC(o, scheme)
	if rc != wire.RCSuccess {
		return rc
	}
	sequence := state.Object{Kind: state.ObjectMACSequence}
	sequence.Auth.Set(auth)
	saveMAC(&sequence, m)
	h, s := t.takeSlot(&sequence)
	if s == nil {
		return wire.RCObjectMemory
	}
	c.rhandle = h
	return wire.RCSuccess
}

// saveMAC puts a running MAC into the state.
func saveMAC(o *state.Object, m macState) {
	b, err := m.MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("internal error: a MAC does not marshal: %v", err))
	}
	kind := byte(macHMAC)
	if _, ok := m.(*crypt.CMACState); ok {
		kind = macCMAC
	}
	o.MAC = append([]byte{kind}, b...)
}

// restoreMAC takes a running MAC out of the state.
func restoreMAC(o *state.Object) (macState, error) {
	if len(o.MAC) > 0 && o.MAC[0] == macCMAC {
		return crypt.UnmarshalCMAC(o.MAC[1:])
	}
	return crypt.UnmarshalHMAC(o.MAC[min(1, len(o.MAC)):])
}

// updateMAC adds data to a MAC sequence, and gives it.
func updateMAC(o *state.Object, data []byte) macState {
	m, err := restoreMAC(o)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	m.Write(data)
	return m
}
