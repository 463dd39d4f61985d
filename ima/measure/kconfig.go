package measure

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// KconfigError says which line of a kernel's configuration is wrong, or which
// symbol is.
type KconfigError struct {
	// Line is the number of the line, from 1; 0 if it is no line's fault.
	Line int
	// Symbol begins with CONFIG_; empty if the line is none of a symbol.
	Symbol string
	// Reason says what is wrong.
	Reason string
}

func (e *KconfigError) Error() string {
	var b strings.Builder
	b.WriteString("kernel configuration")
	if e.Line > 0 {
		fmt.Fprintf(&b, " line %d", e.Line)
	}
	if e.Symbol != "" {
		b.WriteString(": " + clip.String(e.Symbol))
	}
	return b.String() + ": " + e.Reason
}

// Bounds of a configuration in bytes: a distribution's has 300 KB.
const (
	kconfigLineMax = 1 << 14
	kconfigMax     = 1 << 22
)

// ReadKconfig sets the fields of c that a kernel's build decides from its
// configuration (/boot/config-RELEASE, or /proc/config.gz unpacked): those of
// security/integrity/ima/Kconfig, and which hashes of crypto/Kconfig are built in,
// modules or missing. c.Kernel must be set before, and says which options there
// are. The error is a KconfigError or that of r; c is unchanged then.
func (c *Config) ReadKconfig(r io.Reader) error {
	symbols, err := parseKconfig(r)
	if err != nil {
		return err
	}
	read := *c
	if err := read.applyKconfig(symbols); err != nil {
		return err
	}
	*c = read
	return nil
}

// kconfig has the values of symbols as they are written, without quotes.
type kconfig map[string]kconfigValue

type kconfigValue struct {
	value string
	line  int
}

func (k kconfig) is(symbol string) bool { return k[symbol].value == "y" }

func parseKconfig(r io.Reader) (kconfig, error) {
	symbols := kconfig{}
	bounded := &io.LimitedReader{R: r, N: kconfigMax + 1}
	lines := bufio.NewScanner(bounded)
	lines.Buffer(nil, kconfigLineMax)
	number := 0
	for lines.Scan() {
		number++
		if bounded.N == 0 {
			return nil, &KconfigError{Line: number, Reason: fmt.Sprintf("the configuration is larger than %d bytes", kconfigMax)}
		}
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		symbol, value, ok := strings.Cut(line, "=")
		if !ok || !strings.HasPrefix(symbol, "CONFIG_") {
			return nil, &KconfigError{Line: number, Reason: fmt.Sprintf("%q does not begin with CONFIG_ and a name, = and a value", clip.String(line))}
		}
		if quoted, ok := strings.CutPrefix(value, `"`); ok {
			if value, ok = strings.CutSuffix(quoted, `"`); !ok {
				return nil, &KconfigError{Line: number, Symbol: symbol, Reason: "the string has no end"}
			}
		}
		symbols[symbol] = kconfigValue{value, number}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, &KconfigError{Line: number + 1, Reason: fmt.Sprintf("longer than %d bytes", kconfigLineMax)}
	} else if err != nil {
		return nil, err
	}
	return symbols, nil
}

func (c *Config) applyKconfig(k kconfig) error {
	if !k.is("CONFIG_IMA") {
		return &KconfigError{Symbol: "CONFIG_IMA", Reason: "is not set: this kernel has no IMA"}
	}
	for symbol, set := range map[string]*bool{
		"CONFIG_IMA_DISABLE_HTABLE":          &c.DisableHTable,
		"CONFIG_IMA_WRITE_POLICY":            &c.WritePolicy,
		"CONFIG_IMA_READ_POLICY":             &c.ReadPolicy,
		"CONFIG_IMA_APPRAISE_SIGNED_INIT":    &c.AppraiseSignedInit,
		"CONFIG_IMA_APPRAISE_MODSIG":         &c.Modsig,
		"CONFIG_IMA_LSM_RULES":               &c.LSM,
		"CONFIG_IMA_MEASURE_ASYMMETRIC_KEYS": &c.MeasureKeys,
	} {
		*set = k.is(symbol)
	}
	// Options that came later are not in older kernels, whatever a file says
	// that was made for another one.
	c.InitLateSync = c.Kernel.InitLateSync && k.is("CONFIG_IMA_INIT_LATE_SYNC")
	c.Staging = c.Kernel.Staging && k.is("CONFIG_IMA_STAGING")
	c.BuildAppraiseRules = buildAppraiseRules(k)
	if err := c.applyKconfigValues(k); err != nil {
		return err
	}
	return c.applyKconfigHashes(k)
}

