package emulator_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func without(list []wire.AlgID, drop ...wire.AlgID) []wire.AlgID {
	return slices.DeleteFunc(list, func(a wire.AlgID) bool { return slices.Contains(drop, a) })
}

func TestAlgorithmsGoTogether(t *testing.T) {
	t.Parallel()
	all := emulator.DefaultAlgorithms
	p256 := []wire.Curve{wire.CurveNISTP256}
	ecc := []wire.AlgID{wire.AlgECC, wire.AlgECDSA, wire.AlgECDH, wire.AlgECDAA, wire.AlgSM2, wire.AlgECSchnorr, wire.AlgECMQV}
	rsa := []wire.AlgID{wire.AlgRSA, wire.AlgRSASSA, wire.AlgRSAES, wire.AlgRSAPSS, wire.AlgOAEP}
	for name, tc := range map[string]struct {
		c     emulator.Config
		field string // "" if it is a TPM
		text  string
	}{
		"default":                    {emulator.Config{}, "", ""},
		"one curve":                  {emulator.Config{Curves: p256}, "", ""},
		"no RSA":                     {emulator.Config{Algorithms: without(all(), append(rsa, wire.AlgMGF1)...)}, "", ""},
		"no ECC":                     {emulator.Config{Algorithms: without(all(), append(ecc, wire.AlgKDF1_SP800_56A)...)}, "", ""},
		"SM2":                        {emulator.Config{Algorithms: all(), Curves: []wire.Curve{wire.CurveSM2P256}}, "", ""},
		"no SHA-1":                   {emulator.Config{Algorithms: without(all(), wire.AlgSHA1)}, "", ""},
		"SHA-3 bank":                 {emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA3_256}}}, "", ""},
		"none":                       {emulator.Config{Algorithms: []wire.AlgID{}}, "Banks", "without an allocated one"},
		"unsupported":                {emulator.Config{Algorithms: append(all(), wire.AlgTDES)}, "Algorithms", "not supported"},
		"unknown curve":              {emulator.Config{Curves: []wire.Curve{0x42}}, "Curves", "0x0042"},
		"EdDSA":                      {emulator.Config{Algorithms: append(all(), wire.AlgEdDSA, wire.AlgHashEdDSA), Curves: append(emulator.DefaultCurves(), wire.CurveCurve25519)}, "", ""},
		"EdDSA without its curve":    {emulator.Config{Algorithms: append(all(), wire.AlgEdDSA)}, "Curves", "CURVE_25519"},
		"EdDSA of curve 448":         {emulator.Config{Algorithms: append(all(), wire.AlgEdDSA), Curves: append(emulator.DefaultCurves(), wire.CurveCurve448)}, "", ""},
		"Ed448ph without a digest":   {emulator.Config{Algorithms: append(all(), wire.AlgHashEdDSA), Curves: append(emulator.DefaultCurves(), wire.CurveCurve448)}, "Algorithms", "SHAKE256_512"},
		"HashEdDSA without a digest": {emulator.Config{Algorithms: append(without(all(), wire.AlgSHA512), wire.AlgHashEdDSA), Curves: append(emulator.DefaultCurves(), wire.CurveCurve25519)}, "Algorithms", "SHA512"},
		"RSA-4096":                   {emulator.Config{RSABits: []uint16{2048, 4096}}, "", ""},
		"RSA-512":                    {emulator.Config{RSABits: []uint16{512}}, "RSABits", "512"},
		"AES-64":                     {emulator.Config{AESBits: []uint16{64}}, "AESBits", "128 192 256"},
		"AES without sizes":          {emulator.Config{AESBits: []uint16{}}, "RSABits", "name a key size"},
		"no HMAC":                    {emulator.Config{Algorithms: without(all(), wire.AlgHMAC)}, "Algorithms", "sessions"},
		"no AES":                     {emulator.Config{Algorithms: without(all(), wire.AlgAES)}, "Algorithms", "saved contexts"},
		"RSA schemes without RSA":    {emulator.Config{Algorithms: without(all(), wire.AlgRSA)}, "Algorithms", "add it"},
		"ECC schemes without ECC":    {emulator.Config{Algorithms: without(all(), wire.AlgECC)}, "Algorithms", "add it"},
		"OAEP without MGF1":          {emulator.Config{Algorithms: without(all(), wire.AlgMGF1)}, "Algorithms", "add it"},
		"ECC without curves":         {emulator.Config{Curves: []wire.Curve{}}, "Curves", "some curve"},
		"curves without ECC":         {emulator.Config{Algorithms: without(all(), ecc...), Curves: p256}, "Curves", "add ECC"},
		"SM2 without its curve":      {emulator.Config{Algorithms: all(), Curves: p256}, "Curves", "its curve"},
		"bank without hash":          {emulator.Config{Algorithms: all(), Banks: []emulator.Bank{{Alg: wire.AlgSHA3_256}}}, "Banks", "switch the algorithm on too"},
	} {
		_, err := emulator.New(emulator.Platform{}, tc.c)
		if tc.field == "" {
			assert.NoError(t, err, name)
			continue
		}
		var bad *emulator.ConfigError
		if assert.ErrorAs(t, err, &bad, name) {
			assert.Equal(t, tc.field, bad.Field, name)
			assert.Contains(t, bad.Error(), tc.text, name)
		}
	}
}
