package emulator

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// client lets go-tpm use a TPM whose state the test reaches into.
type client struct{ *inside }

func (c client) Send(command []byte) ([]byte, error) {
	return c.TPM.Send(context.Background(), 0, command)
}

// vectors reads a file of golden vectors, which other TPMs have made.
func vectors[T any](t *testing.T, file string) (list []T) {
	t.Helper()
	b, err := os.ReadFile("crypt/testdata/" + file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &list))
	return list
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// withData is a TPM2B_SENSITIVE_CREATE.
func withData(auth string, data []byte) tpm2.TPM2BSensitiveCreate {
	return tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte(auth)},
		Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: data})}}
}

// goldenPrimary is a primary object as the reference or libtpms makes it; byte
// strings are hexadecimal.
type goldenPrimary struct {
	Name, Hierarchy, Template, Data, PrimarySeed, Public string
	Child                                                *struct{ Name, Private string }
}

// seeded is a TPM in which the hierarchy has the primary seed.
func (g *goldenPrimary) seeded(t *testing.T) (*inside, tpm2.TPMHandle) {
	in := newInside(t)
	p := &in.s.Persistent
	handle, seed := tpm2.TPMRHOwner, &p.SPSeed
	switch g.Hierarchy {
	case "endorsement":
		handle, seed = tpm2.TPMRHEndorsement, &p.EPSeed
	case "platform":
		handle, seed = tpm2.TPMRHPlatform, &p.PPSeed
	}
	seed.Set(unhex(t, g.PrimarySeed))
	return in, handle
}

// TPM2_CreatePrimary and TPM2_CreateLoaded make the primary objects that the
// reference and libtpms make from the same seeds, and they open what was sealed
// below those.
func TestCreatePrimaryIsTheReferences(t *testing.T) {
	t.Parallel()
	opened := 0
	for _, g := range vectors[goldenPrimary](t, "primaries.json") {
		in, hierarchy := g.seeded(t)
		parent := tpm2.AuthHandle{Handle: hierarchy, Auth: tpm2.PasswordAuth(nil)}
		template := unhex(t, g.Template)
		made, err := tpm2.CreatePrimary{PrimaryHandle: parent, InSensitive: withData("", unhex(t, g.Data)),
			InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](template)}.Execute(client{in})
		require.NoError(t, err, g.Name)
		assert.Equal(t, g.Public, hex.EncodeToString(made.OutPublic.Bytes()), g.Name)
		ticket := wire.Ticket{Tag: wire.STCreation, Hierarchy: wire.Handle(hierarchy), Digest: made.CreationTicket.Digest.Buffer}
		assert.EqualValues(t, hierarchy, made.CreationTicket.Hierarchy, g.Name)
		assert.True(t, in.creationHolds(&ticket, made.Name.Buffer, made.CreationHash.Buffer), g.Name)
		if g.Child != nil {
			opened++
			openSealed(t, in, &g, made)
		}
		if len(template) > 100 || g.Hierarchy != "owner" {
			continue // RSA takes long, and the rest is the same
		}
		loaded, err := tpm2.CreateLoaded{ParentHandle: parent, InSensitive: withData("", unhex(t, g.Data)),
			InPublic: tpm2.TPM2BTemplate{Buffer: template}}.Execute(client{in})
		require.NoError(t, err, g.Name)
		assert.Equal(t, g.Public, hex.EncodeToString(loaded.OutPublic.Bytes()), g.Name)
		assert.Equal(t, made.Name, loaded.Name, g.Name)
		assert.Empty(t, loaded.OutPrivate.Buffer, g.Name)
	}
	assert.Equal(t, 2, opened)
}

