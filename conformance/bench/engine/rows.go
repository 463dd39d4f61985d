package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

type handles = []wire.Handle

// rows are those of the comparison. A TPM that has no such command ends it.
var rows = []row{
	{name: "GetRandom 16", command: always(et.Command(wire.CCGetRandom, nil, nil, et.U16(16)))},
	{name: "GetCapability", command: always(et.Command(wire.CCGetCapability, nil, nil, et.U32(6), et.U32(0x105), et.U32(1)))},
	{name: "PCR_Extend SHA-256", command: always(extend())},
	{name: "PCR_Read", command: always(et.Command(wire.CCPCRRead, nil, nil, et.Selection(wire.AlgSHA256, 10)))},
	{name: "Hash 64 bytes", command: always(et.Command(wire.CCHash, nil, nil, et.Sized(make([]byte, 64)), et.U16(uint16(wire.AlgSHA256)), et.U32(uint32(wire.RHNull))))},
	{name: "CreatePrimary P-256", command: primary(eccStorage), after: flushLoaded},
	{name: "CreatePrimary RSA-2048", command: primary(rsaStorage), after: flushLoaded},
	{name: "CreatePrimary RSA-2048 made before", command: always(et.Command(wire.CCCreatePrimary, handles{wire.RHOwner}, et.NoAuth(), creation(rsaStorage))), after: flushLoaded},
	{name: "Create P-256 signing key", setup: storage, command: create(eccSigning)},
	{name: "Create RSA-2048 signing key", setup: storage, command: create(rsaSigning)},
	{name: "Load P-256", setup: created(eccSigning), command: loadBlobs, after: flushLoaded},
	{name: "Load RSA-2048", setup: created(rsaSigning), command: loadBlobs, after: flushLoaded},
	{name: "Sign ECDSA P-256", setup: signer(eccSigning), command: sign},
	{name: "Sign ECDSA P-384", setup: signer(p384Signing), command: sign},
	{name: "Sign RSASSA-2048", setup: signer(rsaSigning), command: sign},
	{name: "VerifySignature ECDSA P-256", setup: signed(eccSigning), command: verify},
	{name: "VerifySignature ECDSA P-384", setup: signed(p384Signing), command: verify},
	{name: "VerifySignature RSASSA-2048", setup: signed(rsaSigning), command: verify},
	{name: "ECDH_KeyGen P-256", setup: signer(eccExchange), command: func(b *bench, _ int) []byte { return et.Command(wire.CCECDHKeyGen, handles{b.key}, nil) }},
	{name: "ECDH_ZGen P-256", setup: pointed, command: func(b *bench, _ int) []byte {
		return et.Command(wire.CCECDHZGen, handles{b.key}, et.NoAuth(), b.blobs...)
	}},
	{name: "Quote ECDSA P-256", setup: signer(eccSigning), command: quote},
	{name: "Quote RSASSA-2048", setup: signer(rsaSigning), command: quote},
	{name: "NV_Read 32", setup: index, command: always(nvCommand(wire.CCNVRead, et.U16(32), et.U16(0)))},
	{name: "NV_Write 32", setup: index, command: always(nvCommand(wire.CCNVWrite, et.Sized(make([]byte, 32)), et.U16(0)))},
	{name: "HMAC session start", command: always(startSession()), after: flushLoaded},
	{name: "PCR_Extend with HMAC session", setup: session, command: extendWithSession, after: rollNonce},
	{name: "ContextSave P-256", setup: signer(eccSigning), command: func(b *bench, _ int) []byte { return et.Command(wire.CCContextSave, handles{b.key}, nil) }},
	{name: "ContextLoad P-256", setup: saved(eccSigning), command: func(b *bench, _ int) []byte { return et.Command(wire.CCContextLoad, nil, nil, b.blobs[0]) }, after: flushLoaded},
}

// always sends the same command.
func always(command []byte) func(*bench, int) []byte {
	return func(*bench, int) []byte { return command }
}

func extend() []byte {
	return et.Command(wire.CCPCRExtend, handles{10}, et.NoAuth(), et.Digests(wire.HA{Hash: wire.AlgSHA256, Digest: make([]byte, 32)}))
}

// The templates of the keys.
const storageAttributes = wire.ObjectFixedTPM | wire.ObjectFixedParent | wire.ObjectSensitiveDataOrigin | wire.ObjectUserWithAuth |
	wire.ObjectNoDA | wire.ObjectRestricted | wire.ObjectDecrypt

const signingAttributes = wire.ObjectFixedTPM | wire.ObjectFixedParent | wire.ObjectSensitiveDataOrigin | wire.ObjectUserWithAuth |
	wire.ObjectNoDA | wire.ObjectSignEncrypt

