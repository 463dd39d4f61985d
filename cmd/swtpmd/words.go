package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// words are swtpm's option values: key=value pairs and bare keys, separated by
// commas ("type=unixio,path=P,mode=0600,terminate").
type words map[string]string

// parseWords reads option's text and refuses a key that is not among known, and
// a key that comes twice. A bare key reads as "true".
func parseWords(option, text string, known ...string) (words, error) {
	w := words{}
	if text == "" {
		return w, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		key, value, valued := strings.Cut(word, "=")
		if !valued {
			value = "true"
		}
		if !slices.Contains(known, key) {
			return nil, &wordError{option, word, "unknown word; it takes " + strings.Join(known, ", ")}
		}
		if _, twice := w[key]; twice {
			return nil, &wordError{option, word, "it stands there twice"}
		}
		w[key] = value
	}
	return w, nil
}

// wordError says which word of which option is wrong.
type wordError struct {
	option, word, reason string
}

func (e *wordError) Error() string {
	return fmt.Sprintf("--%s: %q: %s", e.option, e.word, e.reason)
}

// yes reads a boolean as swtpm does: true and 1 are true, false and 0 false.
func (w words) yes(option, key string) (bool, error) {
	switch value, ok := w[key]; {
	case !ok, value == "false", value == "0":
		return false, nil
	case value == "true", value == "1":
		return true, nil
	default:
		return false, &wordError{option, key + "=" + value, "neither true nor false"}
	}
}

// number reads a decimal number up to max; -1 if the key is absent.
func (w words) number(option, key string, max int) (int, error) {
	value, ok := w[key]
	if !ok {
		return -1, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > max {
		return 0, &wordError{option, key + "=" + value, fmt.Sprintf("not a number from 0 to %d", max)}
	}
	return n, nil
}

// mode reads file permissions in octal; def if the key is absent.
func (w words) mode(option, key string, def uint32) (uint32, error) {
	value, ok := w[key]
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseUint(value, 8, 12)
	if err != nil || n > 0o777 {
		return 0, &wordError{option, key + "=" + value, "not permissions in octal, such as 0600"}
	}
	return uint32(n), nil
}

// maxDescriptor bounds the numbers of inherited descriptors.
const maxDescriptor = 1 << 20
