package clients_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/raw"
)

// Codes of Part 2, "TPM_RC", with what they are about.
const (
	rcAttributes, rcScheme, rcKey, rcSize, rcSignature uint32 = 0x082, 0x092, 0x09C, 0x095, 0x09B
	rcOneShot, rcSignContextKey                        uint32 = 0x0AC, 0x0AD
	rcHandle1, rcHandle2                               uint32 = 0x100, 0x200
	rcParameter1, rcParameter2, rcParameter3           uint32 = 0x140, 0x240, 0x340
)

var rcNames = map[uint32]string{
	rcAttributes: "TPM_RC_ATTRIBUTES", rcScheme: "TPM_RC_SCHEME", rcKey: "TPM_RC_KEY", rcSignContextKey: "TPM_RC_SIGN_CONTEXT_KEY",
}

// served is a TPM of `swtpmd --profile=v185`, built from this checkout and reached through
// its socket.
func served(t *testing.T) transport.TPM {
	t.Helper()
	dir := t.TempDir()
	program, socket := filepath.Join(dir, "swtpmd"), filepath.Join(dir, "tpm.sock")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/swtpmd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	daemon := exec.Command(program, "--profile=v185", "--dir="+dir, "--server=type=unixio,path="+socket, "--flags=not-need-init,startup-clear")
	var diagnostics bytes.Buffer
	daemon.Stderr = &diagnostics
	out, err := daemon.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, daemon.Start())
	t.Cleanup(func() {
		assert.NoError(t, daemon.Process.Signal(os.Interrupt))
		_, _ = io.Copy(io.Discard, out)
		assert.NoError(t, daemon.Wait(), "%s", &diagnostics)
	})
	ready := bufio.NewReader(out)
	_, err = ready.ReadString('\n')
	require.NoError(t, err, "it did not get ready: %s", &diagnostics)
	client, err := raw.Dial(t.Context(), "unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return sender{client}
}

// version185 are the eight commands, in the order of the table's columns.
var version185 = []tpm2.TPMCC{ccEncapsulate, ccDecapsulate, ccSignSequenceStart, ccSignSequenceComplete,
	ccVerifySequenceStart, ccVerifySequenceComplete, ccSignDigest, ccVerifyDigestSignature}

// Each of the eight commands is sent with a key of each algorithm and parameter set, by a
// client that is not the engine's code; what it answers is held to code that is not the
// engine's either. -v prints the table.
func TestVersion185CommandsWithEveryAlgorithm(t *testing.T) {
	t.Parallel()
	tpm := served(t)
	aux := hmacSubject() // whose sequences are somebody else's for all other keys
	var table strings.Builder
	table.WriteString("| | Encapsulate | Decapsulate | SignSequenceStart | SignSequenceComplete | VerifySequenceStart | VerifySequenceComplete | SignDigest | VerifyDigestSignature |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range subjects(t) {
		c := &conversation{t: t, tpm: tpm, subject: s, cells: map[tpm2.TPMCC]string{}}
		c.key = c.load(s.public, s.sensitive, tpm2.TPMRHNull)
		c.aux = c.load(aux.public, aux.sensitive, tpm2.TPMRHNull)
		if s.agrees != nil {
			c.agree()
		} else {
			c.cannot(ccEncapsulate, rcKey|rcHandle1, c.key, 0)
			c.cannot(ccDecapsulate, rcKey|rcHandle1, c.key, 1, sized(make([]byte, 32)))
		}
		if s.signs != nil {
			c.sign()
		} else {
			c.cannot(ccSignSequenceStart, rcKey|rcHandle1, c.key, 0, sized(nil), sized(nil))
			c.cannot(ccVerifySequenceStart, rcKey|rcHandle1, c.key, 0, sized(nil), sized(nil), sized(nil))
			c.somebodyElses(ccSignSequenceComplete)
			c.somebodyElses(ccVerifySequenceComplete)
			c.cannot(ccSignDigest, rcKey|rcHandle1, c.key, 1, sized(nil), sized(make([]byte, 32)), noHashCheck)
			c.cannot(ccVerifyDigestSignature, rcKey|rcHandle1, c.key, 0, sized(nil), sized(make([]byte, 32)), aux.signs.sign(nil))
		}
		c.flush(c.key)
		c.flush(c.aux)
		fmt.Fprintf(&table, "| %s", s.name)
		for _, cc := range version185 {
			assert.NotEmpty(t, c.cells[cc], "%s: command %x was not sent", s.name, cc)
			fmt.Fprintf(&table, " | %s", c.cells[cc])
		}
		table.WriteString(" |\n")
	}
	t.Logf("\n%s", &table)
}

