package cases

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"encoding/hex"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// modes are the modes of block ciphers.
var modes = []tpm2.TPMAlgID{tpm2.TPMAlgCFB, tpm2.TPMAlgCBC, tpm2.TPMAlgCTR, tpm2.TPMAlgOFB, tpm2.TPMAlgECB}

func modeText(mode tpm2.TPMAlgID) string {
	return map[tpm2.TPMAlgID]string{tpm2.TPMAlgCFB: "CFB", tpm2.TPMAlgCBC: "CBC", tpm2.TPMAlgCTR: "CTR", tpm2.TPMAlgOFB: "OFB", tpm2.TPMAlgECB: "ECB"}[mode]
}

// aesBy encrypts with the client's AES key, and returns ciphertext and next vector.
func aesBy(mode tpm2.TPMAlgID, iv, plain []byte) (out, next []byte) {
	block, err := aes.NewCipher(conversation.KeyNamed("aes128").Secret)
	if err != nil {
		panic("conform: " + err.Error()) // a constant is wrong
	}
	out, register := make([]byte, len(plain)), bytes.Clone(iv)
	for at := 0; at < len(plain); at += aes.BlockSize {
		in, to := plain[at:min(at+aes.BlockSize, len(plain))], out[at:min(at+aes.BlockSize, len(plain))]
		mask := make([]byte, aes.BlockSize)
		switch mode {
		case tpm2.TPMAlgECB:
			block.Encrypt(to, in)
		case tpm2.TPMAlgCBC:
			cipher.NewCBCEncrypter(block, register).CryptBlocks(to, in)
			register = bytes.Clone(to)
		case tpm2.TPMAlgCFB:
			block.Encrypt(mask, register)
			for i := range in {
				to[i] = in[i] ^ mask[i]
			}
			register = append(bytes.Clone(to), make([]byte, aes.BlockSize-len(to))...)
		case tpm2.TPMAlgOFB:
			block.Encrypt(mask, register)
			for i := range in {
				to[i] = in[i] ^ mask[i]
			}
			register = mask
		case tpm2.TPMAlgCTR:
			block.Encrypt(mask, register)
			for i := range in {
				to[i] = in[i] ^ mask[i]
			}
			for i := len(register) - 1; i >= 0; i-- {
				if register[i]++; register[i] != 0 {
					break
				}
			}
		}
	}
	return out, register
}

// cipherCommand lays out the parameters of the two commands for encryption.
func cipherCommand(code tpm2.TPMCC, decrypt bool, mode, iv, data any) join {
	if code == tpm2.TPMCCEncryptDecrypt {
		return with(decrypt, mode, iv, data)
	}
	return with(data, decrypt, mode, iv)
}

// symmetricCases are those of Part 3, chapter "Symmetric Primitives".
func symmetricCases() []conform.Case {
	var cases []conform.Case
	for _, code := range []tpm2.TPMCC{tpm2.TPMCCEncryptDecrypt, tpm2.TPMCCEncryptDecrypt2} {
		cases = append(cases, cipherCases(code)...)
	}
	return append(append(cases, hashCases()...), macCases()...)
}

