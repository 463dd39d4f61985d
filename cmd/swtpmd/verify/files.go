package verify

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// evidenceMax bounds a file of evidence besides the list, in bytes. Event logs
// are the largest, with some hundred kilobytes.
const evidenceMax = 8 << 20

// openPCRs reads PCR values in any of the forms of verify.ParsePCRs, or from a
// directory or a file of sysfs. selection is for digests alone; flag is what
// names the file in errors.
func openPCRs(flag, name string, selection []verify.Selection) (ima.PCRs, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		pcrs, err := verify.ReadSysfsPCRs(os.DirFS(name), name)
		if err != nil {
			return nil, &wrongFileError{flag + " " + name, "directory of PCR values", err}
		}
		return pcrs, nil
	}
	content, err := readEvidence(flag, name)
	if err != nil {
		return nil, err
	}
	pcrs, err := verify.ParsePCRs(append(sysfsName(name), content...), selection)
	if errors.Is(err, verify.ErrSelectionWanted) {
		err = fmt.Errorf("%w (--pcrs-selection)", err)
	}
	if err != nil {
		return nil, &wrongFileError{flag + " " + name, "file of PCR values", err}
	}
	return pcrs, nil
}

// sysfsName is what names the value in a file of the kernel's, such as
// pcr-sha256/10, as grep writes it; nothing for other files.
func sysfsName(name string) []byte {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil
	}
	dir, file := filepath.Split(path)
	bank := filepath.Base(dir)
	if _, err := strconv.ParseUint(file, 10, 8); err != nil || !strings.HasPrefix(bank, "pcr-") {
		return nil
	}
	return fmt.Appendf(nil, "%s/%s:", bank, file)
}

// readEvidence reads a file that a flag names.
func readEvidence(flag, name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, evidenceMax+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if len(content) > evidenceMax {
		return nil, fmt.Errorf("%s %s: longer than %d bytes", flag, name, evidenceMax)
	}
	return content, nil
}