var noHashCheck = tpm2.Marshal(tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull})

// A conversation is about one key.
type conversation struct {
	t   *testing.T
	tpm transport.TPM
	subject
	key, aux tpm2.TPMHandle
	cells    map[tpm2.TPMCC]string
}

// load is TPM2_LoadExternal, of the public area alone without a sensitive one.
func (c *conversation) load(public, sensitive []byte, hierarchy tpm2.TPMHandle) tpm2.TPMHandle {
	c.t.Helper()
	command := tpm2.LoadExternal{InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](public), Hierarchy: hierarchy}
	if sensitive != nil {
		command.InPrivate = tpm2.BytesAs2B[tpm2.TPMTSensitive](sensitive)
	}
	rsp, err := command.Execute(c.tpm)
	require.NoError(c.t, err, c.name)
	return rsp.ObjectHandle
}

func (c *conversation) flush(h tpm2.TPMHandle) {
	c.t.Helper()
	_, err := tpm2.FlushContext{FlushHandle: h}.Execute(c.tpm)
	require.NoError(c.t, err, c.name)
}

// send sends a command that has to succeed.
func (c *conversation) send(cc tpm2.TPMCC, handles []tpm2.TPMHandle, passwords int, parameters ...[]byte) []byte {
	c.t.Helper()
	out, err := execute(c.tpm, cc, handles, passwords, parameters...)
	require.NoError(c.t, err, "%s: command %x", c.name, cc)
	return out
}

// refused sends a command that must not.
func (c *conversation) refused(want uint32, cc tpm2.TPMCC, handles []tpm2.TPMHandle, passwords int, parameters ...[]byte) {
	c.t.Helper()
	_, err := execute(c.tpm, cc, handles, passwords, parameters...)
	assert.Equal(c.t, tpm2.TPMRC(want), err, "%s: command %x", c.name, cc)
}

// cannot is refused, for the table.
func (c *conversation) cannot(cc tpm2.TPMCC, want uint32, key tpm2.TPMHandle, passwords int, parameters ...[]byte) {
	c.t.Helper()
	c.refused(want, cc, []tpm2.TPMHandle{key}, passwords, parameters...)
	c.cells[cc] = rcNames[want&0xBF]
}

// did puts into the table whose code has agreed.
func (c *conversation) did(cc ...tpm2.TPMCC) {
	for _, cc := range cc {
		c.cells[cc] = c.peer
	}
}

// somebodyElses completes a sequence of another key with this one.
func (c *conversation) somebodyElses(cc tpm2.TPMCC) {
	c.t.Helper()
	start, last := []tpm2.TPMCC{ccSignSequenceStart, ccVerifySequenceStart}, sized(nil)
	parameters, passwords := [][]byte{sized(nil), sized(nil)}, 2
	if cc == ccVerifySequenceComplete {
		start, last, passwords = start[1:], hmacSubject().signs.sign(nil), 1
		parameters = append(parameters, sized(nil))
	}
	sequence := handleOf(c.send(start[0], []tpm2.TPMHandle{c.aux}, 0, parameters...))
	c.refused(rcSignContextKey|rcHandle2, cc, []tpm2.TPMHandle{sequence, c.key}, passwords, last)
	c.flush(sequence) // it is still there
	c.cells[cc] = rcNames[rcSignContextKey]
}

