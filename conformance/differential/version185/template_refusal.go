package version185

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// What a public area is refused for. Codes are bare, 0 for none.

// reservedAttributes are the bits of TPMA_OBJECT that must be clear (Part 2, section
// "TPMA_OBJECT").
const reservedAttributes = 1<<0 | 1<<3 | 0xf<<12 | 0xfff<<20

// limitedAttributes are firmwareLimited and svnLimited, for hierarchies that the TPM does
// not have.
const limitedAttributes = 1<<8 | 1<<9

const (
	largestDigest = 64
	largestField  = 80 // of BN_P638
	largestRSA    = 512
)

// hashes are those of the profile; those of HashML-DSA are the ones with an object
// identifier in FIPS 204.
var (
	hashes = []tpm2.TPMAlgID{
		tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA512,
		tpm2.TPMAlgSHA3256, tpm2.TPMAlgSHA3384, tpm2.TPMAlgSHA3512,
		wire.AlgSHAKE256x192, wire.AlgSHAKE256x256, wire.AlgSHAKE256x512,
	}
	preHashes = []tpm2.TPMAlgID{
		tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA512,
		tpm2.TPMAlgSHA3256, tpm2.TPMAlgSHA3384, tpm2.TPMAlgSHA3512, wire.AlgSHAKE256x512,
	}
	curves = []tpm2.TPMECCCurve{
		tpm2.TPMECCNistP192, tpm2.TPMECCNistP224, tpm2.TPMECCNistP256, tpm2.TPMECCNistP384, tpm2.TPMECCNistP521,
		tpm2.TPMECCBNP256, tpm2.TPMECCBNP638, tpm2.TPMECCSM2P256, wire.Curve25519, wire.Curve448,
	}
)

func unknownHash(alg tpm2.TPMAlgID) bool { return !slices.Contains(hashes, alg) }

// undecodable returns the code that refuses a TPMT_PUBLIC while it is unmarshaled (Part 2,
// chapter "Key/Object Complex"); null: nameAlg may be TPM_ALG_NULL.
func (p *template) undecodable(null bool) tpm2.TPMRC {
	switch p.kind {
	case tpm2.TPMAlgRSA, tpm2.TPMAlgECC, tpm2.TPMAlgKeyedHash, wire.AlgMLKEM, wire.AlgMLDSA, wire.AlgHashMLDSA:
	default:
		return tpm2.TPMRCType
	}
	switch {
	case unknownHash(p.nameAlg) && !(null && p.nameAlg == tpm2.TPMAlgNull):
		return tpm2.TPMRCHash
	case p.attributes&reservedAttributes != 0:
		return tpm2.TPMRCReservedBits
	case len(p.policy) > largestDigest:
		return tpm2.TPMRCSize
	}
	if rc := p.undecodableParms(); rc != 0 {
		return rc
	}
	limit := map[tpm2.TPMAlgID]int{
		tpm2.TPMAlgRSA: largestRSA, tpm2.TPMAlgECC: largestField, tpm2.TPMAlgKeyedHash: largestDigest,
		wire.AlgMLKEM: 1568, wire.AlgMLDSA: 2592, wire.AlgHashMLDSA: 2592,
	}[p.kind]
	if slices.ContainsFunc(p.unique, func(part []byte) bool { return len(part) > limit }) {
		return tpm2.TPMRCSize
	}
	return 0
}

// undecodableParms is [template.undecodable] for the TPMU_PUBLIC_PARMS.
func (p *template) undecodableParms() tpm2.TPMRC {
	switch p.kind {
	case tpm2.TPMAlgRSA, tpm2.TPMAlgECC, wire.AlgMLKEM:
		if rc := p.cipher.undecodable(); rc != 0 {
			return rc
		}
	}
	switch p.kind {
	case tpm2.TPMAlgECC:
		return p.undecodableECC()
	case wire.AlgMLKEM:
		return p.undecodableSet()
	case wire.AlgMLDSA:
		switch rc := p.undecodableSet(); {
		case rc != 0:
			return rc
		case p.mu > 1: // a TPMI_YES_NO
			return tpm2.TPMRCValue
		}
	case wire.AlgHashMLDSA:
		switch rc := p.undecodableSet(); {
		case rc != 0:
			return rc
		case !slices.Contains(preHashes, p.scheme.hash):
			return tpm2.TPMRCHash
		}
	}
	return 0
}

