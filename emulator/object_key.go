package emulator

import (
	"errors"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The keys of loaded objects in the form in which package crypt takes them.

// rcOf is the response code of an error of package crypt, TPM_RC_FAILURE for
// one that is not about what it was given.
func rcOf(err error) wire.RC {
	var refused *crypt.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return wire.RCFailure
}

// rsaPublic is the public part of an RSA key. It is kept with the object: what
// it computes in advance takes half as long as checking a signature.
func (o *object) rsaPublic() (*crypt.RSAPublicKey, wire.RC) {
	if o.rsaOpen == nil {
		k, err := crypt.NewRSAPublicKey(o.public.Unique, o.public.Parms.Exponent)
		if err != nil {
			return nil, rcOf(err)
		}
		o.rsaOpen = k
	}
	return o.rsaOpen, wire.RCSuccess
}

// rsaKey is an RSA key with both parts. It is kept with the object too.
func (o *object) rsaKey() (*crypt.RSAPrivateKey, wire.RC) {
	if o.rsa == nil {
		public, rc := o.rsaPublic()
		if rc != wire.RCSuccess {
			return nil, rc
		}
		k, err := crypt.NewRSAPrivateKey(public, o.sensitive.Data)
		if err != nil {
			return nil, rcOf(err)
		}
		o.rsa = k
	}
	return o.rsa, wire.RCSuccess
}

// curve is the curve of an ECC key, nil for one of curves 25519 and 448.
func (o *object) curve() *crypt.Curve { return crypt.CurveOf(o.public.Parms.Curve) }

// scalar is the private part of an ECC key.
func (o *object) scalar() *big.Int { return scalarOf(&o.sensitive) }

// scalarOf is the private part in the sensitive area of an ECC key.
func scalarOf(s *wire.Sensitive) *big.Int { return new(big.Int).SetBytes(s.Data) }

// sameNumber reports whether b is the number n, with or without leading zeros.
func sameNumber(b []byte, n *big.Int) bool { return new(big.Int).SetBytes(b).Cmp(n) == 0 }
