package crypt

import (
	"bytes"
	"container/list"
	"sync"
)

// RSAKeys remembers RSA keys by what they were made from, so that the same primary key
// takes its time once: the same primary seed, template and data give the same generator
// (NewPrimaryGenerator), and the same state of a generator gives the same key. It never
// answers with the key of another state. The zero value remembers DefaultRSAKeys keys and
// may be shared by TPMs; a nil *RSAKeys remembers nothing.
//
// What it holds are private keys: Wipe forgets them.
type RSAKeys struct {
	// Limit is the number of keys that are remembered, those used last; 0 is
	// DefaultRSAKeys.
	Limit int

	mu    sync.Mutex
	byUse list.List // of *rememberedKey, the one used last in front
	found map[rsaOrigin]*list.Element
}

// DefaultRSAKeys is the number of keys that the zero RSAKeys remembers: less than 256 KiB.
const DefaultRSAKeys = 64

// rsaOrigin is all that a key depends on.
type rsaOrigin struct {
	gen      DRBGState
	bits     int
	exponent uint32
	lineage  Lineage
}

type rememberedKey struct {
	origin rsaOrigin
	// modulus and prime are those of RSAPrivateKey.
	modulus, prime []byte
	after          DRBGState // the generator when the key was made
}

// Make returns modulus and prime (RSAPrivateKey.Modulus and Prime) of the key that
// GenerateRSA makes, and leaves gen in the same state. The errors are those of GenerateRSA.
func (k *RSAKeys) Make(gen *DRBGState, bits int, o RSAOptions) (modulus, prime []byte, err error) {
	origin := rsaOrigin{*gen, bits, o.Exponent, o.Lineage}
	if r, ok := k.recall(origin); ok {
		*gen = r.after
		return r.modulus, r.prime, nil
	}
	key, err := GenerateRSA(gen, bits, o)
	if err != nil {
		return nil, nil, err
	}
	modulus, prime = key.Modulus(), key.Prime()
	k.remember(&rememberedKey{origin, bytes.Clone(modulus), bytes.Clone(prime), *gen})
	return modulus, prime, nil
}

func (k *RSAKeys) recall(origin rsaOrigin) (r rememberedKey, ok bool) {
	if k == nil {
		return r, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.found[origin]
	if !ok {
		return r, false
	}
	k.byUse.MoveToFront(e)
	r = *e.Value.(*rememberedKey)
	// Wipe clears what is remembered: the caller has its own.
	r.modulus, r.prime = bytes.Clone(r.modulus), bytes.Clone(r.prime)
	return r, true
}

func (k *RSAKeys) remember(r *rememberedKey) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.found[r.origin]; ok {
		return // another TPM was faster
	}
	if k.found == nil {
		k.found = make(map[rsaOrigin]*list.Element)
	}
	k.found[r.origin] = k.byUse.PushFront(r)
	limit := k.Limit
	if limit <= 0 {
		limit = DefaultRSAKeys
	}
	for k.byUse.Len() > limit {
		k.forget(k.byUse.Back())
	}
}

// forget clears a key that is remembered. The caller holds mu.
func (k *RSAKeys) forget(e *list.Element) {
	r := k.byUse.Remove(e).(*rememberedKey)
	delete(k.found, r.origin)
	clear(r.prime)
	*r = rememberedKey{}
}

// Wipe forgets all keys and overwrites them.
func (k *RSAKeys) Wipe() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for e := k.byUse.Back(); e != nil; e = k.byUse.Back() {
		k.forget(e)
	}
}

// Len returns the number of keys that are remembered.
func (k *RSAKeys) Len() int {
	if k == nil {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byUse.Len()
}
