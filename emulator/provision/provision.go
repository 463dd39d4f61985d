package provision

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// Options say what a TPM gets.
type Options struct {
	// Keys are made in this order. None means DefaultKeys.
	Keys []Key
	// PlatformCertificate is whether the machine gets a certificate too. It is one of
	// the first endorsement key's, so there must be one.
	PlatformCertificate bool
	// Templates writes the templates of keys to their NV indices too. Without it a
	// template that is the profile's own is not there, as EK profile, section
	// 2.2.1.5, has it.
	Templates bool
	// Nonce is what unique of the endorsement keys of the low range begins with, at
	// most 32 octets, and what their NV indices for nonces hold. Empty is none.
	Nonce []byte
	// Lock locks the indices against writing for good.
	Lock bool
	// Banks are the PCR banks that have PCRs from the next _TPM_Init on, all others
	// have none. Nil leaves them as they are.
	Banks []wire.AlgID
	// Identity is what certificates say. Empty fields of the TPM are taken
	// from its properties.
	Identity Identity
	// Authority signs. Entropy is where serial numbers come from, Now is when
	// certificates begin.
	Authority *Authority
	Entropy   io.Reader
	Now       time.Time
}

// Result is what a TPM has got.
type Result struct {
	Keys     []Made
	Platform *Certificate // nil without
	Identity Identity
	Banks    []wire.AlgID // from the next _TPM_Init on
}

// Made is a key that was made.
type Made struct {
	Key
	Area        []byte // TPMT_PUBLIC
	Certificate Certificate
	// Others are the NV indices beside that of the certificate.
	Others []Index
}

// Certificate is a certificate in an NV index.
type Certificate struct {
	DER []byte
	// Short tells that the index has no room for what may be left out of it.
	Short bool
	Index Index
}

// SHA256 is the fingerprint of the certificate.
func (c *Certificate) SHA256() [32]byte { return sha256.Sum256(c.DER) }

// Index is an NV index that was written.
type Index struct {
	What   string // certificate, nonce or template
	Handle wire.Handle
	Size   int
	Locked bool
}

// indexAttributes are those of the indices (EK profile, section 2.2.1, and
// swtpm_setup): the platform writes them, who asks reads them.
const indexAttributes = wire.NVPlatformCreate | wire.NVAuthRead | wire.NVOwnerRead | wire.NVPPRead | wire.NVPPWrite | wire.NVNoDA | wire.NVWriteDefine

// platformIndex is the NV index of the platform certificate, swtpm_setup's.
const platformIndex wire.Handle = 0x01C08000

// maker makes what the Options say.
type maker struct {
	tpm     ask.TPM
	o       *Options
	id      Identity
	largest int // octets of an NV index
	piece   int // octets of a write
}

