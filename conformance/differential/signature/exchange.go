package signature

import (
	"crypto/ecdh"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/curve448"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// An Agreement is a curve on which the owners of two keys agree on a secret. Private keys
// are those of a sensitive area with all its zeros. Public keys are 4, x and y, or of
// curves 25519 and 448 what RFC 7748 has. A secret is an x. The bool of a method reports
// whether the keys are keys of the curve that share a secret.
type Agreement interface {
	Public(private []byte) (public []byte, ok bool)
	IsPublic(public []byte) bool
	Secret(private, peer []byte) (secret []byte, ok bool)
}

// Exchange returns a curve of crypto/ecdh or package curve448, nil for one that neither has.
func Exchange(id tpm2.TPMECCCurve) Agreement {
	switch id {
	case tpm2.TPMECCNistP256:
		return library{ecdh.P256()}
	case tpm2.TPMECCNistP384:
		return library{ecdh.P384()}
	case tpm2.TPMECCNistP521:
		return library{ecdh.P521()}
	case wire.Curve25519:
		return library{ecdh.X25519()}
	case wire.Curve448:
		return x448{}
	}
	return nil
}

// Montgomery reports whether the public keys of a curve have no y.
func Montgomery(id tpm2.TPMECCCurve) bool { return id == wire.Curve25519 || id == wire.Curve448 }

// library is a curve of crypto/ecdh.
type library struct{ ecdh.Curve }

func (c library) Public(private []byte) ([]byte, bool) {
	k, err := c.NewPrivateKey(private)
	if err != nil {
		return nil, false
	}
	return k.PublicKey().Bytes(), true
}

func (c library) IsPublic(public []byte) bool {
	_, err := c.NewPublicKey(public)
	return err == nil
}

func (c library) Secret(private, peer []byte) ([]byte, bool) {
	k, err := c.NewPrivateKey(private)
	if err != nil {
		return nil, false
	}
	p, err := c.NewPublicKey(peer)
	if err != nil {
		return nil, false
	}
	secret, err := k.ECDH(p)
	return secret, err == nil
}

// x448 is curve 448.
type x448 struct{}

func (x448) Public(private []byte) ([]byte, bool) {
	if len(private) != curve448.ExchangeSize {
		return nil, false
	}
	return curve448.ExchangePublic(private), true
}

func (x448) IsPublic(public []byte) bool { return len(public) == curve448.ExchangeSize }

func (c x448) Secret(private, peer []byte) ([]byte, bool) {
	if len(private) != curve448.ExchangeSize || !c.IsPublic(peer) {
		return nil, false
	}
	return curve448.Exchange(private, peer)
}
