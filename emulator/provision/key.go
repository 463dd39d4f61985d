package provision

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Kind says what a key is for.
type Kind string

// The kinds of keys.
const (
	Endorsement Kind = "ek"     // decrypts credentials
	Attestation Kind = "ak"     // signs attestation structures
	IAK         Kind = "iak"    // the first attestation key, for the life of the device
	IDevID      Kind = "idevid" // the identity of the device, for the life of the device
)

// A Key says how a key is made and where it is found.
type Key struct {
	Kind Kind
	// Name is the algorithm, such as rsa2048 or ecc-p384.
	Name string
	// Template is the name that the source gives the template, such as L-1.
	Template string
	// Handle is the persistent handle.
	Handle wire.Handle
	// Certificate is the NV index of the certificate, DER. Nonce and TemplateIndex
	// are those of the nonce and of the template, 0 where the source has none.
	Certificate, Nonce, TemplateIndex wire.Handle

	public wire.Public
}

// String returns kind and algorithm, such as "ek rsa2048".
func (k *Key) String() string { return string(k.Kind) + " " + k.Name }

// Public returns the template, a TPMT_PUBLIC.
func (k *Key) Public() []byte {
	w := wire.NewWriter(nil)
	w.Public(&k.public)
	return w.Data()
}

// An UnknownKeyError is a name that no key of a kind has.
type UnknownKeyError struct {
	Kind  Kind
	Name  string
	Known []string
}

func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("there is no %s %q: the algorithms are %s", e.Kind, e.Name, strings.Join(e.Known, ", "))
}

// Keys returns the keys of a kind, the ones that are asked for first where nobody
// says which.
func Keys(kind Kind) []Key {
	switch kind {
	case Endorsement:
		return endorsementKeys()
	case Attestation:
		return attestationKeys()
	}
	return deviceKeys(kind)
}

// KeyNamed returns the key of a kind with a name, or an *UnknownKeyError.
func KeyNamed(kind Kind, name string) (Key, error) {
	all := Keys(kind)
	at := slices.IndexFunc(all, func(k Key) bool { return k.Name == name })
	if at < 0 {
		e := &UnknownKeyError{Kind: kind, Name: name}
		for i := range all {
			e.Known = append(e.Known, all[i].Name)
		}
		return Key{}, e
	}
	return all[at], nil
}

// algorithm is what the templates of one algorithm have in common.
type algorithm struct {
	name string
	bits uint16     // RSA
	c    wire.Curve // ECC
	hash wire.AlgID // of the Name, and of signatures
	aes  uint16     // bits of the key that protects children
}

var algorithms = map[string]algorithm{
	"rsa2048":  {"rsa2048", 2048, 0, wire.AlgSHA256, 128},
	"rsa3072":  {"rsa3072", 3072, 0, wire.AlgSHA384, 256},
	"rsa4096":  {"rsa4096", 4096, 0, wire.AlgSHA384, 256},
	"ecc-p256": {"ecc-p256", 0, wire.CurveNISTP256, wire.AlgSHA256, 128},
	"ecc-p384": {"ecc-p384", 0, wire.CurveNISTP384, wire.AlgSHA384, 256},
	"ecc-p521": {"ecc-p521", 0, wire.CurveNISTP521, wire.AlgSHA512, 256},
}

// noScheme is TPM_ALG_NULL in place of a scheme.
var noScheme = wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull}

// parms are the parameters of a storage key, or of a signing key, whose scheme is ECDSA
// or the one for RSA; TPM_ALG_NULL leaves the choice to who signs.
func (a *algorithm) parms(signing bool, rsa wire.AlgID) wire.PublicParms {
	p := wire.PublicParms{Type: wire.AlgECC, Curve: a.c, KDF: noScheme, Scheme: noScheme,
		Sym: wire.SymDef{Alg: wire.AlgAES, KeyBits: a.aes, Mode: wire.AlgCFB}}
	scheme := wire.AlgECDSA
	if a.bits != 0 {
		p = wire.PublicParms{Type: wire.AlgRSA, KeyBits: a.bits, Scheme: noScheme, Sym: p.Sym}
		scheme = rsa
	}
	if signing {
		p.Sym = wire.SymDef{Alg: wire.AlgNull}
		if p.Scheme = noScheme; scheme != wire.AlgNull {
			p.Scheme = wire.Scheme{Alg: scheme, Hash: a.hash}
		}
	}
	return p
}

