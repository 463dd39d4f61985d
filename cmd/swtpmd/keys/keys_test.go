package keys_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/keys"
)

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const (
	digits128 = "000102030405060708090a0b0c0d0e0f"
	digits256 = digits128 + "101112131415161718191a1b1c1d1e1f"
)

func TestKeys(t *testing.T) {
	raw := func(digits string) string {
		b, err := hex.DecodeString(digits)
		require.NoError(t, err)
		return string(b)
	}
	for _, c := range []struct{ text, words, want string }{
		{digits128, "", digits128},
		{"0x" + strings.ToUpper(digits128) + "\n", ",format=hex,mode=aes-cbc", digits128},
		{digits128 + " and more", ",mode=aes-128-cbc", digits128},
		{digits256, ",mode=aes-256-cbc", digits256},
		{raw(digits128), ",format=binary", digits128},
		{raw(digits256), ",format=binary,mode=aes-256-cbc,remove=false", digits256},
	} {
		path := written(t, c.text)
		w, err := keys.Parse("key", "file="+path+c.words)
		require.NoError(t, err, c.words)
		assert.True(t, w.Given())
		key, err := w.Read()
		require.NoError(t, err, c.words)
		assert.Equal(t, c.want, hex.EncodeToString(key), c.words)
		assert.FileExists(t, path)
	}
	assert.False(t, keys.Words{}.Given())
}

// The keys of a passphrase are swtpm's, whatever ends it: OpenSSL's command line
// derives the same (openssl kdf -kdfopt digest:SHA512 -kdfopt salt:swtpm -kdfopt
// iter:1000 PBKDF2).
func TestPassphrases(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"", "ba946be71d57118da14d75da1c0343a9"},
		{",kdf=pbkdf2,mode=aes-256-cbc", "ba946be71d57118da14d75da1c0343a91120f88be520c86eae3de2eb8d605af9"},
		{",kdf=sha512", "9151440965cf9c5e07f81eee6241c042"},
		{",kdf=sha512,mode=aes-256-cbc", "9151440965cf9c5e07f81eee6241c042a7b78e9bb2dd4f928a8f6da5e369cdff"},
	} {
		path := written(t, "password\n")
		w, err := keys.Parse("migration-key", "pwdfile="+path+",remove"+c.words)
		require.NoError(t, err)
		key, err := w.Read()
		require.NoError(t, err)
		assert.Equal(t, c.want, hex.EncodeToString(key), c.words)
		assert.NoFileExists(t, path)
	}
}

func TestWordsThatNameNoKey(t *testing.T) {
	for words, says := range map[string]string{
		"":                                "unknown word",
		"file=":                           "the name of a file",
		"mode=aes-cbc":                    "it needs one of file=",
		"file=a,fd=3":                     "it needs one of file=",
		"file=a,pwdfile=b":                "it needs one of file=",
		"file=a,file=b":                   "twice",
		"fd=-1":                           "not a number",
		"pwdfd=x":                         "not a number",
		"file=a,mode=aes-192-cbc":         "the modes are",
		"file=a,format=base64":            "the formats are",
		"pwdfile=a,format=hex":            "a passphrase has no format",
		"file=a,kdf=sha512":               "a key is derived from a passphrase only",
		"pwdfile=a,kdf=scrypt":            "the functions are",
		"file=a,remove=perhaps":           "neither true nor false",
		"file=a,colour=red":               "unknown word; it takes file, fd",
		"pwdfile=a,kdf=sha512,kdf=sha512": "twice",
	} {
		_, err := keys.Parse("key", words)
		var wrong *keys.WordError
		require.ErrorAs(t, err, &wrong, words)
		assert.Contains(t, err.Error(), "--key: ", words)
		assert.Contains(t, err.Error(), says, words)
	}
}

// A key that is none is refused, and its file stays.
func TestKeysThatAreNone(t *testing.T) {
	for _, c := range []struct{ text, words, says string }{
		{"", "", "it is empty"},
		{"\n", "", "0 hexadecimal digits, and the mode needs 32"},
		{digits128[2:], "", "30 hexadecimal digits"},
		{digits256, "", "64 hexadecimal digits, and the mode needs 32"},
		{digits128, ",mode=aes-256-cbc", "32 hexadecimal digits, and the mode needs 64"},
		{digits128[1:], "", "not hexadecimal digits"},
		{strings.Repeat("g", 32), "", "not hexadecimal digits"},
		{"short", ",format=binary", "a key of 5 bytes, and the mode needs 16"},
		{strings.Repeat("x", 1<<17), ",format=binary", "more than 65536 bytes"},
	} {
		path := written(t, c.text)
		w, err := keys.Parse("key", "file="+path+",remove"+c.words)
		require.NoError(t, err)
		_, err = w.Read()
		var unread *keys.ReadError
		require.ErrorAs(t, err, &unread, c.text)
		assert.Contains(t, err.Error(), "--key: "+path+": ")
		assert.Contains(t, err.Error(), c.says)
		assert.FileExists(t, path)
	}
	w, err := keys.Parse("key", "file=/does/not/exist")
	require.NoError(t, err)
	_, err = w.Read()
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.Equal(t, 1, strings.Count(err.Error(), "/does/not/exist"))
	w, err = keys.Parse("key", "pwdfd=99")
	require.NoError(t, err)
	_, err = w.Read()
	require.Error(t, err)
	assert.ErrorContains(t, err, "--key: descriptor 99: ")
}

func FuzzParse(f *testing.F) {
	f.Add("file=k,format=hex,mode=aes-256-cbc,remove=true")
	f.Add("pwdfd=3,kdf=sha512")
	f.Add(",=,")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := keys.Parse("key", text)
		if (err == nil) != w.Given() {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
