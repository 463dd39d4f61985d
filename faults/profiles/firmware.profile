# A TPM in firmware, which shares a processor with other work. The times are magnitudes, and
# no measurement of one machine: most commands are fast, and some of them wait for the
# flash or for what else the processor does, which drivers and users see as stutter.
# Sign: 178 RSA-2048 signatures a second with AMD's, a Ryzen 5 3600
# (https://hackmd.io/@nemoz/BkjT3ygh9). All others: a guess from that.
Sign,Quote,Certify,RSA_Decrypt 5ms~20ms
CreatePrimary,Create,CreateLoaded 100ms~2s
NV_DefineSpace,NV_UndefineSpace,NV_Write,NV_Extend,NV_Increment,EvictControl,Clear 10ms~300ms
* 1ms~30ms
