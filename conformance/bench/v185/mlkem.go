//go:build linux

package main

import (
	"crypto/mlkem"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

var errOther = errors.New("the TPM and the other side have different results")

// A counter is a source of numbers that are all different, and costs nothing.
type counter uint64

func (c *counter) Read(p []byte) (int, error) {
	*c++
	clear(p)
	binary.LittleEndian.PutUint64(p, uint64(*c))
	return len(p), nil
}

// seed is the next seed of n bytes.
func (c *counter) seed(n int) []byte {
	p := make([]byte, n)
	_, _ = c.Read(p) // it never fails
	return p
}

// encapsulateTo encapsulates to a public key outside of the TPM: with the library where it
// has the parameter set.
func encapsulateTo(set wire.MLKEMParameterSet, public []byte) (shared, ciphertext []byte, err error) {
	k, err := libraryKEM(set, public)
	switch {
	case err != nil:
		return nil, nil, err
	case k == nil:
		return crypt.MLKEMEncapsulate(set, public, rand.Reader)
	}
	shared, ciphertext = k.Encapsulate()
	return shared, ciphertext, nil
}

// libraryKEM is a public key of the library, nil for the set that it does not have.
func libraryKEM(set wire.MLKEMParameterSet, public []byte) (interface{ Encapsulate() (k, c []byte) }, error) {
	switch set {
	case wire.MLKEM768:
		return mlkem.NewEncapsulationKey768(public)
	case wire.MLKEM1024:
		return mlkem.NewEncapsulationKey1024(public)
	}
	return nil, nil
}

// encapsulations are the sides that encapsulate to a public key.
func encapsulations(set wire.MLKEMParameterSet, public []byte) (sides []side, err error) {
	library, err := libraryKEM(set, public)
	if err != nil {
		return nil, err
	}
	if library != nil {
		sides = append(sides, side{sideLibrary, operation{run: func() error {
			library.Encapsulate()
			return nil
		}}})
	}
	k, err := crypt.NewMLKEMPublicKey(set, public)
	random := new(counter)
	return append(sides, side{sideCrypt, operation{run: func() error {
		_, _, err := k.Encapsulate(random)
		return err
	}}}), err
}

// decapsulations are the sides that decapsulate with a key of their own.
func decapsulations(set wire.MLKEMParameterSet) (sides []side, err error) {
	seed := new(counter).seed(wire.MLKEMSeed)
	own, err := crypt.NewMLKEMKey(set, seed)
	if err != nil {
		return nil, err
	}
	_, ciphertext, err := encapsulateTo(set, own.Public())
	if err != nil {
		return nil, err
	}
	add := func(name string, k interface{ Decapsulate([]byte) ([]byte, error) }) {
		sides = append(sides, side{name, operation{run: func() error {
			_, err := k.Decapsulate(ciphertext)
			return err
		}}})
	}
	switch set {
	case wire.MLKEM768:
		k, err := mlkem.NewDecapsulationKey768(seed)
		if err != nil {
			return nil, err
		}
		add(sideLibrary, k)
	case wire.MLKEM1024:
		k, err := mlkem.NewDecapsulationKey1024(seed)
		if err != nil {
			return nil, err
		}
		add(sideLibrary, k)
	}
	add(sideCrypt, own)
	return sides, nil
}

// mlkemMaker has the sides that make a key from a seed and encode its public part.
func mlkemMaker(set wire.MLKEMParameterSet) func() []side {
	return func() (sides []side) {
		seeds := new(counter)
		add := func(name string, run func(seed []byte) error) {
			sides = append(sides, side{name, operation{run: func() error { return run(seeds.seed(wire.MLKEMSeed)) }}})
		}
		switch set {
		case wire.MLKEM768:
			add(sideLibrary, func(seed []byte) error {
				k, err := mlkem.NewDecapsulationKey768(seed)
				if err == nil {
					_, err = io.Discard.Write(k.EncapsulationKey().Bytes())
				}
				return err
			})
		case wire.MLKEM1024:
			add(sideLibrary, func(seed []byte) error {
				k, err := mlkem.NewDecapsulationKey1024(seed)
				if err == nil {
					_, err = io.Discard.Write(k.EncapsulationKey().Bytes())
				}
				return err
			})
		}
		add(sideCrypt, func(seed []byte) error {
			_, err := crypt.NewMLKEMKey(set, seed)
			return err
		})
		return sides
	}
}
