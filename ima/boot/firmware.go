package boot

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/ima"
)

// firmware measures as a platform's firmware does, long before the kernel: it
// starts the TPM and extends PCRs in all banks whose hash it knows. Like SeaBIOS
// (tpm_set_failure), it gives the TPM up at the first command that fails.
func (k *kernel) firmware(t *task) {
	f := &k.platform.Firmware
	defer t.sleep(k.vary(f.Took))
	if k.config.Device == nil || !f.Startup {
		return
	}
	if _, ok := k.ask(t, startupClear()); !ok {
		return
	}
	response, ok := k.ask(t, getCapability(capPCRs, 0, 1))
	if !ok {
		return
	}
	banks, _ := readBanks(response)
	for n, pcr := range f.Measure {
		event := binary.BigEndian.AppendUint64(nil, k.config.Seed)
		event = append(event, byte(pcr), byte(n>>8), byte(n))
		event = append(event, k.platform.Name...)
		var algs []uint16
		var digests [][]byte
		for _, b := range banks {
			if d := digestOf(b.alg, event); b.allocated && d != nil {
				algs, digests = append(algs, b.alg), append(digests, d)
			}
		}
		if _, ok := k.ask(t, pcrExtend(pcr, algs, digests)); !ok {
			return
		}
		k.emit(t, Event{Kind: FirmwareMeasured, Code: pcr})
	}
}

// digestOf hashes with the algorithm of a bank, nil for one that firmware does
// not know.
func digestOf(alg uint16, data []byte) []byte {
	switch ima.BankByAlgID(alg, 0).CryptoID {
	case ima.SHA1:
		d := sha1.Sum(data)
		return d[:]
	case ima.SHA256:
		d := sha256.Sum256(data)
		return d[:]
	case ima.SHA384:
		d := sha512.Sum384(data)
		return d[:]
	case ima.SHA512:
		d := sha512.Sum512(data)
		return d[:]
	}
	return nil
}

// ask is a command of firmware's.
func (k *kernel) ask(t *task, command []byte) (response []byte, ok bool) {
	start := k.sched.now()
	limit := k.platform.Firmware.Timeout
	if limit == 0 {
		limit = DefaultFirmwareTimeout
	}
	response, err := k.send(t, command, limit)
	code := -eio
	switch {
	case err == errTimeout:
		code = -etime
	case err == nil:
		if rc, ok := checkHeader(response); ok {
			code = int(rc)
		}
	}
	k.emit(t, Event{Kind: TPMCommand, Name: commandNames[commandCode(command)], Code: code, Took: k.sched.now() - start})
	return response, code == 0
}

// shownPCR is the last PCR of a Result.
const shownPCR = 10

// readPCRs reads the PCRs after the boot, past the faults of the traffic.
func (k *kernel) readPCRs() ima.PCRs {
	pcrs := make(ima.PCRs)
	if k.config.Device == nil {
		return pcrs
	}
	response, ok := k.question(getCapability(capPCRs, 0, 1))
	if !ok {
		return pcrs
	}
	banks, _ := readBanks(response)
	for _, b := range banks {
		bank := ima.BankByAlgID(b.alg, 0)
		if !b.allocated || bank.CryptoID == 0 {
			continue
		}
		pcrs[bank.CryptoID] = k.readBank(b.alg)
	}
	return pcrs
}

// readBank reads PCR 0 to 10 of a bank. A TPM gives up to eight at a time.
func (k *kernel) readBank(alg uint16) map[int]ima.Hex {
	values := make(map[int]ima.Hex)
	for len(values) <= shownPCR {
		var want []int
		for n := range shownPCR + 1 {
			if values[n] == nil {
				want = append(want, n)
			}
		}
		response, ok := k.question(pcrRead(alg, want...))
		if !ok {
			break
		}
		got, digests, ok := readPCRs(response)
		if !ok || len(got) == 0 {
			break
		}
		before := len(values)
		for i, n := range got {
			values[n] = digests[i]
		}
		if len(values) == before {
			break
		}
	}
	return values
}

func (k *kernel) question(command []byte) (response []byte, ok bool) {
	response, err := k.config.Device.Send(k.questions(), 0, command)
	if err != nil {
		return nil, false
	}
	code, ok := checkHeader(response)
	return response, ok && code == 0
}
