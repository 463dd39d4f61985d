package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/cel"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// celPrefix begins the names of Canonical Event Logs.
const celPrefix = "cel_runtime_measurements"

// Securityfs is a directory of IMA's files, as the kernel shows them in
// /sys/kernel/security/ima.
type Securityfs interface {
	SecurityFiles() []measure.SecurityFile
	ReadSecurityFile(name string) ([]byte, error)
}

// Lists are files of securityfs by their names.
type Lists map[string][]byte

// WriteLists writes the files of securityfs that can be read into a directory, which
// it makes if it is not there.
func WriteLists(dir string, files Securityfs) (Lists, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lists := Lists{}
	for _, file := range files.SecurityFiles() {
		content, err := files.ReadSecurityFile(file.Name)
		if errors.Is(err, fs.ErrPermission) {
			continue // a policy that can only be written
		}
		if err != nil {
			return nil, err
		}
		lists[file.Name] = content
		if err := os.WriteFile(filepath.Join(dir, file.Name), content, 0o644); err != nil {
			return nil, err
		}
	}
	return lists, nil
}

// WriteLog writes the lists as one Canonical Event Log into a directory, under a
// name such as cel_runtime_measurements.tlv.
func (l Lists) WriteLog(dir string, encoding cel.Encoding) error {
	var log bytes.Buffer
	if err := writeCEL(&log, l, encoding); err != nil {
		return err
	}
	name := celPrefix + "." + strings.TrimPrefix(encoding.String(), "cel-")
	return os.WriteFile(filepath.Join(dir, name), log.Bytes(), 0o644)
}

const binaryList = "binary_runtime_measurements"

// writeCEL writes the records of the binary lists as one log, with the digests of
// every bank that has a list. Kernels before 6.10 have that of sha1 alone.
func writeCEL(out io.Writer, lists Lists, encoding cel.Encoding) error {
	banks, err := bankLists(lists)
	if err != nil {
		return err
	}
	records := banks[0].records
	w, err := cel.NewWriter(out, encoding, len(records))
	if err != nil {
		return err
	}
	var rec cel.Record
	for i, r := range records {
		var digests []cel.Digest
		for _, b := range banks {
			if i >= len(b.records) {
				return fmt.Errorf("the list of bank 0x%04x has %d records, that of another %d", b.algID, len(b.records), len(records))
			}
			digests = append(digests, cel.Digest{AlgID: b.algID, Sum: b.records[i].Digest})
		}
		rec.SetIMA(r, digests)
		if err := w.Write(&rec); err != nil {
			return fmt.Errorf("record %d: %w", i+1, err)
		}
	}
	return w.Close()
}

// bankList is the list of a bank.
type bankList struct {
	algID   uint16 // TPM_ALG_ID
	records []*ima.Record
}

// bankLists reads the binary lists, by their names that of each bank.
func bankLists(lists Lists) (banks []bankList, err error) {
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		bank, ok := strings.CutPrefix(name, binaryList+"_")
		if !ok && name == binaryList && lists[binaryList+"_sha1"] == nil {
			bank, ok = "sha1", true
		}
		if !ok {
			continue
		}
		var id uint16
		if _, err := fmt.Sscanf(bank, "tpm_alg_%x", &id); err != nil {
			algo, err := ima.ParseHashAlgo(bank)
			if err != nil {
				continue // a list of another kind, such as a staged one
			}
			id = ima.BankOf(algo).AlgID
		}
		reader, err := ima.Open(lists[name], ima.Format{Order: ima.NativeOrder()})
		if err != nil {
			return nil, err
		}
		b := bankList{algID: id}
		if b.records, err = ima.ReadAll(reader); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		banks = append(banks, b)
	}
	if len(banks) == 0 {
		return nil, errors.New("there is no list")
	}
	return banks, nil
}
