package emulator

import (
	"crypto/cipher"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Session-based encryption of the first parameter (Part 1, chapter
// "Session-based encryption").

// decryptParameter decrypts the first parameter, which is a TPM2B, in a copy of
// the parameters. The code it fails with is bare.
func (t *TPM) decryptParameter(c *call) wire.RC {
	s := &c.sessions[c.decrypt]
	r := wire.NewReader(c.parameters, nil)
	size := int(r.U16())
	if rc := r.RC(); rc != wire.RCSuccess {
		return rc
	}
	if size > r.Len() {
		return wire.RCSize
	}
	t.plain = append(t.plain[:0], c.parameters...)
	t.cryptParameter(s, s.Nonce, s.loaded.NonceTPM.Bytes(), t.plain[2:2+size], crypt.Decrypt)
	c.in = wire.NewReader(t.plain, t.algs.Selectors())
	return wire.RCSuccess
}

// encryptParameter encrypts the first response parameter, which is a TPM2B, in
// place.
func (t *TPM) encryptParameter(c *call) {
	s := &c.sessions[c.encrypt]
	b := c.out.Data()[c.paramsAt:]
	size := int(binary.BigEndian.Uint16(b))
	t.cryptParameter(s, s.loaded.NonceTPM.Bytes(), s.Nonce, b[2:2+size], crypt.Encrypt)
}

// cryptParameter encrypts or decrypts data in place. If the session authorizes
// something its authValue is part of the key, also where the session is bound to
// it.
func (t *TPM) cryptParameter(s *authSession, newer, older, data []byte, mode blockMode) {
	var space [2 * wire.MaxDigest]byte
	key := append(space[:0], s.loaded.Key.Bytes()...)
	if s.entity != nil {
		key = append(key, s.entity.authValue()...)
	}
	alg, sym := s.loaded.AuthHash, s.loaded.Symmetric
	if sym.Alg == wire.AlgXOR {
		crypt.XORObfuscation(alg, key, newer, older, data)
		return
	}
	keySize, block := int(sym.KeyBits)/8, crypt.CipherBlockSize(sym.Alg)
	k := crypt.KDFa(alg, key, "CFB", newer, older, (keySize+block)*8)
	b, err := crypt.NewBlockCipher(sym.Alg, k[:keySize])
	if err == nil {
		err = mode(b, wire.AlgCFB, k[keySize:], data)
	}
	if err != nil {
		panic("internal error: a session has a cipher that cannot be used: " + err.Error())
	}
}

// blockMode is crypt.Encrypt or crypt.Decrypt.
type blockMode func(block cipher.Block, mode wire.AlgID, iv, data []byte) error
