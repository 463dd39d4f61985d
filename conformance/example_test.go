package conformance_test

import (
	"fmt"

	"github.com/swtpmd/swtpmd/conformance"
)

func ExamplePacket() {
	extend := conformance.Packet{
		Code:       0x182, // TPM2_PCR_Extend
		Handles:    []uint32{10},
		Sessions:   []conformance.Session{conformance.Password(nil)},
		Parameters: []byte{0, 0, 0, 0}, // no digests
	}
	fmt.Printf("%x\n", extend.Bytes())
	// Output: 80020000001f000001820000000a0000000940000009000000000000000000
}

func ExampleParseResponse() {
	response, err := conformance.ParseResponse(0x17b, []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0xd5})
	fmt.Println(conformance.Describe(response.Code), err)
	// Output: 0x1d5 TPM_RC_SIZE (parameter 1): structure is the wrong size <nil>
}