var (
	null   = wire.Scheme{Alg: wire.AlgNull}
	aesCFB = wire.SymDef{Alg: wire.AlgAES, KeyBits: 128, Mode: wire.AlgCFB}
	noSym  = wire.SymDef{Alg: wire.AlgNull}

	eccStorage = wire.Public{NameAlg: wire.AlgSHA256, Attributes: storageAttributes,
		Parms: wire.PublicParms{Type: wire.AlgECC, Sym: aesCFB, Scheme: null, Curve: wire.CurveNISTP256, KDF: null}}
	rsaStorage = wire.Public{NameAlg: wire.AlgSHA256, Attributes: storageAttributes,
		Parms: wire.PublicParms{Type: wire.AlgRSA, Sym: aesCFB, Scheme: null, KeyBits: 2048}}
	eccSigning = wire.Public{NameAlg: wire.AlgSHA256, Attributes: signingAttributes,
		Parms: wire.PublicParms{Type: wire.AlgECC, Sym: noSym, Scheme: wire.Scheme{Alg: wire.AlgECDSA, Hash: wire.AlgSHA256}, Curve: wire.CurveNISTP256, KDF: null}}
	p384Signing = onP384(eccSigning)
	eccExchange = wire.Public{NameAlg: wire.AlgSHA256, Attributes: signingAttributes ^ wire.ObjectSignEncrypt ^ wire.ObjectDecrypt,
		Parms: wire.PublicParms{Type: wire.AlgECC, Sym: noSym, Scheme: null, Curve: wire.CurveNISTP256, KDF: null}}
	rsaSigning = wire.Public{NameAlg: wire.AlgSHA256, Attributes: signingAttributes,
		Parms: wire.PublicParms{Type: wire.AlgRSA, Sym: noSym, Scheme: wire.Scheme{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA256}, KeyBits: 2048}}
)

func onP384(p wire.Public) wire.Public {
	p.Parms.Curve = wire.CurveNISTP384
	return p
}

// creation are the parameters of TPM2_CreatePrimary and TPM2_Create.
func creation(p wire.Public) []byte {
	var w wire.Writer
	w.Sized([]byte{0, 0, 0, 0}) // no authValue, no data
	w.SizedPublic(&p)
	w.Sized(nil)
	w.U32(0)
	return w.Data()
}

// primary makes another key with every command: how long one takes depends on
// its seed, which is different in every TPM.
func primary(p wire.Public) func(*bench, int) []byte {
	return func(_ *bench, n int) []byte {
		p := p
		if p.Parms.Type == wire.AlgRSA {
			p.Unique = binary.BigEndian.AppendUint64(make([]byte, 248), uint64(n))
		} else {
			p.Point.X = binary.BigEndian.AppendUint64(make([]byte, 24), uint64(n))
		}
		return et.Command(wire.CCCreatePrimary, handles{wire.RHOwner}, et.NoAuth(), creation(p))
	}
}

// storage loads a P-256 storage key.
func storage(b *bench) error {
	var err error
	b.key, _, err = b.load(et.Command(wire.CCCreatePrimary, handles{wire.RHOwner}, et.NoAuth(), creation(eccStorage)))
	return err
}

func create(p wire.Public) func(*bench, int) []byte {
	return func(b *bench, _ int) []byte {
		return et.Command(wire.CCCreate, handles{b.key}, et.NoAuth(), creation(p))
	}
}

// created makes a key under a storage key; blobs are its private and public
// areas.
func created(p wire.Public) func(*bench) error {
	return func(b *bench) error {
		if err := storage(b); err != nil {
			return err
		}
		response, err := exchange(b.device, create(p)(b, 0))
		if err != nil {
			return err
		}
		r := wire.NewReader(et.Parameters(response, false), nil)
		b.blobs = [][]byte{et.Sized(r.Sized(0xFFFF)), et.Sized(r.Sized(0xFFFF))}
		return nil
	}
}

func loadBlobs(b *bench, _ int) []byte {
	return et.Command(wire.CCLoad, handles{b.key}, et.NoAuth(), b.blobs...)
}

// signer loads a key and nothing else.
func signer(p wire.Public) func(*bench) error {
	return func(b *bench) error {
		if err := created(p)(b); err != nil {
			return err
		}
		h, _, err := b.load(loadBlobs(b, 0))
		b.key = h
		return err
	}
}

var digest = sha256.Sum256([]byte("what is signed"))

func sign(b *bench, _ int) []byte {
	noTicket := append(et.U16(uint16(wire.STHashCheck)), append(et.U32(uint32(wire.RHNull)), 0, 0)...)
	return et.Command(wire.CCSign, handles{b.key}, et.NoAuth(), et.Sized(digest[:]), et.U16(uint16(wire.AlgNull)), noTicket)
}

