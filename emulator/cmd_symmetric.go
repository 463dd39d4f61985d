package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Symmetric Primitives": encryption. TPM2_Hash is in cmd_hash_sequence.go,
// HMAC and MAC are in cmd_hash_sequence_mac.go.

// maxIV is the size in bytes of a TPM2B_IV.
const maxIV = 16

// encryption are the parameters of TPM2_EncryptDecrypt and TPM2_EncryptDecrypt2,
// and the numbers that they have there.
type encryption struct {
	decrypt  bool
	mode     wire.AlgID
	iv, data []byte

	modeParam, ivParam, dataParam int
}

// encryptDecrypt is TPM2_EncryptDecrypt.
func (t *TPM) encryptDecrypt(c *call) wire.RC {
	p := encryption{modeParam: 2, ivParam: 3, dataParam: 4}
	p.decrypt = c.yesNo()
	p.mode = c.next().CipherMode(true)
	p.iv = c.sized(maxIV)
	p.data = c.buffer()
	return t.cryptData(c, &p)
}

// encryptDecrypt2 is TPM2_EncryptDecrypt2, whose first parameter a session can
// encrypt.
func (t *TPM) encryptDecrypt2(c *call) wire.RC {
	p := encryption{dataParam: 1, modeParam: 3, ivParam: 4}
	p.data = c.buffer()
	p.decrypt = c.yesNo()
	p.mode = c.next().CipherMode(true)
	p.iv = c.sized(maxIV)
	return t.cryptData(c, &p)
}

// cryptData encrypts or decrypts with a symmetric key.
func (t *TPM) cryptData(c *call, p *encryption) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	if !o.loaded() || o.public.Parms.Type != wire.AlgSymCipher {
		return c.badHandle(1, wire.RCKey)
	}
	use := wire.ObjectSignEncrypt
	if p.decrypt {
		use = wire.ObjectDecrypt
	}
	if !o.has(use) || o.has(wire.ObjectRestricted) {
		return c.badHandle(1, wire.RCAttributes)
	}
	sym := o.public.Parms.Sym
	switch {
	case sym.Mode == wire.AlgCMAC:
		return c.badHandle(1, wire.RCMode)
	case sym.Mode != wire.AlgNull && p.mode != wire.AlgNull && p.mode != sym.Mode,
		sym.Mode == wire.AlgNull && p.mode == wire.AlgNull:
		return c.badParam(p.modeParam, wire.RCMode)
	case sym.Mode == wire.AlgNull:
		sym.Mode = p.mode
	}
	block := crypt.CipherBlockSize(sym.Alg)
	iv := block
	if sym.Mode == wire.AlgECB {
		iv = 0
	}
	if len(p.iv) != iv {
		return c.badParam(p.ivParam, wire.RCSize)
	}
	if (sym.Mode == wire.AlgCBC || sym.Mode == wire.AlgECB) && len(p.data)%block != 0 {
		return c.badParam(p.dataParam, wire.RCSize)
	}
	cipher, err := crypt.NewBlockCipher(sym.Alg, o.sensitive.Data)
	if err != nil {
		return rcOf(err)
	}
	mode := crypt.Encrypt
	if p.decrypt {
		mode = crypt.Decrypt
	}
	var space [maxIV]byte
	chain := space[:copy(space[:], p.iv)]
	at := c.out.Len() + 2
	c.out.Sized(p.data)
	if err := mode(cipher, sym.Mode, chain, c.out.Data()[at:]); err != nil {
		return rcOf(err)
	}
	c.out.Sized(chain)
	return wire.RCSuccess
}
