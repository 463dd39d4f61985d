package boot

import (
	"bytes"
	"embed"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// The platforms that come with the package; each file says where its facts are
// from.
//
//go:embed platforms/*.platform
var platformFiles embed.FS

const platformSuffix = ".platform"

// Platforms lists the names of the platforms that come with the package, in
// alphabetical order.
func Platforms() []string {
	entries, err := platformFiles.ReadDir("platforms")
	if err != nil {
		return nil // the folder is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), platformSuffix))
	}
	slices.Sort(names)
	return names
}

// PlatformFile returns the text of a platform that comes with the package, to
// start your own from.
func PlatformFile(name string) ([]byte, error) {
	text, err := platformFiles.ReadFile("platforms/" + name + platformSuffix)
	if err != nil {
		return nil, &UnknownNameError{What: "platform", Name: clip.String(name), Known: Platforms()}
	}
	return text, nil
}

// PlatformByName reads a platform that comes with the package. The error for a
// name that none has is an *UnknownNameError.
func PlatformByName(name string) (*Platform, error) {
	text, err := PlatformFile(name)
	if err != nil {
		return nil, err
	}
	return ParsePlatform(name+platformSuffix, bytes.NewReader(text))
}
