package evidence

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/attest"
)

// Names of the files besides the lists.
const (
	attestFile    = "quote.attest"
	signatureFile = "quote.signature"
	keyFile       = "quote.key.pem"

	// PCRsFile has the PCR values.
	PCRsFile = "pcrs.json"
)

// Remove removes what an earlier run has left in a directory, and nothing else: the
// lists of every bank, whatever banks the TPM of the next run has.
func Remove(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !isEvidence(entry.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func isEvidence(name string) bool {
	switch name {
	case attestFile, signatureFile, keyFile, PCRsFile:
		return true
	}
	return strings.HasPrefix(name, "ascii_runtime_measurements") || strings.HasPrefix(name, binaryList) || strings.HasPrefix(name, celPrefix+".")
}

// WriteQuote writes a quote: quote.attest, quote.signature and quote.key.pem.
func WriteQuote(dir string, q *attest.Quote) error {
	for _, file := range []struct {
		name    string
		content []byte
	}{{attestFile, q.Attest}, {signatureFile, q.Signature}, {keyFile, q.Key}} {
		if err := os.WriteFile(filepath.Join(dir, file.name), file.content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// WritePCRs writes PCR values as JSON: bank to index to hex.
func WritePCRs(dir string, pcrs ima.PCRs) error {
	text, err := json.Marshal(pcrs)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, PCRsFile), append(text, '\n'), 0o644)
}
