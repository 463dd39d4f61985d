package boot_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
)

// trivialTPM is the least that a TPM driver takes for a TPM 2.0: one bank of
// sha256 and the commands of a boot. It is no wrapper of the emulator, so that
// the simulation is not proven against one TPM alone.
type trivialTPM struct {
	started  bool
	pcrs     [24][32]byte
	commands []uint32
}

func (d *trivialTPM) Init() error {
	*d = trivialTPM{commands: d.commands[:0]}
	return nil
}
func (d *trivialTPM) PowerOff() error { return nil }
func (d *trivialTPM) Powered() bool   { return true }

func (d *trivialTPM) Send(_ context.Context, _ uint8, c []byte) ([]byte, error) {
	code := binary.BigEndian.Uint32(c[6:])
	d.commands = append(d.commands, code)
	if code == 0x144 {
		d.started = true
		return respond(0x8001, 0, nil), nil
	}
	if !d.started {
		return respond(0x8001, 0x100, nil), nil
	}
	switch code {
	case 0x143:
		return respond(0x8001, 0, nil), nil
	case 0x17B:
		return respond(0x8001, 0, append([]byte{0, 4}, 1, 2, 3, 4)), nil
	case 0x17A:
		return d.capability(binary.BigEndian.Uint32(c[10:])), nil
	case 0x17E:
		return d.read(c), nil
	case 0x182:
		return d.extend(c), nil
	}
	return respond(0x8001, 0x143, nil), nil
}

func (d *trivialTPM) capability(capability uint32) []byte {
	p := binary.BigEndian.AppendUint32([]byte{0}, capability)
	p = binary.BigEndian.AppendUint32(p, 1)
	switch capability {
	case 2:
		p = binary.BigEndian.AppendUint32(p, 0x144)
	case 5:
		p = append(p, 0, 0x0B, 3, 0xff, 0xff, 0xff)
	case 6:
		p = append(p, 0, 0, 1, 0x29, 0, 0, 0, 1)
	}
	return respond(0x8001, 0, p)
}

func (d *trivialTPM) read(c []byte) []byte {
	p := make([]byte, 4)
	selection := [3]byte(c[17:20])
	var out [3]byte
	var digests []byte
	count := 0
	for n := range 24 {
		if selection[n/8]&(1<<(n%8)) != 0 && count < 8 {
			count++
			out[n/8] |= 1 << (n % 8)
			digests = append(append(digests, 0, 32), d.pcrs[n][:]...)
		}
	}
	p = append(p, 0, 0, 0, 1, 0, 0x0B, 3)
	p = append(p, out[:]...)
	p = binary.BigEndian.AppendUint32(p, uint32(count))
	return respond(0x8001, 0, append(p, digests...))
}

func (d *trivialTPM) extend(c []byte) []byte {
	pcr := binary.BigEndian.Uint32(c[10:])
	rest := c[14+4+9:]
	for range binary.BigEndian.Uint32(rest) {
		d.pcrs[pcr] = sha256.Sum256(append(d.pcrs[pcr][:], rest[6:38]...))
	}
	return respond(0x8002, 0, []byte{0, 0, 0, 0, 0, 0, 1, 0, 0})
}

func respond(tag uint16, code uint32, p []byte) []byte {
	r := binary.BigEndian.AppendUint16(nil, tag)
	r = binary.BigEndian.AppendUint32(r, uint32(10+len(p)))
	r = binary.BigEndian.AppendUint32(r, code)
	return append(r, p...)
}
