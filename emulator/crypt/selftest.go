package crypt

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// SelfTestError says that an algorithm did not give what its standard says.
type SelfTestError struct {
	Alg wire.AlgID
	Why string
}

// Error names the algorithm and what was wrong.
func (e *SelfTestError) Error() string { return fmt.Sprintf("self-test of %v: %s", e.Alg, e.Why) }

// SelfTest runs the known-answer tests of one algorithm (Part 1, section
// "Self-Test Modes") and fails with a *SelfTestError. An algorithm that is not
// supported has none and fails too. All algorithms together take some tens of
// milliseconds.
func SelfTest(alg wire.AlgID) error {
	test := selfTest(alg)
	if test == nil {
		return &SelfTestError{alg, "there is no test: it is not supported"}
	}
	answers, err := test()
	if err != nil {
		return &SelfTestError{alg, err.Error()}
	}
	return compare(alg, answers)
}

// SelfTests runs the known-answer tests of each algorithm once and remembers how
// they ended, for many TPMs in one process: the code that they test is the same.
// The zero value is ready. Its method may be called by several goroutines.
type SelfTests struct {
	ends sync.Map // of wire.AlgID to func() error
}

// SelfTest returns what the function [SelfTest] has returned or, for an algorithm
// that has not been tested yet, returns.
func (s *SelfTests) SelfTest(alg wire.AlgID) error {
	end, _ := s.ends.LoadOrStore(alg, sync.OnceValue(func() error { return SelfTest(alg) }))
	return end.(func() error)()
}

func compare(alg wire.AlgID, answers []answer) error {
	for _, a := range answers {
		if !bytes.Equal(a.got, a.want) {
			return &SelfTestError{alg, "a wrong answer: " + a.what}
		}
	}
	return nil
}

// answer is one comparison of a self-test.
type answer struct {
	what      string
	got, want []byte
}

// selfTest is the table of tests, nil for an algorithm without one. It is a
// function so that nothing is decoded before it is needed.
func selfTest(alg wire.AlgID) func() ([]answer, error) {
	if !supported(alg) {
		return nil
	}
	if HashSize(alg) != 0 {
		return func() ([]answer, error) { return testHash(alg) }
	}
	switch alg {
	case wire.AlgHMAC, wire.AlgKeyedHash:
		return testHMAC
	case wire.AlgXOR:
		return testXOR
	case wire.AlgMGF1:
		return testMGF1
	case wire.AlgKDF1_SP800_56A:
		return testKDFe
	case wire.AlgKDF2:
		return testKDF2
	case wire.AlgKDF1_SP800_108:
		return testKDFa
	case wire.AlgAES:
		return testAES
	case wire.AlgSymCipher:
		return func() ([]answer, error) { return testMode(wire.AlgCFB) }
	case wire.AlgCTR, wire.AlgOFB, wire.AlgCBC, wire.AlgCFB, wire.AlgECB:
		return func() ([]answer, error) { return testMode(alg) }
	case wire.AlgCMAC:
		return testCMAC
	case wire.AlgRSA:
		return testRSA
	case wire.AlgRSASSA:
		return testRSASSA
	case wire.AlgRSAPSS:
		return testRSAPSS
	case wire.AlgRSAES:
		return testRSAES
	case wire.AlgOAEP:
		return testOAEP
	case wire.AlgECC:
		return testECC
	case wire.AlgECDH:
		return testECDH
	case wire.AlgECDSA:
		return testECDSA
	case wire.AlgECSchnorr:
		return testECSchnorr
	case wire.AlgECDAA:
		return testECDAA
	case wire.AlgSM2:
		return testSM2
	case wire.AlgECMQV:
		return testECMQV
	case wire.AlgHKDF:
		return testHKDF
	case wire.AlgEdDSA:
		return testEdDSA
	case wire.AlgHashEdDSA:
		return testHashEdDSA
	case wire.AlgMLKEM:
		return testMLKEM
	case wire.AlgMLDSA:
		return testMLDSA
	case wire.AlgHashMLDSA:
		return testHashMLDSA
	}
	return nil
}

// supported reports whether the table calls an algorithm supported.
func supported(alg wire.AlgID) bool {
	return slices.ContainsFunc(algorithms, func(a Algorithm) bool { return a.ID == alg && a.Supported })
}

