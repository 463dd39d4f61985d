# The smallest TPM that still serves Linux and IMA: one hash, one curve, one cipher,
# the fewest slots that commands can do with, and the commands that Linux, IMA and
# an attester send. Who depends on more without asking finds out here.
profile tiny title="as little as Linux, IMA and an attester can do with"

identity manufacturer=SWMD vendor="TINY" type=1 firmware=0.1.0.0

# A response has room for TPM_PT_MAX_CAP_BUFFER, 1,024 bytes, and three sessions.
limits buffer=1280 input-buffer=256
# One command can name three objects and three sessions.
limits transient=3 persistent=2 loaded-sessions=3 active-sessions=3
# Two persistent objects, and 2,048 bytes for indices.
limits nv-index=512 nv-buffer=256 nv-memory=6048 nv-orderly-memory=64
limits object-context=512 session-context=256

algorithms ECC ECDSA ECDH
algorithms AES SYMCIPHER CFB
algorithms SHA256 HMAC KEYEDHASH
algorithms KDF1_SP800_56A KDF1_SP800_108
curves NIST_P256
bits aes 128

bank SHA256

commands Startup Shutdown SelfTest GetTestResult GetCapability
# Linux: drivers/char/tpm/tpm2-cmd.c, tpm2-sessions.c and tpm2-space.c.
commands GetRandom PCR_Read PCR_Extend ReadPublic CreatePrimary
commands StartAuthSession FlushContext ContextSave ContextLoad
# Trusted keys: security/keys/trusted-keys/trusted_tpm2.c.
commands Create Load Unseal PolicyPCR PolicyAuthValue PolicyGetDigest
# Firmware and loaders.
commands HashSequenceStart SequenceUpdate SequenceComplete EventSequenceComplete PCR_Event
commands NV_DefineSpace NV_UndefineSpace NV_Write NV_Read NV_ReadPublic
# Attestation: a key, its credential, quotes.
commands EvictControl ActivateCredential PolicySecret Quote
# Who owns it.
commands HierarchyChangeAuth HierarchyControl Clear
