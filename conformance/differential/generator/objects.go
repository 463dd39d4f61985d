package generator

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// classNamed finds a class by its name.
func classNamed(name string) *class {
	for i := range classes {
		if classes[i].name == name {
			return &classes[i]
		}
	}
	panic("differential: no class of objects is called " + name)
}

// is reports whether the object is of a class.
func (o *object) is(c *class) bool {
	return o.key && o.public.Kind == c.kind && o.public.Attributes&usesMask == c.uses &&
		(len(c.schemes) == 0 || slices.Contains(c.schemes, o.public.Scheme))
}

// one gives a handle area of one object of any of the classes.
func one(names ...string) func(*generator) []uint32 {
	return func(g *generator) []uint32 { return []uint32{g.objectIn(names...)} }
}

// objectIn draws an object of any of the classes, whose sensitive area is
// loaded.
func (g *generator) objectIn(names ...string) uint32 {
	return g.objectOf(func(o *object) bool {
		return o.private && slices.ContainsFunc(names, func(name string) bool { return o.is(classNamed(name)) })
	}, names...)
}

// objectOf draws a live object that fits; if there is none, and now and then
// anyway, one of one of the classes is made.
func (g *generator) objectOf(fits func(*object) bool, names ...string) uint32 {
	if g.odd() {
		return g.handle(conformance.Object)
	}
	var of []uint32
	for i := range g.model.objects {
		if fits(&g.model.objects[i]) {
			of = append(of, g.model.objects[i].handle)
		}
	}
	if len(of) > 0 && (g.preparing > maxPreparing || g.chance(0.95)) {
		return pick(g, of...)
	}
	if o := g.newObject(classNamed(pick(g, names...))); o != nil && fits(o) {
		return o.handle
	}
	if len(of) > 0 {
		return pick(g, of...)
	}
	return g.handle(conformance.Object)
}

// newObject makes an object of a class in one of the ways there are.
func (g *generator) newObject(c *class) *object {
	if g.preparing > maxPreparing {
		return nil
	}
	g.preparing++
	wanted, wantedKey, publicOnly := g.wanted, g.wantedKey, g.publicOnly
	defer func() {
		g.preparing--
		g.wanted, g.wantedKey, g.publicOnly = wanted, wantedKey, publicOnly
	}()
	g.wanted, g.wantedKey, g.publicOnly = c, nil, false
	keys := slices.DeleteFunc(slices.Clone(conversation.Keys()), func(k *conversation.Key) bool { return !c.takes(k) })
	ways := []func() (result, bool){
		func() (result, bool) { return g.madeBy(tpm2.TPMCCCreatePrimary) },
		func() (result, bool) { return g.madeBy(tpm2.TPMCCCreateLoaded) },
		func() (result, bool) { return g.madeBy(tpm2.TPMCCCreate, tpm2.TPMCCLoad) },
	}
	if len(keys) > 0 {
		g.wantedKey = pick(g, keys...)
		ways = append(ways,
			func() (result, bool) { return g.madeBy(tpm2.TPMCCLoadExternal) },
			func() (result, bool) { return g.madeBy(tpm2.TPMCCImport, tpm2.TPMCCLoad) })
	}
	g.rng.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
	if c.kind == tpm2.TPMAlgRSA && len(keys) > 0 { // generating one takes as long as a thousand commands
		ways = []func() (result, bool){
			func() (result, bool) { return g.madeBy(tpm2.TPMCCLoadExternal) },
			func() (result, bool) { return g.madeBy(tpm2.TPMCCImport, tpm2.TPMCCLoad) },
		}
	}
	for _, way := range ways {
		if r, ok := way(); ok {
			return g.model.object(r.response.Handle)
		}
	}
	return nil
}

// madeBy sends commands, of which the last one gives an object.
func (g *generator) madeBy(codes ...tpm2.TPMCC) (r result, ok bool) {
	if !g.can(codes...) {
		return result{}, false
	}
	for _, code := range codes {
		if r, ok = g.sound(code, "to have one"); !ok {
			return result{}, false
		}
	}
	return r, true
}

// takes reports whether the key can be of the class.
func (c *class) takes(k *conversation.Key) bool {
	isParent := c.uses&(wire.ObjectRestricted|wire.ObjectDecrypt) == wire.ObjectRestricted|wire.ObjectDecrypt
	switch k.Name {
	case "sealed":
		return c.name == "sealed"
	case "hmac":
		return c.kind == tpm2.TPMAlgKeyedHash && c.uses&wire.ObjectSign != 0
	case "aes128":
		return c.name == "cipher"
	}
	return c.kind == k.Kind && !isParent
}

// loadPublic loads the public area of a key of this package.
func (g *generator) loadPublic(k *conversation.Key) (handle uint32, ok bool) {
	wanted, wantedKey, publicOnly := g.wanted, g.wantedKey, g.publicOnly
	defer func() { g.wanted, g.wantedKey, g.publicOnly = wanted, wantedKey, publicOnly }()
	g.wantedKey, g.publicOnly = k, true
	g.wanted = classNamed(map[tpm2.TPMAlgID]string{tpm2.TPMAlgRSA: "any RSA", tpm2.TPMAlgECC: "any ECC"}[k.Kind])
	r, ok := g.sound(tpm2.TPMCCLoadExternal, "to have one")
	return r.response.Handle, ok
}