func (p *template) undecodableSet() tpm2.TPMRC {
	if p.set < 1 || p.set > 3 {
		return wire.RCParms
	}
	return 0
}

func (p *template) undecodableECC() tpm2.TPMRC {
	known := []tpm2.TPMAlgID{
		tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgECDH, tpm2.TPMAlgSM2, tpm2.TPMAlgECSchnorr, tpm2.TPMAlgECMQV,
		wire.AlgEdDSA, wire.AlgHashEdDSA,
	}
	switch {
	case !slices.Contains(known, p.scheme.alg):
		return tpm2.TPMRCScheme
	case p.scheme.namesHash() && unknownHash(p.scheme.hash):
		return tpm2.TPMRCHash
	case !slices.Contains(curves, p.curve):
		return tpm2.TPMRCCurve
	}
	switch p.kdf.alg {
	case tpm2.TPMAlgNull:
		return 0
	case wire.AlgHKDF, tpm2.TPMAlgKDF1SP80056A, tpm2.TPMAlgKDF1SP800108, tpm2.TPMAlgKDF2, tpm2.TPMAlgMGF1:
	default:
		return tpm2.TPMRCKDF
	}
	if unknownHash(p.kdf.hash) {
		return tpm2.TPMRCHash
	}
	return 0
}

func (c symDef) undecodable() tpm2.TPMRC {
	switch {
	case c.alg == tpm2.TPMAlgNull:
		return 0
	case c.alg != tpm2.TPMAlgAES:
		return tpm2.TPMRCSymmetric
	case c.bits != 128 && c.bits != 192 && c.bits != 256:
		return tpm2.TPMRCValue
	}
	switch c.mode {
	case tpm2.TPMAlgNull, tpm2.TPMAlgCFB, tpm2.TPMAlgCTR, tpm2.TPMAlgOFB, tpm2.TPMAlgCBC, tpm2.TPMAlgECB, tpm2.TPMAlgCMAC:
		return 0
	}
	return tpm2.TPMRCMode
}

// uncreatable returns the code that refuses a template that decodes, below a parent, nil for a
// hierarchy, with so many bytes of data from its creator (Part 3, section "Creation of
// objects"; Part 2, section "TPMA_OBJECT").
func (p *template) uncreatable(parent *template, data int) tpm2.TPMRC {
	origin := p.has(wire.ObjectOrigin)
	switch {
	case !origin && (data == 0 || p.asymmetric()):
		return tpm2.TPMRCAttributes
	case origin && data != 0 && parent != nil:
		return tpm2.TPMRCAttributes
	case origin && p.kind == tpm2.TPMAlgKeyedHash && p.attributes&(wire.ObjectSign|wire.ObjectDecrypt) == 0:
		return tpm2.TPMRCAttributes
	case !origin && p.has(wire.ObjectRestricted) && p.attributes&(wire.ObjectFixedParent|wire.ObjectFixedTPM) != 0:
		return tpm2.TPMRCAttributes
	}
	return p.incoherent(parent)
}

// incoherent returns the code that refuses nameAlg, authPolicy or the attributes of an object
// with both areas.
func (p *template) incoherent(parent *template) tpm2.TPMRC {
	a := p.attributes
	sign, decrypt := p.has(wire.ObjectSign), p.has(wire.ObjectDecrypt)
	fixedTPM, fixedParent := p.has(wire.ObjectFixedTPM), p.has(wire.ObjectFixedParent)
	switch {
	case p.nameAlg == tpm2.TPMAlgNull:
		return tpm2.TPMRCHash
	case len(p.policy) != 0 && len(p.policy) != wire.DigestSize(p.nameAlg):
		return tpm2.TPMRCSize
	case sign == decrypt && p.has(wire.ObjectRestricted),
		!sign && !decrypt && p.kind != tpm2.TPMAlgKeyedHash,
		fixedTPM && p.has(wire.ObjectEncrypted),
		a&limitedAttributes != 0, p.signsNothing():
		return tpm2.TPMRCAttributes
	case parent == nil || parent.has(wire.ObjectFixedTPM):
		if fixedTPM != fixedParent {
			return tpm2.TPMRCAttributes
		}
	case fixedTPM || (a^parent.attributes)&wire.ObjectEncrypted != 0:
		return tpm2.TPMRCAttributes
	}
	return p.misfit(parent)
}