func cipherCases(code tpm2.TPMCC) []conform.Case {
	modeAt, ivAt, dataAt := 2, 3, 4
	if code == tpm2.TPMCCEncryptDecrypt2 {
		modeAt, ivAt, dataAt = 3, 4, 1
	}
	iv, data, cfb, none := octets(16), octets(48), tpm2.TPMAlgCFB, tpm2.TPMAlgNull
	cases := built(
		about(code, "with an RSA key", on("@rsa"), cipherCommand(code, false, none, iv, data), h(1, tpm2.TPMRCKey)),
		about(code, "with an HMAC key", on("@hmac any"), cipherCommand(code, false, none, iv, data), h(1, tpm2.TPMRCKey)),
		about(code, "that encrypts, with a key that only decrypts", on("@aes decrypt"), cipherCommand(code, false, none, iv, data), h(1, tpm2.TPMRCAttributes)),
		about(code, "with a restricted key", on("key"), cipherCommand(code, true, none, iv, data), h(1, tpm2.TPMRCAttributes)).
			first(createPrimary(null, "", public(tpm2.TPMAlgSymCipher, storage, empty, aesDetails(cfb), empty)).Named("key")),
		about(code, "in another mode than that of the key", on("@aes"), cipherCommand(code, false, tpm2.TPMAlgCTR, iv, data), p(modeAt, tpm2.TPMRCMode)),
		about(code, "in no mode, with a key without one", on("@aes any"), cipherCommand(code, false, none, iv, data), p(modeAt, tpm2.TPMRCMode)),
		about(code, "in a mode that there is not", on("@aes any"), cipherCommand(code, false, u16(0x7fff), iv, data), p(modeAt, tpm2.TPMRCMode)),
		about(code, "with a vector of 15 octets", on("@aes"), cipherCommand(code, false, none, octets(15), data), p(ivAt, tpm2.TPMRCSize)),
		about(code, "with a vector of 17 octets", on("@aes"), cipherCommand(code, false, none, octets(17), data), p(ivAt, tpm2.TPMRCSize)),
		about(code, "without a vector, by CFB", on("@aes"), cipherCommand(code, false, none, empty, data), p(ivAt, tpm2.TPMRCSize)),
		about(code, "with a vector, by ECB", on("@aes any"), cipherCommand(code, false, tpm2.TPMAlgECB, iv, data), p(ivAt, tpm2.TPMRCSize)),
		about(code, "of less than a block by CBC", on("@aes any"), cipherCommand(code, false, tpm2.TPMAlgCBC, iv, octets(15)), p(dataAt, tpm2.TPMRCSize)),
		about(code, "of more than a block by ECB", on("@aes any"), cipherCommand(code, false, tpm2.TPMAlgECB, empty, octets(17)), p(dataAt, tpm2.TPMRCSize)),
		about(code, "with a wrong password", on("@aes"), cipherCommand(code, false, none, iv, data), s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong")),
		about(code, "with a direction that is neither YES nor NO", on("@aes"), cipherCommand(code, false, none, iv, data), p(yesNoAt(code), tpm2.TPMRCValue)).edited(replaceDirection(code, 2)),
	)
	for _, mode := range modes {
		iv := iv
		if mode == tpm2.TPMAlgECB {
			iv = nil
		}
		out, next := aesBy(mode, iv, data)
		cases = append(cases, built(
			about(code, "that encrypts by "+modeText(mode), on("@aes any"), cipherCommand(code, false, mode, iv, data)).
				check("gives the ciphertext and the next vector", twoValues(out, next)),
			about(code, "that decrypts by "+modeText(mode), on("@aes any"), cipherCommand(code, true, mode, iv, out)).
				check("gives the plaintext and the next vector", twoValues(data, next)),
			about(code, "of the second part of a message by "+modeText(mode), on("@aes any"), cipherCommand(code, false, mode, vectorOf("part", mode), data[16:])).
				first(do(code, handle("@aes any")).With(cipherCommand(code, false, mode, iv, data[:16])...).Named("part")).
				check("goes on with the vector of the first part", firstIs(out[16:])),
		)...)
		if mode == tpm2.TPMAlgECB || mode == tpm2.TPMAlgCBC {
			continue
		}
		short, _ := aesBy(mode, iv, data[:21])
		cases = append(cases, about(code, "of 21 octets by "+modeText(mode), on("@aes any"), cipherCommand(code, false, mode, iv, data[:21])).
			check("gives as many", firstIs(short)).build())
	}
	out, next := aesBy(cfb, iv, data)
	return append(cases, built(
		about(code, "in no mode, with a key that has CFB", on("@aes"), cipherCommand(code, false, none, iv, data)).
			check("encrypts by CFB", twoValues(out, next)),
		about(code, "in the mode that the key has", on("@aes"), cipherCommand(code, false, cfb, iv, data)).check("encrypts by CFB", twoValues(out, next)),
		about(code, "of nothing by CFB", on("@aes"), cipherCommand(code, false, none, iv, empty)).check("gives nothing", firstIs(nil)),
	)...)
}

// vectorOf is the vector in the answer to a step.
func vectorOf(label string, mode tpm2.TPMAlgID) conform.Part {
	if mode == tpm2.TPMAlgECB {
		return empty
	}
	return field{Of: label, N: 2}
}

func yesNoAt(code tpm2.TPMCC) int {
	if code == tpm2.TPMCCEncryptDecrypt {
		return 1
	}
	return 2
}

// replaceDirection replaces the byte that is for the direction: the first parameter, or
// the one after the data.
func replaceDirection(code tpm2.TPMCC, with byte) func([]byte) []byte {
	return func(command []byte) []byte {
		const parameters = 10 + 4 + 4 + 9 // one handle, and an empty password
		at := parameters
		if code == tpm2.TPMCCEncryptDecrypt2 {
			at += 2 + int(wire.Number(command[at:at+2]))
		}
		command[at] = with
		return command
	}
}

// twoValues checks an answer that is two TPM2Bs.
func twoValues(first, second []byte) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := a.Parsed()
		if err := differ("the first parameter", in.Sized(), first); err != nil {
			return err
		}
		if err := differ("the second parameter", in.Sized(), second); err != nil {
			return err
		}
		if !in.Done() {
			return fmt.Errorf("%d octets are left", len(in.Rest))
		}
		return nil
	}
}

