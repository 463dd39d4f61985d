package boot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// nameOf returns the name of a value of an enumeration.
func nameOf[T ~uint8](names []string, v T, kind string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", kind, uint8(v))
}

// UnknownNameError is the answer to a name that does not exist.
type UnknownNameError struct {
	// What it should name: "strategy", "platform", …
	What string
	Name string
	// Known are the names that exist.
	Known []string
}

func (e *UnknownNameError) Error() string {
	return fmt.Sprintf("unknown %s %q; there are %s", e.What, e.Name, strings.Join(e.Known, ", "))
}

// parseName finds name in names.
func parseName[T ~uint8](names []string, name, what string) (T, error) {
	if i := slices.Index(names, name); i >= 0 && name != "" {
		return T(i), nil
	}
	known := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" })
	return 0, &UnknownNameError{What: what, Name: clip.String(name), Known: known}
}
