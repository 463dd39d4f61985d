package draw

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/swtpmd/swtpmd/ima/boot"
)

// Sizes are in tenths of a pixel and whole numbers, so that a picture has the
// same bytes on every machine: Go may fuse multiplication and addition of
// floating-point numbers on some.
const px = 10

// maxName is how many bytes of a name are looked at: names come from lists and
// logs that anybody may have written.
const maxName = 4096

// clean makes a name of untrusted origin one that can be shown: what is not
// ASCII nor a letter of a script with letters of ordinary width is escaped as
// in Go's source, controls and marks that turn the direction of text above all.
func clean(s string) string {
	if len(s) > maxName {
		s = s[:maxName]
	}
	plain := true
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r >= ' ' && r <= '~', strings.ContainsRune("…·–—×→µ", r), unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) && unicode.IsLetter(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// shorten takes runes out of the middle of a text until it has at most n: the
// beginning says what kind of thing it is, the end which one.
func shorten(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	tail := (n - 1) * 3 / 5
	head := n - 1 - tail
	return string(runes[:head]) + "…" + string(runes[len(runes)-tail:])
}

// name is an untrusted name of at most n runes.
func name(s string, n int) string { return shorten(clean(s), n) }

// The sizes of text, in pixels.
const (
	labelSize = 12
	smallSize = 11
	headSize  = 15
)

// advance has the widths of ASCII from blank to tilde, in hundredths of the
// size of the text: those of DejaVu Sans and Verdana, the wider of the fonts
// that a viewer may choose.
var advance = [...]uint8{
	35, 46, 46, 84, 65, 108, 80, 32, 46, 46, 65, 84, 37, 46, 37, 46, // blank to /
	65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 46, 46, 84, 84, 84, 57, // 0 to ?
	100, 70, 69, 71, 78, 64, 58, 78, 77, 43, 46, 70, 57, 87, 76, 79, // @ to O
	62, 79, 71, 69, 63, 75, 70, 100, 70, 63, 69, 46, 46, 46, 84, 64, // P to _
	64, 62, 64, 56, 64, 62, 37, 64, 65, 29, 35, 60, 29, 99, 65, 63, // ` to o
	64, 64, 45, 54, 41, 65, 60, 83, 60, 60, 54, 65, 46, 65, 84, // p to ~
}

// textWidth says how wide a text is at most.
func textWidth(s string, size int) int {
	sum := 0
	for _, r := range s {
		switch {
		case r >= ' ' && r <= '~':
			sum += int(advance[r-' '])
		case unicode.IsLetter(r):
			sum += 120 // such as Ю and Ǽ
		default:
			sum += 100
		}
	}
	return sum*size*px/100 + px
}

// seconds returns a time since power-on.
func seconds(d time.Duration) string {
	d = min(max(d, 0), boot.MaxBoot)
	return fmt.Sprintf("%d.%03d s", d/time.Second, d%time.Second/time.Millisecond)
}

// moment returns a time since power-on with the digits that tell it from another
// one so near.
func moment(d, near time.Duration) string {
	digits := 3
	switch {
	case near < 100*time.Microsecond:
		digits = 6
	case near < time.Millisecond:
		digits = 5
	case near < 10*time.Millisecond:
		digits = 4
	}
	return fmt.Sprintf("%d.%06d", d/time.Second, d%time.Second/time.Microsecond)[:digits+2+wholeDigits(d)-1] + " s"
}

func wholeDigits(d time.Duration) int { return len(strconv.Itoa(int(d / time.Second))) }

// length returns a duration with three digits.
func length(d time.Duration) string {
	d = min(max(d, 0), boot.MaxBoot)
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d)
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d/time.Microsecond)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%d.%02d ms", d/time.Millisecond, d%time.Millisecond/(10*time.Microsecond))
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d.%d ms", d/time.Millisecond, d%time.Millisecond/(100*time.Microsecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d/time.Millisecond)
	}
	return fmt.Sprintf("%d.%02d s", d/time.Second, d%time.Second/(10*time.Millisecond))
}

// lasting is a duration after a comma, nothing for none.
func lasting(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return ", " + length(d)
}

// plural counts things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// codeNames are results that boots have: TPM response codes (TPM 2.0 Library
// Part 2, section "TPM_RC") and, negative, errnos (include/uapi/asm-generic/errno.h,
// include/linux/errno.h).
var codeNames = map[int]string{
	0x100: "TPM_RC_INITIALIZE", 0x101: "TPM_RC_FAILURE", 0x120: "TPM_RC_DISABLED",
	0x12d: "TPM_RC_UPGRADE", 0x142: "TPM_RC_COMMAND_SIZE", 0x143: "TPM_RC_COMMAND_CODE", 0x908: "TPM_RC_YIELDED",
	0x90a: "TPM_RC_TESTING", 0x921: "TPM_RC_LOCKOUT", 0x922: "TPM_RC_RETRY",
	-2: "ENOENT", -5: "EIO", -6: "ENXIO", -12: "ENOMEM", -13: "EACCES", -14: "EFAULT", -16: "EBUSY",
	-19: "ENODEV", -22: "EINVAL", -61: "ENODATA", -62: "ETIME", -110: "ETIMEDOUT", -125: "ECANCELED",
	-517: "EPROBE_DEFER",
}

// result names a result: a TPM response code, or negative an errno.
func result(code int) string {
	if n, ok := codeNames[code]; ok {
		return number(code) + " " + n
	}
	return number(code)
}

// number has response codes in hexadecimal, as specifications have them.
func number(code int) string {
	if code > 0 {
		return fmt.Sprintf("%#x", code)
	}
	return strconv.Itoa(code)
}