// ticket checks a TPMT_TK in an answer after a TPM2B: its tag and hierarchy, and whether it
// has a digest.
func ticket(tag tpm2.TPMST, hierarchy tpm2.TPMHandle, digest bool) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := a.Parsed()
		in.Sized()
		return ticketIs(in, tag, hierarchy, digest)
	}
}

func ticketIs(in *wire.Cursor, tag tpm2.TPMST, hierarchy tpm2.TPMHandle, digest bool) error {
	gotTag, gotHierarchy, got := tpm2.TPMST(in.U16()), tpm2.TPMHandle(in.U32()), in.Sized()
	if !in.Done() || gotTag != tag || gotHierarchy != hierarchy || (len(got) > 0) != digest {
		return fmt.Errorf("the ticket has the tag %#x, the hierarchy %#x and a digest of %d octets", uint16(gotTag), uint32(gotHierarchy), len(got))
	}
	return nil
}

func hashCases() []conform.Case {
	hash := tpm2.TPMCCHash
	generated := []byte{0xff, 'T', 'C', 'G', 1, 2, 3}
	cases := built(
		about(hash, "with an unknown algorithm", nil, with("data", u16(0x7fff), tpm2.TPMRHNull), p(2, tpm2.TPMRCHash)),
		about(hash, "with TPM_ALG_NULL", nil, with("data", tpm2.TPMAlgNull, tpm2.TPMRHNull), p(2, tpm2.TPMRCHash)),
		about(hash, "with an algorithm that is no hash", nil, with("data", tpm2.TPMAlgAES, tpm2.TPMRHNull), p(2, tpm2.TPMRCHash)),
		about(hash, "for a hierarchy that there is not", nil, with("data", tpm2.TPMAlgSHA256, u32(0x40000002)), p(3, tpm2.TPMRCValue)),
		about(hash, "for TPM_RH_LOCKOUT", nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHLockout), p(3, tpm2.TPMRCValue)),
		about(hash, "of more than a TPM2B_MAX_BUFFER", nil, with(octets(1025), tpm2.TPMAlgSHA256, tpm2.TPMRHNull), p(1, tpm2.TPMRCSize)).needing(inputBuffer(1024)),
		about(hash, "of 1,024 octets", nil, with(octets(1024), tpm2.TPMAlgSHA256, tpm2.TPMRHNull)).needing(inputBuffer(1024)).
			check("gives their digest", firstIs(hashOf(hashes[1].hash, octets(1024)))),
		about(hash, "for the null hierarchy", nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHNull)).
			check("gives a null ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHNull, false)),
		about(hash, "for the owner hierarchy", nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHOwner)).
			check("gives a ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHOwner, true)),
		about(hash, "for the endorsement hierarchy", nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHEndorsement)).
			check("gives a ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHEndorsement, true)),
		about(hash, "of data that begin with TPM_GENERATED_VALUE", nil, with(generated, tpm2.TPMAlgSHA256, tpm2.TPMRHOwner)).
			check("gives a null ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHNull, false)),
		about(hash, "of data with TPM_GENERATED_VALUE in the middle", nil, with(append([]byte{1}, generated...), tpm2.TPMAlgSHA256, tpm2.TPMRHOwner)).
			check("gives a ticket", ticket(tpm2.TPMSTHashCheck, tpm2.TPMRHOwner, true)),
	)
	for _, known := range hashes {
		for _, data := range [][]byte{nil, []byte("abc"), octets(200)} {
			cases = append(cases, about(hash, fmt.Sprintf("of %d octets by %s", len(data), hashText(known.alg)), nil, with(data, known.alg, tpm2.TPMRHNull)).
				check("gives their digest", firstIs(hashOf(known.hash, data))).build())
		}
	}
	return cases
}

// inputBuffer needs a TPM whose TPM2B_MAX_BUFFER has exactly so many octets, which is
// TPM_PT_INPUT_BUFFER.
func inputBuffer(size uint32) func(*conform.Needs) {
	return func(n *conform.Needs) {
		n.Other = func(f *conform.Features) string {
			if got := f.Properties[tpm2.TPMPTInputBuffer]; got != size {
				return fmt.Sprintf("TPM_PT_INPUT_BUFFER is %d, not %d", got, size)
			}
			return ""
		}
	}
}

