package replay

import (
	"bytes"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/message"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// nature reports whether a field can be the same at another TPM.
type nature uint8

const (
	determined nature = iota // by the command
	random                   // drawn by the TPM, or made with what it has drawn
	clock                    // time and counters of resets
	key                      // made with a key or seed of the TPM
)

// field is a field of the parameters of a response (TPM 2.0 Library Part 3).
type field struct {
	name   string
	size   int // in bytes; 0 for a TPM2B, -1 for all that is left
	nature nature
}

const (
	sized = 0
	rest  = -1
)

// layouts are the responses that have fields which are not determined. Those of other
// commands are compared as a whole.
var layouts = map[wire.CC][]field{
	wire.CCGetRandom:        {{"randomBytes", sized, random}},
	wire.CCStartAuthSession: {{"nonceTPM", sized, random}},
	wire.CCReadClock:        {{"time", 8, clock}, {"clock", 8, clock}, {"resetCount", 4, clock}, {"restartCount", 4, clock}, {"safe", 1, clock}},
	wire.CCPCRRead:          {{"pcrUpdateCounter", 4, clock}, {"pcrValues", rest, determined}},
	wire.CCContextSave:      {{"context", rest, random}},

	wire.CCCreatePrimary:    {{"outPublic", sized, key}, {"creationData", sized, key}, {"creationHash", sized, key}, {"creationTicket and name", rest, key}},
	wire.CCCreate:           {{"outPrivate", sized, random}, {"outPublic", sized, random}, {"creationData", sized, key}, {"creationHash", sized, key}, {"creationTicket", rest, key}},
	wire.CCCreateLoaded:     {{"outPrivate", sized, random}, {"outPublic", sized, random}, {"name", sized, random}},
	wire.CCLoad:             {{"name", sized, random}},
	wire.CCReadPublic:       {{"outPublic", sized, key}, {"name", sized, key}, {"qualifiedName", sized, key}},
	wire.CCObjectChangeAuth: {{"outPrivate", sized, random}},
	wire.CCImport:           {{"outPrivate", sized, random}},
	wire.CCDuplicate:        {{"keys", rest, random}},
	wire.CCRewrap:           {{"keys", rest, random}},
	wire.CCMakeCredential:   {{"credential", rest, random}},

	wire.CCSign:                  {{"signature", rest, key}},
	wire.CCQuote:                 {{"quoted", sized, key}, {"signature", rest, key}},
	wire.CCCertify:               {{"certifyInfo", sized, key}, {"signature", rest, key}},
	wire.CCCertifyCreation:       {{"certifyInfo", sized, key}, {"signature", rest, key}},
	wire.CCNVCertify:             {{"certifyInfo", sized, key}, {"signature", rest, key}},
	wire.CCGetTime:               {{"timeInfo", sized, clock}, {"signature", rest, key}},
	wire.CCGetSessionAuditDigest: {{"auditInfo", sized, key}, {"signature", rest, key}},
	wire.CCGetCommandAuditDigest: {{"auditInfo", sized, key}, {"signature", rest, key}},
	wire.CCHMAC:                  {{"outHMAC", sized, key}},

	wire.CCRSAEncrypt:     {{"outData", sized, random}},
	wire.CCECDHKeyGen:     {{"points", rest, random}},
	wire.CCECEphemeral:    {{"Q and counter", rest, random}},
	wire.CCCommit:         {{"points and counter", rest, random}},
	wire.CCEncryptDecrypt: {{"outData and ivOut", rest, key}},

	wire.CCHash:             {{"outHash", sized, determined}, {"validation", rest, key}},
	wire.CCSequenceComplete: {{"result", sized, determined}, {"validation", rest, key}},
	wire.CCVerifySignature:  {{"validation", rest, key}},
	wire.CCPolicySecret:     {{"timeout", sized, clock}, {"policyTicket", rest, key}},
	wire.CCPolicySigned:     {{"timeout", sized, clock}, {"policyTicket", rest, key}},
}

// cut takes a field off the front of parameters. What is not whole is all that is left.
func (f field) cut(b []byte) (value, left []byte) {
	n := f.size
	if n == sized {
		n = 2
		if len(b) >= 2 {
			n += int(b[0])<<8 | int(b[1])
		}
	}
	if n < 0 || n > len(b) {
		n = len(b)
	}
	return b[:n], b[n:]
}

// layout returns the fields of a response.
func layout(code wire.CC) []field {
	if fields, ok := layouts[code]; ok {
		return fields
	}
	return []field{{"parameters", rest, determined}}
}

// attributeEncrypt is the attribute of a session that has encrypted the first parameter
// (TPM 2.0 Library Part 2, section "TPMA_SESSION").
const attributeEncrypt = 0x40

// compare gives the verdict. equal reports whether all octets are the same.
func compare(result *Compared, c *message.Command, captured, live *message.Response, equal bool) {
	result.Verdict = Same
	switch {
	case equal:
		return
	case captured.Code != live.Code && overNonce(c):
		result.Verdict, result.Why = Unrepeatable, "the command has an HMAC over keys or values of the captured TPM"
		return
	case captured.Code != live.Code && c.Code == wire.CCStartup && (live.Code == startedBefore || captured.Code == startedBefore):
		result.Verdict, result.Why = Unrepeatable, "one of the TPMs had been started up before"
		return
	case captured.Code != live.Code:
		result.Verdict, result.Fields = Differs, []string{"responseCode"}
		return
	case !captured.Sound || !live.Sound || captured.HasHandle != live.HasHandle || len(captured.Sessions) != len(live.Sessions):
		result.Verdict, result.Fields = Differs, []string{"the areas of the response"}
		return
	}
	result.see("handle", captured.Handle != live.Handle, followed(captured.Handle) && captured.Handle.Type() == live.Handle.Type())
	encrypted := false
	for i := range captured.Sessions {
		a, b := &captured.Sessions[i], &live.Sessions[i]
		encrypted = encrypted || a.Attributes&b.Attributes&attributeEncrypt != 0
		result.see("sessionAttributes", a.Attributes != b.Attributes, false)
		result.see("nonceTPM", !bytes.Equal(a.Nonce, b.Nonce), len(a.Nonce) == len(b.Nonce))
		result.see("hmac", !bytes.Equal(a.HMAC, b.HMAC), len(a.HMAC) == len(b.HMAC))
	}
	a, b := captured.Parameters, live.Parameters
	for i, f := range layout(c.Code) {
		var x, y []byte
		x, a = f.cut(a)
		y, b = f.cut(b)
		varies := f.nature != determined || encrypted && i == 0 && len(x) == len(y)
		if f.nature == random && f.size == sized && c.Code == wire.CCGetRandom {
			varies = len(x) == len(y) // as many as were asked for
		}
		result.see(f.name, !bytes.Equal(x, y), varies)
	}
	result.see("what follows the parameters", !bytes.Equal(a, b), false)
}

// see notes a field that is not the same, and whether that is its nature.
func (r *Compared) see(name string, different, varies bool) {
	if !different {
		return
	}
	if r.Verdict == Same && varies {
		r.Verdict = Varies
	}
	if !varies {
		if r.Verdict != Differs {
			r.Fields = nil // those that vary are no matter beside it
		}
		r.Verdict = Differs
	} else if r.Verdict == Differs {
		return
	}
	r.Fields = append(r.Fields, name)
}

// overNonce reports whether a session of the command has an HMAC, which is made over the
// last nonce of the TPM (TPM 2.0 Library Part 1, section "HMAC Computation").
func overNonce(c *message.Command) bool {
	for _, s := range c.Sessions {
		if s.Handle != wire.RSPW && len(s.HMAC) > 0 {
			return true
		}
	}
	return false
}
