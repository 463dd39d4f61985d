package clients_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-attestation/attest"
	"github.com/google/go-tpm-tools/client"
	legacy "github.com/google/go-tpm/legacy/tpm2"
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
)

// A TPM for google/go-tpm is one line.
func Example_goTPM() {
	t := &testing.T{} // in a test, its own t

	tpm := emulatortest.New(t).Client()
	srk, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.TPMRHOwner,
		InPublic:      tpm2.New2B(tpm2.ECCSRKTemplate),
	}.Execute(tpm)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("storage root key %#x with a name of %d bytes\n", uint32(srk.ObjectHandle), len(srk.Name.Buffer))
	// Output: storage root key 0x80000000 with a name of 34 bytes
}

// What the TPM goes through between two commands is up to the test.
func Example_goTPMReset() {
	t := &testing.T{} // in a test, its own t

	device := emulatortest.New(t)
	tpm := device.Client()
	srk, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(device.Restart(0)) // power is lost without TPM2_Shutdown
	_, err = tpm2.ReadPublic{ObjectHandle: srk.ObjectHandle}.Execute(tpm)
	fmt.Println(err)
	// Output:
	// TPM_RC_SUCCESS (0x000)
	// TPM_RC_REFERENCE_H0: the 1st handle in the handle area references a transient object or session that is not loaded
}

// go-tpm-tools reads and writes.
func Example_goTPMTools() {
	t := &testing.T{} // in a test, its own t

	tpm := emulatortest.New(t).Channel()
	srk, err := client.StorageRootKeyECC(tpm)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srk.Close()
	pcr7 := legacy.PCRSelection{Hash: legacy.AlgSHA256, PCRs: []int{7}}
	sealed, err := srk.Seal([]byte("secret password"), client.SealOpts{Current: pcr7})
	if err != nil {
		fmt.Println(err)
		return
	}
	secret, err := srk.Unseal(sealed, client.UnsealOpts{CertifyCurrent: pcr7})
	fmt.Printf("%s, %v\n", secret, err)
	// Output: secret password, <nil>
}

// go-attestation opens a command channel.
func Example_goAttestation() {
	t := &testing.T{} // in a test, its own t

	tpm, err := attest.OpenTPM(&attest.OpenConfig{CommandChannel: emulatortest.New(t).Channel()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tpm.Close()
	ak, err := tpm.NewAK(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ak.Close(tpm)
	eks, err := tpm.EKs()
	if err != nil {
		fmt.Println(err)
		return
	}
	challenge := attest.ActivationParameters{EK: eks[0].Public, AK: ak.AttestationParameters()}
	secret, encrypted, err := challenge.Generate()
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := ak.ActivateCredential(tpm, *encrypted)
	fmt.Println(bytes.Equal(got, secret), err)
	// Output: true <nil>
}
