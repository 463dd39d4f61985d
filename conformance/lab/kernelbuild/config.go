package kernelbuild

import (
	"bufio"
	"embed"
	"fmt"
	"regexp"
	"strings"
)

// configs has the fragments of the configurations, and the edits for a late_sync start.
//
//go:embed config
var configs embed.FS

func embedded(name string) string {
	text, err := configs.ReadFile("config/" + name)
	if err != nil {
		panic(err) // the file is part of the program
	}
	return string(text)
}

// fragment is a part of a configuration.
type fragment struct {
	name     string
	text     string
	optional bool // the configuration may end up without these options
}

// fragments returns the parts of the configuration. lateOption is for a source that has
// CONFIG_IMA_INIT_LATE_SYNC.
func (k Kernel) fragments(lateOption bool) []fragment {
	names := []string{"common", string(k.Arch)}
	if k.Modules {
		names = append(names, "modules")
		if k.Arch == ARM64 {
			names = append(names, "arm64-modules")
		}
	}
	if k.Start == LateSync && lateOption {
		names = append(names, "late_sync")
	}
	var all []fragment
	for _, name := range names {
		all = append(all, fragment{name: name + ".config", text: embedded(name + ".config")})
	}
	all = append(all, fragment{name: "optional.config", text: embedded("optional.config"), optional: true})
	if k.Extra != "" {
		all = append(all, fragment{name: "the configuration of --config", text: k.Extra})
	}
	return all
}

// setting is an option and its value: y, m, n, a number or a quoted text.
type setting struct{ option, value string }

func (s setting) String() string {
	if s.value == "n" {
		return "# " + s.option + " is not set"
	}
	return s.option + "=" + s.value
}

var (
	set   = regexp.MustCompile(`^(CONFIG_[A-Za-z0-9_]+)=(.+)$`)
	unset = regexp.MustCompile(`^# (CONFIG_[A-Za-z0-9_]+) is not set$`)
)

// ConfigError reports a line of a configuration that is not understood.
type ConfigError struct {
	File string
	Line int
	Text string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s, line %d: %q sets no option: a line is CONFIG_NAME=VALUE, \"# CONFIG_NAME is not set\", another comment, or empty",
		e.File, e.Line, e.Text)
}

// parseConfig reads a configuration in the kernel's format. A later line overrides an
// earlier one.
func parseConfig(file, text string) ([]setting, error) {
	var all []setting
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if m := set.FindStringSubmatch(line); m != nil {
			all = append(all, setting{m[1], m[2]})
		} else if m := unset.FindStringSubmatch(line); m != nil {
			all = append(all, setting{m[1], "n"})
		} else if line != "" && !strings.HasPrefix(line, "#") {
			return nil, &ConfigError{File: file, Line: n, Text: line}
		}
	}
	return all, lines.Err()
}

// CheckConfig refuses lines that are no configuration.
func CheckConfig(file, text string) error {
	_, err := parseConfig(file, text)
	return err
}

// UnsetError reports options that a kernel's own configuration did not accept.
type UnsetError struct {
	Kernel string
	Wanted []string // lines of fragments
}

func (e *UnsetError) Error() string {
	return fmt.Sprintf("the configuration of %s does not accept %s: the source has no such option, or what it depends on is off",
		e.Kernel, strings.Join(e.Wanted, ", "))
}

// checkResult compares the configuration that the kernel's make has written with the
// fragments.
func (k Kernel) checkResult(fragments []fragment, result string) error {
	got := make(map[string]string)
	settings, err := parseConfig(".config", result)
	if err != nil {
		return err
	}
	for _, s := range settings {
		got[s.option] = s.value
	}
	wanted := make(map[string]string)
	var order []string
	for _, f := range fragments {
		settings, err := parseConfig(f.name, f.text)
		if err != nil {
			return err
		}
		for _, s := range settings {
			if f.optional {
				continue
			}
			if wanted[s.option] == "" {
				order = append(order, s.option)
			}
			wanted[s.option] = s.value
		}
	}
	refused := &UnsetError{Kernel: k.Name()}
	for _, option := range order {
		have := got[option]
		if have == "" {
			have = "n"
		}
		if have != wanted[option] {
			refused.Wanted = append(refused.Wanted, setting{option, wanted[option]}.String())
		}
	}
	if len(refused.Wanted) > 0 {
		return refused
	}
	return nil
}
