package options

import (
	"strconv"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
)

// mostRememberedKeys bounds the memory of --remember-keys: 1 KiB each.
const mostRememberedKeys = 4096

// setRememberKeys reads the value of --remember-keys.
func (s *Set) setRememberKeys(text string) error {
	if text == "off" {
		s.ForgetKeys, s.RememberKeys = true, 0
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostRememberedKeys {
		return words.Wrong("remember-keys", text, "it is off, or a number of keys from 1 to "+strconv.Itoa(mostRememberedKeys))
	}
	s.ForgetKeys, s.RememberKeys = false, n
	return nil
}
