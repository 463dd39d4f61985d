package cases

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// table makes cases of a specimen.
type table func(sp *specimen, command *conformance.Command) []conform.Case

// processingTables break each command in one place.
func processingTables() []conform.Case {
	var all []conform.Case
	for _, make := range []table{
		missingParameters, cutParameters, extraOctet, wrongHandleTypes, absentHandles, missingAuthorizations,
		superfluousPassword, wrongPasswords, undecryptable, unencryptable, sessionless,
	} {
		list := specimens()
		for i := range list {
			sp := &list[i]
			command, _ := conformance.Lookup(uint32(sp.code))
			for _, c := range make(sp, &command) {
				c.Section.Since = max(c.Section.Since, sp.since, section(sp.code).Since)
				all = append(all, c.Harming(sp.harm))
			}
		}
	}
	return all
}

// missingParameters leaves out parameters from one on.
func missingParameters(sp *specimen, command *conformance.Command) (all []conform.Case) {
	for n := range sp.parameters {
		step := sp.step().Fails(p(n+1, tpm2.TPMRCInsufficient))
		step.Parameters = sp.parameters[:n]
		all = append(all, ask(parameterUnmarshal, fmt.Sprintf("%s that ends before parameter %d answers TPM_RC_INSUFFICIENT for it", command.Name, n+1), sp.with(step)...))
	}
	return all
}

// cutParameters ends the command in the middle of a parameter.
func cutParameters(sp *specimen, command *conformance.Command) (all []conform.Case) {
	for n := range sp.parameters {
		if raw, ok := sp.parameters[n].(raw); ok && len(raw) == 1 {
			continue // it has no middle
		}
		step := sp.step().Fails(p(n+1, tpm2.TPMRCInsufficient)).Edited(conform.CutTo(-1))
		step.Parameters = sp.parameters[:n+1]
		all = append(all, ask(parameterUnmarshal, fmt.Sprintf("%s that ends in the middle of parameter %d answers TPM_RC_INSUFFICIENT for it", command.Name, n+1), sp.with(step)...))
	}
	return all
}

// extraOctet has one octet too many.
func extraOctet(sp *specimen, command *conformance.Command) []conform.Case {
	step := sp.step().Fails(tpm2.TPMRCSize).Edited(conform.Extra(0))
	return []conform.Case{ask(parameterUnmarshal, command.Name+" with an octet after its parameters answers TPM_RC_SIZE", sp.with(step)...)}
}

// wrongType is a handle of a type that a command does not take.
type wrongType struct {
	handle raw
	what   string
}

// wrongTypes are handles that are not of a kind, but of another one.
func wrongTypes() map[conformance.HandleKind]wrongType {
	return map[conformance.HandleKind]wrongType{
		conformance.Hierarchy:     {conform.U32(index(0).Handle()), "an NV index"},
		conformance.PCR:           {owner, "the owner"},
		conformance.Object:        {pcr16, "a PCR"},
		conformance.NVIndex:       {pcr16, "a PCR"},
		conformance.NVAuth:        {pcr16, "a PCR"},
		conformance.PolicySession: {pcr16, "a PCR"},
		conformance.Entity:        {u32(0x90000000), "an attached component"},
		conformance.Context:       {pcr16, "a PCR"},
	}
}

func wrongHandleTypes(sp *specimen, command *conformance.Command) (all []conform.Case) {
	for n, kind := range command.Handles {
		wrong := wrongTypes()[kind]
		step := sp.step().Fails(h(n+1, tpm2.TPMRCValue))
		step.Handles = replaced(sp.handles, n, wrong.handle)
		all = append(all, ask(handleArea, fmt.Sprintf("%s of %s as handle %d answers TPM_RC_VALUE for it", command.Name, wrong.what, n+1), sp.with(step)...))
	}
	return all
}

// absentHandles are of something that is not there: the object or session is gone, the index
// or the persistent object was never made.
func absentHandles(sp *specimen, command *conformance.Command) (all []conform.Case) {
	for n, kind := range command.Handles {
		reference := tpm2.TPMRCReferenceH0 + tpm2.TPMRC(n)
		switch kind {
		case conformance.Object, conformance.Context:
			gone := append(append([]conform.Step{}, sp.setup...), external("hmac", outside|wire.ObjectSign, hmacSHA256, "").Named("gone"), conform.Flush("gone"))
			step := sp.step().Fails(reference)
			step.Handles = replaced(sp.handles, n, handle("gone"))
			all = append(all, ask(handleArea, fmt.Sprintf("%s of an object that was flushed as handle %d answers TPM_RC_REFERENCE_H%d", command.Name, n+1, n), append(gone, step)...))
			if kind == conformance.Context {
				continue
			}
			step = sp.step().Fails(h(n+1, tpm2.TPMRCHandle))
			step.Handles = replaced(sp.handles, n, persistent(15))
			all = append(all, ask(handleArea, fmt.Sprintf("%s of a persistent object that does not exist as handle %d answers TPM_RC_HANDLE for it", command.Name, n+1), sp.with(step)...))
		case conformance.NVIndex, conformance.NVAuth, conformance.Entity:
			step := sp.step().Fails(h(n+1, tpm2.TPMRCHandle))
			step.Handles = replaced(sp.handles, n, index(15))
			all = append(all, ask(handleArea, fmt.Sprintf("%s of an NV index that is not defined as handle %d answers TPM_RC_HANDLE for it", command.Name, n+1), sp.with(step)...))
		case conformance.PolicySession:
			session := byte(wire.SessionPolicy)
			if sp.code == tpm2.TPMCCGetSessionAuditDigest {
				session = wire.SessionHMAC
			}
			gone := append(append([]conform.Step{}, sp.setup...), conform.Start(session).Named("gone"), conform.Flush("gone"))
			step := sp.step().Fails(reference)
			step.Handles = replaced(sp.handles, n, handle("gone"))
			all = append(all, ask(handleArea, fmt.Sprintf("%s of a session that was flushed as handle %d answers TPM_RC_REFERENCE_H%d", command.Name, n+1, n), append(gone, step)...))
		}
	}
	return all
}