// signed has a signature too.
func signed(p wire.Public) func(*bench) error {
	return func(b *bench) error {
		if err := signer(p)(b); err != nil {
			return err
		}
		response, err := exchange(b.device, sign(b, 0))
		b.blobs = [][]byte{et.Parameters(response, false)}
		return err
	}
}

func verify(b *bench, _ int) []byte {
	return et.Command(wire.CCVerifySignature, handles{b.key}, nil, et.Sized(digest[:]), b.blobs[0])
}

// pointed has another party's point for a key that agrees on secrets.
func pointed(b *bench) error {
	if err := signer(eccExchange)(b); err != nil {
		return err
	}
	response, err := exchange(b.device, et.Command(wire.CCECDHKeyGen, handles{b.key}, nil))
	if err != nil {
		return err
	}
	r := wire.NewReader(et.Parameters(response, false), nil)
	r.Sized(0xFFFF) // zPoint
	b.blobs = [][]byte{et.Sized(r.Sized(0xFFFF))}
	return nil
}

func quote(b *bench, _ int) []byte {
	return et.Command(wire.CCQuote, handles{b.key}, et.NoAuth(), et.Sized([]byte("nonce")), et.U16(uint16(wire.AlgNull)), et.Selection(wire.AlgSHA256, 0, 7, 10))
}

// saved has the context of a key, and the key flushed, so that there is a slot.
func saved(p wire.Public) func(*bench) error {
	return func(b *bench) error {
		if err := signer(p)(b); err != nil {
			return err
		}
		response, err := exchange(b.device, et.Command(wire.CCContextSave, handles{b.key}, nil))
		b.blobs = [][]byte{et.Parameters(response, false)}
		return err
	}
}

// nvIndex is the index of the NV rows, which stays defined.
const nvIndex = wire.NVIndexFirst + 0x500000

func nvCommand(code wire.CC, params ...[]byte) []byte {
	return et.Command(code, handles{nvIndex, nvIndex}, et.NoAuth(), params...)
}

func index(b *bench) error {
	_, err := exchange(b.device, et.Command(wire.CCNVReadPublic, handles{nvIndex}, nil))
	if err == nil {
		return nil
	}
	var w wire.Writer
	w.NVPublic(&wire.NVPublic{Index: nvIndex, NameAlg: wire.AlgSHA256, Size: 32,
		Attributes: wire.NVAuthRead | wire.NVAuthWrite | wire.NVOwnerRead | wire.NVOwnerWrite | wire.NVNoDA})
	if _, err := exchange(b.device, et.Command(wire.CCNVDefineSpace, handles{wire.RHOwner}, et.NoAuth(), et.Sized(nil), w.Data())); err != nil {
		return err
	}
	_, err = exchange(b.device, nvCommand(wire.CCNVWrite, et.Sized(make([]byte, 32)), et.U16(0)))
	return err
}

func startSession() []byte {
	return et.Command(wire.CCStartAuthSession, handles{wire.RHNull, wire.RHNull}, nil, et.Sized(make([]byte, 16)), et.Sized(nil),
		et.U8(uint8(wire.SEHMAC)), et.U16(uint16(wire.AlgNull)), et.U16(uint16(wire.AlgSHA256)))
}

// session starts an HMAC session.
func session(b *bench) error {
	h, parameters, err := b.load(startSession())
	if err != nil {
		return err
	}
	b.session, b.nonceTPM = h, parameters[2:]
	return nil
}

// extendWithSession authorizes with an HMAC, though the key is empty, so that
// it is computed and checked.
func extendWithSession(b *bench, _ int) []byte {
	plain := extend()
	parameters := plain[10+4+4+9:]
	cp := sha256.New()
	cp.Write(et.U32(uint32(wire.CCPCRExtend)))
	cp.Write(et.U32(10))
	cp.Write(parameters)
	nonce := make([]byte, 16)
	m := hmac.New(sha256.New, nil)
	m.Write(cp.Sum(nil))
	m.Write(nonce)
	m.Write(b.nonceTPM)
	m.Write([]byte{byte(wire.SessionContinue)})
	return et.CommandWithSessions(wire.CCPCRExtend, handles{10},
		[]wire.AuthCommand{{Session: b.session, Nonce: nonce, Attributes: wire.SessionContinue, HMAC: m.Sum(nil)}}, parameters)
}

// rollNonce remembers the nonce that the next HMAC is computed with.
func rollNonce(b *bench, response []byte) error {
	r := wire.NewReader(response[10+4:], nil)
	b.nonceTPM = append([]byte(nil), r.Sized(64)...)
	return nil
}
