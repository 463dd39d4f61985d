package emulator

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// hmacOf is HMAC-SHA-512 of the octets of parts.
func hmacOf(key []byte, parts ...string) []byte {
	m := hmac.New(sha512.New, key)
	for _, p := range parts {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

func octets(v uint64) string { return string(binary.BigEndian.AppendUint64(nil, v)) }

// A ticket is HMAC-SHA-512 with the proof of its hierarchy over its tag and what
// it is of (Part 2, section "Tickets").
func TestTicketValues(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	in.s.Persistent.TotalResetCount = 77
	epoch := octets(in.s.Volatile.TimeEpoch)
	name, digest, ref := []byte("name"), []byte("digest"), []byte("ref")
	a := func(tag wire.ST, timeout uint64, untilReset bool) *authorization {
		return &authorization{tag: tag, name: name, cpHash: digest, policyRef: ref, timeout: timeout, untilReset: untilReset}
	}
	for _, h := range []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHPlatform, wire.RHNull} {
		for what, tc := range map[string]struct {
			ticket wire.Ticket
			tag    wire.ST
			of     []string
		}{
			"hash":                       {in.hashChecked(h, wire.AlgSHA256, digest), wire.STHashCheck, []string{"\x80\x24", "\x00\x0B", "digest"}},
			"creation":                   {in.creationTicket(h, name, digest), wire.STCreation, []string{"\x80\x21", "name", "digest"}},
			"secret":                     {in.authTicket(h, a(wire.STAuthSecret, 5, false)), wire.STAuthSecret, []string{"\x80\x23", "digest", "ref", "name", octets(5), epoch}},
			"signed, until reset":        {in.authTicket(h, a(wire.STAuthSigned, 5, true)), wire.STAuthSigned, []string{"\x80\x25", "digest", "ref", "name", octets(5), epoch, octets(77)}},
			"signed, without expiration": {in.authTicket(h, a(wire.STAuthSigned, 0, true)), wire.STAuthSigned, []string{"\x80\x25", "digest", "ref", "name", octets(0)}},
		} {
			want := wire.Ticket{Tag: tc.tag, Hierarchy: h, Digest: hmacOf(in.proof(h), tc.of...)}
			assert.Equal(t, want, tc.ticket, "%s of %v", what, h)
		}
		if h == wire.RHNull {
			assert.Equal(t, nullTicket(wire.STVerified), in.verifiedTicket(wire.STVerified, h, digest, name, 0))
			continue
		}
		assert.Equal(t, nullTicket(wire.STVerified), in.verifiedTicket(wire.STVerified, h, digest, nil, 0), "a key without a Name")
		want := wire.Ticket{Tag: wire.STVerified, Hierarchy: h, Digest: hmacOf(in.proof(h), "\x80\x22", "digest", "name")}
		assert.Equal(t, want, in.verifiedTicket(wire.STVerified, h, digest, name, 0))
	}
}

// A ticket holds for what it is of and for nothing else, and in no other
// hierarchy. The NULL Ticket never does.
func TestTicketsHold(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	name, digest := []byte("name"), []byte("digest")
	a := authorization{tag: wire.STAuthSecret, name: name, cpHash: digest, timeout: 5}
	other := a
	other.policyRef = []byte("ref")
	later := a
	later.timeout++
	bound := a
	bound.untilReset = true
	for what, tc := range map[string]struct {
		ticket wire.Ticket
		holds  func(*wire.Ticket) bool
		others []func(*wire.Ticket) bool
	}{
		"hash": {in.hashChecked(wire.RHOwner, wire.AlgSHA256, digest),
			func(k *wire.Ticket) bool { return in.hashCheckHolds(k, wire.AlgSHA256, digest) },
			[]func(*wire.Ticket) bool{
				func(k *wire.Ticket) bool { return in.hashCheckHolds(k, wire.AlgSHA3_256, digest) },
				func(k *wire.Ticket) bool { return in.hashCheckHolds(k, wire.AlgSHA256, name) },
			}},
		"creation": {in.creationTicket(wire.RHOwner, name, digest),
			func(k *wire.Ticket) bool { return in.creationHolds(k, name, digest) },
			[]func(*wire.Ticket) bool{
				func(k *wire.Ticket) bool { return in.creationHolds(k, digest, digest) },
				func(k *wire.Ticket) bool { return in.creationHolds(k, name, name) },
			}},
		"verified": {in.verifiedTicket(wire.STVerified, wire.RHOwner, digest, name, 0),
			func(k *wire.Ticket) bool { return in.verifiedHolds(k, digest, name) },
			[]func(*wire.Ticket) bool{
				func(k *wire.Ticket) bool { return in.verifiedHolds(k, name, name) },
				func(k *wire.Ticket) bool { return in.verifiedHolds(k, digest, digest) },
			}},
		"authorization": {in.authTicket(wire.RHOwner, &a),
			func(k *wire.Ticket) bool { return in.authHolds(k, &a) },
			[]func(*wire.Ticket) bool{
				func(k *wire.Ticket) bool { return in.authHolds(k, &other) },
				func(k *wire.Ticket) bool { return in.authHolds(k, &later) },
				func(k *wire.Ticket) bool { return in.authHolds(k, &bound) },
			}},
	} {
		assert.True(t, tc.holds(&tc.ticket), what)
		for i, other := range tc.others {
			assert.False(t, other(&tc.ticket), "%s: other %d", what, i)
		}
		moved := tc.ticket
		moved.Hierarchy = wire.RHPlatform
		assert.False(t, tc.holds(&moved), "%s: moved to another hierarchy", what)
		short := tc.ticket
		short.Digest = short.Digest[:63]
		assert.False(t, tc.holds(&short), "%s: cut", what)
		null := nullTicket(tc.ticket.Tag)
		assert.False(t, tc.holds(&null), "%s: NULL", what)
	}
}

// What a ticket refers to ends with the proof, the period of Time and the count
// of resets.
func TestTicketsEnd(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	a := authorization{tag: wire.STAuthSecret, timeout: 5, untilReset: true}
	ticket := in.authTicket(wire.RHOwner, &a)
	for what, change := range map[string]func(){
		"epoch":  func() { in.s.Volatile.TimeEpoch++ },
		"resets": func() { in.s.Persistent.TotalResetCount++ },
		"proof":  func() { in.s.Persistent.SHProof.Buf[0]++ },
	} {
		before := in.s.Volatile.TimeEpoch
		resets, proof := in.s.Persistent.TotalResetCount, in.s.Persistent.SHProof
		change()
		assert.False(t, in.authHolds(&ticket, &a), what)
		in.s.Volatile.TimeEpoch, in.s.Persistent.TotalResetCount, in.s.Persistent.SHProof = before, resets, proof
		assert.True(t, in.authHolds(&ticket, &a), what)
	}
}

// The timeout that goes with a ticket is Time with the bit for untilReset on
// top.
func TestTicketTimeout(t *testing.T) {
	t.Parallel()
	for _, a := range []authorization{{timeout: 1000}, {timeout: 1000, untilReset: true}, {untilReset: true}} {
		var back authorization
		assert.True(t, back.decodeTimeout(a.encodedTimeout()))
		assert.Equal(t, a, back)
	}
	assert.Equal(t, []byte{0x80, 0, 0, 0, 0, 0, 3, 0xE8}, (&authorization{timeout: 1000, untilReset: true}).encodedTimeout())
	assert.False(t, new(authorization).decodeTimeout(make([]byte, 7)))
	assert.False(t, new(authorization).decodeTimeout(make([]byte, 9)))
}