// signsNothing reports whether x509sign is in an object that is no asymmetric key or does
// not sign.
func (p *template) signsNothing() bool {
	return p.has(wire.ObjectX509) && (!p.asymmetric() || !p.has(wire.ObjectSign))
}

// misfit returns the code that refuses the algorithms of a public area, given its attributes and
// its parent (Part 2, tables of the TPMS_*_PARMS).
func (p *template) misfit(parent *template) tpm2.TPMRC {
	var rc tpm2.TPMRC
	switch p.kind {
	case tpm2.TPMAlgKeyedHash:
		return p.misfitKeyedHash()
	case wire.AlgMLKEM:
		switch {
		case p.has(wire.ObjectSign):
			rc = tpm2.TPMRCAttributes
		case !p.storage() && p.cipher.alg != tpm2.TPMAlgNull:
			rc = tpm2.TPMRCSymmetric
		}
	case wire.AlgMLDSA, wire.AlgHashMLDSA:
		if p.has(wire.ObjectDecrypt) || p.kind == wire.AlgMLDSA && p.mu == 1 && p.has(wire.ObjectRestricted) {
			rc = tpm2.TPMRCAttributes
		}
	default:
		rc = p.misfitScheme()
	}
	if rc != 0 || !p.storage() {
		return rc
	}
	switch {
	case p.cipher.alg == tpm2.TPMAlgNull:
		return tpm2.TPMRCSymmetric
	case parent == nil || !p.has(wire.ObjectFixedParent):
		return 0
	case p.nameAlg != parent.nameAlg:
		return tpm2.TPMRCHash
	case p.cipher != parent.cipher:
		return tpm2.TPMRCSymmetric
	}
	return 0
}

func (p *template) misfitKeyedHash() tpm2.TPMRC {
	want := tpm2.TPMAlgNull
	switch sign, decrypt := p.has(wire.ObjectSign), p.has(wire.ObjectDecrypt); {
	case sign && !decrypt:
		want = tpm2.TPMAlgHMAC
	case decrypt && !sign:
		want = tpm2.TPMAlgXOR
	}
	if p.scheme.alg != want {
		return tpm2.TPMRCScheme
	}
	return 0
}

// misfitScheme is for RSA and ECC keys.
func (p *template) misfitScheme() tpm2.TPMRC {
	sign, decrypt, restricted := p.has(wire.ObjectSign), p.has(wire.ObjectDecrypt), p.has(wire.ObjectRestricted)
	null := p.scheme.alg == tpm2.TPMAlgNull
	switch {
	case p.montgomery():
		ok := sign && !decrypt && p.eddsa() || decrypt && !sign && (p.scheme.alg == tpm2.TPMAlgECDH || restricted)
		if !ok {
			return tpm2.TPMRCScheme
		}
	case p.eddsa():
		return tpm2.TPMRCScheme
	}
	ok := null
	switch {
	case sign && !decrypt:
		ok = null && !restricted || p.signs()
	case decrypt && !sign:
		ok = null || !restricted && p.decrypts()
	}
	switch {
	case !ok:
		return tpm2.TPMRCScheme
	case !p.storage() && p.cipher.alg != tpm2.TPMAlgNull:
		return tpm2.TPMRCSymmetric
	case p.kind == tpm2.TPMAlgECC && p.kdf.alg != tpm2.TPMAlgNull && !p.dhkem():
		return tpm2.TPMRCKDF
	}
	return 0
}

func (p *template) signs() bool {
	switch p.scheme.alg {
	case tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS, tpm2.TPMAlgECDSA, tpm2.TPMAlgSM2, tpm2.TPMAlgECSchnorr, wire.AlgEdDSA, wire.AlgHashEdDSA:
		return true
	}
	return false
}

func (p *template) decrypts() bool {
	switch p.scheme.alg {
	case tpm2.TPMAlgRSAES, tpm2.TPMAlgOAEP, tpm2.TPMAlgECDH, tpm2.TPMAlgECMQV, tpm2.TPMAlgSM2:
		return true
	}
	return false
}
