# Nine tenths of the time that Linux waits for each command: the slowest TPM that its
# drivers take. Source: drivers/char/tpm/tpm2-cmd.c, tpm2_ordinal_duration_index, and
# drivers/char/tpm/tpm.h: 750 ms, 2 s and 300 s, 120 s for all others. The commands of
# 300 s and 120 s have a tenth of a second here: nobody would wait for their tests.
Startup,PCR_Extend,GetCapability,SequenceComplete,SequenceUpdate,EventSequenceComplete,HashSequenceStart 675ms
SelfTest,GetRandom,NV_Read,HierarchyControl,HierarchyChangeAuth 1800ms
* 100ms
