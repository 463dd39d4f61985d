package wire_test

import (
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// selection is PCR 0 and 7 of SHA-256, ours and go-tpm's.
func selection() (ours wire.PCRSelections, theirs tpm2.TPMLPCRSelection) {
	ours.Count = 1
	ours.List[0] = wire.PCRSelection{Hash: wire.AlgSHA256, Size: 3}
	ours.List[0].Select.Set(0)
	ours.List[0].Select.Set(7)
	return ours, tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(0, 7)}}}
}

func TestCreationDataAsGoTPM(t *testing.T) {
	t.Parallel()
	ours, theirs := selection()
	data := wire.CreationData{PCRs: ours, PCRDigest: []byte("pcrs"), Locality: wire.LocalityBit(3), ParentNameAlg: wire.AlgSHA1,
		ParentName: []byte("parent"), ParentQualifiedName: []byte("qualified"), OutsideInfo: []byte("outside")}
	want := tpm2.TPMSCreationData{PCRSelect: theirs, PCRDigest: tpm2.TPM2BDigest{Buffer: []byte("pcrs")},
		Locality: tpm2.TPMALocality{TPMLocThree: true}, ParentNameAlg: tpm2.TPMAlgSHA1,
		ParentName:          tpm2.TPM2BName{Buffer: []byte("parent")},
		ParentQualifiedName: tpm2.TPM2BName{Buffer: []byte("qualified")},
		OutsideInfo:         tpm2.TPM2BData{Buffer: []byte("outside")}}
	var w wire.Writer
	w.CreationData(&data)
	assert.Equal(t, tpm2.Marshal(want), w.Data())
	w = wire.NewWriter([]byte{1})
	w.SizedCreationData(&data)
	assert.Equal(t, append([]byte{1}, tpm2.Marshal(tpm2.New2B(want))...), w.Data())
}

func TestAttestAsGoTPM(t *testing.T) {
	t.Parallel()
	ours, theirs := selection()
	name := func(s string) tpm2.TPM2BName { return tpm2.TPM2BName{Buffer: []byte(s)} }
	sum := func(s string) tpm2.TPM2BDigest { return tpm2.TPM2BDigest{Buffer: []byte(s)} }
	full := wire.Attest{QualifiedSigner: []byte("signer"), ExtraData: []byte("extra"),
		Clock:           wire.ClockInfo{Clock: 1, ResetCount: 2, RestartCount: 3, Safe: true},
		FirmwareVersion: 0x0102030405060708, TimeFirmware: 0x1112131415161718,
		Name: []byte("name"), QualifiedName: []byte("qualified"), PCRs: ours, Digest: []byte("digest"),
		ObjectName: []byte("object"), ExclusiveSession: true, AuditCounter: 9, DigestAlg: wire.AlgSHA256,
		CommandDigest: []byte("command"), Time: wire.TimeInfo{Time: 4, Clock: wire.ClockInfo{Clock: 5}},
		IndexName: []byte("index"), Offset: 6, NVContents: []byte("contents")}
	for _, tc := range []struct {
		tag  wire.ST
		want tpm2.TPMUAttest
	}{
		{wire.STAttestCertify, tpm2.NewTPMUAttest(tpm2.TPMSTAttestCertify,
			&tpm2.TPMSCertifyInfo{Name: name("name"), QualifiedName: name("qualified")})},
		{wire.STAttestCreation, tpm2.NewTPMUAttest(tpm2.TPMSTAttestCreation,
			&tpm2.TPMSCreationInfo{ObjectName: name("object"), CreationHash: sum("digest")})},
		{wire.STAttestQuote, tpm2.NewTPMUAttest(tpm2.TPMSTAttestQuote,
			&tpm2.TPMSQuoteInfo{PCRSelect: theirs, PCRDigest: sum("digest")})},
		{wire.STAttestCommandAudit, tpm2.NewTPMUAttest(tpm2.TPMSTAttestCommandAudit, &tpm2.TPMSCommandAuditInfo{
			AuditCounter: 9, DigestAlg: tpm2.TPMAlgSHA256, AuditDigest: sum("digest"), CommandDigest: sum("command")})},
		{wire.STAttestSessionAudit, tpm2.NewTPMUAttest(tpm2.TPMSTAttestSessionAudit,
			&tpm2.TPMSSessionAuditInfo{ExclusiveSession: true, SessionDigest: sum("digest")})},
		{wire.STAttestTime, tpm2.NewTPMUAttest(tpm2.TPMSTAttestTime, &tpm2.TPMSTimeAttestInfo{
			Time: tpm2.TPMSTimeInfo{Time: 4, ClockInfo: tpm2.TPMSClockInfo{Clock: 5}}, FirmwareVersion: 0x1112131415161718})},
		{wire.STAttestNV, tpm2.NewTPMUAttest(tpm2.TPMSTAttestNV, &tpm2.TPMSNVCertifyInfo{
			IndexName: name("index"), Offset: 6, NVContents: tpm2.TPM2BData{Buffer: []byte("contents")}})},
		{wire.STAttestNVDigest, tpm2.NewTPMUAttest(tpm2.TPMSTAttestNVDigest,
			&tpm2.TPMSNVDigestCertifyInfo{IndexName: name("index"), NVDigest: sum("digest")})},
	} {
		full.Type = tc.tag
		var w wire.Writer
		w.Attest(&full)
		assert.Equal(t, tpm2.Marshal(tpm2.TPMSAttest{Magic: tpm2.TPMGeneratedValue, Type: tpm2.TPMST(tc.tag),
			QualifiedSigner: name("signer"), ExtraData: tpm2.TPM2BData{Buffer: []byte("extra")},
			ClockInfo:       tpm2.TPMSClockInfo{Clock: 1, ResetCount: 2, RestartCount: 3, Safe: true},
			FirmwareVersion: 0x0102030405060708, Attested: tc.want}), w.Data(), "%#x", tc.tag)
	}
}

