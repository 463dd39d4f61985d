package crypt

import (
	"bytes"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Self-tests of what version 185 of the library brought.

// knownSignature is one of the vectors below testdata/vectors. public and signature are
// SHA-256 digests of them.
type knownSignature struct {
	set                            wire.MLDSAParameterSet
	seed, random, message, context string
	public, signature              string
}

// testMLDSA has the first hedged signature of each parameter set of
// testdata/vectors/mldsa_kat.json.
func testMLDSA() ([]answer, error) {
	return testSignatures(pureSignatures[:], func(k *MLDSAKey, v *knownSignature) (*MLDSAMu, error) {
		m, err := NewMLDSAMu(k.Public(), octets(v.context))
		if err != nil {
			return nil, err
		}
		m.Write(octets(v.message))
		return m, nil
	})
}

// testHashMLDSA has the like of testMLDSA with three hashes.
func testHashMLDSA() ([]answer, error) {
	hashes := [...]wire.AlgID{wire.MLDSA44: wire.AlgSHA256, wire.MLDSA65: wire.AlgSHA384, wire.MLDSA87: wire.AlgSHA512}
	return testSignatures(hashSignatures[:], func(k *MLDSAKey, v *knownSignature) (*MLDSAMu, error) {
		m, err := NewHashMLDSAMu(k.Public(), octets(v.context), hashes[v.set])
		if err != nil {
			return nil, err
		}
		m.Write(Digest(hashes[v.set], nil, octets(v.message)))
		return m, nil
	})
}

func testSignatures(known []knownSignature, start func(*MLDSAKey, *knownSignature) (*MLDSAMu, error)) ([]answer, error) {
	var list []answer
	for i := range known {
		v := &known[i]
		k, err := NewMLDSAKey(v.set, octets(v.seed))
		if err != nil {
			return nil, err
		}
		m, err := start(k, v)
		if err != nil {
			return nil, err
		}
		mu := m.Sum(nil)
		signature, err := k.SignMu(mu, octets(v.random))
		if err != nil {
			return nil, err
		}
		list = append(list,
			answer{"public key", Digest(wire.AlgSHA256, nil, k.Public()), octets(v.public)},
			answer{"signature", Digest(wire.AlgSHA256, nil, signature), octets(v.signature)},
			holds("verification", k.VerifyMu(mu, signature)))
		mu[0] ^= 1
		list = append(list, holds("refusal", !k.VerifyMu(mu, signature)))
	}
	return list, nil
}

var pureSignatures = [...]knownSignature{
	{wire.MLDSA44, "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68", "6dbbc4375136df3b07f7c70e639e223e177e7fd53b161b3f4d57791794f12624", "20a7b7e10f70496cc38220b944def699", "1c781d9ac91004a4a0502757fec35e4a",
		"18288249b90bcbd48d473d2a507cc3c1e95e040f639ac3333a8ed1891de14552",
		"9d4700bde2146b470f14aff6165ada15c826766d8fb97506783575670414a96e"},
	{wire.MLDSA65, "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68", "6dbbc4375136df3b07f7c70e639e223e177e7fd53b161b3f4d57791794f12624", "20a7b7e10f70496cc38220b944def699", "1c781d9ac91004a4a0502757fec35e4a",
		"ab0f27cfe4f84d2a9fa74d48467439df9e5dd8401f8715f82ed70e43a371400a",
		"cd0510e3a61928b297cc4ab3386ad925949e6d540e5dc23743581ca7eee9fa18"},
	{wire.MLDSA87, "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68", "6dbbc4375136df3b07f7c70e639e223e177e7fd53b161b3f4d57791794f12624", "20a7b7e10f70496cc38220b944def699", "1c781d9ac91004a4a0502757fec35e4a",
		"b509c4ebd6b5fa67009c73cc7cebe55a3f38486a24acfbf9d91dd04f63e660b5",
		"430c9f4ecac41d1e8272590d4e830304b1f68d97e3109b99ec18626b06f30ded"},
}

var hashSignatures = [...]knownSignature{
	{wire.MLDSA44, "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68", "6dbbc4375136df3b07f7c70e639e223e177e7fd53b161b3f4d57791794f12624", "20a7b7e10f70496cc38220b944def699", "1c781d9ac91004a4a0502757fec35e4a",
		"18288249b90bcbd48d473d2a507cc3c1e95e040f639ac3333a8ed1891de14552",
		"f125bbee94e746f8e2a15afa1b3af31e41aba35a336d85732b48d2833b5b8b9e"},
	{wire.MLDSA65, "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68", "6dbbc4375136df3b07f7c70e639e223e177e7fd53b161b3f4d57791794f12624", "20a7b7e10f70496cc38220b944def699", "1c781d9ac91004a4a0502757fec35e4a",
		"ab0f27cfe4f84d2a9fa74d48467439df9e5dd8401f8715f82ed70e43a371400a",
		"98ad891d3384b96cbd20f509cf779023432a74374dc6b058fb4c5cb831c55d7e"},
	{wire.MLDSA87, "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68", "6dbbc4375136df3b07f7c70e639e223e177e7fd53b161b3f4d57791794f12624", "20a7b7e10f70496cc38220b944def699", "1c781d9ac91004a4a0502757fec35e4a",
		"b509c4ebd6b5fa67009c73cc7cebe55a3f38486a24acfbf9d91dd04f63e660b5",
		"a67d25028724a9d0ca6c92a511509cf2f3f858d097bec9ccac452d6afff6daa8"},
}

// testMLKEM has the first key of each parameter set of
// testdata/vectors/mlkem_keygen_acvp.json, whose public key has a known SHA-256 digest, and
// a ciphertext that is good and one that is rejected (FIPS 203, algorithm 18).
func testMLKEM() ([]answer, error) {
	var list []answer
	for _, v := range []struct {
		set          wire.MLKEMParameterSet
		seed, public string
	}{
		{wire.MLKEM512,
			"2cb843a02ef02ee109305f39119fabf49ab90a57ffecb3a0e75e179450f5276184cc9121ae56fbf39e67adbd83ad2d3e3bb80843645206bdd9f2f629e3cc49b7",
			"f96920dc6766df52dca2428e7e751c0c27d537424c0a3f5c89153c2d5d28f898"},
		{wire.MLKEM768,
			"e34a701c4c87582f42264ee422d3c684d97611f2523efe0c998af05056d693dca85768f3486bd32a01bf9a8f21ea938e648eae4e5448c34c3eb88820b159eedd",
			"7799c9d8eef172aa78c073514f2f039c240de8c5cb61bca82ba0bc46041ce279"},
		{wire.MLKEM1024,
			"49ac8b99bb1e6a8ea818261f8be68bdeaa52897e7ec6c40b530bc760ab77dce399e3246884181f8e1dd44e0c7629093330221fd67d9b7d6e1510b2dbad8762f7",
			"62fccf5fdf805b110670b39cd5e25b1811172961ea4047bfbd589e323ce7cfbc"},
	} {
		seed := octets(v.seed)
		k, err := NewMLKEMKey(v.set, seed)
		if err != nil {
			return nil, err
		}
		shared, ciphertext, err := MLKEMEncapsulate(v.set, k.Public(), bytes.NewReader(seed))
		if err != nil {
			return nil, err
		}
		good, err := k.Decapsulate(ciphertext)
		if err != nil {
			return nil, err
		}
		ciphertext[0] ^= 1
		bad, err := k.Decapsulate(ciphertext)
		if err != nil {
			return nil, err
		}
		rejected := Digest(wire.AlgSHAKE256_256, nil, append(seed[32:], ciphertext...))
		list = append(list,
			answer{"public key", Digest(wire.AlgSHA256, nil, k.Public()), octets(v.public)},
			answer{"shared secret", good, shared},
			answer{"implicit rejection", bad, rejected})
	}
	return list, nil
}

// testEdDSA has the second test of RFC 8032, section 7.1.
func testEdDSA() ([]answer, error) {
	public, signature := octets(example8032Public), octets(example8032Signature)
	made, err := SignEd25519(octets(example8032), []byte{0x72})
	if err != nil {
		return nil, err
	}
	return []answer{
		{"signature", made, signature},
		holds("verification", VerifyEd25519(public, []byte{0x72}, signature)),
		holds("refusal", !VerifyEd25519(public, []byte{0x73}, signature)),
	}, nil
}

// testHashEdDSA has the test of RFC 8032, section 7.3.
func testHashEdDSA() ([]answer, error) {
	digest, signature := Digest(wire.AlgSHA512, nil, []byte("abc")), octets(example8032phSignature)
	public, err := Ed25519Public(octets(example8032ph))
	if err != nil {
		return nil, err
	}
	made, err := SignEd25519ph(octets(example8032ph), digest)
	if err != nil {
		return nil, err
	}
	verified := VerifyEd25519ph(public, digest, signature)
	digest[0] ^= 1
	return []answer{
		{"signature", made, signature},
		holds("verification", verified),
		holds("refusal", !VerifyEd25519ph(public, digest, signature)),
	}, nil
}

const (
	example8032       = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
	example8032Public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

	example8032Signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
		"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"

	example8032ph = "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42"

	example8032phSignature = "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41" +
		"31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
)

// testHKDF has what DHKEM derives in RFC 9180, appendices A.1.1 and A.3.1, with keys of
// curve 25519 and P-256.
func testHKDF() ([]answer, error) {
	var list []answer
	for _, v := range []struct {
		curve                       wire.Curve
		private, ciphertext, shared string
	}{
		{wire.CurveCurve25519, "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
			"37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
			"fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc"},
		{wire.CurveNISTP256, "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
			"04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9" +
				"8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
			"c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8"},
	} {
		k, err := NewDHKEM(v.curve, wire.AlgSHA256)
		if err != nil {
			return nil, err
		}
		shared, err := k.Decapsulate(octets(v.private), octets(v.ciphertext))
		if err != nil {
			return nil, err
		}
		list = append(list, answer{"shared secret", shared, octets(v.shared)})
	}
	return list, nil
}
