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

// testEdDSA has the second tests of RFC 8032, sections 7.1 and 7.4.
func testEdDSA() ([]answer, error) {
	var list []answer
	for _, v := range []struct {
		curve                               wire.Curve
		private, public, signature, message string
	}{
		{wire.CurveCurve25519, example8032, example8032Public, example8032Signature, "72"},
		{wire.CurveCurve448, example448, example448Public, example448Signature, "03"},
	} {
		key, public, err := exampleEdDSA(v.curve, octets(v.private), octets(v.public))
		if err != nil {
			return nil, err
		}
		message, signature := octets(v.message), octets(v.signature)
		list = append(list,
			answer{"signature", key.Sign(message), signature},
			holds("verification", public.Verify(message, signature)))
		message[0] ^= 1
		list = append(list, holds("refusal", !public.Verify(message, signature)))
	}
	return list, nil
}

// testHashEdDSA has the test of RFC 8032, section 7.3, and the first of section 7.5.
func testHashEdDSA() ([]answer, error) {
	var list []answer
	for _, v := range []struct {
		curve                      wire.Curve
		private, public, signature string
	}{
		{wire.CurveCurve25519, example8032ph, example8032phPublic, example8032phSignature},
		{wire.CurveCurve448, example448ph, example448phPublic, example448phSignature},
	} {
		key, public, err := exampleEdDSA(v.curve, octets(v.private), octets(v.public))
		if err != nil {
			return nil, err
		}
		digest, signature := Digest(MontgomeryCurveOf(v.curve).Hash, nil, []byte("abc")), octets(v.signature)
		made, err := key.SignPrehashed(digest)
		if err != nil {
			return nil, err
		}
		list = append(list, answer{"signature", made, signature}, holds("verification", public.VerifyPrehashed(digest, signature)))
		digest[0] ^= 1
		list = append(list, holds("refusal", !public.VerifyPrehashed(digest, signature)))
	}
	return list, nil
}

func exampleEdDSA(id wire.Curve, private, public []byte) (EdDSAKey, EdDSAPublicKey, error) {
	m := MontgomeryCurveOf(id)
	key, err := m.NewEdDSAKey(private)
	if err != nil {
		return nil, nil, err
	}
	open, err := m.NewEdDSAPublicKey(public)
	return key, open, err
}

const (
	example8032       = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
	example8032Public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

	example8032Signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
		"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"

	example8032ph = "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42"

	example8032phPublic = "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"

	example8032phSignature = "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41" +
		"31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"

	example448 = "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463a" +
		"fbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e"

	example448Public = "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c086" +
		"6aea01eb00742802b8438ea4cb82169c235160627b4c3a9480"

	example448Signature = "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f435" +
		"2541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cb" +
		"cee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0f" +
		"f3348ab21aa4adafd1d234441cf807c03a00"

	example448ph = "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42" +
		"ef7822e0d5104127dc05d6dbefde69e3ab2cec7c867c6e2c49"

	example448phPublic = "259b71c19f83ef77a7abd26524cbdb3161b590a48f7d17de3ee0ba9c52beb743" +
		"c09428a131d6b1b57303d90d8132c276d5ed3d5d01c0f53880"

	example448phSignature = "822f6901f7480f3d5f562c592994d9693602875614483256505600bbc281ae38" +
		"1f54d6bce2ea911574932f52a4e6cadd78769375ec3ffd1b801a0d9b3f4030cd" +
		"433964b6457ea39476511214f97469b57dd32dbc560a9a94d00bff07620464a3" +
		"ad203df7dc7ce360c3cd3696d9d9fab90f00"
)

// testHKDF has what DHKEM derives in RFC 9180, appendices A.1.1 and A.3.1, with keys of
// curve 25519 and P-256, and in its test vectors with one of curve 448.
func testHKDF() ([]answer, error) {
	var list []answer
	for _, v := range []struct {
		curve                       wire.Curve
		hash                        wire.AlgID
		private, ciphertext, shared string
	}{
		{wire.CurveCurve25519, wire.AlgSHA256, "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
			"37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
			"fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc"},
		{wire.CurveNISTP256, wire.AlgSHA256, "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
			"04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9" +
				"8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
			"c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8"},
		{wire.CurveCurve448, wire.AlgSHA512, "27a4354608f3bdd38f1f5af305f3e0682efe4e25808249d8fcb55927f6a9f446" +
			"b8dc1d0a2c3b8cb133a5673b59a6d55ce754ec0c9a555401",
			"71b965384ed06d5ddf43ae816ca30d8cd61235e98d13fe011cfdba7d19488134" +
				"c626f087d3fd9b6aaa4d4115ef80e9074b53f2c0fa3d5ecc",
			"e0f1ddf832f530335c9aabe5274f61e354d39f32ba4e33556446ee01877db615" +
				"0b046748d1f25d0c7f66bdb2632915c8d64e04649d23b4a3f0249c5a835434bf"},
	} {
		k, err := NewDHKEM(v.curve, v.hash)
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