// agree encapsulates in the TPM and takes out outside, and the reverse.
func (c *conversation) agree() {
	key := []tpm2.TPMHandle{c.key}
	public := c.load(c.public, nil, tpm2.TPMRHOwner) // it is enough to encapsulate
	for _, h := range []tpm2.TPMHandle{c.key, public} {
		shared, rest := next(c.send(ccEncapsulate, []tpm2.TPMHandle{h}, 0))
		ciphertext := onlySized(rest)
		assert.Equal(c.t, c.agrees.decapsulate(ciphertext), shared, c.name)
		assert.Equal(c.t, sized(shared), c.send(ccDecapsulate, key, 1, sized(ciphertext)), c.name)
	}
	c.flush(public)
	shared, ciphertext := c.agrees.encapsulate()
	assert.Equal(c.t, sized(shared), c.send(ccDecapsulate, key, 1, sized(ciphertext)), c.name)
	for _, wrong := range [][]byte{nil, ciphertext[1:]} {
		c.refused(rcSize|rcParameter1, ccDecapsulate, key, 1, sized(wrong))
	}
	if strings.HasPrefix(c.name, "ML-KEM") { // implicit rejection: a secret of the key's own
		changed := bytes.Clone(ciphertext)
		changed[len(changed)/2] ^= 8
		assert.Equal(c.t, sized(c.agrees.decapsulate(changed)), c.send(ccDecapsulate, key, 1, sized(changed)), c.name)
		assert.NotEqual(c.t, shared, c.agrees.decapsulate(changed), c.name)
	}
	c.did(ccEncapsulate, ccDecapsulate)
}

// sign signs messages and digests in the TPM, and verifies there what was signed in it and
// outside.
func (c *conversation) sign() {
	s, message := c.signs, bytes.Repeat([]byte("a message in pieces "), 150)
	if s.oneShot {
		message = message[:1024]
	}
	made := c.signMessage(message)
	assert.True(c.t, s.verify(message, made), "%s: %s", c.name, c.peer)
	c.did(ccSignSequenceStart, ccSignSequenceComplete)
	switch {
	case s.noVerify != 0:
		c.cannot(ccVerifySequenceStart, s.noVerify, c.key, 0, sized(nil), sized(nil), sized(s.context))
		c.somebodyElses(ccVerifySequenceComplete)
	default:
		c.verifyMessage(message, made)
		c.verifyMessage(bytes.Repeat(message, 2), s.sign(bytes.Repeat(message, 2)))
		c.did(ccVerifySequenceStart, ccVerifySequenceComplete)
	}
	key := []tpm2.TPMHandle{c.key}
	if s.digest == nil {
		digest := sized(make([]byte, 64))
		c.cannot(ccSignDigest, s.noDigest, c.key, 1, sized(nil), digest, noHashCheck)
		c.cannot(ccVerifyDigestSignature, s.noDigest, c.key, 0, sized(nil), digest, made)
		return
	}
	digest, context := s.digest(message), s.digestContext
	if s.committed != nil {
		context = s.committed(c.t, c.tpm, c.key)
	}
	made = c.send(ccSignDigest, key, 1, sized(context), sized(digest), noHashCheck)
	assert.True(c.t, s.verify(message, made), "%s: %s", c.name, c.peer)
	c.did(ccSignDigest)
	for _, wrong := range [][]byte{nil, digest[1:]} {
		c.refused(rcSize|rcParameter2, ccSignDigest, key, 1, sized(context), sized(wrong), noHashCheck)
	}
	if s.noVerify != 0 {
		c.cannot(ccVerifyDigestSignature, s.noVerify, c.key, 0, sized(context), sized(digest), made)
		return
	}
	for _, made := range [][]byte{made, s.sign(message)} {
		c.ticket(0x8027, c.send(ccVerifyDigestSignature, key, 0, sized(context), sized(digest), made))
		bad := changed(made)
		c.refused(rcSignature|rcParameter3, ccVerifyDigestSignature, key, 0, sized(context), sized(digest), bad)
	}
	other := bytes.Clone(digest)
	other[0] ^= 0x80
	c.refused(rcSignature|rcParameter3, ccVerifyDigestSignature, key, 0, sized(context), sized(other), made)
	c.did(ccVerifyDigestSignature)
}

