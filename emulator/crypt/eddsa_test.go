package crypt_test

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Keys of EdDSA that are used once.

func eddsaPublic(id wire.Curve, private []byte) ([]byte, error) {
	return crypt.MontgomeryCurveOf(id).EdDSAPublic(private)
}

func ed25519Public(private []byte) ([]byte, error) {
	return eddsaPublic(wire.CurveCurve25519, private)
}

func ed448Public(private []byte) ([]byte, error) { return eddsaPublic(wire.CurveCurve448, private) }

func signEd25519(private, message []byte) ([]byte, error) {
	k, err := crypt.NewEd25519Key(private)
	if err != nil {
		return nil, err
	}
	return k.Sign(message), nil
}

func signEd25519ph(private, digest []byte) ([]byte, error) {
	k, err := crypt.NewEd25519Key(private)
	if err != nil {
		return nil, err
	}
	return k.SignPrehashed(digest)
}

func verifyEd448(public, message, signature []byte) bool {
	k, err := crypt.NewEd448PublicKey(public)
	return err == nil && k.Verify(message, signature)
}

func verifyEd448ph(public, digest, signature []byte) bool {
	k, err := crypt.NewEd448PublicKey(public)
	return err == nil && k.VerifyPrehashed(digest, signature)
}
