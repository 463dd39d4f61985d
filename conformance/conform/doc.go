// Package conform asks a TPM questions whose answers the TPM 2.0 Library states, and
// reports which of them it answers as stated.
//
// A [Case] is a question as data: a name that says what is asked and what the answer is,
// the section that states it, what it needs of the TPM, what harm it does, and its
// steps. A [Runner] runs cases on any transport.Device; a [Report] has what became of
// them. The cases themselves are in package cases.
//
// # How to write a case
//
// Cases are values of one function per chapter, in a file of package cases:
//
//	conform.Ask(nvRead, "NV_Read of an index that is not written answers TPM_RC_NV_UNINITIALIZED",
//		conform.Define(tpm2.TPMRHOwner, 0, ordinary, 8),
//		conform.Do(tpm2.TPMCCNVRead, owner, index(0)).With(u16(8), u16(0)).
//			Fails(tpm2.TPMRCNVUninitialized))
//
// The name is a sentence: command, situation, answer. No two cases have the same one.
// The section is where the specification states the answer, as revision 1.59 numbers it;
// Since is the revision from which on a TPM must answer so. What the specification leaves
// open is no case. Where it allows two answers, Fails names both.
//
// A [Step] is a command made of parts: U8, U16, U32, Bytes, [Sized] around other parts, and
// those that only the TPM at hand has: [Handle], [Field], [Name], [Nonce], [Policy], [Salt].
// Named gives the answer a label that later parts refer to. Without By a step has
// the passwords that its handles need; By with [In] is an HMAC session, whose HMAC
// the client computes; By without anything leaves the authorization area out. Giving
// tells the authorization value of what is made, so that later steps know it. Edited
// breaks the bytes. A step has to succeed unless Fails says otherwise.
//
// Of each success the client checks what it can compute by itself: HMACs, Names, creation
// data, policy digests, signatures. Checks look at the rest. A step with Client asks through
// go-tpm.
//
// A label that begins with @ is a [Fixture], an object that cases share. A case has room
// for three transient objects, fixtures included.
//
// Whatever a case makes is taken away when it ends: objects, sessions, NV indices, of which
// there are those from Index(0) to Index(15), and persistent objects. An
// index with TPMA_NV_POLICY_DELETE has the policy of
// TPM2_PolicyCommandCode(TPM2_NV_UndefineSpaceSpecial). All else that it
// changes is Harm, and Then puts back what can be put back. Without harm are: objects,
// sessions, own NV indices without dictionary attack protection (TPMA_NV_NO_DA, noDA),
// and PCR 16 and 23, which Needs.PCR asks for and which the case resets.
package conform