// openSealed loads and unseals the data object that the reference has made below
// a primary. Its public area is not in the vectors, but its Name is.
func openSealed(t *testing.T, in *inside, g *goldenPrimary, parent *tpm2.CreatePrimaryResponse) {
	t.Helper()
	o := in.object(wire.Handle(parent.ObjectHandle))
	s, rc := in.unwrapSensitive(o, unhex(t, g.Child.Name), unhex(t, g.Child.Private))
	require.Equal(t, wire.RCSuccess, rc, g.Name)
	public := wire.Public{NameAlg: wire.AlgSHA256, Attributes: wire.ObjectUserWithAuth,
		Parms: wire.PublicParms{Type: wire.AlgKeyedHash, Scheme: wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull, KDF: wire.AlgNull}}}
	public.Unique = symmetricUnique(&public, &s)
	require.Equal(t, unhex(t, g.Child.Name), in.publicName(&public), g.Name)
	var w wire.Writer
	w.Public(&public)
	loaded, err := tpm2.Load{ParentHandle: tpm2.AuthHandle{Handle: parent.ObjectHandle, Name: parent.Name, Auth: tpm2.PasswordAuth(nil)},
		InPrivate: tpm2.TPM2BPrivate{Buffer: unhex(t, g.Child.Private)}, InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](w.Data())}.Execute(client{in})
	require.NoError(t, err, g.Name)
	data, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth(nil)}}.Execute(client{in})
	require.NoError(t, err, g.Name)
	assert.Equal(t, "sealed below a primary", string(data.OutData.Buffer), g.Name)
}

// The children of a derivation parent are those of the reference too, whether
// label and context are in the template or in the sensitive data.
func TestDerivedObjectsAreTheReferences(t *testing.T) {
	t.Parallel()
	for _, d := range vectors[struct {
		Name, Secret, Label, Public string
		Hash                        uint16
	}](t, "derived.json") {
		in := newInside(t)
		parent, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
			InSensitive: withData("", []byte(d.Secret)), InPublic: tpm2.New2B(derivationParent(tpm2.TPMAlgID(d.Hash)))}.Execute(client{in})
		require.NoError(t, err, d.Name)
		for _, inTemplate := range []string{"label and context", "label", "context", "nothing"} {
			label, context := []byte(d.Label), []byte("context of "+d.Label)
			var template, data wire.Writer
			data.Derive(&wire.Derive{Label: label, Context: context})
			in.deriveTemplate(&template, unhex(t, d.Public), map[string]wire.Derive{
				"label and context": {Label: label, Context: context}, "label": {Label: label}, "context": {Context: context}}[inTemplate])
			if inTemplate == "label and context" {
				data = wire.Writer{}
				data.Derive(&wire.Derive{Label: []byte("of the data"), Context: []byte("which is not used")})
			}
			loaded, err := tpm2.CreateLoaded{ParentHandle: tpm2.AuthHandle{Handle: parent.ObjectHandle, Name: parent.Name, Auth: tpm2.PasswordAuth(nil)},
				InSensitive: withData("", data.Data()), InPublic: tpm2.TPM2BTemplate{Buffer: template.Data()}}.Execute(client{in})
			require.NoError(t, err, d.Name)
			assert.Equal(t, d.Public, hex.EncodeToString(loaded.OutPublic.Bytes()), "%s with %s in the template", d.Name, inTemplate)
			assert.Empty(t, loaded.OutPrivate.Buffer)
			o := in.object(wire.Handle(loaded.ObjectHandle))
			assert.Equal(t, objectName(wire.AlgSHA256, append(in.object(wire.Handle(parent.ObjectHandle)).QualifiedName, o.Name...)), o.QualifiedName)
			in.flushObject(wire.Handle(loaded.ObjectHandle))
		}
	}
}

// derivationParent is a template for a parent whose children are derived with a
// hash.
func derivationParent(hash tpm2.TPMAlgID) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, Restricted: true, Decrypt: true, NoDA: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
			Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgXOR,
				Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgXOR, &tpm2.TPMSSchemeXOR{HashAlg: hash, KDF: tpm2.TPMAlgKDF1SP800108})}})}
}

