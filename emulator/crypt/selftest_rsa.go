package crypt

import (
	"bytes"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// exampleRSA makes the private key of an example, whose exponent is 65,537.
func exampleRSA(modulus, prime string) (*RSAPrivateKey, error) {
	public, err := NewRSAPublicKey(octets(modulus), 0)
	if err != nil {
		return nil, err
	}
	return NewRSAPrivateKey(public, octets(prime))
}

// The key of RFC 7520, section 3.4, the digest of the signature input of section
// 4.1.2 and its signature with RSASSA and SHA-256.
const (
	bilboModulus = "9f810fb4038273d02591e4073f31d2b6001b82cedb4d92f050165d47cfcab8a3" +
		"c41cb778ac7553793f8ef975768d1a2374d8712564c3bcd77b9ea43454489940" +
		"7cff0099920a931a24c4414852ab29bdb0a95c0653f36c60e60bf90b6258dda5" +
		"6f37047ba5c2d1d029af9c9d40bac7aa41c78a0dd1068add699e808fea011ea1" +
		"441d8a4f7bb4e97be39f55f1ddd44e9c4ba335159703d4d34b603e65147a4f23" +
		"d6d3c0996c75edee846a82d190ae10783c961cf0387aed2106d2d0555b6fd937" +
		"fad5535387e0ff72ffbe78941402b0b822ea2a74b6058c1dabf9b34a76cb63b8" +
		"7faa2c6847b8e2837fff91186e6b1c14911cf989a89092a81ce601ddacd3f9cf"
	bilboPrime = "dd297183f0f04d725c6fad3de51a17ca0402019e519c0bd9967a35ca11ed9d47" +
		"b1fdfa7b019ffd9d168eec75fff9215f1907aeb5aa364c38c301653856ea64f2" +
		"bc3d251d00cd9d0dd9fbee2009abfd60ac986a5e36a4277afd53ec8c84b2787c" +
		"50cb7e9f909a7e1922933844b2b9a7747e8bc4eaef44996c3e9e99bfc6d4ab49"
	bilboDigest    = "8fb2efe87f6da81ca06bf985ff9c40f4d92859f50273c4612bcaf0ade3ee9959"
	bilboSignature = "3118dd925cbbffea133d34b70173f8d6240818a6bcd00d19993b95e4c11a1e8c" +
		"675b67b9099e4d94ab5a8a7a0598a668a5d1ccd4ed94e26c3325d431f7dea2be" +
		"9f37c6e825208ecf3438bce309c1f810e4a01c00efcd7ce615fe12ce09230983" +
		"2c92b795f5916be5ed2f446796db98bfbe3a8984e1fea1d10faf0136dd6e48d0" +
		"ab5024c90ede5a004eb1f305b52adf5e468e103e871269d9c75c5c67b7c22cf5" +
		"4ce911157478f3d074bb96dc84bf75edf1c88ac368b19d8e5b8fc540216fa2f6" +
		"69789cd54d76a6874653428b510484fe823e66798a277178b8e6439dde906562" +
		"6eb21678d40c5ffdf7087bcbbd8a91fce28828ade7bbbe36d4e72d7c903aae0e"
)

// testRSA has the signature of RFC 7520, section 4.1, as a number.
func testRSA() ([]answer, error) {
	k, err := exampleRSA(bilboModulus, bilboPrime)
	if err != nil {
		return nil, err
	}
	encoded, err := padSSA(wire.AlgSHA256, octets(bilboDigest), k.Size())
	if err != nil {
		return nil, err
	}
	signature := octets(bilboSignature)
	public, err := k.Encrypt(signature)
	if err != nil {
		return nil, err
	}
	private, err := k.Decrypt(encoded)
	if err != nil {
		return nil, err
	}
	return []answer{{"public operation", public, encoded}, {"private operation", private, signature}}, nil
}

// testRSASSA has the example of RFC 7520, section 4.1.
func testRSASSA() ([]answer, error) {
	return testRSASignature(bilboModulus, bilboPrime, wire.Scheme{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA256}, bilboDigest, "", bilboSignature)
}

// testRSAPSS has example 1.1 of RSA Laboratories' pss-vect.txt to PKCS #1
// version 2.1, with the SHA-1 digest of its message.
func testRSAPSS() ([]answer, error) {
	const modulus = "a56e4a0e701017589a5187dc7ea841d156f2ec0e36ad52a44dfeb1e61f7ad991" +
		"d8c51056ffedb162b4c0f283a12a88a394dff526ab7291cbb307ceabfce0b1df" +
		"d5cd9508096d5b2b8b6df5d671ef6377c0921cb23c270a70e2598e6ff89d19f1" +
		"05acc2d3f0cb35f29280e1386b6f64c4ef22e1e1f20d0ce8cffb2249bd9a2137"
	const prime = "e7e8942720a877517273a356053ea2a1bc0c94aa72d55c6e86296b2dfc967948" +
		"c0a72cbccca7eacb35706e09a1df55a1535bd9b3cc34160b3b6dcd3eda8e6443"
	const digest = "cd8b6538cb8e8de566b68bd067569dbf1ee2718e"
	const salt = "dee959c7e06411361420ff80185ed57f3e6776af"
	const signature = "9074308fb598e9701b2294388e52f971faac2b60a5145af185df5287b5ed2887" +
		"e57ce7fd44dc8634e407c8e0e4360bc226f3ec227f9d9e54638e8d31f5051215" +
		"df6ebb9c2f9579aa77598a38f914b5b9c1bd83c4e2f9f382a0d0aa3542ffee65" +
		"984a601bc69eb28deb27dca12c82c2d4c3f66cd500f1ff2b994d8a4e30cbb33c"
	return testRSASignature(modulus, prime, wire.Scheme{Alg: wire.AlgRSAPSS, Hash: wire.AlgSHA1}, digest, salt, signature)
}

func testRSASignature(modulus, prime string, scheme wire.Scheme, digest, salt, signature string) ([]answer, error) {
	k, err := exampleRSA(modulus, prime)
	if err != nil {
		return nil, err
	}
	d := octets(digest)
	s, err := SignRSA(bytes.NewReader(octets(salt)), k, scheme, d)
	if err != nil {
		return nil, err
	}
	valid := VerifyRSA(&k.RSAPublicKey, scheme, d, octets(signature))
	d[0] ^= 1
	return []answer{
		{"signature", s, octets(signature)},
		holds("verification", valid),
		holds("verification of another digest", !VerifyRSA(&k.RSAPublicKey, scheme, d, s)),
	}, nil
}

// testRSAES has the encrypted key of RFC 7520, section 5.1, with the key of that
// section.
func testRSAES() ([]answer, error) {
	k, err := exampleRSA("99ac616ec981b5d43708dacabe9ad413a9fd95872b7a00cc2d835e4c059c2e3f"+
		"0d9cf53d5c861e8131d51d08f12834873f697e1798d2eeca691b5c20740a99ca"+
		"19d6bd785836f70ced17e02b1a8dc7fc401f1e9fdf2cbbb3e33d3d2342c0f0b6"+
		"961e94024478234d04855f65af2a4cf4f8b8941528a7db797d2f56e543706809"+
		"6586b77ea2c4063e321e23575e1d3c31f994c7bb70bad0fbbf2c9225ea12a7f7"+
		"06f0694980e1c47905dda981b698ec04a0b230946ed60968d2074a81d7a6b51d"+
		"259294300cd5d1638a3df03a38f238a32a4169d8ef319e19023dc19d769262c1"+
		"1985ab9e4d7bd90787993808c8ca1d9efd538829532c9c3ac9600568b4696f31",
		"d83c10999e371684e743c224523dc198a45fe448769a2cd9039c442763229d41"+
			"37b1d4d82922ed684a1e917f6f6c166e5b11dd56133a52728227fda2364f19d1"+
			"ac8b6072f4fc6db56977fdfae9f29c4a54b07ec71d39252e9600cce3b1d59815"+
			"963a3101d58d9f7862105ae364b6464bb94e1fe6b74109430d0a09389d951665")
	if err != nil {
		return nil, err
	}
	message, cipher := octets("deac93561216b798eea99502a5f46aa6f6aec01f79e8c1092f646dfbca97292a"),
		octets("95a2f12348fe9cb1fefc180b397328ccac66cbd81f7f2da04ddbeacdf4e28490"+
			"6ebb3c60d15ef293558296741e3c5bc6d8afa9bd295673d05121acc3ae7e7445"+
			"c45a8bfff74c338ddfde47ddceb6b48a2e249e17691bd81c58d94d9d865dfcfc"+
			"60022671cf754df9345970b61795db6fbd42950d430c7d79d6d9691fbedfd9f7"+
			"fbc624b187da127b062b7064d22d479e0addfaaf52addce4a3ec4c81417a1994"+
			"dec8c5bca13007e021eeccbf5ace4ce23923c350a9e5d75bc565ccd9a8c5a18c"+
			"9f2dd89c68abe567fa42dda706ae2a0da3dd9da02eb8650611e71e9483b5c31d"+
			"41a7221f82f7e33a1301b3d33c5cbdb6dc5838ef1946b0c5dd7ee63ee236aa57")
	return testRSAEncryption(k, wire.Scheme{Alg: wire.AlgRSAES}, message, nil, cipher)
}

// testOAEP has example 1.1 of RSA Laboratories' oaep-vect.txt to PKCS #1 version
// 2.1, with SHA-1 and no label.
func testOAEP() ([]answer, error) {
	k, err := exampleRSA("a8b3b284af8eb50b387034a860f146c4919f318763cd6c5598c8ae4811a1e0ab"+
		"c4c7e0b082d693a5e7fced675cf4668512772c0cbc64a742c6c630f533c8cc72"+
		"f62ae833c40bf25842e984bb78bdbf97c0107d55bdb662f5c4e0fab9845cb514"+
		"8ef7392dd3aaff93ae1e6b667bb3d4247616d4f5ba10d4cfd226de88d39f16fb",
		"d32737e7267ffe1341b2d5c0d150a81b586fb3132bed2f8d5262864a9cb9f30a"+
			"f38be448598d413a172efb802c21acf1c11c520c2f26a471dcad212eac7ca39d")
	if err != nil {
		return nil, err
	}
	return testRSAEncryption(k, wire.Scheme{Alg: wire.AlgOAEP, Hash: wire.AlgSHA1},
		octets("6628194e12073db03ba94cda9ef9532397d50dba79b987004afefe34"), octets("18b776ea21069d69776a33e96bad48e1dda0a5ef"),
		octets("354fe67b4a126d5d35fe36c777791a3f7ba13def484e2d3908aff722fad468fb"+
			"21696de95d0be911c2d3174f8afcc201035f7b6d8e69402de5451618c21a535f"+
			"a9d7bfc5b8dd9fc243f8cf927db31322d6e881eaa91a996170e657a05a266426"+
			"d98c88003f8477c1227094a0d9fa1e8c4024309ce1ecccb5210035d47ac72e8a"))
}

// testRSAEncryption decrypts an example, and gets it back with the random bytes
// that it was made with. An example that keeps them for itself has them in its
// padding, as RSAES has.
func testRSAEncryption(k *RSAPrivateKey, scheme wire.Scheme, message, random, cipher []byte) ([]answer, error) {
	plain, err := DecryptRSA(k, scheme, nil, cipher)
	if err != nil {
		return nil, err
	}
	if random == nil {
		padded, err := k.Decrypt(cipher)
		if err != nil {
			return nil, err
		}
		random = padded[2 : len(padded)-len(message)-1]
	}
	c, err := EncryptRSA(bytes.NewReader(random), &k.RSAPublicKey, scheme, nil, message)
	if err != nil {
		return nil, err
	}
	return []answer{{"decryption", plain, message}, {"encryption", c, cipher}}, nil
}
