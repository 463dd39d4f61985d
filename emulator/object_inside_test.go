package emulator

import (
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// How long an object can be there follows from its hierarchy, its attributes and
// its ancestors.
func TestObjectFlags(t *testing.T) {
	t.Parallel()
	const (
		primary, temporary, untilRestart = state.ObjectPrimary, state.ObjectTemporary, state.ObjectUntilRestart
		publicOnly, external             = state.ObjectPublicOnly, state.ObjectExternal
	)
	in, objectName := newInside(t), []byte("N")
	parent := func(hierarchy wire.Handle, flags state.ObjectFlags) *object {
		return &object{Object: &state.Object{Kind: state.ObjectLoaded, Hierarchy: hierarchy, Flags: flags, QualifiedName: []byte("QN")}}
	}
	public := wire.Public{NameAlg: wire.AlgSHA256, Parms: wire.PublicParms{Type: wire.AlgKeyedHash, Scheme: wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull, KDF: wire.AlgNull}}}
	until := public
	until.Attributes = wire.ObjectStClear
	s := &wire.Sensitive{Type: wire.AlgKeyedHash, Auth: []byte("a\x00b\x00\x00")}
	got := func(h wire.Handle, o *object) state.Object {
		require.NotNil(t, o)
		defer in.flushObject(h)
		assert.Same(t, o, in.object(h))
		assert.True(t, in.asDecoded(o))
		return *o.Object
	}
	for name, tc := range map[string]struct {
		got       state.Object
		hierarchy wire.Handle
		flags     state.ObjectFlags
	}{
		"primary":             {got(in.newPrimary(&public, s, wire.RHPlatform)), wire.RHPlatform, primary},
		"null primary":        {got(in.newPrimary(&public, s, wire.RHNull)), wire.RHNull, temporary},
		"stClear primary":     {got(in.newPrimary(&until, s, wire.RHOwner)), wire.RHOwner, primary | untilRestart},
		"child":               {got(in.newChild(parent(wire.RHOwner, primary), &public, objectName, s)), wire.RHOwner, 0},
		"child below stClear": {got(in.newChild(parent(wire.RHOwner, primary|untilRestart), &public, objectName, s)), wire.RHOwner, untilRestart},
		"stClear child":       {got(in.newChild(parent(wire.RHEndorsement, 0), &until, objectName, s)), wire.RHEndorsement, untilRestart},
		"null child":          {got(in.newChild(parent(wire.RHNull, temporary), &public, objectName, s)), wire.RHNull, temporary},
		"external":            {got(in.newObject(&public, objectName, s, wire.RHNull, nil, external)), wire.RHNull, external | temporary},
		"public":              {got(in.newObject(&public, objectName, nil, wire.RHOwner, nil, external)), wire.RHOwner, external | publicOnly},
	} {
		assert.Equal(t, tc.hierarchy, tc.got.Hierarchy, name)
		assert.Equal(t, tc.flags, tc.got.Flags, name)
		assert.Equal(t, tc.flags&external != 0, string(tc.got.Name) == string(tc.got.QualifiedName), name)
		if tc.flags&publicOnly == 0 {
			var back wire.Sensitive
			r := wire.NewReader(tc.got.Sensitive, in.algs.Selectors())
			r.Sensitive(&back)
			assert.Equal(t, "a\x00b", string(back.Auth), "%s: zeros at the end do not count", name)
		}
	}
}

// cancelingClock asks the command that reads it to give up, while it is armed.
type cancelingClock struct {
	tpm   *TPM
	armed bool
}

func (c *cancelingClock) Now() time.Duration {
	if c.armed {
		c.tpm.Cancel()
	}
	return 0
}

// TPM2_Cancel reaches the search for primes, and an ECC key is made before it
// could. A canceled command has taken no random numbers.
func TestCancelKeyGeneration(t *testing.T) {
	t.Parallel()
	clock := &cancelingClock{}
	tpm, err := New(Platform{Clock: clock, Store: &switchStore{}}, Config{CheckErrors: true})
	require.NoError(t, err)
	clock.tpm = tpm
	in := &inside{TPM: tpm, t: t}
	require.NoError(t, in.Init())
	require.Equal(t, wire.RCSuccess, in.startup())
	srk, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(client{in})
	require.NoError(t, err)
	parent := tpm2.AuthHandle{Handle: srk.ObjectHandle, Name: srk.Name, Auth: tpm2.PasswordAuth(nil)}
	rsa := tpm2.RSASRKTemplate
	clock.armed = true
	drbg := *in.drbg()
	_, err = tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(rsa)}.Execute(client{in})
	assert.ErrorIs(t, err, tpm2.TPMRCCanceled)
	_, err = tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(rsa)}.Execute(client{in})
	assert.ErrorIs(t, err, tpm2.TPMRCCanceled)
	_, err = tpm2.CreateLoaded{ParentHandle: parent, InPublic: tpm2.New2BTemplate(&rsa)}.Execute(client{in})
	assert.ErrorIs(t, err, tpm2.TPMRCCanceled)
	assert.Equal(t, drbg, *in.drbg())
	_, err = tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(client{in})
	assert.NoError(t, err, "what is finished wins")
	assert.NotEqual(t, drbg, *in.drbg())
	clock.armed = false
	_, err = tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(rsa)}.Execute(client{in})
	assert.NoError(t, err)
}

