package peers

import (
	"bytes"
	"crypto"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"io"
	"os"
	"testing"

	"github.com/fxamacker/cbor/v2"
	peercel "github.com/google/go-eventlog/cel"
	"github.com/google/go-eventlog/register"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/cel"
)

var banks = []ima.HashAlgo{ima.SHA1, ima.SHA256, ima.SHA384, ima.SHA512}

// debian is a real list, with violations.
func debian(t *testing.T) []*ima.Record {
	t.Helper()
	text, err := os.ReadFile("../../testdata/lists/debian-6.1-file.bin")
	require.NoError(t, err)
	list, err := ima.Open(text, ima.Format{})
	require.NoError(t, err)
	records, err := ima.ReadAll(list)
	require.NoError(t, err)
	return records
}

// written is a log of records with digests of each bank.
func written(t *testing.T, encoding cel.Encoding, records []*ima.Record) []byte {
	t.Helper()
	var log bytes.Buffer
	w, err := cel.NewWriter(&log, encoding, len(records))
	require.NoError(t, err)
	var rec cel.Record
	for _, r := range records {
		var digests []cel.Digest
		for _, bank := range banks {
			sum, err := r.TemplateDigest(bank)
			require.NoError(t, err)
			if r.Violation() {
				clear(sum)
			}
			digests = append(digests, cel.Digest{AlgID: ima.BankOf(bank).AlgID, Sum: sum})
		}
		rec.SetIMA(r, digests)
		require.NoError(t, w.Write(&rec))
	}
	require.NoError(t, w.Close())
	return log.Bytes()
}

// go-eventlog reads what is written, replays it to the PCRs, violations too, and
// writes what is read.
func TestGoEventlogReadsTLV(t *testing.T) {
	records := debian(t)
	log := written(t, cel.TLV, records)
	theirs, err := peercel.DecodeToCEL(bytes.NewBuffer(bytes.Clone(log)))
	require.NoError(t, err)
	require.Len(t, theirs.Records(), len(records))
	for i, bank := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		replay, err := ima.NewReplay(ima.ReplayBank{Bank: banks[i]})
		require.NoError(t, err)
		for _, r := range records {
			_, err := replay.Extend(r)
			require.NoError(t, err)
		}
		value := replay.PCR(ima.ReplayBank{Bank: banks[i]}, 10)
		require.NoError(t, theirs.Replay(register.FakeMRBank{Hash: bank, FakeMRs: []register.FakeMR{{Index: 10, Digest: value, DigestAlg: bank}}}))
	}
	var again bytes.Buffer
	require.NoError(t, theirs.EncodeCEL(&again))
	list, err := cel.Open(&again, ima.Format{})
	require.NoError(t, err)
	ours, err := ima.ReadAll(list)
	require.NoError(t, err)
	require.Len(t, ours, len(records))
	for i := range records {
		assert.Equal(t, records[i].Data(), ours[i].Data())
		assert.Equal(t, records[i].Violation(), ours[i].Violation())
	}
}

// record is CEL-CBOR as a library sees it.
type record struct {
	Number  uint64 `cbor:"0,keyasint"`
	PCR     uint32 `cbor:"1,keyasint"`
	Digests []struct {
		Alg uint16 `cbor:"0,keyasint"`
		Sum []byte `cbor:"1,keyasint"`
	} `cbor:"3,keyasint"`
	Type    uint64 `cbor:"9,keyasint"`
	Content struct {
		Name string `cbor:"0,keyasint"`
		Data []byte `cbor:"1,keyasint"`
	} `cbor:"10,keyasint"`
}

// A CBOR library finds the same in what is written, and writes the same bytes in
// deterministic encoding.
func TestCBORLibraryAgrees(t *testing.T) {
	records := debian(t)
	log := written(t, cel.CBOR, records)
	strict, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField}.DecMode()
	require.NoError(t, err)
	var theirs []record
	require.NoError(t, strict.Unmarshal(log, &theirs))
	require.Len(t, theirs, len(records))
	for i, r := range records {
		assert.Equal(t, uint64(i), theirs[i].Number)
		assert.Equal(t, r.PCR, theirs[i].PCR)
		assert.Equal(t, r.Template().Name(), theirs[i].Content.Name)
		assert.Equal(t, r.Data(), theirs[i].Content.Data)
		require.Len(t, theirs[i].Digests, len(banks))
	}
	deterministic, err := cbor.CoreDetEncOptions().EncMode()
	require.NoError(t, err)
	again, err := deterministic.Marshal(theirs)
	require.NoError(t, err)
	assert.Equal(t, log, again)

	list, err := cel.NewReader(bytes.NewReader(again), cel.Options{})
	require.NoError(t, err)
	var rec cel.Record
	n := 0
	for ; list.Read(&rec) != io.EOF; n++ {
		require.Less(t, n, len(records))
	}
	assert.Equal(t, len(records), n)
}
