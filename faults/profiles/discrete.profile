# A discrete TPM chip. The times are magnitudes, and no measurement of one chip.
# Sign: a study of Chrome's with ECDSA P-256 found a median of 200 ms and a 95th percentile
# of 600 ms (https://stiankri.substack.com/p/tpm-performance); RSASSA is taken for as slow.
# CreatePrimary: 251 ms for a storage key, Unseal and what belongs to it 1.35 s in all
# (https://github.com/systemd/systemd/issues/40485, comment of 2026-03-02); an RSA key takes
# seconds, which is why Linux waits 300 s for it (drivers/char/tpm/tpm2-cmd.c).
# PCR_Extend: one in 3 to 4 ms (https://github.com/systemd/systemd/issues/42615, times of
# systemd-pcrextend). GetRandom: 17 kB/s at best
# (https://github.com/tpm2-software/tpm2-tss/issues/2678). NV: a setup that defines and
# writes indices took 4.1 s (https://github.com/systemd/systemd/issues/40159, comment of
# 2026-05-10). All others: a guess between those.
PCR_Extend,PCR_Read,PCR_Event,PCR_Reset 3ms..4ms
GetRandom 4ms
GetCapability,ReadClock,GetTestResult,FlushContext,NV_ReadPublic,ReadPublic 2ms..5ms
Sign,Quote,Certify,CertifyCreation,GetTime,NV_Certify,RSA_Decrypt,ECDH_ZGen 200ms~600ms
CreatePrimary 250ms~4s
Create,CreateLoaded 250ms~10s
Load,Unseal,ContextLoad,ContextSave,Import 50ms..150ms
StartAuthSession 10ms..60ms
NV_DefineSpace,NV_UndefineSpace,NV_Write,NV_Extend,NV_Increment,EvictControl,Clear 100ms~1s
SelfTest 100ms..800ms
* 5ms..20ms
