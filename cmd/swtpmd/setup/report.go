package setup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/swtpmd/swtpmd/emulator/provision"
)

// report is what was made.
type report struct {
	set       *settings
	result    provision.Result
	made      bool // a new TPM
	authority *authority
	files     map[*provision.Certificate]string
}

// newReport is the report of a new TPM, or without result of one that stays.
func newReport(set *settings, result *provision.Result) *report {
	r := &report{set: set, made: result != nil, files: map[*provision.Certificate]string{}}
	if result != nil {
		r.result = *result
	}
	return r
}

// fileNames are swtpm_setup's names of algorithms where they differ.
var fileNames = strings.NewReplacer("ecc-p256", "secp256r1", "ecc-p384", "secp384r1", "ecc-p521", "secp521r1")

// writeFiles writes the certificates to a directory, in DER, with the names that
// swtpm_setup gives them.
func (r *report) writeFiles(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	write := func(name string, c *provision.Certificate) error {
		r.files[c] = filepath.Join(dir, name+".crt")
		return replace(r.files[c], c.DER, 0o644)
	}
	for i := range r.result.Keys {
		k := &r.result.Keys[i]
		if err := write(string(k.Kind)+"-"+fileNames.Replace(k.Name), &k.Certificate); err != nil {
			return err
		}
	}
	if r.result.Platform != nil {
		return write("platform", r.result.Platform)
	}
	return nil
}

// The output with --json. Handles and indices are hexadecimal, fingerprints are
// SHA-256.
type (
	outputJSON struct {
		State    string           `json:"state"`
		Profile  string           `json:"profile"`
		Made     bool             `json:"made"` // false: the TPM was there before
		Banks    []string         `json:"pcr_banks,omitempty"`
		Keys     []keyJSON        `json:"keys,omitempty"`
		Platform *certificateJSON `json:"platform_certificate,omitempty"`
		TPM      *tpmJSON         `json:"tpm,omitempty"`
		CA       *caJSON          `json:"ca,omitempty"`
	}
	keyJSON struct {
		Kind        string          `json:"kind"`
		Algorithm   string          `json:"algorithm"`
		Template    string          `json:"template"`
		Handle      string          `json:"handle"`
		Public      string          `json:"public"` // TPMT_PUBLIC
		Certificate certificateJSON `json:"certificate"`
		Indices     []indexJSON     `json:"indices,omitempty"`
	}
	indexJSON struct {
		What   string `json:"what"`
		Index  string `json:"index"`
		Size   int    `json:"size"`
		Locked bool   `json:"locked"`
	}
	certificateJSON struct {
		Index  string `json:"index"`
		Size   int    `json:"size"`
		Locked bool   `json:"locked"`
		Short  bool   `json:"short,omitempty"`
		SHA256 string `json:"sha256"`
		File   string `json:"file,omitempty"`
	}
	tpmJSON struct {
		Manufacturer string `json:"manufacturer"`
		Model        string `json:"model"`
		Version      string `json:"version"`
	}
	caJSON struct {
		Dir         string `json:"dir"`
		Made        bool   `json:"made"`
		Certificate string `json:"certificate"`
		SHA256      string `json:"sha256"`
	}
)

func hexadecimal[T ~uint32](value T) string { return fmt.Sprintf("0x%08x", uint32(value)) }

func (r *report) certificate(c *provision.Certificate) certificateJSON {
	print := c.SHA256()
	return certificateJSON{Index: hexadecimal(c.Index.Handle), Size: c.Index.Size, Locked: c.Index.Locked, Short: c.Short,
		SHA256: hex.EncodeToString(print[:]), File: r.files[c]}
}

func (r *report) writeJSON(out io.Writer) error {
	o := outputJSON{State: r.set.dir, Profile: r.profile(), Made: r.made}
	for _, alg := range r.result.Banks {
		o.Banks = append(o.Banks, nameOf(alg))
	}
	for i := range r.result.Keys {
		k := &r.result.Keys[i]
		key := keyJSON{Kind: string(k.Kind), Algorithm: k.Name, Template: k.Template, Handle: hexadecimal(k.Handle),
			Public: hex.EncodeToString(k.Area), Certificate: r.certificate(&k.Certificate)}
		for _, x := range k.Others {
			key.Indices = append(key.Indices, indexJSON{x.What, hexadecimal(x.Handle), x.Size, x.Locked})
		}
		o.Keys = append(o.Keys, key)
	}
	if r.result.Platform != nil {
		c := r.certificate(r.result.Platform)
		o.Platform = &c
	}
	if a := r.authority; a != nil {
		o.TPM = &tpmJSON{r.result.Identity.Manufacturer, r.result.Identity.Model, r.result.Identity.Version}
		print := sha256.Sum256(a.Certificate.Raw)
		o.CA = &caJSON{a.dir, a.made, a.file, hex.EncodeToString(print[:])}
	}
	return json.NewEncoder(out).Encode(o)
}

// profile is the name of the TPM's profile.
func (r *report) profile() string {
	if name := r.set.profile.Name(); name != "" {
		return name
	}
	return "default"
}

func (r *report) writeText(out io.Writer) error {
	switch {
	case !r.made && r.result.Banks == nil:
		_, err := fmt.Fprintf(out, "%s holds a TPM, which stays as it is\n", r.set.dir)
		return err
	case !r.made:
		_, err := fmt.Fprintf(out, "PCR banks from the next start on: %s\n", r.banks())
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tHANDLE\tCERTIFICATE\tBYTES\tSHA-256\tFILE")
	line := func(what, handle string, c *provision.Certificate) {
		j := r.certificate(c)
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", what, handle, j.Index, j.Size, j.SHA256[:16], dash(j.File))
	}
	for i := range r.result.Keys {
		k := &r.result.Keys[i]
		line(k.String(), hexadecimal(k.Handle), &k.Certificate)
		for _, x := range k.Others {
			fmt.Fprintf(w, "%s\t-\t%s\t%d\t-\t-\n", k.String()+", "+x.What, hexadecimal(x.Handle), x.Size)
		}
	}
	if r.result.Platform != nil {
		line("platform", "-", r.result.Platform)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "PCR banks: %s\nsigned by %s\n", r.banks(), r.authority.file)
	return err
}

func (r *report) banks() string {
	var names []string
	for _, alg := range r.result.Banks {
		names = append(names, nameOf(alg))
	}
	return dash(strings.Join(names, ","))
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
