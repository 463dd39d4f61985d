package measure

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A file system whose UUID nobody tells is named, if a rule asks for one.
func TestMeasureSaysWhatItDoesNotKnow(t *testing.T) {
	paths := []string{"/a/b"}
	var said strings.Builder
	warn(&said, paths, "measure fsname=ext4\n")
	assert.Empty(t, said.String())
	warn(&said, paths, "measure fsuuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8\n")
	assert.Contains(t, said.String(), "the file system of /a/b")
}