func replaced(handles []conform.Part, n int, with conform.Part) []conform.Part {
	other := append([]conform.Part{}, handles...)
	other[n] = with
	return other
}

// missingAuthorizations has fewer authorizations than handles that need one.
func missingAuthorizations(sp *specimen, command *conformance.Command) (all []conform.Case) {
	if command.Auths == 0 {
		return nil
	}
	all = append(all, ask(sessionArea, command.Name+" without an authorization area answers TPM_RC_AUTH_MISSING",
		sp.with(sp.step().By().Fails(tpm2.TPMRCAuthMissing))...))
	if command.Auths == 2 {
		one := []conform.Auth{conform.Own()}
		if sp.auths != nil {
			one = sp.auths[:1]
		}
		all = append(all, ask(sessionArea, command.Name+" with one authorization of two answers TPM_RC_AUTH_MISSING",
			sp.with(sp.step().By(one...).Fails(tpm2.TPMRCAuthMissing))...))
	}
	return all
}

// authorizations are those of the specimen, and more.
func (sp *specimen) authorizations(command *conformance.Command, more ...conform.Auth) []conform.Auth {
	auths := append([]conform.Auth{}, sp.auths...)
	for range command.Auths - len(sp.auths) {
		auths = append(auths, conform.Own())
	}
	return append(auths, more...)
}

// superfluousPassword has a password that authorizes no handle.
func superfluousPassword(sp *specimen, command *conformance.Command) []conform.Case {
	if command.Sessionless {
		return nil
	}
	step := sp.step().By(sp.authorizations(command, conform.Password(""))...).Fails(s(command.Auths+1, tpm2.TPMRCHandle))
	return []conform.Case{ask(sessionArea, fmt.Sprintf("%s with a password for none of its handles answers TPM_RC_HANDLE for session %d", command.Name, command.Auths+1), sp.with(step)...)}
}

// wrongPasswords has a password that is not the authorization value of one handle, which is
// empty. That of lockout is left alone: a wrong one locks it out.
func wrongPasswords(sp *specimen, command *conformance.Command) (all []conform.Case) {
	for n := range command.Auths {
		if n < len(sp.auths) && sp.auths[n].Session != nil || command.Name == "DictionaryAttackLockReset" || command.Name == "DictionaryAttackParameters" {
			continue
		}
		auths := sp.authorizations(command)
		auths[n] = conform.Password("wrong")
		all = append(all, ask(authorization, fmt.Sprintf("%s with a wrong password for handle %d answers TPM_RC_BAD_AUTH for session %d", command.Name, n+1, n+1),
			sp.with(sp.step().By(auths...).Fails(s(n+1, tpm2.TPMRCBadAuth)))...))
	}
	return all
}

// undecryptable has a session that is to decrypt a first parameter that is no TPM2B.
func undecryptable(sp *specimen, command *conformance.Command) []conform.Case {
	return ciphering(sp, command, command.Decrypt, wire.AttributeDecrypt, "decrypts the first parameter, which is no sized buffer,")
}

// unencryptable has one that is to encrypt a first response parameter that is none.
func unencryptable(sp *specimen, command *conformance.Command) []conform.Case {
	return ciphering(sp, command, command.Encrypt, wire.AttributeEncrypt, "encrypts the first response parameter, which is no sized buffer,")
}

func ciphering(sp *specimen, command *conformance.Command, possible bool, attribute byte, what string) []conform.Case {
	if possible || command.Sessionless {
		return nil
	}
	steps := append([]conform.Step{conform.StartCipher(wire.SessionHMAC).Named("cipher")}, sp.setup...)
	step := sp.step().By(sp.authorizations(command, conform.In(handle("cipher"), attribute))...).Fails(s(command.Auths+1, tpm2.TPMRCAttributes))
	return []conform.Case{ask(sessionArea, fmt.Sprintf("%s with a session that %s answers TPM_RC_ATTRIBUTES for session %d", command.Name, what, command.Auths+1), append(steps, step)...)}
}

// sessionless has a session with a command that takes none.
func sessionless(sp *specimen, command *conformance.Command) []conform.Case {
	if !command.Sessionless {
		return nil
	}
	steps := append(append([]conform.Step{}, sp.setup...), conform.Start(wire.SessionHMAC).Named("session"))
	step := sp.step().By(conform.In(handle("session"), wire.AttributeAudit)).Fails(tpm2.TPMRCAuthContext)
	return []conform.Case{ask(sessionArea, command.Name+" with a session answers TPM_RC_AUTH_CONTEXT", append(steps, step)...)}
}
