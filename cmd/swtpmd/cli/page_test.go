package cli

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPage(t *testing.T) {
	c := Command{Help: `Usage: prog [flags]
       prog sub WORD    does a thing

Runs.
It goes on.

  --bare                 has no heading

Flags:
  --admin PATH    where
                  it is
  --first=X, --second=Y, -t,
  --third
                         as another page has them
  --long-name=TEXT one space
  --help

Levels, in order:
  one two three
  four five
And a last word.

Examples:
  prog --bare    # twice

Exit codes: 0 well;
1 not.
`}
	assert.Equal(t, Page{
		Usage: []Item{{"prog [flags]", ""}, {"prog sub WORD", "does a thing"}},
		Blocks: []Block{
			{Text: "Runs.\nIt goes on."},
			{Items: []Item{{"--bare", "has no heading"}}},
			{Heading: "Flags", Items: []Item{
				{"--admin PATH", "where\nit is"}, {"--first=X, --second=Y, -t, --third", "as another page has them"},
				{"--long-name=TEXT", "one space"}, {"--help", ""},
			}},
			{Heading: "Levels, in order", Lines: []string{"one two three", "four five"}},
			{Text: "And a last word."},
			{Heading: "Examples", Lines: []string{"prog --bare    # twice"}},
			{Heading: "Exit codes", Text: "0 well;\n1 not."},
		},
	}, c.Page())
	page := c.Page()
	assert.Equal(t, map[string]string{
		"bare": "has no heading", "admin": "where\nit is", "first": "as another page has them", "second": "as another page has them",
		"t": "as another page has them", "third": "as another page has them", "long-name": "one space", "help": "",
	}, page.Flags())
}
