package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Flip has the TPM execute the command, and flips bits of its response.
type Flip struct {
	// Bits are the bits; those after the end of the response stay away.
	Bits []Bit
	// Random is how many bits are drawn if Bits is empty.
	Random int
}

// Bit is a bit of a response: its byte, and its number in it, from 0, the lowest.
type Bit struct {
	Byte int
	Bit  uint8
}

func (b Bit) String() string { return fmt.Sprintf("%d.%d", b.Byte, b.Bit) }

var flipKind = Kind{
	Word: "flip", Value: "BYTE.BIT,…|N", Group: Bytes,
	Doc: "The TPM executes the command, and bits of its response are flipped: those given, as the byte from 0 and its bit from 0 (the lowest) to 7; " +
		"or N bits drawn from the seed.",
	Example: "ReadClock: flip=9.0,12.7",
	Dangerous: "a client acts on a wrong tag, size or code as if the TPM had sent it, and takes wrong data for the TPM's " +
		"where no session protects them",
	parse: parseFlip,
}

// maxFlips bounds the bits of one Flip.
const maxFlips = 1024

func parseFlip(value string) (Fault, error) {
	if n, ok := number(value); ok {
		return Flip{Random: n}.valid()
	}
	var f Flip
	for text := range strings.SplitSeq(value, ",") {
		at, bit, _ := strings.Cut(text, ".")
		b, errByte := strconv.ParseUint(at, 10, 16)
		n, errBit := strconv.ParseUint(bit, 10, 3)
		if errByte != nil || errBit != nil {
			return nil, errFlip
		}
		f.Bits = append(f.Bits, Bit{int(b), uint8(n)})
	}
	return f.valid()
}

var errFlip = errors.New("bits are written BYTE.BIT with commas between them, such as 9.0,12.7, with bytes from 0 to " +
	strconv.Itoa(maxBytes-1) + " and each bit once; or their number is, from 1 to " + strconv.Itoa(maxFlips))

func (f Flip) valid() (Fault, error) {
	if reason := f.check(nil, nil); reason != "" {
		return nil, errors.New(reason)
	}
	return f, nil
}

func (Flip) kind() *Kind { return &flipKind }

func (f Flip) String() string {
	if len(f.Bits) == 0 {
		return "flip=" + strconv.Itoa(f.Random)
	}
	return "flip=" + joined(f.Bits, "%s")
}

func (f Flip) check(*Plan, *Rule) string {
	ok := f.Random >= 1 && f.Random <= maxFlips
	if len(f.Bits) > 0 {
		ok = f.Random == 0 && len(f.Bits) <= maxFlips
	}
	for i, b := range f.Bits {
		ok = ok && b.Byte >= 0 && b.Byte < maxBytes && b.Bit <= 7 && !slices.Contains(f.Bits[:i], b)
	}
	if !ok {
		return errFlip.Error()
	}
	return ""
}

func (f Flip) apply(x *exchange) ([]byte, error) {
	return x.change(func(response []byte) ([]byte, string) {
		bits := f.Bits
		if len(bits) == 0 {
			bits = draw(x.random(), f.Random, len(response))
		}
		var flipped []Bit
		for _, b := range bits {
			if b.Byte < len(response) {
				response[b.Byte] ^= 1 << b.Bit
				flipped = append(flipped, b)
			}
		}
		if len(flipped) == 0 {
			return response, ""
		}
		return response, joined(flipped, "%s") + " flipped"
	})
}

// draw returns n different bits of size bytes, or all of them, in order.
func draw(random *rand.Rand, n, size int) []Bit {
	all := random.Perm(8 * size)
	all = all[:min(n, len(all))]
	slices.Sort(all)
	bits := make([]Bit, len(all))
	for i, at := range all {
		bits[i] = Bit{at / 8, uint8(at % 8)}
	}
	return bits
}
