package clients_test

import (
	"bytes"
	"crypto/mlkem"
	"crypto/sha3"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"filippo.io/mldsa"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
)

// The commands of version 185, of which go-tpm 0.9.8 has no types.
const (
	ccVerifySequenceComplete tpm2.TPMCC = 0x1A3
	ccSignSequenceComplete   tpm2.TPMCC = 0x1A4
	ccVerifyDigestSignature  tpm2.TPMCC = 0x1A5
	ccSignDigest             tpm2.TPMCC = 0x1A6
	ccEncapsulate            tpm2.TPMCC = 0x1A7
	ccDecapsulate            tpm2.TPMCC = 0x1A8
	ccVerifySequenceStart    tpm2.TPMCC = 0x1A9
	ccSignSequenceStart      tpm2.TPMCC = 0x1AA
)

// execute sends a command that go-tpm has no type for: its handles, the empty password so
// many times, its parameters. It returns what the response has after its header: a handle,
// or parameters. An error of the TPM is a tpm2.TPMRC.
func execute(tpm transport.TPM, code tpm2.TPMCC, handles []tpm2.TPMHandle, passwords int, parameters ...[]byte) ([]byte, error) {
	tag, body := tpm2.TPMSTNoSessions, []byte(nil)
	for _, h := range handles {
		body = binary.BigEndian.AppendUint32(body, uint32(h))
	}
	if passwords > 0 {
		tag = tpm2.TPMSTSessions
		password := tpm2.Marshal(tpm2.TPMSAuthCommand{Handle: tpm2.TPMRSPW})
		body = binary.BigEndian.AppendUint32(body, uint32(passwords*len(password)))
		body = append(body, bytes.Repeat(password, passwords)...)
	}
	body = append(body, slices.Concat(parameters...)...)
	header := tpm2.Marshal(tpm2.TPMCmdHeader{Tag: tag, Length: uint32(10 + len(body)), CommandCode: code})
	response, err := tpm.Send(append(header, body...))
	if err != nil {
		return nil, err
	}
	answer, err := tpm2.Unmarshal[tpm2.TPMRspHeader](response)
	switch {
	case err != nil:
		return nil, err
	case answer.ResponseCode != tpm2.TPMRCSuccess:
		return nil, answer.ResponseCode
	case passwords == 0:
		return response[10:], nil
	}
	size := binary.BigEndian.Uint32(response[10:])
	return response[14 : 14+size], nil
}

// sized is a TPM2B, which the new ones all are: TPM2B_KEM_CIPHERTEXT, TPM2B_SIGNATURE_CTX ...
func sized(b []byte) []byte { return tpm2.Marshal(tpm2.TPM2BData{Buffer: b}) }

// next splits bytes after the TPM2B that they begin with.
func next(b []byte) (first, rest []byte) {
	end := 2 + binary.BigEndian.Uint16(b)
	return b[2:end], b[end:]
}

func handleOf(b []byte) tpm2.TPMHandle { return tpm2.TPMHandle(binary.BigEndian.Uint32(b)) }

// go-tpm has no types for the keys and commands of version 185 yet. It takes bytes for them:
// public areas by tpm2.BytesAs2B, commands by its transport.
func Example_goTPMVersion185() {
	t := &testing.T{} // in a test, its own t
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	profile, err := emulator.ProfileByName("v185")
	must(err)
	tpm := emulatortest.New(t, emulatortest.WithConfig(profile.Config)).Client()
	create := func(template ...byte) (key []tpm2.TPMHandle, public []byte) {
		made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](template)}.Execute(tpm)
		must(err)
		return []tpm2.TPMHandle{made.ObjectHandle}, made.OutPublic.Bytes()
	}

	// The templates have type, nameAlg, attributes, policy, parameters and unique: here a
	// key of ML-KEM-768 that decrypts, with TPM_ALG_NULL as its cipher.
	key, public := create(0x00, 0xA0, 0x00, 0x0B, 0x00, 0x02, 0x00, 0x72, 0, 0, 0x00, 0x10, 0x00, 0x02, 0, 0)
	out, err := execute(tpm, ccEncapsulate, key, 0)
	must(err)
	shared, out := next(out)
	ciphertext, _ := next(out)
	again, err := execute(tpm, ccDecapsulate, key, 1, sized(ciphertext))
	must(err)
	outside, err := mlkem.NewEncapsulationKey768(public[len(public)-mlkem.EncapsulationKeySize768:])
	must(err)
	want, ciphertext := outside.Encapsulate()
	got, err := execute(tpm, ccDecapsulate, key, 1, sized(ciphertext))
	must(err)
	fmt.Println("ML-KEM-768:", bytes.Equal(again, sized(shared)), bytes.Equal(got, sized(want)))

	// A key of ML-DSA-44 with allowExternalMu signs. The message can be longer than one
	// command: TPM2_SequenceUpdate takes pieces of it.
	key, public = create(0x00, 0xA1, 0x00, 0x0B, 0x00, 0x04, 0x00, 0x72, 0, 0, 0x00, 0x01, 1, 0, 0)
	message, context := []byte("a message"), []byte("its context")
	out, err = execute(tpm, ccSignSequenceStart, key, 0, sized(nil), sized(context))
	must(err)
	signature, err := execute(tpm, ccSignSequenceComplete, append([]tpm2.TPMHandle{handleOf(out)}, key...), 2, sized(message))
	must(err)
	verifier, err := mldsa.NewPublicKey(mldsa.MLDSA44(), public[len(public)-mldsa.MLDSA44().PublicKeySize():])
	must(err)
	bare, _ := next(signature[2:]) // after the algorithm of a TPMT_SIGNATURE
	must(mldsa.Verify(verifier, message, bare, &mldsa.Options{Context: string(context)}))

	out, err = execute(tpm, ccVerifySequenceStart, key, 0, sized(nil), sized(nil), sized(context)) // password, hint, context
	must(err)
	sequence := handleOf(out)
	_, err = tpm2.SequenceUpdate{SequenceHandle: sequence, Buffer: tpm2.TPM2BMaxBuffer{Buffer: message}}.Execute(tpm)
	must(err)
	ticket, err := execute(tpm, ccVerifySequenceComplete, append([]tpm2.TPMHandle{sequence}, key...), 1, signature)
	must(err)
	fmt.Printf("ML-DSA-44: signed and verified, ticket %x of hierarchy %x\n", ticket[:2], ticket[2:6])

	// What is signed for a message of any size is µ, 64 bytes (FIPS 204, section 5.4).
	mu := sha3.SumSHAKE256(slices.Concat(sha3.SumSHAKE256(verifier.Bytes(), 64), []byte{0, byte(len(context))}, context, message), 64)
	noTicket := tpm2.Marshal(tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull})
	signature, err = execute(tpm, ccSignDigest, key, 1, sized(nil), sized(mu), noTicket)
	must(err)
	bare, _ = next(signature[2:])
	must(mldsa.Verify(verifier, message, bare, &mldsa.Options{Context: string(context)}))
	_, err = execute(tpm, ccVerifyDigestSignature, key, 0, sized(nil), sized(mu), signature)
	must(err)
	signature[100] ^= 1
	_, err = execute(tpm, ccVerifyDigestSignature, key, 0, sized(nil), sized(mu), signature)
	fmt.Println("changed:", err)
	// Output:
	// ML-KEM-768: true true
	// ML-DSA-44: signed and verified, ticket 8026 of hierarchy 40000001
	// changed: TPM_RC_SIGNATURE (parameter 3): the signature is not valid
}
