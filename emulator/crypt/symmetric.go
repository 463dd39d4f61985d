package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// NewBlockCipher gives a block cipher, which is AES with a key of 16, 24 or 32
// bytes. Another size is refused with TPM_RC_KEY_SIZE, another algorithm with
// an *UnsupportedError.
func NewBlockCipher(alg wire.AlgID, key []byte) (cipher.Block, error) {
	if alg != wire.AlgAES {
		return nil, &UnsupportedError{Alg: alg, Want: "block cipher"}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, refuse("AES", wire.RCKeySize, "a key of %d bytes; use 16, 24 or 32", len(key))
	}
	return block, nil
}

// CipherBlockSize gives the block size in bytes of a supported block cipher,
// which is the size of its initial values, else 0.
func CipherBlockSize(alg wire.AlgID) int {
	if alg == wire.AlgAES {
		return aes.BlockSize
	}
	return 0
}

// Encrypt encrypts data in place in a mode of operation (Part 1, annex
// "Symmetric Block Cipher Modes"). It leaves in iv what chains the next call to
// this one (Part 3, section "TPM2_EncryptDecrypt"): the last block of cipher
// text for CBC and CFB, where an incomplete block of CFB is filled with zeros,
// the last block of key stream for OFB, the next counter for CTR. ECB neither
// reads nor writes iv, no data changes nothing.
//
// CBC and ECB refuse data that is no multiple of a block with TPM_RC_SIZE; in
// all modes with an initial value iv must be a block long, which is refused
// with TPM_RC_SIZE too. Anything that is no mode gives TPM_RC_MODE.
func Encrypt(block cipher.Block, mode wire.AlgID, iv, data []byte) error {
	if err := checkMode("encryption", block, mode, iv, data); err != nil {
		return err
	}
	switch mode {
	case wire.AlgCFB:
		encryptCFB(block, iv, data)
	case wire.AlgCBC:
		encryptCBC(block, iv, data)
	case wire.AlgECB:
		for n := block.BlockSize(); len(data) > 0; data = data[n:] {
			block.Encrypt(data, data)
		}
	case wire.AlgOFB:
		streamOFB(block, iv, data)
	case wire.AlgCTR:
		streamCTR(block, iv, data)
	}
	return nil
}

// Decrypt is the inverse of Encrypt, with the same rules.
func Decrypt(block cipher.Block, mode wire.AlgID, iv, data []byte) error {
	if err := checkMode("decryption", block, mode, iv, data); err != nil {
		return err
	}
	switch mode {
	case wire.AlgCFB:
		decryptCFB(block, iv, data)
	case wire.AlgCBC:
		decryptCBC(block, iv, data)
	case wire.AlgECB:
		for n := block.BlockSize(); len(data) > 0; data = data[n:] {
			block.Decrypt(data, data)
		}
	case wire.AlgOFB:
		streamOFB(block, iv, data)
	case wire.AlgCTR:
		streamCTR(block, iv, data)
	}
	return nil
}

func checkMode(op string, block cipher.Block, mode wire.AlgID, iv, data []byte) error {
	n := block.BlockSize()
	switch mode {
	case wire.AlgCFB, wire.AlgOFB, wire.AlgCTR, wire.AlgCBC:
		if len(iv) != n {
			return refuse(op, wire.RCSize, "an initial value of %d bytes where a block has %d", len(iv), n)
		}
	case wire.AlgECB:
	default:
		return refuse(op, wire.RCMode, "%v is no mode of operation; use CFB, CTR, OFB, CBC or ECB", mode)
	}
	if (mode == wire.AlgCBC || mode == wire.AlgECB) && len(data)%n != 0 {
		return refuse(op, wire.RCSize, "%d bytes in mode %v, which takes whole blocks of %d", len(data), mode, n)
	}
	return nil
}

func encryptCFB(block cipher.Block, iv, data []byte) {
	for len(data) > 0 {
		block.Encrypt(iv, iv)
		n := subtle.XORBytes(data, data, iv)
		clear(iv[copy(iv, data[:n]):])
		data = data[n:]
	}
}

func decryptCFB(block cipher.Block, iv, data []byte) {
	for len(data) > 0 {
		block.Encrypt(iv, iv)
		n := subtle.XORBytes(data, data, iv) // plain
		subtle.XORBytes(iv, iv, data[:n])    // what was cipher text
		clear(iv[n:])
		data = data[n:]
	}
}

func encryptCBC(block cipher.Block, iv, data []byte) {
	for n := len(iv); len(data) > 0; data = data[n:] {
		subtle.XORBytes(iv, iv, data[:n])
		block.Encrypt(iv, iv)
		copy(data, iv)
	}
}

func decryptCBC(block cipher.Block, iv, data []byte) {
	plain := make([]byte, len(iv))
	for n := len(iv); len(data) > 0; data = data[n:] {
		block.Decrypt(plain, data)
		subtle.XORBytes(plain, plain, iv)
		copy(iv, data)
		copy(data, plain)
	}
}

func streamOFB(block cipher.Block, iv, data []byte) {
	for len(data) > 0 {
		block.Encrypt(iv, iv)
		data = data[subtle.XORBytes(data, data, iv):]
	}
}

func streamCTR(block cipher.Block, iv, data []byte) {
	if len(data) == 0 {
		return
	}
	cipher.NewCTR(block, iv).XORKeyStream(data, data)
	carry := uint64((len(data) + len(iv) - 1) / len(iv))
	for i := len(iv) - 1; i >= 0 && carry != 0; i-- {
		carry += uint64(iv[i])
		iv[i] = byte(carry)
		carry >>= 8
	}
}