// made are attributes of every key here: it is of this TPM, which has made it.
const made = wire.ObjectFixedTPM | wire.ObjectFixedParent | wire.ObjectSensitiveDataOrigin

// endorsementKeys are the templates of EK profile, annex B.3 (low range) and B.4
// (high range). The indices are those of sections 2.2.1.4 and 2.2.1.5, the handles
// swtpm_setup's (0.11 has one for each of the low range, P-384, P-521, RSA 3072 and
// 4096), which follow the indices.
func endorsementKeys() []Key {
	const attributes = made | wire.ObjectAdminWithPolicy | wire.ObjectRestricted | wire.ObjectDecrypt
	low := func(name, template string, handle, certificate wire.Handle) Key {
		a := algorithms[name]
		k := Key{Kind: Endorsement, Name: name, Template: template, Handle: handle,
			Certificate: certificate, Nonce: certificate + 1, TemplateIndex: certificate + 2}
		k.public = wire.Public{NameAlg: a.hash, Attributes: attributes, AuthPolicy: policyA, Parms: a.parms(false, 0)}
		// The low range has zeros, or the nonce, in unique.
		if a.bits != 0 {
			k.public.Unique = make([]byte, a.bits/8)
		} else {
			k.public.Point = wire.ECPoint{X: make([]byte, 32), Y: make([]byte, 32)}
		}
		return k
	}
	high := func(name, template string, number wire.Handle) Key {
		a := algorithms[strings.TrimSuffix(name, highSuffix)]
		k := Key{Kind: Endorsement, Name: name, Template: template, Handle: 0x81010000 + number,
			Certificate: 0x01C00000 + number, TemplateIndex: 0x01C00001 + number}
		k.public = wire.Public{NameAlg: a.hash, Attributes: attributes | wire.ObjectUserWithAuth,
			AuthPolicy: policyB[a.hash], Parms: a.parms(false, 0)}
		return k
	}
	return []Key{
		low("rsa2048", "L-1", 0x81010001, 0x01C00002),
		high("ecc-p384", "H-3", 0x16),
		low("ecc-p256", "L-2", 0x8101000A, 0x01C0000A),
		high("ecc-p521", "H-4", 0x18),
		high("rsa3072", "H-6", 0x1C),
		high("rsa4096", "H-7", 0x1E),
		high("rsa2048"+highSuffix, "H-1", 0x12),
		high("ecc-p256"+highSuffix, "H-2", 0x14),
	}
}

// highSuffix tells the templates of the high range from those of the low one where
// an algorithm has both.
const highSuffix = "-high"

// attestationKeys are not TCG's: the indices are those of Google's virtual TPM, where
// go-tpm-tools looks for a certificate and the template (client.GceAttestationKeyRSA
// and ECC), the handles those of go-tpm-tools (client.DefaultAKRSAHandle and ECC).
func attestationKeys() []Key {
	ak := func(name string, handle, certificate wire.Handle) Key {
		a := algorithms[name]
		k := Key{Kind: Attestation, Name: name, Template: "go-tpm-tools", Handle: handle,
			Certificate: certificate, TemplateIndex: certificate + 1}
		k.public = wire.Public{NameAlg: a.hash, Attributes: made | wire.ObjectUserWithAuth | wire.ObjectRestricted | wire.ObjectSignEncrypt,
			Parms: a.parms(true, wire.AlgRSASSA)}
		return k
	}
	return []Key{
		ak("ecc-p256", 0x81008F00, 0x01C10002),
		ak("rsa2048", 0x81008F01, 0x01C10000),
	}
}

