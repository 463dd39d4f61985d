package emulator

import (
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Which Config makes a TPM.

// check refuses what makes no TPM and builds the registry of algorithms.
func (c Config) check() (*crypt.Registry, error) {
	id := c.Identity
	switch {
	case len(id.Manufacturer) > 4:
		return nil, &ConfigError{Field: "Identity.Manufacturer", Value: id.Manufacturer, Hint: "at most 4 characters"}
	case id.DayOfYear > 366:
		return nil, &ConfigError{Field: "Identity.DayOfYear", Value: id.DayOfYear, Hint: "1 to 366"}
	case id.PSDayOfYear > 366:
		return nil, &ConfigError{Field: "Identity.PSDayOfYear", Value: id.PSDayOfYear, Hint: "1 to 366"}
	case len(id.Vendor) > 16:
		return nil, &ConfigError{Field: "Identity.Vendor", Value: id.Vendor, Hint: "at most 16 characters"}
	case len(c.Banks) > state.MaxBanks:
		return nil, &ConfigError{Field: "Banks", Value: len(c.Banks), Hint: fmt.Sprintf("at most %d", state.MaxBanks)}
	}
	if err := c.checkBanks(); err != nil {
		return nil, err
	}
	if err := c.checkCommands(); err != nil {
		return nil, err
	}
	algs, err := c.checkAlgorithms()
	if err != nil {
		return nil, err
	}
	largest := uint32(defaultBuffer)
	if c.hasVersion185() {
		largest = maxBuffer
	}
	return algs, c.Limits.check(c.Banks, algs, largest, c.hasVersion185())
}

func (c Config) checkBanks() error {
	allocated := false
	for i, b := range c.Banks {
		switch {
		case slices.ContainsFunc(c.Banks[:i], func(o Bank) bool { return o.Alg == b.Alg }):
			return &ConfigError{Field: "Banks", Value: b.Alg, Hint: "name each bank once"}
		case crypt.HashSize(b.Alg) == 0:
			return &ConfigError{Field: "Banks", Err: &crypt.UnsupportedError{Alg: b.Alg, Want: "PCR bank"}}
		case !slices.Contains(c.Algorithms, b.Alg):
			return &ConfigError{Field: "Banks", Value: b.Alg, Hint: "switch the algorithm on too"}
		}
		allocated = allocated || !b.Unallocated
	}
	if !allocated {
		return &ConfigError{Field: "Banks", Value: "without an allocated one", Hint: "PCR 0 and PCR 17 must be in some bank"}
	}
	return nil
}

// neededCommands are what no TPM can be without: the first command of all, and
// those that say what it is and how it fares (Part 1, sections "Startup State"
// and "Failure Mode").
var neededCommands = [...]wire.CC{wire.CCStartup, wire.CCGetCapability, wire.CCGetTestResult, wire.CCSelfTest}

func (c Config) checkCommands() error {
	if c.Commands == nil {
		return nil
	}
	for i, code := range c.Commands {
		row := commandOf(code)
		switch {
		case row == nil:
			return &ConfigError{Field: "Commands", Value: code, Hint: "choose among those of Commands"}
		case !row.Implemented():
			return &ConfigError{Field: "Commands", Value: row.Name, Hint: "leave it out, it is not implemented"}
		case slices.Contains(c.Commands[:i], code):
			return &ConfigError{Field: "Commands", Value: row.Name, Hint: "name each command once"}
		}
	}
	for _, code := range neededCommands {
		if !slices.Contains(c.Commands, code) {
			return &ConfigError{Field: "Commands", Value: "without " + commandOf(code).Name, Hint: "add it: no TPM is without"}
		}
	}
	return nil
}

// frameSize is what a command or a response has in bytes besides its largest
// parameter: header, three handles, the size of the authorization area and three
// sessions with nonces and HMACs, and the two sizes of TPM2_NV_Write.
func frameSize(digest int) uint32 {
	return uint32(10 + 3*4 + 4 + 3*(4+2+digest+1+2+digest) + 4)
}

// check refuses limits that are out of bounds, of which one is the largest buffer, or
// that banks and algorithms, and the sequences of version 185, do not fit in.
func (l *Limits) check(banks []Bank, algs *crypt.Registry, largest uint32, version185 bool) error {
	digest := algs.Selectors().LargestDigest()
	frame := frameSize(digest)
	signed := uint32(0) // what ML-DSA signs, in a response
	if size := signatureSize(algs); size != 0 {
		signed = frame + attestSize(digest) + size
	}
	object, session := contextSizes(banks, algs, version185)
	for _, b := range []struct {
		field           string
		value, min, max uint32
	}{
		{"Buffer", l.Buffer, max(frame+maxCapBuffer, object+responseHeader, signed), largest},
		{"InputBuffer", l.InputBuffer, wire.MaxDigest, l.Buffer - frame},
		{"Transient", l.Transient, minSlots, state.MaxObjects},
		{"Persistent", l.Persistent, 0, state.MaxPersistentObjects},
		{"LoadedSessions", l.LoadedSessions, minSlots, state.MaxLoadedSessions},
		{"ActiveSessions", l.ActiveSessions, l.LoadedSessions, state.MaxActiveSessions},
		{"NVIndexSize", l.NVIndexSize, wire.MaxDigest, 0xFFFF},
		{"NVBuffer", l.NVBuffer, wire.MaxDigest, l.Buffer - frame},
		{"NVMemory", l.NVMemory, l.Persistent * uint32(largestPersistent(algs)), maxNVMemory},
		{"NVOrderlyMemory", l.NVOrderlyMemory, 0, maxNVMemory},
		{"ObjectContext", l.ObjectContext, object, l.Buffer - responseHeader},
		{"SessionContext", l.SessionContext, session, l.Buffer - responseHeader},
	} {
		if b.value < b.min || b.value > b.max {
			hint := fmt.Sprintf("%d to %d", b.min, b.max)
			if b.value == 0 {
				hint += "; change a copy of DefaultLimits, where one limit is set all are"
			}
			return &ConfigError{Field: "Limits." + b.field, Value: b.value, Hint: hint}
		}
	}
	return nil
}

// contextSizes gives the bytes of the largest TPMS_CONTEXT of an object and of a
// session, with those that sign and verify messages where version185 has them.
func contextSizes(banks []Bank, algs *crypt.Registry, version185 bool) (object, session uint32) {
	digest := algs.Selectors().LargestDigest()
	frame := 8 + 4 + 4 + 2 + // TPMS_CONTEXT with the size of its blob
		2 + crypt.HashSize(algs.LargestHash()) + contextFingerprint
	var full state.TPM2B
	full.Set(make([]byte, digest))

	size := 0
	var buffer []byte // of the encoders, one after the other
	measure := func(o *state.Object) {
		buffer = state.AppendObject(buffer[:0], o)
		size = max(size, len(buffer))
	}
	measure(&state.Object{Kind: state.ObjectLoaded, Public: make([]byte, publicSize(digest, algs)),
		Sensitive: make([]byte, sensitiveSize(digest, algs)), Name: make([]byte, 2+digest), QualifiedName: make([]byte, 2+digest)})
	if public, sensitive := latticeAreas(digest, algs); public != 0 {
		measure(&state.Object{Kind: state.ObjectLoaded, Public: make([]byte, public),
			Sensitive: make([]byte, sensitive), Name: make([]byte, 2+digest), QualifiedName: make([]byte, 2+digest)})
	}
	sequence := state.Object{Kind: state.ObjectEventSequence, Auth: full}
	for _, b := range banks {
		sequence.Hashes = append(sequence.Hashes, state.HashState{Size: uint8(len(crypt.MarshalHash(crypt.NewHash(b.Alg))))})
	}
	measure(&sequence)
	sequence = state.Object{Kind: state.ObjectMACSequence, Auth: full}
	for _, alg := range algs.Hashes() {
		mac, _ := crypt.NewHMAC(alg, nil).MarshalBinary() // the error is always nil
		sequence.MAC = append([]byte{0}, mac...)
		measure(&sequence)
	}
	if version185 {
		ticket, _ := crypt.NewHMAC(algs.LargestHash(), nil).MarshalBinary() // the error is always nil
		for _, message := range largestMessages(algs) {
			measure(&state.Object{Kind: state.ObjectVerifySequence, Auth: full, Key: make([]byte, 2+digest),
				Context: make([]byte, wire.MaxSignatureContext), First: make([]byte, generatedSize), Message: message, Ticket: ticket})
		}
	}
	// Bound is an HMAC session's, Hash a policy session's.
	s := state.Session{Key: full, NonceTPM: full, Digest: full, Hash: full}
	return uint32(frame + size), uint32(frame + len(state.AppendSession(buffer[:0], &s)))
}
