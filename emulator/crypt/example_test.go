package crypt_test

import (
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A primary key is made from the primary seed of its hierarchy and the name of
// its template. What is left of the generator gives the seed value, which
// protects the children of the key.
func ExampleNewPrimaryGenerator() {
	primarySeed := make([]byte, 64)
	template := []byte("a marshaled TPMT_PUBLIC")
	name := crypt.Digest(wire.AlgSHA256, []byte{0x00, 0x0B}, template)

	gen := crypt.NewPrimaryGenerator(primarySeed, name, nil)
	curve := crypt.CurveOf(wire.CurveNISTP256)
	_, public, err := curve.GenerateKey(gen)
	if err != nil {
		fmt.Println(err)
		return
	}
	seedValue := make([]byte, crypt.HashSize(wire.AlgSHA256))
	gen.Read(seedValue)

	x, y := curve.EncodePoint(public)
	fmt.Printf("x %x…\ny %x…\nseed value %x…\n", x[:8], y[:8], seedValue[:8])
	// Output:
	// x 1ffcf0e89c7f28d5…
	// y 78c5abf6cca25145…
	// seed value f86cd857dee3f51b…
}

// The same seed gives the same key, and a signature that depends on nothing but
// the state of the generator.
func ExampleGenerateRSA() {
	var gen crypt.DRBGState
	gen.Instantiate(&[crypt.DRBGSeedSize]byte{1})
	key, err := crypt.GenerateRSA(&gen, 2048, crypt.RSAOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	digest := crypt.Digest(wire.AlgSHA256, nil, []byte("message"))
	scheme := wire.Scheme{Alg: wire.AlgRSAPSS, Hash: wire.AlgSHA256}
	signature, err := crypt.SignRSA(&gen, key, scheme, digest)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Size(), crypt.VerifyRSA(&key.RSAPublicKey, scheme, digest, signature))
	// Output: 256 true
}

// What is refused says why, and with which response code.
func ExampleCurve_DecodePoint() {
	_, err := crypt.CurveOf(wire.CurveNISTP256).DecodePoint([]byte{1}, []byte{2})
	fmt.Println(err)
	// Output: decoding a point: it is not on curve 0x0003 (TPM_RC_ECC_POINT (0x0A7))
}

// A block of CFB and the next one, chained by what the first call leaves.
func ExampleEncrypt() {
	block, err := crypt.NewBlockCipher(wire.AlgAES, make([]byte, 16))
	if err != nil {
		fmt.Println(err)
		return
	}
	iv, data := make([]byte, 16), []byte("a parameter longer than a block")
	err = crypt.Encrypt(block, wire.AlgCFB, iv, data[:16])
	if err == nil {
		err = crypt.Encrypt(block, wire.AlgCFB, iv, data[16:])
	}
	if err == nil {
		err = crypt.Decrypt(block, wire.AlgCFB, make([]byte, 16), data)
	}
	fmt.Printf("%s %v\n", data, err)
	// Output: a parameter longer than a block <nil>
}