// deviceKeys are the templates of DevID, section 7.3.4: that of a signing key has no
// scheme for RSA, that of an attestation key has one. unique is of section 7.3.1; of a
// point y stays empty, as with swtpm_setup (keylime's agent has the text in x and in y,
// which makes another key). The certificates are at the beginning of the ranges of
// DevID 1.10, section 7.3.2, and these and the handles are swtpm_setup's.
func deviceKeys(kind Kind) (keys []Key) {
	head := Key{Kind: kind, Handle: 0x81020001, Certificate: 0x01C90100}
	attributes, policies, unique := made|wire.ObjectUserWithAuth|wire.ObjectAdminWithPolicy|wire.ObjectSignEncrypt, iakPolicy, "IAK"
	scheme := wire.AlgRSAPSS
	if kind == IDevID {
		head.Handle, head.Certificate = 0x81020000, 0x01C90200
		policies, unique, scheme = idevidPolicy, "IDEVID", wire.AlgNull
	} else {
		attributes |= wire.ObjectRestricted
	}
	for _, of := range []struct{ name, template string }{
		{"ecc-p384", "H-3"}, {"ecc-p256", "H-2"}, {"ecc-p521", "H-4"}, {"rsa2048", "H-1"}, {"rsa3072", "H-6"}, {"rsa4096", "H-7"},
	} {
		a, k := algorithms[of.name], head
		k.Name, k.Template = of.name, of.template
		k.public = wire.Public{NameAlg: a.hash, Attributes: attributes, AuthPolicy: policies[a.hash], Parms: a.parms(true, scheme)}
		if a.bits != 0 {
			k.public.Unique = []byte(unique)
		} else {
			k.public.Point.X = []byte(unique)
		}
		keys = append(keys, k)
	}
	return keys
}

// The policies of the templates.
var (
	// policyA is TPM2_PolicySecret(TPM_RH_ENDORSEMENT), EK profile, annex B.
	policyA = unhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
	// policyB is policyA, or a policy in the NV index 0x01C07F01 to 0x01C07F03:
	// EK profile, annex B.
	policyB = map[wire.AlgID][]byte{
		wire.AlgSHA256: unhex("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0"),
		wire.AlgSHA384: unhex("b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12"),
		wire.AlgSHA512: unhex("b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a4" +
			"29c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea"),
	}
	iakPolicy = map[wire.AlgID][]byte{
		wire.AlgSHA256: unhex("5437182326e414fca797d5f174615a1641f61255797c3a2b22c21d120b2d1e07"),
		wire.AlgSHA384: unhex("129d94ebf84556652c6eef43bbb757512ac87e52be7b349ca6ce4d826f749fcf672f51716c5cbb605f313bf345aab312"),
		wire.AlgSHA512: unhex("8060d1fb31716a29e48a6e5fece088bcfc1b278fc162255e81c3eca3544cd44a" +
			"f94410c3715d561cccd9e39a6cb2646d43535bb54ea88710deb5f7836bd9b586"),
	}
	idevidPolicy = map[wire.AlgID][]byte{
		wire.AlgSHA256: unhex("ad6b3a2284fd698a0710bf5cc1b9bdf15e2532e3f601fa4b93a6a8fa8de579ea"),
		wire.AlgSHA384: unhex("4db1aa836d0b5615df6ee53a40ef70c61c217f4303d44695925972bc927006cfa5cbdf6dc18c4dbe329b2f1542c3dd33"),
		wire.AlgSHA512: unhex("7dd7500fd6c1b94f97a6af910da147301ef28f662fee06f225a4ccadda3b4e6b" +
			"38e66b2f3ad5dee1a0503cd2daedb1e68cfe4f84b03a8cd22bb6a976f071a72f"),
	}
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("internal error: a policy is not hexadecimal: " + err.Error())
	}
	return b
}
