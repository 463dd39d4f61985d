package state_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What makes no table of objects or sessions is refused.
func TestObjectsAndSessionsRefuse(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*state.State){
		"order":                   func(s *state.State) { s.Objects.List[1].Handle = wire.PersistentFirst },
		"not persistent":          func(s *state.State) { s.Objects.List[1].Handle = 0x82000000 },
		"too many objects":        func(s *state.State) { s.Objects.List = make([]state.PersistentObject, state.MaxPersistentObjects+1) },
		"object flag":             func(s *state.State) { s.Objects.List[0].Object.Flags = 0x80 },
		"sensitive of a public":   func(s *state.State) { s.Objects.List[0].Object.Flags = state.ObjectPublicOnly },
		"neither public nor both": func(s *state.State) { s.Volatile.Objects[2].Sensitive = nil },
		"large public area":       func(s *state.State) { s.Volatile.Objects[2].Public = make([]byte, 2000) },
		"long name":               func(s *state.State) { s.Volatile.Objects[2].Name = make([]byte, 67) },
		"large MAC":               func(s *state.State) { s.Volatile.Objects[0].MAC = make([]byte, 2000) },
		"kind":                    func(s *state.State) { s.Volatile.Objects[0].Kind = 9 },
		"too many loaded":         func(s *state.State) { s.Volatile.Sessions = make([]state.Session, state.MaxLoadedSessions+1) },
		"too many active":         func(s *state.State) { s.Reset.ActiveSessions = make([]state.ActiveSession, state.MaxActiveSessions+1) },
		"slot":                    func(s *state.State) { s.Reset.ActiveSessions[0].Slot = 65 },
		"loaded and saved":        func(s *state.State) { s.Reset.ActiveSessions[0].Context = 1 },
	} {
		s := sample()
		change(s)
		_, err := state.Decode(s.EncodeSnapshot(nil))
		var bad *state.FormatError
		assert.ErrorAs(t, err, &bad, name)
	}
}
