package verify

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
)

// ReadSysfsPCRs reads the PCR values in a directory of the kernel's
// /sys/class/tpm/tpm0, or in a copy of it: the files 0 to 23 of a directory that
// is named for its bank, such as pcr-sha256, or of all directories of that kind
// (drivers/char/tpm/tpm-sysfs.c). name is the name of the directory itself.
// The error is a PCRFileError with the file as its Item.
func ReadSysfsPCRs(dir fs.FS, name string) (ima.PCRs, error) {
	pcrs := ima.PCRs{}
	err := readPCRBanks(dir, path.Base(name), pcrs)
	switch {
	case err != nil:
		return nil, err
	case len(pcrs) == 0:
		return nil, &PCRFileError{Form: pcrFormSysfs, Item: name, Err: errors.New("neither pcr-sha256 or the like, nor a directory that has one")}
	}
	return pcrs, nil
}

func readPCRBanks(dir fs.FS, name string, pcrs ima.PCRs) error {
	if strings.HasPrefix(name, "pcr-") {
		return readPCRBank(dir, ".", name, pcrs)
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return &PCRFileError{Form: pcrFormSysfs, Item: name, Err: err}
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "pcr-") {
			continue
		}
		if err := readPCRBank(dir, entry.Name(), entry.Name(), pcrs); err != nil {
			return err
		}
	}
	return nil
}

// readPCRBank reads the files of a bank. Those that are not there were not
// copied, or the TPM does not have the PCR in this bank.
func readPCRBank(dir fs.FS, at, name string, pcrs ima.PCRs) error {
	bank, err := ParseBank(name)
	if err != nil {
		return &PCRFileError{Form: pcrFormSysfs, Item: name, Err: err}
	}
	for _, pcr := range upTo(numPCRs - 1) {
		file := path.Join(at, fmt.Sprint(pcr))
		text, err := readSmall(dir, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = addPCR(pcrs, bank, pcr, text)
		}
		if err != nil {
			return &PCRFileError{Form: pcrFormSysfs, Item: path.Join(name, fmt.Sprint(pcr)), Err: err}
		}
	}
	if len(pcrs[bank]) == 0 {
		return &PCRFileError{Form: pcrFormSysfs, Item: name, Err: errors.New("it has none of the files 0 to 23")}
	}
	return nil
}

// readSmall reads a file of one value.
func readSmall(dir fs.FS, name string) (string, error) {
	f, err := dir.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const most = 1 << 10
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if len(b) > most {
		return "", fmt.Errorf("more than %d bytes", most)
	}
	return string(b), err
}
