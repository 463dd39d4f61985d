package crypt

import (
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// minPrimeDistance is the number of bits that the difference of the two primes
// has at least, less one.
const minPrimeDistance = 100

// maxRSATries bounds the primes looked at for one key. Two are enough except
// with a chance far below that of a broken processor.
const maxRSATries = 100

// RSAOptions says how an RSA key is made. The zero value is the default.
type RSAOptions struct {
	// Exponent is the public exponent, an odd prime of at least 65,537; 0 means
	// 65,537.
	Exponent uint32
	// Lineage is whose primary keys are made.
	Lineage Lineage
	// Canceled is polled every few milliseconds. nil never cancels.
	Canceled func() bool
	// Workers is how many candidates are tested at the same time, 0 for as many
	// as there are processors, up to 8. It does not change the key.
	Workers int
}

// CheckRSAParameters refuses what GenerateRSA does not make: sizes other than
// 1,024, 2,048, 3,072 and 4,096 bits with TPM_RC_VALUE, exponents below 65,537
// other than 0 and those that are not prime with TPM_RC_RANGE.
func CheckRSAParameters(bits int, exponent uint32) error {
	const op = "RSA key generation"
	if exponent != 0 && (exponent < defaultExponent || !new(big.Int).SetUint64(uint64(exponent)).ProbablyPrime(0)) {
		return refuse(op, wire.RCRange, "the exponent %d is no prime from %d up", exponent, defaultExponent)
	}
	if bits%1024 != 0 || bits < 1024 || bits > 4096 {
		return refuse(op, wire.RCValue, "a key of %d bits; use 1024, 2048, 3072 or 4096", bits)
	}
	return nil
}

// GenerateRSA makes a key with a modulus of the given number of bits from gen
// (Part 1, annex "RSA Key Generation"). The same state of gen gives the same key
// and leaves gen in the same state, which for a gen of NewPrimaryGenerator are
// those of the reference. What CheckRSAParameters refuses is refused; a canceled
// generation gives TPM_RC_CANCELED and leaves gen in the middle of its course.
func GenerateRSA(gen *DRBGState, bits int, o RSAOptions) (*RSAPrivateKey, error) {
	if err := CheckRSAParameters(bits, o.Exponent); err != nil {
		return nil, err
	}
	if o.Exponent == 0 {
		o.Exponent = defaultExponent
	}
	if o.Workers == 0 {
		o.Workers = primeWorkers()
	}
	s := &primeSearch{gen: gen, bits: bits / 2, exponent: o.Exponent, lineage: o.Lineage, canceled: o.Canceled, workers: o.Workers}
	q, err := s.next()
	if err != nil {
		return nil, err
	}
	for range maxRSATries {
		p, err := s.next()
		if err != nil {
			return nil, err
		}
		if new(big.Int).Sub(p, q).BitLen() <= minPrimeDistance {
			continue
		}
		if k := newRSAPrivateKey(newRSAPublicKey(new(big.Int).Mul(p, q), o.Exponent), p, q); k != nil {
			return k, nil
		}
	}
	return nil, refuse("RSA key generation", wire.RCNoResult, "no second prime was found")
}
