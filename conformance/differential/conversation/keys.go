package conversation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"sync"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Key is a key whose private part is known here, so that the result of a TPM can be
// computed and compared byte by byte.
type Key struct {
	Name string
	Kind tpm2.TPMAlgID
	RSA  *rsa.PrivateKey
	ecc  *ecdsa.PrivateKey
	// Curve of an ECC key.
	Curve tpm2.TPMECCCurve
	// Secret is the sensitive part: one prime, the private scalar, the bytes of
	// a symmetric key or of a keyed hash.
	Secret []byte
}

// keys are all keys. Each is computed when somebody asks for it: programs start that never do.
var keys = []struct {
	name string
	key  func() *Key
}{
	{"rsa", sync.OnceValue(func() *Key {
		return rsaKey("rsa",
			"cb1f3ff68ea00df719dacedd7fc1e6476fe25d8b8a88b0a5c91452dc927d66f616a7145b71ac5691fde2331768ef4f6ace64342deba260299ece112e2c6ccc4e"+
				"4f5dd7c0061882141b1f471680b6ccbd13bf6a75464ce3ccba7b5a2321d61335b06eafcb86a7478d91c790d4b3539c0520302fab5904a4da6347f761a5f90a23",
			"e03da146e32b5b973ab6e0b3ef86db0503937ba05545c6c4647aea66614d0e64053208959f2dde9bc0ff0faad084ea235229f4c04cf22f74b1b553e8f4b0a51c"+
				"a982f5efefc38c3f63711fe82e53561a94fd89cc2019b335fe25e0c2d6bee4eb94494f6e15e5704821376a4df6ebd406bf9299e30ec8683b9dd8b24173f98331")
	})},
	{"rsa1024", sync.OnceValue(func() *Key {
		return rsaKey("rsa1024",
			"d50dc15c5dbb01607ea7f30c76e4efb42930bf8aaef5ffa185dacac83f3613323e84909fd46825d74914c953529b05ca2f929a78073cc33fd07eb82c62183fc7",
			"c3a75e23ea62fa0ef82b1bb51fdbada5f0946d65c495f040400d48054087b431babaef8cced08252b36ffc297a1168b8187b5bf2121156ca4f330f800f81f261")
	})},
	{"p256", sync.OnceValue(func() *Key {
		return eccKey("p256", tpm2.TPMECCNistP256, elliptic.P256(), "27512016649b7b6a035212f9b12b09ca22052146a05d215408bbce6b8f628a23")
	})},
	{"p384", sync.OnceValue(func() *Key {
		return eccKey("p384", tpm2.TPMECCNistP384, elliptic.P384(),
			"7730c50a0c057f14f3c1e41af0ef1b80f8248ae7cdb3c4aec6dc7a66ac40c0e70a2aa551170da8904671736200649477")
	})},
	{"hmac", func() *Key { return &hmacKey }},
	{"aes128", func() *Key { return &aesKey }},
	{"sealed", func() *Key { return &sealedData }},
}

// Keys of which nothing is computed.
var (
	hmacKey    = Key{Name: "hmac", Kind: tpm2.TPMAlgKeyedHash, Secret: []byte("thirty-two bytes make a good key")}
	aesKey     = Key{Name: "aes128", Kind: tpm2.TPMAlgSymCipher, Secret: []byte("sixteen bytes do")}
	sealedData = Key{Name: "sealed", Kind: tpm2.TPMAlgKeyedHash, Secret: []byte("what nobody should know")}
)

// Keys returns all keys. They are public, and for tests only.
var Keys = sync.OnceValue(func() []*Key {
	all := make([]*Key, len(keys))
	for i := range keys {
		all[i] = keys[i].key()
	}
	return all
})

// KeyNamed returns the key with a name, nil if there is none.
func KeyNamed(name string) *Key {
	for _, k := range keys {
		if k.name == name {
			return k.key()
		}
	}
	return nil
}

func rsaKey(name, p, q string) *Key {
	primes := []*big.Int{fromHex(p), fromHex(q)}
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(primes[0], one), new(big.Int).Sub(primes[1], one))
	private := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(primes[0], primes[1]), E: wire.RSAExponent},
		D:         new(big.Int).ModInverse(big.NewInt(wire.RSAExponent), phi),
		Primes:    primes,
	}
	private.Precompute()
	return &Key{Name: name, Kind: tpm2.TPMAlgRSA, RSA: private, Secret: primes[0].Bytes()}
}

func eccKey(name string, id tpm2.TPMECCCurve, curve elliptic.Curve, scalar string) *Key {
	secret := fromHex(scalar).FillBytes(make([]byte, (curve.Params().BitSize+7)/8))
	private, err := ecdsa.ParseRawPrivateKey(curve, secret)
	if err != nil {
		panic("differential: key " + name + ": " + err.Error()) // a constant is wrong
	}
	return &Key{Name: name, Kind: tpm2.TPMAlgECC, ecc: private, Curve: id, Secret: secret}
}

func fromHex(digits string) *big.Int {
	n, ok := new(big.Int).SetString(digits, 16)
	if !ok {
		panic("differential: " + digits + " is not hexadecimal") // a constant is wrong
	}
	return n
}

// Unique returns the unique field of the public area of an asymmetric key
// (TPMU_PUBLIC_ID).
func (k *Key) Unique() []byte {
	if k.RSA != nil {
		return wire.Sized(k.RSA.N.Bytes())
	}
	point, err := k.ecc.PublicKey.Bytes()
	if err != nil {
		panic("differential: key " + k.Name + ": " + err.Error())
	}
	half := (len(point) - 1) / 2
	return append(wire.Sized(point[1:1+half]), wire.Sized(point[1+half:])...)
}

// Asymmetric reports whether it is an RSA or ECC key.
func (k *Key) Asymmetric() bool { return k.Kind == tpm2.TPMAlgRSA || k.Kind == tpm2.TPMAlgECC }
