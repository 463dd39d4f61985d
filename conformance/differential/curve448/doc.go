// Package curve448 is Ed448, Ed448ph and X448 as RFC 8032 and RFC 7748 write them: the
// formulas of the texts in the arithmetic of math/big, and no care for time. It is there to
// check implementations with, and keeps no secrets. The emulator has its arithmetic of
// curve 448 from github.com/cloudflare/circl; of that nothing is here, and SHAKE256 of
// crypto/sha3 alone is on both sides. The vectors of the two RFCs hold the package, and
// circl on random input.
package curve448
