package faults

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// PCRExtend has somebody else extend a PCR before the command comes to the TPM, with a
// TPM2_PCR_Extend that the client does not know of.
type PCRExtend struct {
	PCR int
	// Bank is the one bank that is extended, with Digest: "sha256". Empty stands for all
	// banks that have PCRs, with digests drawn from the seed.
	Bank   string
	Digest string // as many bytes as the bank's digests have
}

var pcrExtendKind = Kind{
	Word: "pcr-extend", Value: "PCR[:BANK:HEX]", Group: Inside,
	Doc: "Before the command, the PCR is extended by somebody else: in each bank with a digest drawn from the seed, or in BANK with the digest HEX. " +
		"What the client measures is as before, and no log that it has leads to the PCR's value.",
	Example: "PCR_Extend#5 pcr=10: pcr-extend=10",
	parse:   parsePCRExtend,
}

func parsePCRExtend(value string) (Fault, error) {
	number, rest, has := strings.Cut(value, ":")
	pcr, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		return nil, errPCR
	}
	e := PCRExtend{PCR: int(pcr)}
	if has {
		name, text, _ := strings.Cut(rest, ":")
		digest, err := hex.DecodeString(text)
		if err != nil || len(digest) == 0 {
			return nil, errors.New("after the bank stands a digest, as a hexadecimal number of whole bytes")
		}
		e.Bank, e.Digest = name, string(digest)
	}
	if reason := e.check(nil, nil); reason != "" {
		return nil, errors.New(reason)
	}
	return e, nil
}

var errPCR = fmt.Errorf("a PCR is one of 0 to %d", wire.PCRCount-1)

func (PCRExtend) kind() *Kind { return &pcrExtendKind }

func (e PCRExtend) String() string {
	text := "pcr-extend=" + strconv.Itoa(e.PCR)
	if e.Bank != "" {
		text += ":" + e.Bank + ":" + hex.EncodeToString([]byte(e.Digest))
	}
	return text
}

func (e PCRExtend) check(*Plan, *Rule) string {
	bank := bankByName(e.Bank)
	switch {
	case e.PCR < 0 || e.PCR >= wire.PCRCount:
		return errPCR.Error()
	case e.Bank == "" && e.Digest != "":
		return "it has a digest and no bank"
	case e.Bank == "":
		return ""
	case bank.alg == 0:
		return fmt.Sprintf("there is no bank %q; the banks are %s", e.Bank, bankNames())
	case len(e.Digest) != bank.size:
		return fmt.Sprintf("a digest of bank %s has %d bytes, and not %d", e.Bank, bank.size, len(e.Digest))
	}
	return ""
}

// locality is one that may extend the PCR: 2 for those of the dynamic root of trust
// (PC Client Platform TPM Profile 1.05, table "PCR Attributes").
func (e PCRExtend) locality() uint8 {
	if e.PCR >= 17 && e.PCR <= 22 {
		return 2
	}
	return 0
}

func (e PCRExtend) apply(x *exchange) ([]byte, error) {
	digests, err := e.digests(x)
	if err == nil {
		err = x.ask(e.locality()).Extend(x.ctx, e.PCR, digests)
	}
	if err != nil {
		x.decision.Detail = err.Error()
		return x.next()
	}
	var list []string
	for _, d := range digests {
		list = append(list, fmt.Sprintf("%s:%x", bankOf(d.Hash).name, d.Digest))
	}
	x.decision.Detail = fmt.Sprintf("PCR %d was extended with %s", e.PCR, strings.Join(list, ", "))
	return x.next()
}

func (e PCRExtend) digests(x *exchange) (list []wire.HA, err error) {
	if e.Bank != "" {
		return []wire.HA{{Hash: bankByName(e.Bank).alg, Digest: []byte(e.Digest)}}, nil
	}
	selections, err := x.ask(0).Banks(x.ctx)
	if err != nil {
		return nil, err
	}
	chance := x.bytes(len(selections) * wire.MaxDigest)
	for i, s := range selections {
		if b := bankOf(s.Hash); b.alg != 0 {
			list = append(list, wire.HA{Hash: b.alg, Digest: chance[i*wire.MaxDigest:][:b.size]})
		}
	}
	return list, nil
}