// What depends on the null hierarchy ends with a TPM Reset: the seed of its
// primaries does.
func TestNullPrimariesAfterReset(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	create := func() string {
		made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHNull, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(client{in})
		require.NoError(t, err)
		return string(made.Name.Buffer)
	}
	name := create()
	for _, kind := range []byte{1, 0} { // TPM_SU_STATE, TPM_SU_CLEAR
		require.Equal(t, wire.RCSuccess, in.send([]byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x45, 0, kind}))
		require.NoError(t, in.Init())
		require.Equal(t, wire.RCSuccess, in.startup())
		assert.Equal(t, kind == 1, name == create(), "Linux recognizes a TPM that was changed by it")
	}
}

// The areas of children of a parent without fixedTPM are checked, for they may
// have been made outside.
func TestLoadChecksWhatOthersMade(t *testing.T) {
	t.Parallel()
	for _, fixed := range []bool{true, false} {
		in := newInside(t)
		template := tpm2.ECCSRKTemplate
		template.ObjectAttributes.FixedTPM, template.ObjectAttributes.FixedParent = fixed, fixed
		srk, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(template)}.Execute(client{in})
		require.NoError(t, err)
		public := wire.Public{NameAlg: wire.AlgSHA256, Attributes: wire.ObjectUserWithAuth, Unique: make([]byte, 32),
			Parms: wire.PublicParms{Type: wire.AlgKeyedHash, Scheme: wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull, KDF: wire.AlgNull}}}
		private := in.wrapSensitive(in.object(wire.Handle(srk.ObjectHandle)), in.publicName(&public), &wire.Sensitive{Type: wire.AlgKeyedHash, Seed: make([]byte, 32)})
		var w wire.Writer
		w.Public(&public)
		_, err = tpm2.Load{ParentHandle: tpm2.AuthHandle{Handle: srk.ObjectHandle, Name: srk.Name, Auth: tpm2.PasswordAuth(nil)},
			InPrivate: tpm2.TPM2BPrivate{Buffer: private}, InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](w.Data())}.Execute(client{in})
		if fixed {
			assert.NoError(t, err, "it is this TPM's, which is known by its integrity")
		} else {
			assert.ErrorIs(t, err, tpm2.TPMRCBinding)
		}
	}
}

// A parent must have a seed of half a digest at least.
func TestCheckKeyWantsSeedsOfParents(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	d := make([]byte, 32)
	d[31] = 1
	curve := (&object{public: wire.Public{Parms: wire.PublicParms{Curve: wire.CurveNISTP256}}}).curve()
	x, y := curve.EncodePoint(curve.Base())
	for size, want := range map[int]wire.RC{0: wire.RCSize.Parameter(4), 15: wire.RCSize.Parameter(4), 16: wire.RCSuccess, 32: wire.RCSuccess, 33: wire.RCSize.Parameter(4)} {
		p := wire.Public{NameAlg: wire.AlgSHA256, Attributes: wire.ObjectRestricted | wire.ObjectDecrypt, Point: wire.ECPoint{X: x, Y: y},
			Parms: wire.PublicParms{Type: wire.AlgECC, Curve: wire.CurveNISTP256}}
		assert.Equal(t, want, in.call.checkKey(&p, &wire.Sensitive{Type: wire.AlgECC, Data: d, Seed: make([]byte, size)}, 3, 4), size)
	}
}

// An ordinary object takes its key, and a parent its seed, from the generator of
// the TPM, which has moved on then.
func TestMakeOrdinary(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	null := wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull, KDF: wire.AlgNull}
	for name, tc := range map[string]struct {
		attributes wire.ObjectAttributes
		seed       int
	}{
		"signing":           {wire.ObjectSignEncrypt, 0},
		"restricted":        {wire.ObjectSignEncrypt | wire.ObjectRestricted, 0},
		"decryption":        {wire.ObjectDecrypt, 0},
		"storage":           {wire.ObjectDecrypt | wire.ObjectRestricted, 32},
		"for both purposes": {wire.ObjectDecrypt | wire.ObjectSignEncrypt, 0},
	} {
		o := creation{public: wire.Public{NameAlg: wire.AlgSHA256, Attributes: tc.attributes | wire.ObjectSensitiveDataOrigin,
			Parms: wire.PublicParms{Type: wire.AlgECC, Curve: wire.CurveNISTP256, Scheme: null, KDF: null}}}
		gen := *in.drbg()
		s, rc := in.makeOrdinary(&o)
		require.Equal(t, wire.RCSuccess, rc, name)
		d, _, err := crypt.CurveOf(wire.CurveNISTP256).GenerateKey(&gen)
		require.NoError(t, err)
		seed := make([]byte, 32)
		gen.Read(seed)
		assert.Equal(t, d, scalarOf(&s), name)
		assert.Equal(t, seed[:tc.seed], append([]byte{}, s.Seed...), name)
		assert.Equal(t, gen, *in.drbg(), name)
	}
}

