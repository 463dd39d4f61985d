package known

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/comparison"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// What entries of the list of known differences ask about the parameter that a
// response code is about.

// leading gives the sizes of the first parameters of a command, as far as they are
// known without reading them: s is a TPM2B, a digit that number of bytes.
var leading = map[tpm2.TPMCC]string{
	tpm2.TPMCCActivateCredential: "s", tpm2.TPMCCCertify: "s", tpm2.TPMCCCertifyCreation: "ss", tpm2.TPMCCCertifyX509: "s",
	tpm2.TPMCCCommit: "ss", tpm2.TPMCCContextLoad: "", tpm2.TPMCCCreate: "s", tpm2.TPMCCCreateLoaded: "s", tpm2.TPMCCCreatePrimary: "s",
	tpm2.TPMCCDuplicate: "s", tpm2.TPMCCECCParameters: "", tpm2.TPMCCECDHZGen: "", tpm2.TPMCCECEphemeral: "",
	tpm2.TPMCCGetCommandAuditDigest: "s", tpm2.TPMCCGetSessionAuditDigest: "s", tpm2.TPMCCGetTime: "s", tpm2.TPMCCHash: "s",
	tpm2.TPMCCHashSequenceStart: "s", tpm2.TPMCCHMAC: "s", tpm2.TPMCCHMACStart: "s", tpm2.TPMCCImport: "sss",
	tpm2.TPMCCIncrementalSelfTest: "", tpm2.TPMCCLoad: "s", tpm2.TPMCCLoadExternal: "s", tpm2.TPMCCNVCertify: "s",
	tpm2.TPMCCNVDefineSpace: "s", tpm2.TPMCCPolicySigned: "sss4", tpm2.TPMCCQuote: "s", tpm2.TPMCCRewrap: "ss",
	tpm2.TPMCCRSADecrypt: "s", tpm2.TPMCCRSAEncrypt: "s", tpm2.TPMCCSetPrimaryPolicy: "s", tpm2.TPMCCSign: "s",
	tpm2.TPMCCStartAuthSession: "ss1", tpm2.TPMCCTestParms: "", tpm2.TPMCCVerifySignature: "s", tpm2.TPMCCZGen2Phase: "ss",
}

// parameter is one of the parameters of a command.
type parameter struct {
	command tpm2.TPMCC
	number  uint32 // from 1 on
}

// parameterOf takes the number of a parameter out of a response code.
func parameterOf(code uint32) (n uint32, ok bool) {
	const format1, isParameter = 0x80, 0x40
	return code >> 8 & 0xf, code < 0x1000 && code&(format1|isParameter) == format1|isParameter
}

// blamed gives the parameter that a response code is about, and what the command
// has from there on.
func (c *Case) blamed(code uint32) (p parameter, rest []byte, ok bool) {
	n, ok := parameterOf(code)
	packet, parsed := c.Step().Command()
	if !ok || !parsed {
		return parameter{}, nil, false
	}
	p = parameter{tpm2.TPMCC(packet.Code), n}
	shape, ok := leading[p.command]
	if !ok || n == 0 || int(n) > len(shape)+1 {
		return p, nil, false
	}
	in := &wire.Cursor{Rest: packet.Parameters}
	for _, kind := range []byte(shape[:n-1]) {
		if kind == 's' {
			in.Sized()
		} else {
			in.Take(int(kind - '0'))
		}
	}
	return p, in.Rest, !in.Bad
}

// hasPublic are the parameters that are a TPM2B_PUBLIC, or the TPM2B_TEMPLATE
// with one in it.
var hasPublic = []parameter{
	{tpm2.TPMCCCreate, 2}, {tpm2.TPMCCCreateLoaded, 2}, {tpm2.TPMCCCreatePrimary, 2}, {tpm2.TPMCCImport, 2}, {tpm2.TPMCCLoad, 2},
	{tpm2.TPMCCLoadExternal, 2},
}

// longestScheme is more than the algorithms of a parameter take, in bytes: those
// of a TPMT_PUBLIC_PARMS.
const longestScheme = 20

