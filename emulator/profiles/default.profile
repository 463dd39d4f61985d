# The TPM without a profile: like swtpm 0.7.1 with libtpms 0.9.2, whose
# TPM2_GetCapability gives the numbers here but for these:
#   algorithms it lacks: TDES CAMELLIA
#   commands newer than its revision: ECC_Encrypt ECC_Decrypt PolicyCapability
#     PolicyParameters NV_DefineSpace2 NV_ReadPublic2 ReadOnlyControl
#     PolicyTransportSPDM
#   fixed properties with values of its own: MANUFACTURER FIRMWARE_VERSION_1
#     FIRMWARE_VERSION_2 MAX_OBJECT_CONTEXT TOTAL_COMMANDS LIBRARY_COMMANDS
profile default title="like swtpm"

# Tools recognise a software TPM by the vendor string and the type.
identity manufacturer=SWMD vendor="SW   TPM" type=1 firmware=0.1.0.0
# TPM 2.0 Library, revision 1.64, 16 March 2021. swtpm says the same of the
# platform, with "2.0" as its family.
specification revision=164 year=2021 day=75
platform family=0x322e3000 level=0 revision=164 year=2021 day=75

limits buffer=4096 input-buffer=1024
limits transient=3 persistent=7 loaded-sessions=3 active-sessions=64
limits nv-index=2048 nv-buffer=1024 nv-memory=131072 nv-orderly-memory=512
# Three objects and the sessions of Linux's resource manager share a page
# (drivers/char/tpm/tpm2-space.c).
limits object-context=2048 session-context=404

algorithms RSA RSASSA RSAES RSAPSS OAEP
algorithms ECC ECDSA ECDH ECDAA SM2 ECSCHNORR ECMQV
algorithms AES SYMCIPHER CTR OFB CBC CFB ECB CMAC
algorithms SHA1 SHA256 SHA384 SHA512 HMAC KEYEDHASH XOR
algorithms MGF1 KDF1_SP800_56A KDF2 KDF1_SP800_108
curves NIST_P192 NIST_P224 NIST_P256 NIST_P384 NIST_P521 BN_P256 BN_P638 SM2_P256
bits rsa 1024 2048 3072
bits aes 128 256

bank SHA1
bank SHA256
bank SHA384
bank SHA512
