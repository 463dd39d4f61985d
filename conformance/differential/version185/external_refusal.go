package version185

import (
	"bytes"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/curve448"
	"github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// refusedExternally is the code for a key whose public area decodes (Part 3, section
// "TPM2_LoadExternal").
func (k *key) refusedExternally() uint32 {
	refused := k.refusedUnnamed()
	if !k.publicOnly {
		refused = first(
			when(k.hierarchy != uint32(tpm2.TPMRHNull), parameter(tpm2.TPMRCHierarchy, 3)),
			when(k.attributes&(wire.ObjectFixedTPM|wire.ObjectFixedParent|wire.ObjectRestricted) != 0, parameter(tpm2.TPMRCAttributes, 2)),
			k.refusedTogether(),
		)
	}
	switch {
	case refused != 0:
		return refused
	case k.publicOnly:
		return k.refusedPublic()
	}
	return k.refusedPrivate()
}

// refusedTogether is the code for a public area that has a sensitive one. Without nameAlg
// the TPM has less to look after.
func (k *key) refusedTogether() uint32 {
	if k.nameAlg == tpm2.TPMAlgNull {
		return k.refusedUnnamed()
	}
	return first(
		when(len(k.seed) > wire.DigestSize(k.nameAlg), parameter(tpm2.TPMRCKeySize, 1)),
		inParameter(k.incoherent(nil), 2),
	)
}

// refusedUnnamed is the code for a public area alone, or without nameAlg.
func (k *key) refusedUnnamed() uint32 {
	return first(when(k.signsNothing(), parameter(tpm2.TPMRCAttributes, 2)), inParameter(k.misfit(nil), 2))
}

// refusedPublic is the code for the unique field of a key without its private part.
func (k *key) refusedPublic() uint32 {
	named := k.nameAlg != tpm2.TPMAlgNull
	switch {
	case k.lattice() && len(k.unique[0]) != wire.LatticeSize(k.kind, k.set):
		return parameter(tpm2.TPMRCKeySize, 2)
	case k.lattice():
		return when(k.kind == wire.AlgMLKEM && !reduced(k.unique[0]), parameter(tpm2.TPMRCKey, 2))
	case k.montgomery():
		return first(
			when(len(k.unique[0]) != k.privateSize() || len(k.unique[1]) != 0, parameter(tpm2.TPMRCECCPoint, 2)),
			when(named && !k.onCurve(), parameter(tpm2.TPMRCECCPoint, 2)),
		)
	case k.kind == tpm2.TPMAlgECC:
		size := fieldSize(k.curve)
		return first(
			when(len(k.unique[0]) != size || len(k.unique[1]) != size, parameter(tpm2.TPMRCKey, 2)),
			when(named && !k.onCurve(), parameter(tpm2.TPMRCECCPoint, 2)),
		)
	case k.kind == tpm2.TPMAlgRSA:
		return when(len(k.unique[0]) != int(k.bits)/8, parameter(tpm2.TPMRCKey, 2))
	}
	return when(len(k.unique[0]) != wire.DigestSize(k.nameAlg), parameter(tpm2.TPMRCKey, 2))
}

// reduced reports whether the coefficients of an ML-KEM key are below its modulus (FIPS
// 203, section 7.2).
func reduced(public []byte) bool {
	const q = 3329
	for b := public[:len(public)-32]; len(b) > 0; b = b[3:] {
		if int(b[0])|int(b[1]&15)<<8 >= q || int(b[1]>>4)|int(b[2])<<4 >= q {
			return false
		}
	}
	return true
}

// onCurve reports whether the unique field of an ECC key, whose sizes are right, is that of
// a point. It does not look at keys of X25519 and X448: no point of low order is drawn.
func (k *key) onCurve() bool {
	switch {
	case k.eddsa() && k.curve == wire.Curve448:
		return curve448.IsPublic(k.unique[0])
	case k.eddsa():
		p, err := new(edwards25519.Point).SetBytes(k.unique[0])
		return err == nil && bytes.Equal(p.Bytes(), k.unique[0])
	case k.montgomery():
		return true
	}
	return signature.Exchange(k.curve).IsPublic(k.area().Point())
}

// refusedPrivate is the code for a key with its private part.
func (k *key) refusedPrivate() uint32 {
	digest := wire.DigestSize(k.nameAlg)
	if digest > 0 && len(k.auth) > digest {
		return parameter(tpm2.TPMRCSize, 1)
	}
	binding := uint32(tpm2.TPMRCBinding)
	switch {
	case k.lattice() && len(k.unique[0]) != wire.LatticeSize(k.kind, k.set):
		return parameter(tpm2.TPMRCKeySize, 2)
	case k.lattice():
		return when(!k.bound(), binding)
	case k.montgomery() && len(k.private) != k.privateSize():
		return uint32(tpm2.TPMRCKeySize)
	case k.montgomery():
		return when(digest > 0 && !k.bound(), binding)
	case k.kind == tpm2.TPMAlgECC:
		d := new(big.Int).SetBytes(k.private)
		if d.Sign() == 0 || d.Cmp(signature.Curve(k.curve).Params().N) >= 0 {
			return uint32(tpm2.TPMRCKeySize)
		}
		same := slices.EqualFunc(k.unique, k.publicOf(d.FillBytes(make([]byte, fieldSize(k.curve))), nil), func(a, b []byte) bool {
			return bytes.Equal(bytes.TrimLeft(a, "\x00"), bytes.TrimLeft(b, "\x00"))
		})
		return when(digest > 0 && !same, binding)
	case k.kind == tpm2.TPMAlgRSA:
		return k.refusedPublic()
	}
	return first(
		when(digest > 0 && len(k.seed) != digest, parameter(tpm2.TPMRCKeySize, 1)),
		when(digest > 0 && !k.bound(), binding),
	)
}

// bound reports whether unique is that of the private part.
func (k *key) bound() bool {
	return slices.EqualFunc(k.unique, k.publicOf(k.private, k.seed), bytes.Equal)
}