// algorithms gives the bytes of a blamed parameter that name algorithms and
// sizes of keys.
func algorithms(p parameter, rest []byte) []byte {
	switch {
	case slices.Contains(hasPublic, p):
		in := &wire.Cursor{Rest: rest}
		in.U16()
		head := in.Take(4) // type and nameAlg
		in.U32()
		in.Sized() // policy
		rest = append(slices.Clone(head), in.Rest[:min(longestScheme, len(in.Rest))]...)
	case p.command != tpm2.TPMCCIncrementalSelfTest:
		rest = rest[:min(longestScheme, len(rest))]
	}
	return rest
}

// refusesAlgorithm reports whether one device refuses a parameter for an algorithm
// or a curve in it that only the other one has.
func (c *Case) refusesAlgorithm() bool {
	ours, theirs := c.Codes()
	return c.refusedFor(ours, c.Pair.Theirs, c.Pair.Ours) || c.refusedFor(theirs, c.Pair.Ours, c.Pair.Theirs)
}

// curveOf gives the curve that a blamed parameter names.
func curveOf(p parameter, rest []byte) uint32 {
	in := &wire.Cursor{Rest: rest}
	switch {
	case slices.Contains(hasPublic, p):
		in.U16()
		public, _ := wire.ParsePublic(in.Rest)
		return uint32(public.Curve)
	case p.command == tpm2.TPMCCTestParms:
		var public wire.Public
		in.Alg()
		public.Cipher(in)
		public.AsymmetricScheme(in)
	}
	return uint32(in.U16())
}

// refusedFor reports whether a code refuses a parameter in which there is an
// algorithm, or a curve, that one device has and the other lacks.
func (c *Case) refusedFor(code uint32, has, lacks *comparison.Identity) bool {
	p, rest, ok := c.blamed(code)
	if !ok {
		return false
	}
	switch code & 0xff {
	case 0xca /* TYPE */, 0xd2 /* SCHEME */, 0xc4 /* VALUE */, 0xd6 /* SYMMETRIC */, 0xcc /* KDF */ :
	case 0xe6 /* CURVE */ :
		curve := curveOf(p, rest)
		return has.Listed(tpm2.TPMCapECCCurves, curve) && !lacks.Listed(tpm2.TPMCapECCCurves, curve)
	default:
		return false
	}
	for b := algorithms(p, rest); len(b) >= 2; b = b[1:] {
		if n := wire.Number(b[:2]); has.Listed(tpm2.TPMCapAlgs, n) && !lacks.Listed(tpm2.TPMCapAlgs, n) {
			return true
		}
	}
	return false
}

// refusesBits reports whether the reference refuses a parameter that has a number of
// bits in it with TPM_RC_VALUE.
func (c *Case) refusesBits(bits uint16) bool {
	_, theirs := c.Codes()
	p, rest, ok := c.blamed(theirs)
	if !ok || theirs&0xff != 0xc4 {
		return false
	}
	for b := algorithms(p, rest); len(b) >= 2; b = b[1:] {
		if binary.BigEndian.Uint16(b) == bits {
			return true
		}
	}
	return false
}

// signatureSchemes are the parameters that choose how to sign, and the codes of
// what the references check between finding a scheme not allowed and saying so.
var signatureSchemes = map[parameter][]uint32{
	{tpm2.TPMCCCertify, 2}:               nil,
	{tpm2.TPMCCCertifyCreation, 3}:       {0x4e0 /* TICKET, parameter 4 */},
	{tpm2.TPMCCCertifyX509, 2}:           {0x292, 0x3c4, 0x3d5 /* SCHEME, handle 2; VALUE and SIZE, parameter 3 */},
	{tpm2.TPMCCGetCommandAuditDigest, 2}: nil,
	{tpm2.TPMCCGetSessionAuditDigest, 2}: {0x38a /* TYPE, handle 3 */},
	{tpm2.TPMCCGetTime, 2}:               nil,
	{tpm2.TPMCCNVCertify, 2}:             {0x146, 0x148, 0x149, 0x14a /* NV_RANGE, NV_LOCKED, NV_AUTHORIZATION, NV_UNINITIALIZED */},
	{tpm2.TPMCCQuote, 2}:                 nil,
	{tpm2.TPMCCSign, 2}:                  {0x1d5 /* SIZE, parameter 1 */, 0x3e0 /* TICKET, parameter 3 */},
}

