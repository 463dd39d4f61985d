package swtpm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// listing says which algorithms algorithmWords lists.
type listing uint8

const (
	listAll     listing = iota // all there are
	listThese                  // the given ones
	listOthers                 // all but the given ones
	listProfile                // the given ones, as a profile has them: curves by group
)

// curveGroups are the words that stand for several curves.
var curveGroups = [...]struct{ word, prefix string }{
	{"ecc-nist", "ecc-nist-p"},
	{"ecc-bn", "ecc-bn-p"},
}

// curveBits are key sizes.
var curveBits = map[wire.Curve]uint16{
	wire.CurveNISTP192: 192, wire.CurveNISTP224: 224, wire.CurveNISTP256: 256, wire.CurveNISTP384: 384,
	wire.CurveNISTP521: 521, wire.CurveBNP256: 256, wire.CurveBNP638: 638, wire.CurveSM2P256: 256,
}

// algorithmWords lists algorithms by the words of swtpm's profiles (swtpm(8),
// "--profile"), in the order of their numbers: after a cipher the smallest of its key
// sizes, after ECC the groups of curves and the curves.
func algorithmWords(all, these *Features, how listing) string {
	var words []string
	for _, alg := range slices.Sorted(slices.Values(append([]wire.AlgID{wire.AlgNull}, all.Algorithms...))) {
		given := alg == wire.AlgNull || slices.Contains(these.Algorithms, alg)
		if how == listAll || given == (how != listOthers) {
			words = append(words, word(alg))
			if how != listOthers {
				words = append(words, least(alg, these, how)...)
			}
		}
		if alg == wire.AlgECC {
			words = append(words, curveWords(all.Curves, these.Curves, how)...)
		}
	}
	return strings.Join(words, ",")
}

func word(named fmt.Stringer) string {
	return strings.ToLower(strings.ReplaceAll(named.String(), "_", "-"))
}

// least is the word for the smallest key of an algorithm, if it has one.
func least(alg wire.AlgID, these *Features, how listing) []string {
	var bits []uint16
	switch alg {
	case wire.AlgRSA:
		bits = these.RSABits
	case wire.AlgAES:
		bits = these.AESBits
	case wire.AlgCamellia:
		bits = these.CamelliaBits
	case wire.AlgECC:
		for _, c := range these.Curves {
			bits = append(bits, curveBits[c])
		}
	case wire.AlgHMAC:
		if how == listAll {
			return []string{"hmac-min-key-size=1"}
		}
	}
	if len(bits) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s-min-size=%d", word(alg), slices.Min(bits))}
}

// curveWords lists groups of curves and then curves.
func curveWords(all, these []wire.Curve, how listing) (words []string) {
	whole := map[string]bool{}
	for _, g := range curveGroups {
		of := slices.DeleteFunc(slices.Clone(all), func(c wire.Curve) bool { return !strings.HasPrefix("ecc-"+word(c), g.prefix) })
		if len(of) == 0 {
			continue
		}
		whole[g.prefix] = len(without(of, these)) == 0
		if how == listAll || whole[g.prefix] == (how != listOthers) {
			words = append(words, g.word)
		}
	}
	for _, c := range slices.Sorted(slices.Values(all)) {
		name := "ecc-" + word(c)
		grouped := how == listProfile && whole[strings.TrimRight(name, "0123456789")]
		if how == listAll || slices.Contains(these, c) == (how != listOthers) && !grouped {
			words = append(words, name)
		}
	}
	return words
}
