// Package state holds everything a TPM remembers, as plain structs named by
// how long they live (TPM 2.0 Library Part 1, section "TPM Operational
// States", and Part 3, section "TPM2_Startup"), the one codec that turns them
// into bytes, and the Store those bytes are kept in.
//
//	Persistent  until changed by a command; survives everything
//	Orderly     kept over power loss, but exact only after TPM2_Shutdown
//	Reset       kept by TPM Restart and TPM Resume, made anew by TPM Reset
//	Clear       kept by TPM Resume only
//	Volatile    gone at _TPM_Init
//	NV          the NV indices, each as long as its attributes say
//
// The structs hold no pointers into each other, functions or interfaces, so
// that copying, comparing and encoding them is all there is to snapshots, to
// the debug mode that proves that an error changes nothing, and to fuzzing.
// FORMAT.md describes the bytes.
package state