// The data that a primary is derived with are not its secret, if that is the
// TPM's to make.
func TestDataAreNotTheSecret(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	for origin, want := range map[wire.ObjectAttributes]bool{wire.ObjectSensitiveDataOrigin: false, 0: true} {
		p := wire.Public{NameAlg: wire.AlgSHA1, Attributes: origin | wire.ObjectSignEncrypt,
			Parms: wire.PublicParms{Type: wire.AlgKeyedHash, Scheme: wire.Scheme{Alg: wire.AlgHMAC, Hash: wire.AlgSHA256}}}
		o := in.primaryCreation(wire.RHOwner, &p, &wire.SensitiveCreate{Data: []byte("data")})
		s, rc := in.makeObject(&o)
		require.Equal(t, wire.RCSuccess, rc)
		assert.Equal(t, want, string(s.Data) == "data")
		if !want {
			assert.Len(t, s.Data, 32, "a digest of the scheme")
		}
		assert.Len(t, s.Seed, 20, "a digest of nameAlg")
	}
}

// What a key of an endorsement primary's children is made from, in its order.
func TestSeedOfAnEndorsementKey(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(tpm2.ECCEKTemplate)}.Execute(client{in})
	require.NoError(t, err)
	p := &in.s.Persistent
	gen := crypt.NewPrimaryGenerator(p.EPSeed.Bytes(), digestName(wire.AlgSHA256, string(tpm2.Marshal(tpm2.ECCEKTemplate))), nil)
	_, _, err = crypt.CurveOf(wire.CurveNISTP256).GenerateKey(gen)
	require.NoError(t, err)
	gen.Stir(p.SHProof.Bytes())
	gen.Stir(p.EHProof.Bytes())
	seed := make([]byte, 32)
	gen.Read(seed)
	assert.Equal(t, seed, in.object(wire.Handle(made.ObjectHandle)).sensitive.Seed)
}

// Parents have both areas.
func TestParents(t *testing.T) {
	t.Parallel()
	const store = wire.ObjectRestricted | wire.ObjectDecrypt
	for name, tc := range map[string]struct {
		alg                wire.AlgID
		attributes         wire.ObjectAttributes
		flags              state.ObjectFlags
		kind               state.ObjectKind
		storage, derivates bool
	}{
		"RSA":         {alg: wire.AlgRSA, attributes: store, kind: state.ObjectLoaded, storage: true},
		"AES":         {alg: wire.AlgSymCipher, attributes: store, kind: state.ObjectLoaded, storage: true},
		"XOR":         {alg: wire.AlgKeyedHash, attributes: store, kind: state.ObjectLoaded, derivates: true},
		"public RSA":  {alg: wire.AlgRSA, attributes: store, kind: state.ObjectLoaded, flags: state.ObjectPublicOnly | state.ObjectExternal},
		"public XOR":  {alg: wire.AlgKeyedHash, attributes: store, kind: state.ObjectLoaded, flags: state.ObjectPublicOnly | state.ObjectExternal},
		"restricted":  {alg: wire.AlgRSA, attributes: wire.ObjectRestricted, kind: state.ObjectLoaded},
		"decrypts":    {alg: wire.AlgRSA, attributes: wire.ObjectDecrypt, kind: state.ObjectLoaded},
		"no object":   {alg: wire.AlgRSA, attributes: store, kind: state.ObjectHashSequence},
		"no XOR key":  {alg: wire.AlgKeyedHash, kind: state.ObjectLoaded},
		"HMAC signer": {alg: wire.AlgKeyedHash, attributes: wire.ObjectRestricted | wire.ObjectSignEncrypt, kind: state.ObjectLoaded},
	} {
		o := &object{Object: &state.Object{Kind: tc.kind, Flags: tc.flags}, public: wire.Public{NameAlg: wire.AlgSHA1, Attributes: tc.attributes, Parms: wire.PublicParms{Type: tc.alg}}}
		assert.Equal(t, tc.storage, o.isStorageParent(), name)
		assert.Equal(t, tc.derivates, o.isDerivationParent(), name)
		assert.Equal(t, tc.storage || tc.derivates, o.isParent(), name)
	}
}
