package crypt

import "github.com/swtpmd/swtpmd/emulator/crypt/internal/keccak"

// drawFours fills polynomials from SHAKE of a seed and an end of two octets, which end gives
// for each, four at a time. take takes what it can from a block, from coefficient n on, and
// gives the coefficient that is the next one, or the number of coefficients. Package keccak
// must be available.
func drawFours(rate int, seed []byte, polys []dsaPoly, end func(i int) [2]byte, take func(p *dsaPoly, n int, block []byte) int) {
	var f keccak.Four
	var block [keccak.MaxBlock]byte
	for first := 0; first < len(polys); first += 4 {
		group := polys[first:min(first+4, len(polys))]
		var ends [4][2]byte
		for i := range group {
			ends[i] = end(first + i)
		}
		f.Start(rate, seed, &ends)
		var n [4]int
		for missing := len(group); missing > 0; {
			f.Next()
			for i := range group {
				if n[i] == dsaN {
					continue
				}
				f.Block(block[:], i)
				if n[i] = take(&group[i], n[i], block[:rate]); n[i] == dsaN {
					missing--
				}
			}
		}
	}
}
