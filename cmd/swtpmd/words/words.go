// Package words reads the option values of swtpm: key=value pairs and bare keys,
// separated by commas.
package words

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// Values are swtpm's option values: key=value pairs and bare keys, separated by
// commas ("type=unixio,path=P,mode=0600,terminate").
type Values map[string]string

// Parse reads option's text and refuses a key that is not among known, and
// a key that comes twice. A bare key reads as "true". A value that begins with { is
// JSON and ends with the bracket that closes it.
func Parse(option, text string, known ...string) (Values, error) {
	w := Values{}
	if text == "" {
		return w, nil
	}
	for more := true; more; {
		var word string
		var err error
		if word, text, more, err = cutWord(option, text); err != nil {
			return nil, err
		}
		key, value, valued := strings.Cut(word, "=")
		if !valued {
			value = "true"
		}
		if !slices.Contains(known, key) {
			return nil, Wrong(option, word, "unknown word; it takes "+strings.Join(known, ", "))
		}
		if _, twice := w[key]; twice {
			return nil, Wrong(option, word, "it stands there twice")
		}
		w[key] = value
	}
	return w, nil
}

// cutWord cuts off the first word of text. more reports whether a comma follows it.
func cutWord(option, text string) (word, rest string, more bool, err error) {
	end := strings.Index(text, ",")
	if equals := strings.Index(text, "={"); equals >= 0 && (end < 0 || equals < end) {
		size := jsonSize(text[equals+1:])
		if size == 0 {
			return "", "", false, Wrong(option, text, "a { has no }")
		}
		end = equals + 1 + size
		switch {
		case end == len(text):
			end = -1
		case text[end] != ',':
			return "", "", false, Wrong(option, text[end:], "it follows a } without a comma")
		}
	}
	if end < 0 {
		return text, "", false, nil
	}
	return text[:end], text[end+1:], true, nil
}

// jsonSize returns the size of the JSON object that text begins with, in bytes; 0 if
// it does not end. Brackets within strings do not count.
func jsonSize(text string) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// wordError says which word of which option is wrong.
type wordError struct {
	option, word, reason string
}

// Wrong returns the error of a word of an option.
func Wrong(option, word, reason string) error { return &wordError{option, word, reason} }

func (e *wordError) Error() string {
	return fmt.Sprintf("--%s: %q: %s", e.option, e.word, e.reason)
}

// Yes reads a boolean as swtpm does: true and 1 are true, false and 0 false.
func (w Values) Yes(option, key string) (bool, error) {
	switch value, ok := w[key]; {
	case !ok, strings.EqualFold(value, "false"), value == "0":
		return false, nil
	case strings.EqualFold(value, "true"), value == "1":
		return true, nil
	default:
		return false, Wrong(option, key+"="+value, "neither true nor false")
	}
}

// Number reads a decimal number up to max; -1 if the key is absent.
func (w Values) Number(option, key string, max int) (int, error) {
	value, ok := w[key]
	if !ok {
		return -1, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > max {
		return 0, Wrong(option, key+"="+value, fmt.Sprintf("not a number from 0 to %d", max))
	}
	return n, nil
}

// Owner reads the number of a user or a group, or its name, which number finds; -1
// if the key is absent.
func (w Values) Owner(option, key string, number func(name string) (string, error)) (int, error) {
	value, ok := w[key]
	if !ok {
		return -1, nil
	}
	const most = 1<<31 - 1
	if n, err := strconv.Atoi(value); err == nil && 0 <= n && n <= most {
		return n, nil
	}
	text, err := number(value)
	if err != nil {
		return 0, Wrong(option, key+"="+value, fmt.Sprintf("neither a number from 0 to %d nor a name that the system knows", most))
	}
	return strconv.Atoi(text)
}

// UserID returns the number of a user.
func UserID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

// GroupID returns the number of a group.
func GroupID(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

// Mode reads file permissions in octal; def if the key is absent.
func (w Values) Mode(option, key string, def uint32) (uint32, error) {
	value, ok := w[key]
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseUint(value, 8, 12)
	if err != nil || n > 0o777 {
		return 0, Wrong(option, key+"="+value, "not permissions in octal, such as 0600")
	}
	return uint32(n), nil
}

// MaxDescriptor bounds the numbers of inherited descriptors.
const MaxDescriptor = 1 << 20
