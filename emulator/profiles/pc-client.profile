# What the PC Client Platform TPM Profile (PTP) 1.05 asks of a TPM, and no more:
# clients that run with it ask for nothing that a PC's TPM may lack.
profile pc-client title="what the PC Client Platform TPM Profile asks for"

identity manufacturer=SWMD vendor="SW   TPM" type=0 firmware=0.1.0.0
specification revision=159 year=2020 day=24
# PTP, section 4.2: family 1 is PC Client, the revision has the major number in
# its second octet and the minor one in its first, year and day are 0.
platform family=1 level=0 revision=0x105 year=0 day=0

# PTP, section 4.2, the least that may be reported.
limits transient=3 persistent=7 loaded-sessions=3 active-sessions=64
limits nv-index=2048 nv-buffer=512 input-buffer=1024
# PTP, section 4.5.1: 68 indices with 3,834 bytes together, beside the seven
# persistent objects: 7 * 2,000 + 68 * 152 + 3,834.
limits nv-memory=28170 nv-orderly-memory=512

# PTP, section 4.3, table 3, those marked M, and SHA-1, which no bank has.
algorithms RSA RSASSA RSAES RSAPSS OAEP
algorithms ECC ECDSA ECDH
algorithms AES SYMCIPHER CFB
algorithms SHA1 SHA256 SHA384 HMAC KEYEDHASH XOR
algorithms MGF1 KDF1_SP800_56A KDF1_SP800_108
# PTP, section 4.4, table 4. RSA-3072 and AES-256 are as strong as P-384.
curves NIST_P256 NIST_P384
bits rsa 2048 3072
bits aes 128 256

# PTP, section 4.7.
bank SHA256
bank SHA384

# Commands that the PTP leaves to the maker, because of what they are for: keys
# for direct anonymous attestation, encryption with a symmetric key, PCRs with an
# authorisation, certificates and timers.
omit Commit EC_Ephemeral ZGen_2Phase
omit EncryptDecrypt EncryptDecrypt2
omit PCR_SetAuthValue PCR_SetAuthPolicy
omit CertifyX509 ACT_SetTimeout
omit AC_GetCapability AC_Send Policy_AC_SendSelect
omit PP_Commands SetAlgorithmSet FieldUpgradeStart FieldUpgradeData FirmwareRead
# Commands that are newer than revision 1.59.
omit ECC_Encrypt ECC_Decrypt PolicyCapability PolicyParameters
omit NV_DefineSpace2 NV_ReadPublic2 SetCapability ReadOnlyControl PolicyTransportSPDM

# What has not been tested yet needs a test (Part 3, "TPM2_GetTestResult").
testing needs-test