// octets decodes a constant.
func octets(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("internal error: a constant is no string of octets: " + s)
	}
	return b
}

// holds makes an answer of a condition.
func holds(what string, ok bool) answer {
	a := answer{what, []byte{0}, []byte{1}}
	if ok {
		a.got = a.want
	}
	return a
}

// testHash has the one-block message of the examples to FIPS 180-4 and FIPS 202,
// which NIST publishes, in one piece and in two.
func testHash(alg wire.AlgID) ([]answer, error) {
	want := octets(map[wire.AlgID]string{
		wire.AlgSHA1:   "a9993e364706816aba3e25717850c26c9cd0d89d",
		wire.AlgSHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		wire.AlgSHA384: "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" +
			"8086072ba1e7cc2358baeca134c825a7",
		wire.AlgSHA512: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
			"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		wire.AlgSHA3_256: "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
		wire.AlgSHA3_384: "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2" +
			"98d88cea927ac7f539f1edf228376d25",
		wire.AlgSHA3_512: "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e" +
			"10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
		wire.AlgSHAKE256_192: shakeOfABC[:2*24], wire.AlgSHAKE256_256: shakeOfABC[:2*32], wire.AlgSHAKE256_512: shakeOfABC,
	}[alg])
	h := NewHash(alg)
	h.Write([]byte("a"))
	h.Write([]byte("bc"))
	return []answer{
		{"digest", Digest(alg, nil, []byte("abc")), want},
		{"digest of pieces", h.Sum(nil), want},
	}, nil
}

// shakeOfABC are the first 64 octets that SHAKE256 gives for "abc".
const shakeOfABC = "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739" +
	"d5a15bef186a5386c75744c0527e1faa9f8726e462a12a4feb06bd8801e751e4"

