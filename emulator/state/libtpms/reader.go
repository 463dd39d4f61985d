package libtpms

import (
	"errors"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// reader reads libtpms' structures. The first failure sticks.
type reader struct {
	wire.Reader
	part string // what is read
	err  error
}

func newReader(b []byte) *reader { return &reader{Reader: wire.NewReader(b, everything)} }

// refuse records that what is read makes no sense.
func (r *reader) refuse(format string, args ...any) {
	if r.failed() {
		return
	}
	r.err = &FormatError{r.part, fmt.Sprintf(format, args...)}
}

// failed reports whether what was read so far is no state.
func (r *reader) failed() bool {
	if r.err == nil && r.RC() != wire.RCSuccess {
		reason := "it has a value that it cannot have"
		if errors.Is(r.RC(), wire.RCInsufficient) {
			reason = "it ends too early"
		}
		r.err = &FormatError{r.part, reason}
	}
	return r.err != nil
}

// structure is a structure with a version: its name, its magic number and the newest
// version that is known.
type structure struct {
	name  string
	magic uint32
	known uint16
}

// begin takes the head of a structure and returns its version.
func (r *reader) begin(s structure) uint16 {
	r.part = s.name
	version, magic := r.U16(), r.U32()
	var oldest uint16
	if version >= 2 {
		oldest = r.U16()
	}
	switch {
	case r.failed():
		return 0
	case magic != s.magic:
		r.refuse("it begins with 0x%08x, not with 0x%08x", magic, s.magic)
	case version == 0 || oldest > s.known:
		r.refuse("version %d, to be read by version %d or later; this program knows version %d", version, oldest, s.known)
	}
	return version
}

// block takes a block that may be there, and calls read with what is in it. What read
// leaves is of a later version.
func (r *reader) block(read func(*reader)) {
	has := r.flag()
	size := int(r.U16())
	if r.failed() {
		return
	}
	if size > r.Len() {
		r.refuse("a block of %d bytes, and %d are left", size, r.Len())
		return
	}
	content := r.Bytes(size)
	if !has || read == nil {
		return
	}
	inner := &reader{Reader: wire.NewReader(content, everything), part: r.part}
	read(inner)
	if inner.failed() && r.err == nil {
		r.err = inner.err
	}
}

// end takes the block that ends a structure from version 2 on.
func (r *reader) end(version uint16, read func(*reader)) {
	if version >= 2 && !r.failed() {
		r.block(read)
	}
}

// flag takes a BOOL in one octet.
func (r *reader) flag() bool { return r.U8() != 0 }

// array takes octets with their number, a UINT16, before them.
func (r *reader) array(max int) []byte { return r.Sized(max) }

// everything are the algorithms that libtpms may have, so that what the TPM lacks is
// named and not merely refused.
var everything = wire.NewSelectors([]wire.Selector{
	{Alg: wire.AlgRSA, Roles: wire.RolePublic, KeyBits: []uint16{1024, 2048, 3072, 4096}},
	{Alg: wire.AlgECC, Roles: wire.RolePublic},
	{Alg: wire.AlgKeyedHash, Roles: wire.RolePublic},
	{Alg: wire.AlgSymCipher, Roles: wire.RolePublic},
	{Alg: wire.AlgTDES, Roles: wire.RoleSymmetricObject | wire.RoleSymmetric, KeyBits: []uint16{128, 192}},
	{Alg: wire.AlgAES, Roles: wire.RoleSymmetricObject | wire.RoleSymmetric, KeyBits: []uint16{128, 192, 256}},
	{Alg: wire.AlgCamellia, Roles: wire.RoleSymmetricObject | wire.RoleSymmetric, KeyBits: []uint16{128, 192, 256}},
	{Alg: wire.AlgSHA1, Roles: wire.RoleHash | wire.RoleMACScheme, DigestSize: 20},
	{Alg: wire.AlgSHA256, Roles: wire.RoleHash | wire.RoleMACScheme, DigestSize: 32},
	{Alg: wire.AlgSHA384, Roles: wire.RoleHash | wire.RoleMACScheme, DigestSize: 48},
	{Alg: wire.AlgSHA512, Roles: wire.RoleHash | wire.RoleMACScheme, DigestSize: 64},
	{Alg: wire.AlgHMAC, Roles: wire.RoleKeyedHashScheme | wire.RoleSigScheme},
	{Alg: wire.AlgXOR, Roles: wire.RoleKeyedHashScheme | wire.RoleSymmetric},
	{Alg: wire.AlgMGF1, Roles: wire.RoleKDF},
	{Alg: wire.AlgKDF1_SP800_56A, Roles: wire.RoleKDF},
	{Alg: wire.AlgKDF2, Roles: wire.RoleKDF},
	{Alg: wire.AlgKDF1_SP800_108, Roles: wire.RoleKDF},
	{Alg: wire.AlgRSASSA, Roles: wire.RoleRSAScheme | wire.RoleSigScheme},
	{Alg: wire.AlgRSAES, Roles: wire.RoleRSAScheme | wire.RoleRSADecrypt},
	{Alg: wire.AlgRSAPSS, Roles: wire.RoleRSAScheme | wire.RoleSigScheme},
	{Alg: wire.AlgOAEP, Roles: wire.RoleRSAScheme | wire.RoleRSADecrypt},
	{Alg: wire.AlgECDSA, Roles: wire.RoleECCScheme | wire.RoleSigScheme},
	{Alg: wire.AlgECDH, Roles: wire.RoleECCScheme | wire.RoleECCKeyExchange},
	{Alg: wire.AlgECDAA, Roles: wire.RoleECCScheme | wire.RoleSigScheme},
	{Alg: wire.AlgSM2, Roles: wire.RoleECCScheme | wire.RoleSigScheme | wire.RoleECCKeyExchange},
	{Alg: wire.AlgECSchnorr, Roles: wire.RoleECCScheme | wire.RoleSigScheme},
	{Alg: wire.AlgECMQV, Roles: wire.RoleECCScheme | wire.RoleECCKeyExchange},
	{Alg: wire.AlgCMAC, Roles: wire.RoleMACScheme},
	{Alg: wire.AlgCTR, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode},
	{Alg: wire.AlgOFB, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode},
	{Alg: wire.AlgCBC, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode},
	{Alg: wire.AlgCFB, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode},
	{Alg: wire.AlgECB, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode},
}, []wire.Curve{
	wire.CurveNISTP192, wire.CurveNISTP224, wire.CurveNISTP256, wire.CurveNISTP384, wire.CurveNISTP521,
	wire.CurveBNP256, wire.CurveBNP638, wire.CurveSM2P256,
})
