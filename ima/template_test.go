package ima_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

func TestTemplateTable(t *testing.T) {
	t.Parallel()
	var names []string
	for _, tmpl := range ima.Templates() {
		names = append(names, tmpl.Name())
		byName, ok := ima.LookupTemplate(tmpl.Name())
		require.True(t, ok)
		byFormat, ok := ima.LookupTemplate(tmpl.Format())
		require.True(t, ok)
		assert.Same(t, byName, byFormat)
		assert.Equal(t, tmpl.Format(), strings.Join(tmpl.Fields(), "|"))
	}
	assert.Equal(t, "ima ima-ng ima-sig ima-ngv2 ima-sigv2 ima-buf ima-modsig evm-sig", strings.Join(names, " "))
	_, ok := ima.LookupTemplate("")
	assert.False(t, ok)
	_, ok = ima.LookupTemplate("ima-sigv3")
	assert.False(t, ok)
}

func TestTemplateFormats(t *testing.T) {
	t.Parallel()
	custom, err := ima.ParseTemplateFormat("n-ng|d-ng|buf")
	require.NoError(t, err)
	assert.Equal(t, "n-ng|d-ng|buf", custom.Name())
	fifteen := strings.TrimSuffix(strings.Repeat("sig|", 15), "|")
	_, err = ima.ParseTemplateFormat(fifteen)
	require.NoError(t, err)
	for _, bad := range []string{"", "d-ng|", "|d-ng", "d-ng||n-ng", "foo", "d-ng|n-ng2", fifteen + "|sig", strings.Repeat("x", 17), "D-NG"} {
		_, err := ima.ParseTemplateFormat(bad)
		var format *ima.TemplateFormatError
		assert.ErrorAs(t, err, &format, "%q", bad)
	}
}

// A list that names a built-in template by its format keeps that name.
func TestFormatStringAsNameIsKept(t *testing.T) {
	t.Parallel()
	custom, err := ima.ParseTemplateFormat("d-ng|n-ng")
	require.NoError(t, err)
	rec, err := ima.NewRecord(custom, ima.LittleEndian, 10, ima.SHA1, []byte("sha1:\x00\x01\x02"), []byte("/x\x00"))
	require.NoError(t, err)
	list := appendBinary(t, []*ima.Record{rec})
	assert.Contains(t, string(list), "d-ng|n-ng")
	assert.Equal(t, list, appendBinary(t, readBinary(t, list, ima.Format{})))
}

func TestHashRegistry(t *testing.T) {
	t.Parallel()
	names := strings.Fields("md4 md5 sha1 rmd160 sha256 sha384 sha512 sha224 rmd128 rmd256 rmd320 wp256 wp384 wp512 tgr128 tgr160 tgr192 sm3 streebog256 streebog512 sha3-256 sha3-384 sha3-512")
	sizes := []int{16, 16, 20, 20, 32, 48, 64, 28, 16, 32, 40, 32, 48, 64, 16, 20, 24, 32, 32, 64, 32, 48, 64}
	for i, name := range names {
		h, ok := ima.HashAlgoByID(uint8(i))
		require.True(t, ok)
		assert.Equal(t, name, h.String())
		assert.Equal(t, sizes[i], h.Size(), name)
		id, ok := h.ID()
		assert.True(t, ok)
		assert.Equal(t, uint8(i), id)
		parsed, err := ima.ParseHashAlgo(name)
		require.NoError(t, err)
		assert.Equal(t, h, parsed)
	}
	_, ok := ima.HashAlgoByID(uint8(len(names)))
	assert.False(t, ok)
	_, ok = ima.HashAlgo(0).ID()
	assert.False(t, ok)
	old, err := ima.ParseHashAlgo("sm3-256")
	require.NoError(t, err)
	assert.Equal(t, ima.SM3, old)
	_, err = ima.ParseHashAlgo("sha-256")
	var unknown *ima.UnknownHashError
	assert.ErrorAs(t, err, &unknown)
	assert.True(t, ima.SM3.Available())
	assert.False(t, ima.Streebog256.Available())
	assert.True(t, ima.SHA3_256.Available())
}

func TestBanks(t *testing.T) {
	t.Parallel()
	assert.Equal(t, ima.Bank{AlgID: 0x000b, DigestSize: 32, CryptoID: ima.SHA256}, ima.BankOf(ima.SHA256))
	assert.Equal(t, ima.BankOf(ima.SHA512), ima.BankByAlgID(0x000d, 0))
	sha3 := ima.BankByAlgID(0x0027, 32)
	assert.Equal(t, ima.BankOf(ima.SHA3_256), sha3)
	assert.Equal(t, "tpm_alg_27", sha3.String())
	assert.Equal(t, "sha1", ima.BankOf(ima.SHA1).String())
	assert.Zero(t, ima.BankOf(ima.MD5))
}

func TestNewRecordRefuses(t *testing.T) {
	t.Parallel()
	tmpl, _ := ima.LookupTemplate("ima-ng")
	_, err := ima.NewRecord(tmpl, ima.LittleEndian, 10, ima.SHA1, []byte("sha1:\x00x"))
	assert.Error(t, err)
	_, err = ima.NewRecord(tmpl, ima.LittleEndian, 10, ima.SHA1, []byte("sha1:\x00x"), []byte("no NUL"))
	var field *ima.FieldError
	require.ErrorAs(t, err, &field)
	assert.Equal(t, "n-ng", field.Field)
	_, err = ima.NewRecord(tmpl, ima.LittleEndian, 10, ima.Streebog256, []byte("sha1:\x00x"), []byte("x\x00"))
	var unavailable *ima.UnavailableHashError
	assert.ErrorAs(t, err, &unavailable)
	_, err = new(ima.Record).AppendBinary(nil)
	assert.Error(t, err)
	_, err = new(ima.Record).AppendText(nil)
	assert.Error(t, err)
}

// A violation of a file with an fs-verity digest is labelled ima.
func TestVerityViolation(t *testing.T) {
	t.Parallel()
	rec := record(t, "ima-ngv2", ima.LittleEndian, "/x", func(e *ima.EventData) { e.Verity, e.Violation = true, true })
	assert.Equal(t, "ima:sha256:"+strings.Repeat("00", 32), rec.FieldText("d-ngv2"))
}

func TestEventDataRefuses(t *testing.T) {
	t.Parallel()
	ng, _ := ima.LookupTemplate("ima-ng")
	legacy, _ := ima.LookupTemplate("ima")
	sum := ima.FileDigest{Algo: ima.SHA256, Sum: make([]byte, 32)}
	for name, c := range map[string]struct {
		template *ima.Template
		event    ima.EventData
	}{
		"name with a NUL":        {ng, ima.EventData{Filename: "a\x00b", Digest: sum}},
		"digest of another size": {ng, ima.EventData{Filename: "a", Digest: ima.FileDigest{Algo: ima.SHA256, Sum: make([]byte, 20)}}},
		"violation without hash": {ng, ima.EventData{Filename: "a", Violation: true}},
		"no legacy digest":       {legacy, ima.EventData{Filename: "a", Digest: sum}},
	} {
		_, err := ima.NewTemplateEntry(c.template, 10, ima.SHA1, &c.event)
		assert.Error(t, err, name)
	}
}
