package evidence

import (
	"fmt"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/attest"
	"github.com/swtpmd/swtpmd/ima/measure"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// Collect returns what a verdict on an embedded IMA needs: its list, every PCR of its TPM,
// and a quote of them for a nonce with the key that verifies it. The Build is for the
// caller to fill in, but for its MeasurePCR. Records that are added later are not in it.
func Collect(m *measure.IMA, tpm *attest.TPM, nonce []byte) (verify.Evidence, error) {
	list, pcr := m.Records(), 10
	e := verify.Evidence{List: ima.Records(list)}
	if len(list) > 0 && int(list[0].PCR) != pcr {
		pcr = int(list[0].PCR)
		e.Build.MeasurePCR = pcr
	}
	var err error
	if e.PCRs, err = tpm.PCRs(); err != nil {
		return verify.Evidence{}, err
	}
	quote, err := tpm.Quote(attest.ECCP256, nonce, pcr)
	if err != nil {
		return verify.Evidence{}, err
	}
	key, err := verify.ParseKey(quote.Key)
	if err != nil {
		return verify.Evidence{}, fmt.Errorf("the key of the quote: %w", err)
	}
	e.Quote = &verify.Quote{Attest: quote.Attest, Signature: quote.Signature, Key: key, Nonce: nonce}
	return e, nil
}