// go-tpm has the parts of a TPMS_ALGORITHM_DETAIL_ECC, not the whole.
func TestECCDetailAsGoTPM(t *testing.T) {
	t.Parallel()
	numbers := []byte("pabxynh")
	want := slices.Concat(u16s(3, 256), tpm2.Marshal(tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgNull}),
		tpm2.Marshal(tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})}))
	for i := range numbers {
		want = append(want, tpm2.Marshal(tpm2.TPM2BECCParameter{Buffer: numbers[i : i+1]})...)
	}
	var w wire.Writer
	w.ECCDetail(&wire.ECCDetail{CurveID: wire.CurveNISTP256, KeySize: 256, KDF: wire.Scheme{Alg: wire.AlgNull},
		Sign: wire.Scheme{Alg: wire.AlgECDSA, Hash: wire.AlgSHA256}, P: []byte("p"), A: []byte("a"), B: []byte("b"),
		Gx: []byte("x"), Gy: []byte("y"), N: []byte("n"), H: []byte("h")})
	assert.Equal(t, want, w.Data())
}

// Part 2 gives these bounds as sizes of structures; these are the numbers.
func TestBoundsOfStructures(t *testing.T) {
	t.Parallel()
	var w wire.Writer
	w.Sensitive(&wire.Sensitive{Type: wire.AlgRSA, Auth: digest(wire.MaxDigest), Seed: digest(wire.MaxDigest), Data: digest(wire.MaxRSAPrime)})
	assert.Equal(t, wire.MaxSensitive, w.Len())
	w = wire.Writer{}
	w.Public(&wire.Public{AuthPolicy: digest(wire.MaxDigest), Unique: digest(wire.MaxRSAKey), Parms: wire.PublicParms{Type: wire.AlgRSA,
		Sym: wire.SymDef{Alg: wire.AlgAES}, Scheme: wire.Scheme{Alg: wire.AlgOAEP}}})
	assert.Equal(t, wire.MaxTemplate, w.Len())
	assert.Equal(t, 1550, wire.MaxPrivate)
	assert.Equal(t, 512, wire.MaxEncryptedSecret)
	assert.Equal(t, 132, wire.MaxIDObject)
}
