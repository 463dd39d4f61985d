// Package wire holds the constants, structures and response codes of TPM 2.0
// Library Part 2 (rev 1.84) and turns them into bytes and back.
//
// Decoding is done with a Reader over the received bytes: every step is
// bounds-checked, the first failure sticks as the bare response code that Part
// 2 gives for it, and decoded byte strings alias the input. Which algorithms a
// selector may name is not fixed here: the Reader carries Selectors, which the
// algorithm registry of package crypt builds, so that switching an algorithm
// on changes what decodes. Encoding appends to a Writer and cannot fail.
//
// All integers are big-endian (Part 1, section "Command/Response Structure").
// The package has no state.
package wire
