package faults_test

import (
	"bytes"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
)

// digests are what TPM2_PCR_Read gives of two PCRs in two banks, by bank.
func digests(t *testing.T, tpm emulatortest.Client) map[tpm2.TPMAlgID][][]byte {
	t.Helper()
	selection := func(alg tpm2.TPMAlgID) tpm2.TPMSPCRSelection {
		return tpm2.TPMSPCRSelection{Hash: alg, PCRSelect: tpm2.PCClientCompatible.PCRs(0, 10)}
	}
	read, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{
		PCRSelections: []tpm2.TPMSPCRSelection{selection(tpm2.TPMAlgSHA1), selection(tpm2.TPMAlgSHA256)},
	}}.Execute(tpm)
	require.NoError(t, err)
	all, at := map[tpm2.TPMAlgID][][]byte{}, 0
	for _, s := range read.PCRSelectionOut.PCRSelections {
		for _, octet := range s.PCRSelect {
			for ; octet != 0; octet &= octet - 1 {
				all[s.Hash] = append(all[s.Hash], read.PCRValues.Digests[at].Buffer)
				at++
			}
		}
	}
	require.Len(t, read.PCRValues.Digests, at)
	return all
}

// extendPCR extends a PCR in both banks.
func extendPCR(tpm emulatortest.Client, pcr int) error {
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{
			{HashAlg: tpm2.TPMAlgSHA1, Digest: bytes.Repeat([]byte{1}, 20)}, {HashAlg: tpm2.TPMAlgSHA256, Digest: bytes.Repeat([]byte{2}, 32)},
		}},
	}.Execute(tpm)
	return err
}

func TestABrokenBankIsRead(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]func(right [][]byte) [][]byte{
		"zero": func([][]byte) [][]byte { return [][]byte{make([]byte, 32), make([]byte, 32)} },
		"wrong": func(right [][]byte) [][]byte {
			var wrong [][]byte
			for _, digest := range right {
				digest = bytes.Clone(digest)
				digest[31] ^= 1
				wrong = append(wrong, digest)
			}
			return wrong
		},
		"empty": func([][]byte) [][]byte { return nil },
	} {
		client, journal := faulty(t, emulatortest.New(t), "PCR_Read#2: bank=sha256:"+how)
		require.NoError(t, extendPCR(client, 10))
		right, broken := digests(t, client), digests(t, client)
		assert.NotEqual(t, make([]byte, 32), right[tpm2.TPMAlgSHA256][1])
		assert.Equal(t, want(right[tpm2.TPMAlgSHA256]), broken[tpm2.TPMAlgSHA256], how)
		assert.Equal(t, right[tpm2.TPMAlgSHA1], broken[tpm2.TPMAlgSHA1], "the other bank")
		assert.Equal(t, []string{"bank=sha256:" + how + " changed: 2 digests of bank sha256: " + how}, journal.details())
	}
}

func TestABrokenBankIsNotExtended(t *testing.T) {
	t.Parallel()
	client, journal := faulty(t, emulatortest.New(t), "*: bank=sha256:refused")
	before := digests(t, client)
	require.ErrorIs(t, extendPCR(client, 10), tpm2.TPMRCHash)
	assert.Equal(t, before, digests(t, client))
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: 10, Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA1, Digest: make([]byte, 20)}}},
	}.Execute(client)
	require.NoError(t, err, "with the other bank alone")
	assert.Equal(t, []string{
		"bank=sha256:refused passed: ", "bank=sha256:refused answered: it extends bank sha256",
		"bank=sha256:refused passed: ", "bank=sha256:refused passed: ",
	}, journal.details())
}

func TestBanksThatCannotBreak(t *testing.T) {
	t.Parallel()
	spells(t, "bank=sha1:zero", "bank=sha384:wrong", "bank=sm3_256:empty", "bank=sha256:refused")
	refused(t, "bank", []string{"", "sha256", "sha256:gone", "md5:zero", ":zero"},
		faults.BrokenBank{Bank: "sha256", How: 9}, faults.BrokenBank{Bank: "md5"})
	plan := faults.Plan{Rules: rules(t, "PCR_Extend: bank=sha256:zero")}
	require.ErrorContains(t, plan.Validate(), "none of its commands is PCR_Read")
}

// Whatever a device answers, the fault reads it within its bounds.
func FuzzBrokenBank(f *testing.F) {
	f.Add(unhex("80010000000a00000000"))
	f.Add(unhex("800100000040000000000000000000000001000b030100000000000100204141414141414141414141414141414141414141414141414141414141414141"))
	read := unhex("8001000000140000017e00000001000b03010000")
	f.Fuzz(func(t *testing.T, response []byte) {
		for _, how := range []faults.BankFault{faults.BankZero, faults.BankWrong, faults.BankEmpty} {
			d := wrap(t, constant{bytes.Clone(response)}, faults.Plan{Rules: []faults.Rule{{Do: faults.BrokenBank{Bank: "sha256", How: how}}}})
			changed, err := d.Send(t.Context(), 0, read)
			require.NoError(t, err)
			require.LessOrEqual(t, len(changed), len(response))
		}
		d := wrap(t, new(chip), faults.Plan{Rules: rules(t, "*: bank=sha256:refused")})
		_, err := d.Send(t.Context(), 0, response)
		require.NoError(t, err)
	})
}
