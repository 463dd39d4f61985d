//go:build linux

package main

import (
	"crypto/mlkem"
	"encoding/binary"
	"errors"
	"io"

	"github.com/cloudflare/circl/kem/mlkem/mlkem512"

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

// encapsulateTo encapsulates to a public key outside of the TPM.
func encapsulateTo(set wire.MLKEMParameterSet, public []byte) (shared, ciphertext []byte, err error) {
	k, err := libraryKEM(set, public)
	if err != nil {
		return nil, nil, err
	}
	shared, ciphertext = k.Encapsulate()
	return shared, ciphertext, nil
}

// A circl512 is a key of ML-KEM-512, which crypto/mlkem does not have.
type circl512 struct {
	public  mlkem512.PublicKey
	private *mlkem512.PrivateKey
	random  counter
}

func (k *circl512) Encapsulate() (shared, ciphertext []byte) {
	shared, ciphertext = make([]byte, mlkem512.SharedKeySize), make([]byte, mlkem512.CiphertextSize)
	k.public.EncapsulateTo(ciphertext, shared, k.random.seed(mlkem512.EncapsulationSeedSize))
	return shared, ciphertext
}

func (k *circl512) Decapsulate(ciphertext []byte) ([]byte, error) {
	shared := make([]byte, mlkem512.SharedKeySize)
	k.private.DecapsulateTo(shared, ciphertext)
	return shared, nil
}

// libraryKEM is a public key of the library that has the set.
func libraryKEM(set wire.MLKEMParameterSet, public []byte) (interface{ Encapsulate() (k, c []byte) }, error) {
	switch set {
	case wire.MLKEM768:
		return mlkem.NewEncapsulationKey768(public)
	case wire.MLKEM1024:
		return mlkem.NewEncapsulationKey1024(public)
	}
	k := new(circl512)
	return k, k.public.Unpack(public)
}

// encapsulations are the sides that encapsulate to a public key.
func encapsulations(set wire.MLKEMParameterSet, public []byte) (sides []side, err error) {
	library, err := libraryKEM(set, public)
	if err != nil {
		return nil, err
	}
	sides = append(sides, side{sideLibrary, operation{run: func() error {
		library.Encapsulate()
		return nil
	}}})
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
	default:
		_, k := mlkem512.NewKeyFromSeed(seed)
		add(sideLibrary, &circl512{private: k})
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
		default:
			add(sideLibrary, func(seed []byte) error {
				k, _ := mlkem512.NewKeyFromSeed(seed)
				encoded := make([]byte, mlkem512.PublicKeySize)
				k.Pack(encoded)
				return nil
			})
		}
		add(sideCrypt, func(seed []byte) error {
			_, err := crypt.NewMLKEMKey(set, seed)
			return err
		})
		return sides
	}
}
