package verify

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
)

// SelectionError says what is wrong with a selection of PCRs.
type SelectionError struct {
	Text string // the part of it that is wrong
	Err  error
}

func (e *SelectionError) Error() string { return fmt.Sprintf("PCR selection %q: %v", e.Text, e.Err) }
func (e *SelectionError) Unwrap() error { return e.Err }

// ParseSelection reads a selection of PCRs as tpm2-tools take it: banks with a
// + between them, each with the indices of PCRs or "all", as in
// "sha1:0,1,10+sha256:all". The error is a SelectionError.
func ParseSelection(text string) ([]Selection, error) {
	var list []Selection
	for _, part := range strings.Split(text, "+") {
		name, indices, ok := strings.Cut(part, ":")
		bank, err := ParseBank(name)
		switch {
		case !ok:
			return nil, &SelectionError{part, errors.New("a bank, a colon and the indices of PCRs, as in sha256:0,1,10")}
		case err != nil:
			return nil, &SelectionError{part, err}
		}
		s := Selection{AlgID: ima.BankOf(bank).AlgID, Bank: bank}
		if s.PCRs, err = parseIndices(indices); err == nil {
			err = checkSelection(list, &s)
		}
		if err != nil {
			return nil, &SelectionError{part, err}
		}
		list = append(list, s)
	}
	return list, nil
}

// parseIndices reads the indices of PCRs, and sorts them: that is the order of
// the TPM's answer, however it was asked.
func parseIndices(text string) ([]int, error) {
	if text == "all" {
		return upTo(numPCRs - 1), nil
	}
	var pcrs []int
	for _, index := range strings.Split(text, ",") {
		pcr, err := parseIndex(strings.TrimSpace(index))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(pcrs, pcr) {
			pcrs = append(pcrs, pcr)
		}
	}
	slices.Sort(pcrs)
	return pcrs, nil
}

// parseIndex reads the index of a PCR.
func parseIndex(text string) (int, error) {
	pcr, err := strconv.ParseUint(text, 10, 8)
	if err != nil || pcr >= numPCRs {
		return 0, fmt.Errorf("%q is no PCR; a TPM has PCR 0 to %d", shown(text), numPCRs-1)
	}
	return int(pcr), nil
}

// SelectionText returns a selection as ParseSelection reads it.
func SelectionText(selection []Selection) string {
	parts := make([]string, len(selection))
	for i, s := range selection {
		indices := make([]string, len(s.PCRs))
		for j, pcr := range s.PCRs {
			indices[j] = strconv.Itoa(pcr)
		}
		parts[i] = bankOrID(&s) + ":" + strings.Join(indices, ",")
	}
	return strings.Join(parts, "+")
}

// bankHashes are the hashes that a TPM can have a bank of.
var bankHashes = []ima.HashAlgo{ima.SHA1, ima.SHA256, ima.SHA384, ima.SHA512, ima.SM3, ima.SHA3_256, ima.SHA3_384, ima.SHA3_512}

// ParseBank finds the hash of a PCR bank by its name: the kernel's (sha256,
// sha3-256, sm3, or a sysfs directory's pcr-sha256), that of tpm2-tools (sha3_256,
// sm3_256) or of the TCG (TPM_ALG_SHA3_256), in either case.
func ParseBank(name string) (ima.HashAlgo, error) {
	plain := strings.ToLower(strings.TrimSpace(name))
	plain = strings.TrimPrefix(strings.TrimPrefix(plain, "tpm_alg_"), "pcr-")
	plain = strings.NewReplacer("-", "", "_", "").Replace(plain)
	if plain == "sm3256" {
		plain = "sm3"
	}
	for _, h := range bankHashes {
		if strings.ReplaceAll(h.String(), "-", "") == plain {
			return h, nil
		}
	}
	return 0, fmt.Errorf("no bank %q; there are sha1, sha256, sha384, sha512, sm3_256, sha3_256, sha3_384 and sha3_512", shown(name))
}

// shown cuts what a file says, to be shown in an error.
func shown(text string) string {
	const most = 40
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
