# A TPM of the TPM 2.0 Library version 185 (March 2026) with errata 1, and with
# everything that is implemented: keys of ML-KEM, ML-DSA and EdDSA besides RSA and ECC, and
# all commands.
profile v185 title="version 185 of the library, with post-quantum keys"

identity manufacturer=SWMD vendor="SW   TPM" type=1 firmware=0.1.0.0
# Part 2, table "TPM_PT": the version, the errata that are followed, and no year.
specification revision=185 errata=1 year=0
# As swtpm says of the platform: no profile of a platform is published for it yet.
platform family=0x322e3000 level=0 revision=164 year=2021 day=75

# What is signed with ML-DSA-87 does not fit in 4,096 bytes, and its keys do not fit in
# a context of 2,048.
limits buffer=8192 input-buffer=1024
limits transient=3 persistent=7 loaded-sessions=3 active-sessions=64
limits nv-index=2048 nv-buffer=1024 nv-memory=131072 nv-orderly-memory=512
limits object-context=3200 session-context=404

algorithms MLKEM MLDSA HASH_MLDSA
parameter-sets mlkem 512 768 1024
parameter-sets mldsa 44 65 87

algorithms RSA RSASSA RSAES RSAPSS OAEP
algorithms ECC ECDSA ECDH ECDAA SM2 ECSCHNORR ECMQV
algorithms EDDSA HASH_EDDSA HKDF
algorithms AES SYMCIPHER CTR OFB CBC CFB ECB CMAC
algorithms SHA1 SHA256 SHA384 SHA512 SHA3_256 SHA3_384 SHA3_512 HMAC KEYEDHASH XOR
algorithms SHAKE256_192 SHAKE256_256 SHAKE256_512
algorithms MGF1 KDF1_SP800_56A KDF2 KDF1_SP800_108
curves NIST_P192 NIST_P224 NIST_P256 NIST_P384 NIST_P521 BN_P256 BN_P638 SM2_P256 CURVE_25519 CURVE_448
bits rsa 1024 2048 3072 4096
bits aes 128 192 256

bank SHA1
bank SHA256
bank SHA384
bank SHA512
