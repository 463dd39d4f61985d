package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/reference"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/transport"
)

// targets makes TPMs by name and closes them all.
type targets struct {
	// check has the emulator check itself, present asserts physical presence
	// to it.
	check, present bool
	closes         []func() error
}

// unknownTargetError reports a name that is none of the targets.
type unknownTargetError struct{ name string }

func (e *unknownTargetError) Error() string {
	return fmt.Sprintf("no TPM is called %q; there are emulator, simulator and swtpm", e.name)
}

func (t *targets) named(name string) (conversation.Target, error) {
	switch name {
	case "emulator":
		return t.emulator(), nil
	case "simulator":
		simulator, err := reference.OpenSimulator()
		if err != nil {
			return conversation.Target{}, err
		}
		t.closes = append(t.closes, simulator.Close)
		return conversation.Target{Name: name, Fresh: manufactured(simulator), Seeded: seeded(simulator), Ended: reference.Ended}, nil
	case "swtpm":
		return t.swtpm()
	}
	return conversation.Target{}, &unknownTargetError{name: name}
}

// close ends everything that was started.
func (t *targets) close() error {
	var err error
	for _, c := range t.closes {
		err = errors.Join(err, c())
	}
	return err
}

func (t *targets) emulator() conversation.Target {
	config := emulator.Config{CheckErrors: t.check}
	with := func(store state.Store) (transport.Device, error) {
		platform := emulator.Platform{Store: store, PhysicalPresence: func() bool { return t.present }}
		tpm, err := emulator.New(platform, config)
		if err != nil {
			return nil, err
		}
		return tpm, tpm.Init()
	}
	return conversation.Target{
		Name: "emulator", Localities: []uint8{0, 1, 2, 3, 4},
		Fresh: func(context.Context) (transport.Device, error) { return with(nil) },
		Seeded: func(_ context.Context, seeds conversation.Seeds) (transport.Device, error) {
			store, err := emulatortest.WithPrimarySeeds(config, seeds.Endorsement[:], seeds.Storage[:], seeds.Platform[:])
			if err != nil {
				return nil, err
			}
			return with(store)
		},
	}
}

func (t *targets) swtpm() (conversation.Target, error) {
	dir, err := os.MkdirTemp("", "differential-")
	if err != nil {
		return conversation.Target{}, err
	}
	process, err := reference.StartSWTPM("swtpm", dir)
	if err != nil {
		return conversation.Target{}, errors.Join(err, os.RemoveAll(dir))
	}
	t.closes = append(t.closes, process.Close, func() error { return os.RemoveAll(dir) })
	return conversation.Target{
		Name: "swtpm", Ended: reference.Ended, Fresh: manufactured(process), Seeded: seeded(process),
		Localities: []uint8{0, 1, 2, 3, 4}, MinCommand: 10, Retries: true,
	}, nil
}

// manufactured makes the one device of a reference new again and again.
func manufactured[D interface {
	transport.Device
	Manufacture() error
}](device D) func(context.Context) (transport.Device, error) {
	return func(context.Context) (transport.Device, error) { return device, device.Manufacture() }
}

// seeded does the same with given primary seeds.
func seeded[D interface {
	transport.Device
	ManufactureWith(reference.Seeds) error
}](device D) func(context.Context, conversation.Seeds) (transport.Device, error) {
	return func(_ context.Context, seeds conversation.Seeds) (transport.Device, error) {
		return device, device.ManufactureWith(reference.Seeds(seeds))
	}
}
