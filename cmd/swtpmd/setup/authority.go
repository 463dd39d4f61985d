package setup

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/swtpmd/swtpmd/emulator/provision"
)

// The files of an authority, with the names that swtpm_localca gives them.
const (
	authorityKey         = "signkey.pem"
	authorityCertificate = "issuercert.pem"
)

// authorityName is the common name of an authority that is made.
const authorityName = "swtpmd CA"

// authority is an Authority and where its certificate is.
type authority struct {
	*provision.Authority
	dir, file string
	made      bool
}

// openAuthority reads the authority in a directory, and makes what is not there: the
// key first, then its certificate. Several programs may do it at once; all take what
// the first one has made.
func openAuthority(dir string, entropy io.Reader, now time.Time) (*authority, error) {
	a := &authority{dir: dir, file: filepath.Join(dir, authorityCertificate)}
	key, err := readKey(filepath.Join(dir, authorityKey))
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(a.file); statErr == nil {
			return nil, fmt.Errorf("%s has a certificate (%s) and no key (%s)", dir, authorityCertificate, authorityKey)
		}
		key, err = a.make(entropy)
	}
	if err != nil {
		return nil, err
	}
	certificate, err := readCertificate(a.file)
	if errors.Is(err, fs.ErrNotExist) {
		// Whoever made the key was ended before its certificate.
		certificate, err = a.certify(key, entropy, now)
	}
	if err != nil {
		return nil, err
	}
	a.Authority = &provision.Authority{Certificate: certificate, Key: key}
	if err := a.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", a.file, err)
	}
	return a, nil
}

// make makes the key.
func (a *authority) make(entropy io.Reader) (crypto.Signer, error) {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, err
	}
	key, err := provision.NewAuthorityKey(entropy)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(a.dir, authorityKey)
	if err := writeNew(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	a.made = true
	return readKey(path)
}

// certify makes the certificate of the key.
func (a *authority) certify(key crypto.Signer, entropy io.Reader, now time.Time) (*x509.Certificate, error) {
	made, err := provision.NewAuthority(authorityName, key, entropy, now)
	if err != nil {
		return nil, err
	}
	if err := writeNew(a.file, certificatePEM(made.Certificate.Raw), 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readCertificate(a.file)
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// maxPEM bounds the files of an authority, in bytes.
const maxPEM = 1 << 20

// readPEM returns the first block of a file.
func readPEM(path string) (*pem.Block, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: there is no PEM block in it", path)
	}
	return block, nil
}

// readKey reads a private key: PKCS #8, PKCS #1 or SEC 1, in PEM, not encrypted.
func readKey(path string) (crypto.Signer, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, fmt.Errorf("%s: the key is encrypted: decrypt it with openssl pkey -in %[1]s -out FILE", path)
	}
	for _, parse := range []func([]byte) (any, error){
		x509.ParsePKCS8PrivateKey,
		func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
	} {
		if key, err := parse(block.Bytes); err == nil {
			if signer, ok := key.(crypto.Signer); ok {
				return signer, nil
			}
		}
	}
	return nil, fmt.Errorf("%s: a %s block is no private key that can sign: it needs PKCS #8, PKCS #1 or SEC 1", path, block.Type)
}

// readCertificate reads the first certificate of a file.
func readCertificate(path string) (*x509.Certificate, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certificate, nil
}

// writeNew writes a file that is whole when it has its name, and fails with
// fs.ErrExist if there is one.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	return place(path, content, mode, os.Link)
}

// replace writes a file that is whole when it has its name.
func replace(path string, content []byte, mode fs.FileMode) error {
	return place(path, content, mode, os.Rename)
}

func place(path string, content []byte, mode fs.FileMode, name func(from, to string) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(content); err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return name(f.Name(), path)
}
