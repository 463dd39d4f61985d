# A discrete TPM as it sits on a mainboard: few slots, small buffers, one PCR bank,
# a library of some years ago. Software that was tested with a generous TPM meets
# here what it will meet in the field: without a resource manager the slots are
# soon full, a log with other digests has no bank to go to, and 1,281 bytes are no
# command. It is nobody's product, and does not say so.
#
# The numbers are those of an SLB 9670 with firmware 7.61, whose fixed properties
# tpm2-tools shows, where no other source is given.
profile hardware-like title="a discrete TPM with one PCR bank and few slots"

identity manufacturer=SWMD vendor="HARDWARE-LIKE" type=0 firmware=7.61.0.0
# TPM 2.0 Library, revision 1.38, of which most such TPMs are; PTP 1.04.
specification revision=138 year=2018 day=8
platform family=1 level=0 revision=0x104 year=0 day=0

limits buffer=1280 input-buffer=1024
limits transient=3 persistent=7 loaded-sessions=3 active-sessions=64
# About 7 KiB for indices, beside the seven persistent objects.
limits nv-index=1664 nv-buffer=768 nv-memory=21168 nv-orderly-memory=512
limits object-context=952 session-context=240

# The largest digest has 32 octets.
algorithms RSA RSASSA RSAES RSAPSS OAEP
algorithms ECC ECDSA ECDH ECDAA ECSCHNORR
algorithms AES SYMCIPHER CFB
algorithms SHA1 SHA256 HMAC KEYEDHASH XOR
algorithms MGF1 KDF1_SP800_56A KDF1_SP800_108
curves NIST_P256 BN_P256
bits rsa 1024 2048
bits aes 128

bank SHA256

# Commands that are newer than revision 1.38, and those that are there for
# countries and makers who want them.
omit AC_GetCapability AC_Send Policy_AC_SendSelect CertifyX509 ACT_SetTimeout
omit ECC_Encrypt ECC_Decrypt PolicyCapability PolicyParameters
omit NV_DefineSpace2 NV_ReadPublic2 SetCapability ReadOnlyControl PolicyTransportSPDM
omit EncryptDecrypt EncryptDecrypt2 PCR_SetAuthValue PCR_SetAuthPolicy SetAlgorithmSet

# What has not been tested yet needs a test (Part 3, "TPM2_GetTestResult").
testing needs-test
