package curve448

import (
	"math/big"
	"slices"
	"sync"
)

// constants are the numbers of the curve (RFC 7748, section 4.2; RFC 8032, section 5.2).
type constants struct {
	// prime is p, the order of the field, and order L, that of the base point.
	prime, order *big.Int
	// base is the base point of the curve x² + y² = 1 + d·x²·y², a24 is (A - 2) / 4 of the
	// Montgomery curve.
	base   point
	d, a24 *big.Int
}

// curve makes them when they are asked for: a program that has this package starts without.
var curve = sync.OnceValue(func() *constants {
	one := big.NewInt(1)
	return &constants{
		prime: sub(sub(power(448), power(224)), one),
		order: sub(power(446), decimal("13818066809895115352007386748515426880336692474882178609894547503885")),
		base: point{
			decimal("224580040295924300187604334099896036246789641632564134246125461686950415467406032909029192869357953282578032075146446173674602635247710"),
			decimal("298819210078481492676017930443930673437544040154080242095928241372331506189835876003536878655418784733982303233503462500531545062832660"),
			one,
		},
		d: big.NewInt(-39081), a24: big.NewInt(39081),
	}
})

func power(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }

func decimal(digits string) *big.Int {
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		panic("no number: " + digits)
	}
	return n
}

func add(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
func sub(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }

// mul is a product in the field; its factors may be any numbers.
func mul(a, b *big.Int) *big.Int {
	product := new(big.Int).Mul(a, b)
	return product.Mod(product, curve().prime)
}

// inverse is that of a number in the field, 0 of 0.
func inverse(a *big.Int) *big.Int {
	p := curve().prime
	i := new(big.Int).ModInverse(new(big.Int).Mod(a, p), p)
	if i == nil {
		return new(big.Int)
	}
	return i
}

// decode reads a little-endian number.
func decode(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// encode writes a little-endian number of so many bytes.
func encode(n *big.Int, size int) []byte {
	b := n.FillBytes(make([]byte, size))
	slices.Reverse(b)
	return b
}