// testHMAC has test case 2 of RFC 4231, with SHA-256.
func testHMAC() ([]answer, error) {
	const key, message = "Jefe", "what do ya want for nothing?"
	want := octets("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
	m := NewHMAC(wire.AlgSHA256, []byte(key))
	m.Write([]byte(message[:5]))
	m.Write([]byte(message[5:]))
	return []answer{
		{"HMAC", AppendHMAC(wire.AlgSHA256, nil, []byte(key), []byte(message)), want},
		{"HMAC of pieces", m.Finish(nil), want},
	}, nil
}

// testXOR has no standard to go by. The mask is what the equation of Part 1,
// section "XOR Obfuscation", gives with another program, for SHA-256 and two
// blocks.
func testXOR() ([]answer, error) {
	data := make([]byte, 40)
	XORObfuscation(wire.AlgSHA256, []byte("key"), []byte("newer"), []byte("older"), data)
	mask := bytes.Clone(data)
	XORObfuscation(wire.AlgSHA256, []byte("key"), []byte("newer"), []byte("older"), data)
	return []answer{
		{"mask", mask, octets("8dd417d98786df54565f5bab4e789dcd79f35aed2d3168343ea57eac5bf80195a536350ffad8ffa1")},
		{"inverse", data, make([]byte, 40)},
	}, nil
}

// testMGF1 has the example with SHA-256 that implementations of RFC 8017
// commonly test with.
func testMGF1() ([]answer, error) {
	mask := make([]byte, 50)
	MGF1(wire.AlgSHA256, mask, []byte("bar"))
	return []answer{{"mask", mask, octets("382576a7841021cc28fc4c0948753fb8312090cea942ea4c4e735d10dc724b155f9f6069f289d61daca0cb814502ef04eae1")}}, nil
}

// testKDF2 has an example of ISO/IEC 18033-2, annex C, with SHA-256.
func testKDF2() ([]answer, error) {
	out := make([]byte, 64)
	KDF2(wire.AlgSHA256, out, octets("032e45326fa859a72ec235acff929b15d1372e30b207255f0611b8f785d764374152e0ac009e509e7ba30cd2f1778e113b64e135cf4e2292c75efe5288edfda4"))
	return []answer{{"key", out, octets("10a2403db42a8743cb989de86e668d168cbe6046e23ff26f741e87949a3bba1311ac179f819a3d18412e9eb45668f2923c087c1299005f8d5fd42ca257bc93e8")}}, nil
}

// testKDFa has the derived keys of RFC 8009, appendix A, for SHA-256 and usage 2:
// its KDF is that of SP 800-108 with a label and no context.
func testKDFa() ([]answer, error) {
	base := octets("3705d96080c17728a0e800eab6e0d23c")
	derive := func(kind byte) []byte {
		return KDFa(wire.AlgSHA256, base, string([]byte{0, 0, 0, 2, kind}), nil, nil, 128)
	}
	return []answer{
		{"Kc", derive(0x99), octets("b31a018a48f54776f403e9a396325dc3")},
		{"Ke", derive(0xAA), octets("9b197dd1e8c5609d6e67c3e37c62c72e")},
		{"Ki", derive(0x55), octets("9fda0e56ab2d85e1569a688696c26a6c")},
	}, nil
}

// testKDFe has the example of RFC 7518, appendix C: its OtherInfo starts with
// three octets of zero, which stand for the label and its end.
func testKDFe() ([]answer, error) {
	z := octets("9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4")
	key := KDFe(wire.AlgSHA256, z, "\x00\x00\x00", []byte("\x07A128GCM\x00\x00\x00\x05Alice"), []byte("\x00\x00\x00\x03Bob\x00\x00\x00\x80"), 128)
	return []answer{{"derived key", key, octets("56aa8deaf8236d205c2228cd71a7101a")}}, nil
}

// testAES has the examples of FIPS 197, appendix C.
func testAES() ([]answer, error) {
	key := octets("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	plain := octets("00112233445566778899aabbccddeeff")
	var list []answer
	for _, v := range []struct {
		size   int
		cipher string
	}{
		{16, "69c4e0d86a7b0430d8cdb78070b4c55a"},
		{24, "dda97ca4864cdfe06eaf70a0ec0d7191"},
		{32, "8ea2b7ca516745bfeafc49904b496089"},
	} {
		block, err := NewBlockCipher(wire.AlgAES, key[:v.size])
		if err != nil {
			return nil, err
		}
		out := make([]byte, 16)
		block.Encrypt(out, plain)
		list = append(list, answer{"encryption", bytes.Clone(out), octets(v.cipher)})
		block.Decrypt(out, out)
		list = append(list, answer{"decryption", out, plain})
	}
	return list, nil
}

// Key, initial value and plain text of the examples of NIST SP 800-38A,
// appendix F, with AES-128.
const (
	exampleKey     = "2b7e151628aed2a6abf7158809cf4f3c"
	exampleIV      = "000102030405060708090a0b0c0d0e0f"
	exampleCounter = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
	examplePlain   = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" +
		"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)

// testMode has the first two blocks of the example of NIST SP 800-38A, appendix
// F, for a mode.
func testMode(mode wire.AlgID) ([]answer, error) {
	const size = 32
	example := map[wire.AlgID]struct{ iv, cipher string }{
		wire.AlgECB: {"", "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"},
		wire.AlgCBC: {exampleIV, "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"},
		wire.AlgCFB: {exampleIV, "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"},
		wire.AlgOFB: {exampleIV, "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825"},
		wire.AlgCTR: {exampleCounter, "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"},
	}[mode]
	block, err := NewBlockCipher(wire.AlgAES, octets(exampleKey))
	if err != nil {
		return nil, err
	}
	plain := octets(examplePlain)[:size]
	data := bytes.Clone(plain)
	if err := Encrypt(block, mode, octets(example.iv), data); err != nil {
		return nil, err
	}
	cipher := bytes.Clone(data)
	if err := Decrypt(block, mode, octets(example.iv), data); err != nil {
		return nil, err
	}
	return []answer{{"encryption", cipher, octets(example.cipher)}, {"decryption", data, plain}}, nil
}

// testCMAC has the examples of RFC 4493, section 4, with 40 and 64 octets: one
// for each subkey.
func testCMAC() ([]answer, error) {
	m, err := NewCMAC(wire.AlgAES, octets(exampleKey))
	if err != nil {
		return nil, err
	}
	mac := func(n int) []byte {
		m.Reset()
		m.Write(octets(examplePlain)[:n])
		return m.Finish(nil)
	}
	return []answer{
		{"incomplete block", mac(40), octets("dfa66747de9ae63030ca32611497c827")},
		{"complete blocks", mac(64), octets("51f0bebf7e3b9d92fc49741779363cfe")},
	}, nil
}