// hmacOf is an HMAC with the client's key.
func hmacOf(i int, parts ...[]byte) []byte {
	mac := hmac.New(hashes[i].hash.New, conversation.KeyNamed("hmac").Secret)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func macCases() []conform.Case {
	code := tpm2.TPMCCMAC
	cases := append(macRefusals(code, func(alg any) join { return with("data", alg) }), built(
		about(code, "with the hash algorithm of the key", on("@hmac"), with("data", tpm2.TPMAlgSHA256)).check("gives the HMAC", firstIs(hmacOf(1, []byte("data")))),
		about(code, "with TPM_ALG_NULL", on("@hmac"), with("data", tpm2.TPMAlgNull)).check("gives the HMAC with the hash algorithm of the key", firstIs(hmacOf(1, []byte("data")))),
		about(code, "of nothing", on("@hmac"), with(empty, tpm2.TPMAlgNull)).check("gives the HMAC", firstIs(hmacOf(1))),
		about(code, "of 1,024 octets", on("@hmac"), with(octets(1024), tpm2.TPMAlgNull)).needing(inputBuffer(1024)).check("gives the HMAC", firstIs(hmacOf(1, octets(1024)))),
		about(code, "with a wrong password", on("@secret"), with("data", tpm2.TPMAlgNull), s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong")),
		about(code, "with the password of the key and zeros after it", on("@secret"), with("data", tpm2.TPMAlgNull)).by(conform.Password("secret\x00\x00")),
	)...)
	for i, known := range hashes {
		cases = append(cases, about(code, "by "+hashText(known.alg)+" with a key without a scheme", on("@hmac any"), with("data", known.alg)).
			check("gives the HMAC", firstIs(hmacOf(i, []byte("data")))).build())
	}
	// RFC 4493, section 4.
	key, message := hexed("2b7e151628aed2a6abf7158809cf4f3c"), hexed("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for _, vector := range []struct {
		size int
		mac  string
	}{
		{0, "bb1d6929e95937287fa37d129b756746"}, {16, "070a16b46b4d4144f79bdd9dd04a287c"},
		{40, "dfa66747de9ae63030ca32611497c827"}, {64, "51f0bebf7e3b9d92fc49741779363cfe"},
	} {
		cases = append(cases, about(code, fmt.Sprintf("by CMAC of %d octets", vector.size), on("key"), with(message[:vector.size], tpm2.TPMAlgCMAC)).
			first(symmetricKey(key, wire.ObjectSign, aesDetails(tpm2.TPMAlgCMAC)).Named("key")).
			check("gives the MAC of RFC 4493", firstIs(hexed(vector.mac))).in(since(138, part3("15.6", "TPM2_MAC"))).build())
	}
	return cases
}

func hexed(digits string) []byte {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic("conform: " + err.Error()) // a constant is wrong
	}
	return b
}

// symmetricKey loads an AES key.
func symmetricKey(key []byte, uses uint32, details conform.Part) conform.Step {
	seed := bytes.Repeat([]byte{0x5e}, 32)
	unique := hashOf(hashes[1].hash, seed, key)
	private := sized{alg(tpm2.TPMAlgSymCipher), empty, conform.Bytes(seed), conform.Bytes(key)}
	return do(tpm2.TPMCCLoadExternal).With(private, public(tpm2.TPMAlgSymCipher, outside|uses, empty, details, conform.Bytes(unique)), null)
}

// macRefusals are the refusals that HMAC and HMAC_Start have in common.
func macRefusals(code tpm2.TPMCC, parameters func(alg any) join) []conform.Case {
	return built(
		about(code, "with an RSA key", on("@rsa"), parameters(tpm2.TPMAlgSHA256), h(1, tpm2.TPMRCType)),
		about(code, "with an ECC key", on("@ecc"), parameters(tpm2.TPMAlgSHA256), h(1, tpm2.TPMRCType)),
		about(code, "with a restricted key", on("@hmac attest"), parameters(tpm2.TPMAlgSHA256), h(1, tpm2.TPMRCAttributes)),
		about(code, "with sealed data", on("@sealed"), parameters(tpm2.TPMAlgSHA256), h(1, tpm2.TPMRCKey)),
		about(code, "with another hash algorithm than that of the key", on("@hmac"), parameters(tpm2.TPMAlgSHA1), p(2, tpm2.TPMRCValue)),
		about(code, "with TPM_ALG_NULL and a key without a scheme", on("@hmac any"), parameters(tpm2.TPMAlgNull), p(2, tpm2.TPMRCValue)),
		about(code, "without an authorization", on("@hmac"), parameters(tpm2.TPMAlgNull), tpm2.TPMRCAuthMissing).unauthorized(),
	)
}
