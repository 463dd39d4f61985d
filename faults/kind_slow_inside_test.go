package faults

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestProfilesWithMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"* 1ms\nSign 2ms\nSign 3ms":   "line 3: there is no command Sign, or it stands there twice",
		"* 1ms\nSigh 2ms":             "line 2: there is no command Sigh",
		"* 1ms\n* 2ms":                "line 2: there is no command *",
		"Sign 1ms":                    "no line is for all other commands",
		"* 1ms 2ms":                   "line 1: not commands and a time",
		"":                            "line 1: not commands and a time",
		"* fast":                      "line 1: ",
		"* 2ms..1ms":                  "line 1: 2ms..1ms: the longest",
		"* -2ms":                      "line 1: -2ms: the longest",
		"* 2ms~2ms":                   "line 1: 2ms~2ms: the 95th",
		"* 0s~2ms":                    "line 1: 0s~2ms: the 95th",
		"# one\n* 1ms\n# two\nSign x": "line 4: ",
	} {
		_, err := parseProfile("x", text)
		assert.ErrorContains(t, err, want, text)
	}
	p, err := parseProfile("x", "# one\n* 1ms\n# two\nSign,Quote 1ms..2ms\n")
	assert.NoError(t, err)
	assert.Equal(t, "one\ntwo\n", p.Doc)
}
