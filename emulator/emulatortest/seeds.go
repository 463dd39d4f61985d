package emulatortest

import (
	"context"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// WithPrimarySeeds gives a store with the state of a new TPM of a kind that has
// the given primary seeds, of at most 64 bytes each: what a TPM makes from them
// can then be compared with another one that has the same.
func WithPrimarySeeds(c emulator.Config, endorsement, storage, platform []byte) (*state.Memory, error) {
	store := &state.Memory{}
	tpm, err := emulator.New(emulator.Platform{Store: store}, c)
	if err != nil {
		return nil, err
	}
	if err := tpm.Init(); err != nil {
		return nil, err
	}
	// Any command will do: the state is stored with it.
	if _, err := tpm.Send(context.Background(), 0, Command(wire.CCGetTestResult, nil, nil)); err != nil {
		return nil, err
	}
	blob, err := store.Load()
	if err != nil {
		return nil, err
	}
	s, err := state.Decode(blob)
	if err != nil {
		return nil, fmt.Errorf("state of a new TPM: %w", err)
	}
	s.Persistent.EPSeed.Set(endorsement)
	s.Persistent.SPSeed.Set(storage)
	s.Persistent.PPSeed.Set(platform)
	return store, store.Commit(s.Encode(nil))
}
