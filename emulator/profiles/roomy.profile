# A TPM with room for software that has no resource manager: neither tpm2-abrmd nor
# the kernel's /dev/tpmrm0 swaps objects and sessions for the clients of swtpmd's
# sockets, and a program that is killed before it flushes them leaves them loaded.
# What is not said here is as in the default profile.
profile roomy title="like swtpm, with room for software without a resource manager"

# As many as there can be.
limits transient=256 loaded-sessions=64 active-sessions=256
# 64 persistent objects take 128,000 bytes of the memory that they share with NV
# indices, and leave as much to these as the default profile has for both.
limits persistent=64 nv-memory=262144 nv-orderly-memory=4096
