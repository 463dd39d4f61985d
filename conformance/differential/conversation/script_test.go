package conversation_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
)

func TestTranscriptsAreReadBack(t *testing.T) {
	t.Parallel()
	script := conversation.Script{
		{Action: conversation.Send, Locality: 3, Data: []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0}, Note: "two\nlines"},
		{Action: conversation.Send},
		{Action: conversation.Init},
		{Action: conversation.PowerOff},
		{Action: conversation.HashStart},
		{Action: conversation.HashData, Data: []byte("ab")},
		{Action: conversation.HashData},
		{Action: conversation.HashEnd},
		{Action: conversation.SendHMAC, Data: []byte{1}},
		{Action: conversation.SendHMAC, Data: []byte{1}, Secrets: []conversation.Secret{{Session: 1, Auth: []byte("a")}, {Session: 2, Auth: []byte{}}}},
	}
	text := script.String()
	assert.Contains(t, text, "send 3 80010000000c000001440000 # Startup two lines\nsend 0 -\ninit\n")
	read, err := conversation.ReadScript(strings.NewReader("# a finding\n\n" + text))
	require.NoError(t, err)
	script[0].Note = ""
	assert.Equal(t, script, read)
	assert.Equal(t, "Action(9)", conversation.Action(9).String())
}

func TestReadScriptSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"init\nboot":                    `line 2: unknown step "boot"`,
		"send 0":                        "send takes 2 arguments, not 1",
		"init now":                      "init takes 0 arguments, not 1",
		"send 256 00":                   `locality "256"`,
		"send 0 0":                      "not hexadecimal",
		"hash-data zz":                  "not hexadecimal",
		"send-hmac 0 00":                "send-hmac takes 3 arguments, not 2",
		"send-hmac 0 00 1":              "not a list",
		"send-hmac 0 00 1=z":            "not a list",
		"send-hmac 0 00 0=00":           "not a list",
		"send-hmac 0 00 256=00":         "not a list",
		"0: init":                       "not the number of a step",
		"7:":                            "not the number of a step",
		"send 0 80{7.1":                 "only commands have holes",
		"hash-data {7.1}":               "only commands have holes",
		"send 0 {7}":                    "is not a hole",
		"send 0 {0.1}":                  "is not a hole",
		"send 0 {7.1^1}":                "is not a hole",
		"send 0 {7.1^1=100}":            "is not a hole",
		"send 0 {7.1/0}":                "is not a hole",
		"send 0 {salt:0}":               "is not a hole",
		"send 0 {nonce:1}":              "is not a hole",
		"send 0 {signed:nobody}":        "is not a hole",
		strings.Repeat("init\n", 70000): "more than 65536 steps",
	} {
		_, err := conversation.ReadScript(strings.NewReader(text))
		var syntax *conversation.SyntaxError
		if assert.ErrorAs(t, err, &syntax) {
			assert.ErrorContains(t, err, want)
		}
	}
	_, err := conversation.ReadScript(strings.NewReader(strings.Repeat("0", 2<<20)))
	assert.ErrorContains(t, err, "token too long")
}

func FuzzReadScript(f *testing.F) {
	f.Add("send 0 8001\ninit\n")
	f.Add("send-hmac 0 8002 1=6162,2=\nsend-hmac 0 - -")
	f.Add("7: send 0 8001{salt:00ff}{nonce}{signed:rsa}\nsend 1 {7.0}80{7.1^3=80^4=01/7}")
	f.Add("7: send 0 80\n")
	f.Add("hash-data - # note\nsend 255 -")
	f.Fuzz(func(t *testing.T, text string) {
		script, err := conversation.ReadScript(strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := conversation.ReadScript(strings.NewReader(script.String()))
		require.NoError(t, err)
		assert.Equal(t, script, again)
	})
}