// schemeLate reports whether we refuse how to sign, and the reference does so
// without saying where, or had something else to say first.
func (c *Case) schemeLate() bool {
	ours, theirs := c.Codes()
	n, ok := parameterOf(ours)
	codes, signs := signatureSchemes[parameter{tpm2.TPMCC(c.Command()), n}]
	const schemeP, scheme = 0xd2, 0x92
	return ok && signs && ours&0xff == schemeP && (theirs == scheme || slices.Contains(codes, theirs))
}

// What the references' largest keys are at most, in bytes: RSA-2048, and a curve
// of 528 bits; and what ours are.
const (
	theirModulus, ourModulus       = 256, 512
	theirCoordinate, ourCoordinate = 66, 80
	theirPrivate, ourPrivate       = 900, 1550
	theirPrime, ourPrimes          = 128, 1280
	theirTemplate, ourTemplate     = 340, 604
	theirContext, ourContext       = 1200, 4096
)

// holdsKeys are the parameters whose size depends on that of the largest key,
// with functions that report whether one is in between.
var holdsKeys = map[parameter]func(*wire.Cursor) bool{
	{tpm2.TPMCCActivateCredential, 2}: modulusBetween,
	{tpm2.TPMCCCommit, 1}:             pointBetween,
	{tpm2.TPMCCContextLoad, 1}:        contextBetween,
	{tpm2.TPMCCCommit, 3}:             coordinateBetween,
	{tpm2.TPMCCCreate, 2}:             publicBetween,
	{tpm2.TPMCCCreateLoaded, 2}:       templateBetween,
	{tpm2.TPMCCCreatePrimary, 2}:      publicBetween,
	{tpm2.TPMCCECDHZGen, 1}:           pointBetween,
	{tpm2.TPMCCImport, 2}:             publicBetween,
	{tpm2.TPMCCImport, 3}:             privateBetween,
	{tpm2.TPMCCImport, 4}:             modulusBetween,
	{tpm2.TPMCCLoad, 1}:               privateBetween,
	{tpm2.TPMCCLoad, 2}:               publicBetween,
	{tpm2.TPMCCLoadExternal, 1}:       sensitiveBetween,
	{tpm2.TPMCCLoadExternal, 2}:       publicBetween,
	{tpm2.TPMCCPolicySigned, 5}:       signatureBetween,
	{tpm2.TPMCCRewrap, 1}:             privateBetween,
	{tpm2.TPMCCRewrap, 3}:             modulusBetween,
	{tpm2.TPMCCRSADecrypt, 1}:         modulusBetween,
	{tpm2.TPMCCRSAEncrypt, 1}:         modulusBetween,
	{tpm2.TPMCCStartAuthSession, 2}:   modulusBetween,
	{tpm2.TPMCCVerifySignature, 2}:    signatureBetween,
	{tpm2.TPMCCZGen2Phase, 1}:         pointBetween,
	{tpm2.TPMCCZGen2Phase, 2}:         pointBetween,
}

func between(n uint16, theirs, ours int) bool { return theirs < int(n) && int(n) <= ours }

func modulusBetween(in *wire.Cursor) bool { return between(in.U16(), theirModulus, ourModulus) }
func coordinateBetween(in *wire.Cursor) bool {
	return between(in.U16(), theirCoordinate, ourCoordinate)
}
func privateBetween(in *wire.Cursor) bool { return between(in.U16(), theirPrivate, ourPrivate) }

// coordinatesBetween looks at two TPM2Bs, of which the second need not be there.
func coordinatesBetween(in *wire.Cursor) bool {
	x := in.U16()
	in.Take(min(int(x), len(in.Rest)))
	return between(x, theirCoordinate, ourCoordinate) || coordinateBetween(in)
}

func pointBetween(in *wire.Cursor) bool {
	in.U16()
	return coordinatesBetween(in)
}

func contextBetween(in *wire.Cursor) bool {
	in.U64() // sequence
	in.U32() // savedHandle
	in.U32() // hierarchy
	return between(in.U16(), theirContext, ourContext)
}

