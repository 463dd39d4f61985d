package emulator

import (
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// DefaultAlgorithms are those of swtpm 0.7.1 that this TPM has.
func DefaultAlgorithms() []wire.AlgID {
	return []wire.AlgID{
		wire.AlgRSA, wire.AlgSHA1, wire.AlgHMAC, wire.AlgAES, wire.AlgMGF1, wire.AlgKeyedHash, wire.AlgXOR,
		wire.AlgSHA256, wire.AlgSHA384, wire.AlgSHA512, wire.AlgRSASSA, wire.AlgRSAES, wire.AlgRSAPSS, wire.AlgOAEP,
		wire.AlgECDSA, wire.AlgECDH, wire.AlgECDAA, wire.AlgSM2, wire.AlgECSchnorr, wire.AlgECMQV, wire.AlgKDF1_SP800_56A,
		wire.AlgKDF2, wire.AlgKDF1_SP800_108, wire.AlgECC, wire.AlgSymCipher, wire.AlgCMAC, wire.AlgCTR, wire.AlgOFB, wire.AlgCBC, wire.AlgCFB, wire.AlgECB,
	}
}

// DefaultCurves are those of swtpm 0.7.1, all of which this TPM has.
func DefaultCurves() []wire.Curve {
	return []wire.Curve{
		wire.CurveNISTP192, wire.CurveNISTP224, wire.CurveNISTP256, wire.CurveNISTP384, wire.CurveNISTP521,
		wire.CurveBNP256, wire.CurveBNP638, wire.CurveSM2P256,
	}
}

// dependencies says which algorithms need which other one; those without alg
// are needed by the TPM itself.
var dependencies = [...]struct {
	alg, needs wire.AlgID
	why        string
}{
	{wire.AlgNull, wire.AlgHMAC, "sessions are authorized with it"},
	{wire.AlgNull, wire.AlgKeyedHash, "every TPM has sealed data and HMAC keys"},
	{wire.AlgNull, wire.AlgKDF1_SP800_108, "every key of the TPM is derived with it"},
	{wire.AlgNull, wire.AlgAES, "saved contexts and protected objects are encrypted with it"},
	{wire.AlgNull, wire.AlgCFB, "saved contexts and protected objects are encrypted with it"},

	// TCG Algorithm Registry rev 1.34, table 2, column "Dep".
	{wire.AlgRSASSA, wire.AlgRSA, "it is a scheme for such keys"},
	{wire.AlgRSAES, wire.AlgRSA, "it is a scheme for such keys"},
	{wire.AlgRSAPSS, wire.AlgRSA, "it is a scheme for such keys"},
	{wire.AlgOAEP, wire.AlgRSA, "it is a scheme for such keys"},
	{wire.AlgECDSA, wire.AlgECC, "it is a scheme for such keys"},
	{wire.AlgECDH, wire.AlgECC, "it is a scheme for such keys"},
	{wire.AlgECDAA, wire.AlgECC, "it is a scheme for such keys"},
	{wire.AlgSM2, wire.AlgECC, "it is a scheme for such keys"},
	{wire.AlgECSchnorr, wire.AlgECC, "it is a scheme for such keys"},
	{wire.AlgECMQV, wire.AlgECC, "it is a scheme for such keys"},
	{wire.AlgEdDSA, wire.AlgECC, "it is a scheme for such keys"},
	{wire.AlgHashEdDSA, wire.AlgECC, "it is a scheme for such keys"},

	// What storage keys of a type share their secrets with (Part 1, annexes "RSA"
	// and "ECC", sections on secret sharing).
	{wire.AlgRSA, wire.AlgOAEP, "seeds and salts are shared with it"},
	{wire.AlgECC, wire.AlgECDH, "seeds and salts are shared with it"},
	{wire.AlgECC, wire.AlgKDF1_SP800_56A, "seeds and salts are shared with it"},
	{wire.AlgRSAPSS, wire.AlgMGF1, "its padding is made with it"},
	{wire.AlgOAEP, wire.AlgMGF1, "its padding is made with it"},
	{wire.AlgHKDF, wire.AlgECDH, "it is for such keys"},
}

// checkAlgorithms refuses algorithms and curves that do not go together.
func (c Config) checkAlgorithms() (*crypt.Registry, error) {
	on := func(alg wire.AlgID) bool { return slices.Contains(c.Algorithms, alg) }
	reg, err := crypt.NewRegistry(crypt.Selection{Algorithms: c.Algorithms, Curves: c.Curves, RSABits: c.RSABits, AESBits: c.AESBits,
		MLKEMSets: c.MLKEMSets, MLDSASets: c.MLDSASets, NoExternalMu: c.NoExternalMu})
	if err != nil {
		return nil, &ConfigError{Field: fieldOf(err), Err: err}
	}
	for _, d := range dependencies {
		switch {
		case on(d.needs):
		case d.alg == wire.AlgNull:
			return nil, &ConfigError{Field: "Algorithms", Value: fmt.Sprintf("without %v", d.needs), Hint: "add it: " + d.why}
		case on(d.alg):
			return nil, &ConfigError{Field: "Algorithms", Value: fmt.Sprintf("%v without %v", d.alg, d.needs), Hint: "add it: " + d.why}
		}
	}
	switch {
	case on(wire.AlgECC) && len(c.Curves) == 0:
		return nil, &ConfigError{Field: "Curves", Value: "without one", Hint: "ECC is on, so that some curve must be"}
	case len(c.RSABits) == 0 || len(c.AESBits) == 0:
		return nil, &ConfigError{Field: "RSABits", Value: "empty, or AESBits is", Hint: "name a key size, or leave it nil"}
	case !on(wire.AlgECC) && len(c.Curves) > 0:
		return nil, &ConfigError{Field: "Curves", Value: c.Curves, Hint: "add ECC to Algorithms"}
	case (on(wire.AlgEdDSA) || on(wire.AlgHashEdDSA)) && !slices.ContainsFunc(c.Curves, isMontgomery):
		return nil, &ConfigError{Field: "Curves", Value: c.Curves, Hint: "EDDSA or HASH_EDDSA is on, so that CURVE_25519 or CURVE_448 must be"}
	case on(wire.AlgSM2) && !slices.Contains(c.Curves, wire.CurveSM2P256):
		return nil, &ConfigError{Field: "Curves", Value: c.Curves, Hint: "SM2 is on, so that its curve must be"}
	}
	for _, curve := range c.Curves {
		if m := crypt.MontgomeryCurveOf(curve); m != nil && on(wire.AlgHashEdDSA) && !on(m.Hash) {
			return nil, &ConfigError{Field: "Algorithms", Value: fmt.Sprintf("%v and %v without %v", wire.AlgHashEdDSA, curve, m.Hash), Hint: "add it: it signs digests of it"}
		}
	}
	return reg, c.checkParameterSets(on(wire.AlgMLKEM), on(wire.AlgMLDSA) || on(wire.AlgHashMLDSA))
}

func isMontgomery(curve wire.Curve) bool { return crypt.MontgomeryCurveOf(curve) != nil }

// checkParameterSets refuses parameter sets of keys that there are not, and keys
// without one.
func (c Config) checkParameterSets(mlkem, mldsa bool) error {
	switch {
	case !mlkem && len(c.MLKEMSets) > 0:
		return &ConfigError{Field: "MLKEMSets", Value: c.MLKEMSets, Hint: "add MLKEM to Algorithms"}
	case mlkem && c.MLKEMSets != nil && len(c.MLKEMSets) == 0:
		return &ConfigError{Field: "MLKEMSets", Value: "empty", Hint: "name a parameter set, or leave it nil"}
	case !mldsa && len(c.MLDSASets) > 0:
		return &ConfigError{Field: "MLDSASets", Value: c.MLDSASets, Hint: "add MLDSA or HASH_MLDSA to Algorithms"}
	case mldsa && c.MLDSASets != nil && len(c.MLDSASets) == 0:
		return &ConfigError{Field: "MLDSASets", Value: "empty", Hint: "name a parameter set, or leave it nil"}
	}
	return nil
}

// fieldOf is the field of Config that crypt.NewRegistry complains about.
func fieldOf(err error) string {
	switch err := err.(type) {
	case *crypt.UnsupportedCurveError:
		return "Curves"
	case *crypt.UnsupportedSetError:
		return map[wire.AlgID]string{wire.AlgMLKEM: "MLKEMSets", wire.AlgMLDSA: "MLDSASets"}[err.Alg]
	case *crypt.UnsupportedBitsError:
		return map[wire.AlgID]string{wire.AlgRSA: "RSABits", wire.AlgAES: "AESBits"}[err.Alg]
	}
	return "Algorithms"
}