// changed is a signature with one bit changed, of the last number or of the last bits that
// are no hint.
func changed(signature []byte) []byte {
	bad := bytes.Clone(signature)
	bad[len(bad)-min(100, len(bad)/4)] ^= 1
	return bad
}

// ticket reads a TPMT_TK_VERIFIED of a key in the NULL hierarchy.
func (c *conversation) ticket(tag uint16, ticket []byte) {
	c.t.Helper()
	null := slices.Concat(be16(tag), []byte{0x40, 0, 0, 7})
	if tag == 0x8027 {
		null = append(null, be16(algNull)...)
	}
	assert.Equal(c.t, append(null, 0, 0), ticket, c.name)
}

// signMessage signs a message with TPM2_SignSequenceStart, TPM2_SequenceUpdate and
// TPM2_SignSequenceComplete.
func (c *conversation) signMessage(message []byte) []byte {
	c.t.Helper()
	s := c.signs
	context := s.context
	if s.committed != nil {
		context = s.committed(c.t, c.tpm, c.key)
	}
	sequence := handleOf(c.send(ccSignSequenceStart, []tpm2.TPMHandle{c.key}, 0, sized(nil), sized(context)))
	if s.oneShot {
		c.refused(rcOneShot|rcHandle1, tpm2.TPMCCSequenceUpdate, []tpm2.TPMHandle{sequence}, 1, sized(message))
	} else {
		message = c.update(sequence, message)
	}
	return c.send(ccSignSequenceComplete, []tpm2.TPMHandle{sequence, c.key}, 2, sized(message))
}

// update sends what is more than one command takes, and returns the rest.
func (c *conversation) update(sequence tpm2.TPMHandle, message []byte) (rest []byte) {
	for ; len(message) > 1024; message = message[1000:] {
		c.send(tpm2.TPMCCSequenceUpdate, []tpm2.TPMHandle{sequence}, 1, sized(message[:1000]))
	}
	return message
}

// verifyMessage verifies a signature in the TPM by the public area alone, except where the
// private one is needed; and the same with one bit changed.
func (c *conversation) verifyMessage(message, signature []byte) {
	c.t.Helper()
	hint := []byte(nil)
	if c.signs.oneShot {
		hint = signature[4 : 4+(len(signature)-4)/2]
	}
	key := []tpm2.TPMHandle{c.key}
	c.flush(c.aux)
	if !c.signs.keyed {
		key[0] = c.load(c.public, nil, tpm2.TPMRHOwner)
	}
	start := func() tpm2.TPMHandle {
		sequence := handleOf(c.send(ccVerifySequenceStart, key, 0, sized(nil), sized(hint), sized(c.signs.context)))
		c.send(tpm2.TPMCCSequenceUpdate, []tpm2.TPMHandle{sequence}, 1, sized(c.update(sequence, message)))
		return sequence
	}
	sequence := start()
	c.refused(rcSignature|rcParameter1, ccVerifySequenceComplete, []tpm2.TPMHandle{sequence, key[0]}, 1, changed(signature))
	ticket := c.send(ccVerifySequenceComplete, []tpm2.TPMHandle{sequence, key[0]}, 1, signature)
	if c.signs.keyed {
		c.ticket(0x8026, ticket)
	} else {
		assert.Equal(c.t, slices.Concat(be16(0x8026), []byte{0x40, 0, 0, 1, 0, 64}), ticket[:8], "%s: with an HMAC", c.name)
		c.flush(key[0])
	}
	aux := hmacSubject()
	c.aux = c.load(aux.public, aux.sensitive, tpm2.TPMRHNull)
}
