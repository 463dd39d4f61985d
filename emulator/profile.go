package emulator

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Profile is a kind of TPM: a Config with a name, from a profile file.
type Profile struct {
	Name   string
	Title  string // what it is, in a few words
	Config Config
}

// The profiles that come with the package; each file says where its facts are
// from.
//
//go:embed profiles/*.profile
var profileFiles embed.FS

const profileSuffix = ".profile"

// Profiles lists the names of the profiles that come with the package, in
// alphabetical order.
func Profiles() []string {
	entries, err := profileFiles.ReadDir("profiles")
	if err != nil {
		return nil // the folder is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), profileSuffix))
	}
	slices.Sort(names)
	return names
}

// ProfileFile returns the text of a profile that comes with the package, to start
// your own from. The error for an unknown name is an [*UnknownProfileError].
func ProfileFile(name string) ([]byte, error) {
	text, err := profileFiles.ReadFile("profiles/" + name + profileSuffix)
	if err != nil {
		return nil, &UnknownProfileError{Name: clip(name), Known: Profiles()}
	}
	return text, nil
}

// ProfileByName reads a profile that comes with the package. The error for a
// name that none has is an *UnknownProfileError.
func ProfileByName(name string) (*Profile, error) {
	text, err := ProfileFile(name)
	if err != nil {
		return nil, err
	}
	return ParseProfile(name+profileSuffix, text)
}

// UnknownProfileError says that no profile has a name.
type UnknownProfileError struct {
	Name  string
	Known []string
}

// Error lists the names there are.
func (e *UnknownProfileError) Error() string {
	return fmt.Sprintf("there is no profile %q: choose %s, or a file of your own", e.Name, strings.Join(e.Known, ", "))
}

// ProfileError says what is wrong with a profile, and in which line of its file.
type ProfileError struct {
	// File is the file's name; Line counts from 1, 0 if no line is at fault.
	File string
	Line int
	// Item is the wrong item: "limits: key transiant", "commands", …
	Item string
	// Reason says why and what would be taken.
	Reason string
	Err    error // the cause, if there is another error
}

// Error has file and line in front, as compilers do.
func (e *ProfileError) Error() string {
	text := e.File
	if e.Line > 0 {
		text += ":" + strconv.Itoa(e.Line)
	}
	text += ": " + e.Item
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *ProfileError) Unwrap() error { return e.Err }

// clip shortens a word of unknown origin for a message.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
