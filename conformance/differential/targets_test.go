package differential_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/transport"
)

// emulated makes emulators.
func emulated() conversation.Target { return configured(emulator.Platform{}, emulator.Config{}) }

// checked makes emulators that check themselves after every error.
func checked() conversation.Target {
	return configured(emulator.Platform{}, emulator.Config{CheckErrors: true})
}

func configured(platform emulator.Platform, config emulator.Config) conversation.Target {
	fresh := func(platform emulator.Platform) (transport.Device, error) {
		tpm, err := emulator.New(platform, config)
		if err != nil {
			return nil, err
		}
		return tpm, tpm.Init()
	}
	return conversation.Target{
		Name: "emulator", Localities: []uint8{0, 1, 2, 3, 4},
		Fresh: func(context.Context) (transport.Device, error) { return fresh(platform) },
		Seeded: func(_ context.Context, seeds conversation.Seeds) (transport.Device, error) {
			store, err := emulatortest.WithPrimarySeeds(config, seeds.Endorsement[:], seeds.Storage[:], seeds.Platform[:])
			if err != nil {
				return nil, err
			}
			seeded := platform
			seeded.Store = store
			return fresh(seeded)
		},
	}
}

// still is a clock that stands.
type still struct{}

func (still) Now() time.Duration { return 0 }

// determined makes emulators that answer the same commands with the same bytes.
func determined() conversation.Target {
	target := emulated()
	target.Fresh = func(ctx context.Context) (transport.Device, error) {
		return configured(emulator.Platform{Entropy: rand.NewChaCha8([32]byte{}), Clock: still{}}, emulator.Config{}).Fresh(ctx)
	}
	target.Seeded = nil
	return target
}

// twisted is a device with a fault planted in it. The zero functions change
// nothing.
type twisted struct {
	*emulator.TPM
	// answer may change the answer to a command.
	answer func(locality uint8, command, response []byte) []byte
	// deaf devices swallow _TPM_Hash_Data.
	deaf bool
	// forgetful devices shut down before power is lost.
	forgetful bool
	// fatal is the code of a command after which there is no device any more.
	fatal uint32
	gone  bool
}

// errGone is the error of a device that has ended.
var errGone = errors.New("the device is gone")

func (d *twisted) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	code, _ := conformance.CommandCode(command)
	if d.gone = d.gone || d.fatal != 0 && code == d.fatal; d.gone {
		return nil, errGone
	}
	response, err := d.TPM.Send(ctx, locality, command)
	if err == nil && d.answer != nil {
		response = d.answer(locality, command, response)
	}
	return response, err
}

func (d *twisted) HashData(data []byte) error {
	if d.deaf {
		return nil
	}
	return d.TPM.HashData(data)
}

func (d *twisted) Init() error {
	if d.forgetful {
		_, err := d.TPM.Send(context.Background(), 0, []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x45, 0, 0})
		if err != nil {
			return err
		}
	}
	return d.TPM.Init()
}

// planted makes emulators with a fault.
func planted(plant func(*twisted)) conversation.Target {
	target := emulated()
	fresh := target.Fresh
	target.Name, target.Seeded = "twisted", nil
	target.Fresh = func(ctx context.Context) (transport.Device, error) {
		device, err := fresh(ctx)
		if err != nil {
			return nil, err
		}
		d := &twisted{TPM: device.(*emulator.TPM)}
		plant(d)
		return d, nil
	}
	return target
}

// answering plants a function over all answers.
func answering(f func(locality uint8, command, response []byte) []byte) conversation.Target {
	return planted(func(d *twisted) { d.answer = f })
}

// without makes emulators that neither list a command nor execute it; they
// answer code instead.
func without(missing, code uint32) conversation.Target {
	return answering(func(_ uint8, command, response []byte) []byte {
		switch c, _ := conformance.CommandCode(command); {
		case c == missing && len(command) >= conformance.HeaderSize:
			return binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, 10}, code)
		case c == 0x17a:
			return unlist(response, missing)
		}
		return response
	})
}

// unlist takes a command out of a list of all commands.
func unlist(response []byte, missing uint32) []byte {
	const list = 15 // moreData, TPM_CAP_COMMANDS
	if len(response) < list+4 || !bytes.Equal(response[10:15], []byte{0, 0, 0, 0, 2}) {
		return response
	}
	out := bytes.Clone(response[:list+4])
	for rest := response[list+4:]; len(rest) >= 4; rest = rest[4:] {
		if binary.BigEndian.Uint32(rest)&0xffff != missing {
			out = append(out, rest[:4]...)
		}
	}
	binary.BigEndian.PutUint32(out[list:], uint32(len(out)-list-4)/4)
	binary.BigEndian.PutUint32(out[2:], uint32(len(out)))
	return out
}

// recorded keeps the commands of all devices a target makes.
func recorded(target conversation.Target, log *journal) conversation.Target {
	fresh := target.Fresh
	target.Seeded = nil
	target.Fresh = func(ctx context.Context) (transport.Device, error) {
		device, err := fresh(ctx)
		if err != nil {
			return nil, err
		}
		d := &twisted{TPM: device.(*emulator.TPM)}
		d.answer = func(locality uint8, command, response []byte) []byte {
			log.add(conversation.Step{Locality: locality, Data: bytes.Clone(command)}.String())
			return response
		}
		return d, nil
	}
	return target
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}