// New gives a TPM what o says. After an error the TPM has some of it: begin with
// another one, or put back the state that it had.
func New(ctx context.Context, device transport.Device, o Options) (*Result, error) {
	m := &maker{tpm: ask.TPM{Device: device}, o: &o, id: o.Identity}
	if err := m.limits(ctx); err != nil {
		return nil, err
	}
	if err := m.identify(ctx); err != nil {
		return nil, err
	}
	keys := o.Keys
	if keys == nil {
		var err error
		if keys, err = DefaultKeys(ctx, device); err != nil {
			return nil, err
		}
	}
	result := &Result{Identity: m.id}
	for i := range keys {
		made, err := m.key(ctx, &keys[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", &keys[i], err)
		}
		result.Keys = append(result.Keys, *made)
	}
	if o.PlatformCertificate {
		certificate, err := m.platform(ctx, result.Keys)
		if err != nil {
			return nil, fmt.Errorf("platform certificate: %w", err)
		}
		result.Platform = certificate
	}
	banks, err := Allocate(ctx, device, o.Banks)
	result.Banks = banks
	return result, err
}

// DefaultKeys are the endorsement keys that a TPM gets where nobody says which: those
// of swtpm_setup, RSA 2048 and ECC P-384, or of these and then of ECC P-256 the first
// ones that it can have.
func DefaultKeys(ctx context.Context, device transport.Device) (keys []Key, err error) {
	rsa, ecc, err := defaults(ctx, device, Endorsement, "rsa2048", "ecc-p384", "ecc-p256")
	if rsa != nil {
		keys = append(keys, *rsa)
	}
	if ecc != nil {
		keys = append(keys, *ecc)
	}
	if err == nil && len(keys) == 0 {
		err = ErrNoAlgorithm
	}
	return keys, err
}

// ErrNoAlgorithm is a TPM that can have no endorsement key.
var ErrNoAlgorithm = errors.New("the TPM has neither RSA 2048 nor ECC P-384 nor ECC P-256")

// defaults returns the first key of each type that the TPM can have.
func defaults(ctx context.Context, device transport.Device, kind Kind, names ...string) (rsa, ecc *Key, err error) {
	for _, name := range names {
		k, err := KeyNamed(kind, name)
		if err != nil {
			return nil, nil, err
		}
		at := &ecc
		if k.public.Parms.Type == wire.AlgRSA {
			at = &rsa
		}
		if *at != nil {
			continue
		}
		has, err := k.Possible(ctx, device)
		if err != nil {
			return nil, nil, err
		}
		if has {
			*at = &k
		}
	}
	return rsa, ecc, nil
}

// First returns the first key of a kind that a TPM can have, in the order of Keys, or
// ErrNoAlgorithm.
func First(ctx context.Context, device transport.Device, kind Kind) (Key, error) {
	for _, k := range Keys(kind) {
		has, err := k.Possible(ctx, device)
		if err != nil {
			return Key{}, err
		}
		if has {
			return k, nil
		}
	}
	return Key{}, ErrNoAlgorithm
}

// Possible reports whether a TPM takes the parameters and the hash of the key.
func (k *Key) Possible(ctx context.Context, device transport.Device) (bool, error) {
	tpm := ask.TPM{Device: device}
	has, err := tpm.HasAlgorithm(ctx, k.public.NameAlg)
	if err != nil || !has {
		return false, err
	}
	if has, err = tpm.HasAlgorithm(ctx, k.public.Parms.Type); err != nil || !has {
		return false, err
	}
	w := wire.NewWriter(nil)
	w.PublicParms(&k.public.Parms)
	err = tpm.TestParms(ctx, w.Data())
	var rc wire.RC
	switch {
	case errors.Is(err, wire.RCCommandCode):
		return k.listed(ctx, tpm)
	case errors.As(err, &rc):
		return false, nil
	}
	return err == nil, err
}

// listed is Possible of a TPM without TPM2_TestParms: its curve is one of the TPM's.
func (k *Key) listed(ctx context.Context, tpm ask.TPM) (bool, error) {
	if k.public.Parms.Type == wire.AlgRSA {
		return true, nil // TPM2_CreatePrimary has the last word
	}
	return tpm.HasCurve(ctx, k.public.Parms.Curve)
}

// limits asks for the sizes of NV indices.
func (m *maker) limits(ctx context.Context) error {
	largest, err := m.tpm.Property(ctx, wire.PTNVIndexMax)
	if err != nil {
		return err
	}
	piece, err := m.tpm.Property(ctx, wire.PTNVBufferMax)
	if err != nil {
		return err
	}
	m.largest, m.piece = int(largest), max(1, int(piece))
	return nil
}

// identify fills in the manufacturer, model and version from the properties of the TPM.
func (m *maker) identify(ctx context.Context) error {
	text := func(value uint32) string {
		return strings.Trim(string([]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), "\x00")
	}
	var failed error
	get := func(pt wire.PT) uint32 {
		value, err := m.tpm.Property(ctx, pt)
		failed = cmp.Or(failed, err)
		return value
	}
	if m.id.Manufacturer == "" {
		m.id.Manufacturer = fmt.Sprintf("id:%08X", get(wire.PTManufacturer))
	}
	if m.id.Version == "" {
		m.id.Version = fmt.Sprintf("id:%08X", get(wire.PTFirmwareVersion1))
	}
	if m.id.Model == "" {
		for pt := wire.PTVendorString1; pt < wire.PTVendorString1+4; pt++ {
			m.id.Model += text(get(pt))
		}
		m.id.Model = strings.Join(strings.Fields(m.id.Model), " ")
	}
	if m.id.Specification == (Specification{}) {
		m.id.Specification = Specification{text(get(wire.PTFamilyIndicator)), int(get(wire.PTLevel)), int(get(wire.PTRevision))}
	}
	return failed
}

// key makes a key with its certificate.
func (m *maker) key(ctx context.Context, k *Key) (*Made, error) {
	made := &Made{Key: *k}
	if err := made.withNonce(m.o.Nonce); err != nil {
		return nil, err
	}
	handle, area, err := m.tpm.CreatePrimary(ctx, wire.RHEndorsement, made.Public())
	if err != nil {
		return nil, err
	}
	made.Area = area
	err = m.tpm.Persist(ctx, handle, k.Handle)
	if err := errors.Join(err, m.tpm.Flush(ctx, handle)); err != nil {
		return nil, fmt.Errorf("persistent object 0x%08x: %w", uint32(k.Handle), err)
	}
	if made.Certificate, err = m.certify(ctx, made); err != nil {
		return nil, err
	}
	if made.Nonce != 0 && len(m.o.Nonce) > 0 {
		if err := m.other(ctx, made, "nonce", made.Nonce, m.o.Nonce); err != nil {
			return nil, err
		}
	}
	// An attestation key is found by its template.
	if made.TemplateIndex != 0 && (m.o.Templates || made.Kind == Attestation) {
		if err := m.other(ctx, made, "template", made.TemplateIndex, made.Public()); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// A NonceError is a nonce that is too long.
type NonceError struct{ Size, Most int }

func (e *NonceError) Error() string {
	return fmt.Sprintf("a nonce of %d bytes: it has at most %d", e.Size, e.Most)
}

// withNonce puts the nonce into unique of a template of the low range.
func (k *Key) withNonce(nonce []byte) error {
	if k.Nonce == 0 || len(nonce) == 0 {
		return nil
	}
	unique := &k.public.Unique
	if k.public.Parms.Type == wire.AlgECC {
		unique = &k.public.Point.X
	}
	const most = 32
	if len(nonce) > most {
		return &NonceError{len(nonce), most}
	}
	*unique = slices.Clone(*unique)
	copy(*unique, nonce)
	return nil
}

// other writes an index beside that of the certificate.
func (m *maker) other(ctx context.Context, made *Made, what string, handle wire.Handle, data []byte) error {
	index, err := m.write(ctx, what, handle, data)
	made.Others = append(made.Others, index)
	return err
}

// certify makes the certificate of a key and writes it to its index.
func (m *maker) certify(ctx context.Context, made *Made) (c Certificate, err error) {
	public, err := made.publicKey(made.Area)
	if err != nil {
		return c, err
	}
	serial, err := newSerial(m.o.Entropy)
	if err != nil {
		return c, err
	}
	a, now := m.o.Authority, m.o.Now
	switch made.Kind {
	case Endorsement:
		c.DER, err = a.endorsement(&m.id, public, serial, now, false)
		if err == nil && len(c.DER) > m.largest {
			c.Short = true
			c.DER, err = a.endorsement(&m.id, public, serial, now, true)
		}
	case Attestation:
		c.DER, err = a.attestation(&m.id, public, serial, now)
	default:
		c.DER, err = a.device(made.Kind, &m.id, public, serial, now)
	}
	if err != nil {
		return c, err
	}
	c.Index, err = m.write(ctx, "certificate", made.Key.Certificate, c.DER)
	return c, err
}

// ErrNoEndorsement is a platform certificate of a TPM without an endorsement key.
var ErrNoEndorsement = errors.New("it is one of an endorsement key, and none was asked for")

// platform makes the platform certificate.
func (m *maker) platform(ctx context.Context, keys []Made) (*Certificate, error) {
	at := slices.IndexFunc(keys, func(k Made) bool { return k.Kind == Endorsement })
	if at < 0 {
		return nil, ErrNoEndorsement
	}
	endorsement, err := x509.ParseCertificate(keys[at].Certificate.DER)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial(m.o.Entropy)
	if err != nil {
		return nil, err
	}
	c := &Certificate{}
	if c.DER, err = m.o.Authority.platform(&m.id, endorsement, serial, m.o.Now); err != nil {
		return nil, err
	}
	c.Index, err = m.write(ctx, "certificate", platformIndex, c.DER)
	return c, err
}

// SizeError is data for which the NV indices of a TPM are too small.
type SizeError struct{ Size, Most int }

func (e *SizeError) Error() string {
	return fmt.Sprintf("it has %d bytes, and an NV index of this TPM has at most %d: leave it out, or take a profile with a larger nv-index", e.Size, e.Most)
}

// write defines an index and writes it.
func (m *maker) write(ctx context.Context, what string, handle wire.Handle, data []byte) (Index, error) {
	index := Index{What: what, Handle: handle, Size: len(data), Locked: m.o.Lock}
	err := m.writeData(ctx, &index, data)
	if err != nil {
		err = fmt.Errorf("%s, NV index 0x%08x: %w", what, uint32(handle), err)
	}
	return index, err
}

func (m *maker) writeData(ctx context.Context, index *Index, data []byte) error {
	if len(data) > m.largest {
		return &SizeError{len(data), m.largest}
	}
	public := wire.NVPublic{Index: index.Handle, NameAlg: wire.AlgSHA256, Attributes: indexAttributes, Size: uint16(len(data))}
	if err := m.tpm.NVDefine(ctx, &public); err != nil {
		return err
	}
	if err := m.tpm.NVWrite(ctx, index.Handle, data, m.piece); err != nil {
		return err
	}
	if !m.o.Lock {
		return nil
	}
	return m.tpm.NVWriteLock(ctx, index.Handle)
}

// BankError is a PCR bank that a TPM does not have.
type BankError struct {
	Bank  wire.AlgID
	Known []wire.AlgID
}

func (e *BankError) Error() string {
	var names []string
	for _, alg := range e.Known {
		names = append(names, alg.String())
	}
	return fmt.Sprintf("the TPM has no PCR bank of %v: it has %s", e.Bank, strings.Join(names, ", "))
}

// Allocate gives the named banks all PCRs from the next _TPM_Init on, and the others
// none. Without a name it changes nothing. It returns the banks that then have PCRs.
func Allocate(ctx context.Context, device transport.Device, banks []wire.AlgID) ([]wire.AlgID, error) {
	tpm := ask.TPM{Device: device}
	all, err := tpm.AllBanks(ctx)
	if err != nil {
		return nil, err
	}
	var known, now []wire.AlgID
	for i := range all {
		known = append(known, all[i].Hash)
		if !all[i].Empty() {
			now = append(now, all[i].Hash)
		}
	}
	if banks == nil {
		return now, nil
	}
	for _, bank := range banks {
		if !slices.Contains(known, bank) {
			return nil, &BankError{bank, known}
		}
	}
	var then []wire.AlgID
	same := true
	for i := range all {
		on := slices.Contains(banks, all[i].Hash)
		same = same && on == !all[i].Empty()
		all[i].Bits = make([]byte, wire.PCRSelectMin)
		if on {
			all[i].Bits = []byte{0xFF, 0xFF, 0xFF}
			then = append(then, all[i].Hash)
		}
	}
	if same {
		return then, nil // a TPM that cannot allocate need not
	}
	return then, tpm.Allocate(ctx, all)
}