// deriveTemplate makes the template of an object with the public area.
func (in *inside) deriveTemplate(w *wire.Writer, public []byte, d wire.Derive) {
	var p wire.Public
	r := wire.NewReader(public, in.algs.Selectors())
	r.Public(&p, false)
	require.Equal(in.t, wire.RCSuccess, r.RC())
	w.DeriveTemplate(&p, &d)
}

// The proofs of owner and endorsement hierarchy are in the seed value of the
// primary objects of the endorsement hierarchy, and in nothing else of them.
func TestEndorsementKeysOutliveTheOwner(t *testing.T) {
	t.Parallel()
	for name, proof := range map[string]func(*state.Persistent) *state.TPM2B{
		"owner's":       func(p *state.Persistent) *state.TPM2B { return &p.SHProof },
		"endorsement's": func(p *state.Persistent) *state.TPM2B { return &p.EHProof },
		"platform's":    func(p *state.Persistent) *state.TPM2B { return &p.PHProof },
	} {
		in := newInside(t)
		create := func(hierarchy tpm2.TPMHandle) (public []byte, seed string) {
			made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: hierarchy, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(tpm2.ECCEKTemplate)}.Execute(client{in})
			require.NoError(t, err)
			seed = string(in.object(wire.Handle(made.ObjectHandle)).sensitive.Seed)
			in.flushObject(wire.Handle(made.ObjectHandle))
			return made.OutPublic.Bytes(), seed
		}
		public, seed := create(tpm2.TPMRHEndorsement)
		_, storageSeed := create(tpm2.TPMRHOwner)
		proof(&in.s.Persistent).Buf[0] ^= 1
		public2, seed2 := create(tpm2.TPMRHEndorsement)
		_, storageSeed2 := create(tpm2.TPMRHOwner)
		assert.Equal(t, public, public2, name)
		assert.Equal(t, name == "platform's", seed == seed2, name)
		assert.Equal(t, storageSeed, storageSeed2, name)
	}
}

// What a primary object is made from: its hierarchy's seed, the template, the
// data. The authorization value is not among it.
func TestPrimariesDiffer(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	seen := map[string]string{}
	create := func(what string, hierarchy tpm2.TPMHandle, auth, data string, change func(*tpm2.TPMTPublic)) string {
		template := tpm2.ECCSRKTemplate
		if change != nil {
			change(&template)
		}
		made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: hierarchy, Auth: tpm2.PasswordAuth(nil)},
			InSensitive: withData(auth, []byte(data)), InPublic: tpm2.New2B(template)}.Execute(client{in})
		require.NoError(t, err, what)
		in.flushObject(wire.Handle(made.ObjectHandle))
		public, err := made.OutPublic.Contents()
		require.NoError(t, err)
		point, err := public.Unique.ECC()
		require.NoError(t, err)
		return string(point.X.Buffer)
	}
	for _, tc := range []struct {
		what      string
		hierarchy tpm2.TPMHandle
		data      string
		change    func(*tpm2.TPMTPublic)
	}{
		{what: "owner", hierarchy: tpm2.TPMRHOwner},
		{what: "endorsement", hierarchy: tpm2.TPMRHEndorsement},
		{what: "platform", hierarchy: tpm2.TPMRHPlatform},
		{what: "null", hierarchy: tpm2.TPMRHNull},
		{what: "data", hierarchy: tpm2.TPMRHOwner, data: "x"},
		{what: "attribute", hierarchy: tpm2.TPMRHOwner, change: func(p *tpm2.TPMTPublic) { p.ObjectAttributes.NoDA = false }},
		{what: "unique", hierarchy: tpm2.TPMRHOwner, change: func(p *tpm2.TPMTPublic) {
			p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: []byte{1}}})
		}},
	} {
		x := create(tc.what, tc.hierarchy, "", tc.data, tc.change)
		assert.NotContains(t, seen, x, "%s is like %s", tc.what, seen[x])
		seen[x] = tc.what
		assert.Equal(t, x, create(tc.what, tc.hierarchy, "auth", tc.data, tc.change), tc.what)
	}
}