func templateBetween(in *wire.Cursor) bool {
	size := &wire.Cursor{Rest: in.Rest}
	return between(size.U16(), theirTemplate, ourTemplate) || publicBetween(in)
}

func publicBetween(in *wire.Cursor) bool {
	in.U16()
	p, _ := wire.ParsePublic(in.Rest)
	if p.UniqueAt == 0 {
		return false
	}
	unique := &wire.Cursor{Rest: in.Rest[p.UniqueAt:]}
	if p.Kind == tpm2.TPMAlgECC {
		return coordinatesBetween(unique)
	}
	return modulusBetween(unique)
}

func sensitiveBetween(in *wire.Cursor) bool {
	in.U16()
	kind := in.Alg()
	in.Sized() // authValue
	in.Sized() // seed
	if kind == tpm2.TPMAlgECC {
		return coordinateBetween(in)
	}
	return between(in.U16(), theirPrime, ourPrimes)
}

func signatureBetween(in *wire.Cursor) bool {
	scheme := in.Alg()
	in.Alg()
	if scheme == tpm2.TPMAlgRSASSA || scheme == tpm2.TPMAlgRSAPSS {
		return modulusBetween(in)
	}
	return coordinatesBetween(in)
}

// tooLargeForTheirs reports whether the reference refuses the size of a parameter
// that has room for our keys, and not for its own.
func (c *Case) tooLargeForTheirs() bool {
	_, theirs := c.Codes()
	p, rest, ok := c.blamed(theirs)
	holds := holdsKeys[p]
	return ok && theirs&0xff == 0xd5 && holds != nil && holds(&wire.Cursor{Rest: rest})
}

// drawnLayout reports whether the two commands, as the devices got them, are not cut
// into parameters in the same way, or have other numbers among them, up to the
// parameter that both refuse.
func (c *Case) drawnLayout() bool {
	ours, theirs := c.Codes()
	n, ok := parameterOf(ours)
	m, same := parameterOf(theirs)
	a, okA := wire.ParseCommand(c.OurOutcome.Sent)
	b, okB := wire.ParseCommand(c.TheirOutcome.Sent)
	if !ok || !same || !okA || !okB || a.Code != b.Code {
		return false
	}
	shape := leading[tpm2.TPMCC(a.Code)]
	inA, inB := &wire.Cursor{Rest: a.Parameters}, &wire.Cursor{Rest: b.Parameters}
	for _, kind := range []byte(shape[:min(int(max(n, m)), len(shape))]) {
		switch size := int(kind - '0'); {
		case kind == 's' && (len(inA.Sized()) != len(inB.Sized()) || inA.Bad != inB.Bad):
			return true
		case kind != 's' && !bytes.Equal(inA.Take(size), inB.Take(size)):
			return true
		}
	}
	return false
}

// drawnSize reports whether both refuse a parameter that is different in the two
// commands, because its size stands in the middle of what each has drawn or
// encrypted: for that size, or the one as a secret that cannot be decrypted.
func (c *Case) drawnSize() bool {
	ours, theirs := c.Codes()
	if c.OurOutcome.Inputs == c.TheirOutcome.Inputs {
		return false
	}
	n, ok := parameterOf(ours)
	m, same := parameterOf(theirs)
	const value = 0xc4
	secret := ok && same && n == m && (isSizeError(ours) && theirs&0xff == value || ours&0xff == value && isSizeError(theirs))
	const anySession = 0x800
	return secret || isSizeError(ours) && isSizeError(theirs) && (ours|theirs)&anySession == 0
}

// expiresSoon reports whether the command has an authorization with an expiration of not
// more than a minute.
func (c *Case) expiresSoon() bool {
	command, ok := c.Step().Command()
	if !ok || tpm2.TPMCC(command.Code) != tpm2.TPMCCPolicySecret && tpm2.TPMCC(command.Code) != tpm2.TPMCCPolicySigned {
		return false
	}
	in := &wire.Cursor{Rest: command.Parameters}
	in.Sized() // nonceTPM
	in.Sized() // cpHashA
	in.Sized() // policyRef
	seconds := int64(int32(in.U32()))
	return !in.Bad && seconds != 0 && seconds >= -60 && seconds <= 60
}