func (c *Config) applyKconfigValues(k kconfig) error {
	if t, ok := k["CONFIG_IMA_DEFAULT_TEMPLATE"]; ok {
		if _, known := ima.LookupTemplate(t.value); !known {
			return &KconfigError{Line: t.line, Symbol: "CONFIG_IMA_DEFAULT_TEMPLATE", Reason: fmt.Sprintf("no template %q", clip.String(t.value))}
		}
		c.Template = t.value
	}
	const measurePCR, extraMemory = "CONFIG_IMA_MEASURE_PCR_IDX", "CONFIG_IMA_KEXEC_EXTRA_MEMORY_KB"
	if err := k.number(measurePCR, 8, 14, &c.MeasurePCR); err != nil {
		return err
	}
	if !c.Kernel.KexecExtraMemory {
		return nil
	}
	return k.number(extraMemory, 0, 40, &c.KexecExtraKB)
}

// number sets n to the value of a symbol, if there is one.
func (k kconfig) number(symbol string, least, most int, n *int) error {
	v, ok := k[symbol]
	if !ok {
		return nil
	}
	value, err := strconv.Atoi(v.value)
	if err != nil || value < least || value > most {
		return &KconfigError{Line: v.line, Symbol: symbol, Reason: fmt.Sprintf("%q is no number from %d to %d", clip.String(v.value), least, most)}
	}
	*n = value
	return nil
}

// buildAppraiseRules is build_appraise_rules of ima_policy.c.
func buildAppraiseRules(k kconfig) string {
	var rules strings.Builder
	for _, r := range []struct{ symbol, hook string }{
		{"MODULE", "MODULE_CHECK"}, {"FIRMWARE", "FIRMWARE_CHECK"}, {"KEXEC", "KEXEC_KERNEL_CHECK"}, {"POLICY", "POLICY_CHECK"},
	} {
		if k.is("CONFIG_IMA_APPRAISE_REQUIRE_" + r.symbol + "_SIGS") {
			rules.WriteString("appraise func=" + r.hook + " appraise_type=imasig\n")
		}
	}
	return rules.String()
}

// kconfigHashes are the symbols of crypto/Kconfig that build hashes; any of them
// does.
var kconfigHashes = []struct {
	symbols []string
	algos   []ima.HashAlgo
}{
	{[]string{"CONFIG_CRYPTO_MD4"}, []ima.HashAlgo{ima.MD4}},
	{[]string{"CONFIG_CRYPTO_MD5"}, []ima.HashAlgo{ima.MD5}},
	{[]string{"CONFIG_CRYPTO_SHA1"}, []ima.HashAlgo{ima.SHA1}},
	{[]string{"CONFIG_CRYPTO_RMD160"}, []ima.HashAlgo{ima.RMD160}},
	{[]string{"CONFIG_CRYPTO_SHA256"}, []ima.HashAlgo{ima.SHA256, ima.SHA224}},
	{[]string{"CONFIG_CRYPTO_SHA512"}, []ima.HashAlgo{ima.SHA384, ima.SHA512}},
	{[]string{"CONFIG_CRYPTO_WP512"}, []ima.HashAlgo{ima.WP256, ima.WP384, ima.WP512}},
	{[]string{"CONFIG_CRYPTO_SM3", "CONFIG_CRYPTO_SM3_GENERIC"}, []ima.HashAlgo{ima.SM3}},
	{[]string{"CONFIG_CRYPTO_STREEBOG"}, []ima.HashAlgo{ima.Streebog256, ima.Streebog512}},
	{[]string{"CONFIG_CRYPTO_SHA3"}, []ima.HashAlgo{ima.SHA3_256, ima.SHA3_384, ima.SHA3_512}},
}

func (c *Config) applyKconfigHashes(k kconfig) error {
	c.Unavailable, c.HashModules = nil, nil
	for _, row := range kconfigHashes {
		built, module := false, false
		for _, symbol := range row.symbols {
			built, module = built || k.is(symbol), module || k[symbol].value == "m"
		}
		if !built {
			c.Unavailable = append(c.Unavailable, row.algos...)
			if module {
				c.HashModules = append(c.HashModules, row.algos...)
			}
		}
	}
	name, ok := k["CONFIG_IMA_DEFAULT_HASH"]
	if !ok {
		return nil
	}
	h, known := c.Kernel.hash(name.value)
	if !known || slices.Contains(c.Unavailable, h) {
		return &KconfigError{Line: name.line, Symbol: "CONFIG_IMA_DEFAULT_HASH", Reason: fmt.Sprintf("hash %q is not built in", clip.String(name.value))}
	}
	c.DefaultHash = h
	return nil
}
