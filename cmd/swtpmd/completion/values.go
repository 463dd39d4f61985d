package completion

import (
	"strings"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// valueWords are the values of a flag.
type valueWords struct {
	words func() []string
	files bool // a file is one too
	rule  bool // the value is a rule of faults
}

// fixed are words that are always the same.
func fixed(words ...string) valueWords {
	return valueWords{words: func() []string { return words }}
}

// kinds are the words of the kinds of faults.
func kinds() (words []string) {
	for _, k := range faults.Kinds() {
		words = append(words, k.Word)
	}
	return words
}

// orFile adds files to words.
func orFile(v valueWords) valueWords { return valueWords{words: v.words, files: true} }

// levels are the names of the levels of a boot.
func levels() (names []string) {
	for _, l := range initcall.Levels() {
		names = append(names, l.String())
	}
	return names
}

// ways are the words of --while-deferred.
func ways() (names []string) {
	for way := faults.Fail; ; way++ {
		text, err := way.MarshalText()
		if err != nil {
			return names
		}
		names = append(names, string(text))
	}
}

func bootStrategies() (names []string) {
	for _, s := range boot.Strategies() {
		names = append(names, s.String())
	}
	return names
}

func verifyStrategies() (names []string) {
	for _, s := range verify.Strategies() {
		names = append(names, string(s))
	}
	return names
}

// values are those of flags by name; "verify policy" is a flag of one command. A flag
// that is not here takes a file, or something that nobody can list.
var values = map[string]valueWords{
	"defer-until":     {words: levels},
	"defer-from":      {words: levels},
	"marker":          {words: func() []string { return withEqual(levels()) }},
	"while-deferred":  {words: ways},
	"profile":         {words: emulator.Profiles, files: true},
	"platform":        {words: boot.Platforms, files: true},
	"boot":            {words: boot.Platforms, files: true},
	"strategy":        {words: bootStrategies},
	"verify strategy": {words: verifyStrategies},
	"verify policy":   orFile(fixed("strict", "accept-late", "build-bound")),
	"policy":          fixed("tcb", "appraise_tcb", "secure_boot", "critical_data", "fail_securely", "file:"),
	"late-sync":       fixed("on", "off", "unknown"),
	"order":           fixed("little", "big"),
	"attack":          fixed("none", "rename", "filter", "unlink", "dequeue"),
	"format":          fixed("kernel", "cel-tlv", "cel-json", "cel-cbor"),
	"commands format": fixed("table", "json"),
	"kinds":           {words: kinds},
	"lsm":             fixed("selinux", "none"),
	"console":         fixed("unix:", "file:", "-"),
	"timeline":        orFile(fixed("builtin")),
	"levels":          fixed("gdb", "gdb:unix:"),
	"sandbox":         fixed("full", "landlock", "off"),
	"seccomp":         fixed("action=none"),
	"ctrl":            fixed("type=unixio,path=", "type=tcp,port=", "fd=", "clientfd="),
	"server":          fixed("type=unixio,path=", "type=tcp,port=", "fd="),
	"tpmstate":        fixed("dir=", "backend-uri=dir://"),
	"log":             fixed("file=", "fd=", "level="),
	"pid":             fixed("file=", "fd="),
	"flags":           fixed("not-need-init", "startup-clear", "startup-state", "startup-none"),
	"fault":           {rule: true},
	"locality":        fixed("reject-locality-4", "allow-set-locality"),
}

// ruleWords returns the text of a rule up to its last word, and what can stand in the place
// of that: a command, another word, or a fault after the colon.
func ruleWords(text string) (before string, words []string) {
	at := strings.LastIndexAny(text, " \t") + 1
	if at > 0 && strings.HasSuffix(strings.TrimSpace(text[:at]), ":") {
		return text[:at], faultWords()
	}
	return text[:at], whenWords()
}

// whenWords are what says what a rule is for.
func whenWords() []string {
	words := withEqual([]string{"after", "boot", "client", "handle", "level", "locality", "name", "p", "pcr", "session", "time", "times"})
	for _, c := range emulator.Commands() {
		if c.Implemented() {
			words = append(words, c.Name)
		}
	}
	return words
}

// faultWords are the kinds of faults.
func faultWords() (words []string) {
	for _, k := range faults.Kinds() {
		word := k.Word
		if k.Value != "" && !strings.HasPrefix(k.Value, "[") {
			word += "="
		}
		words = append(words, word)
	}
	return words
}

// withEqual puts an equal sign after each word.
func withEqual(words []string) []string {
	for i := range words {
		words[i] += "="
	}
	return words
}

// arguments are what can follow the arguments of a command. A command that is not here
// takes files.
var arguments = map[string]func(before []string) []string{
	"ctl": func(before []string) []string {
		switch {
		case len(before) == 0:
			return []string{"add", "advance", "disable", "enable", "events", "fleet", "journal", "level", "pcrs", "power", "remove", "restore", "rules", "snapshot", "status", "watch"}
		case before[0] == "fleet" && len(before) == 1:
			return []string{"add", "list", "metrics", "remove", "status"}
		case before[0] == "power" && len(before) == 1:
			return []string{"off", "on", "reset"}
		case before[0] == "advance" && len(before) == 1:
			return levels()
		}
		return nil
	},
	"plan": func(before []string) []string {
		if len(before) == 0 {
			return []string{"check", "explain", "list"}
		}
		return nil
	},
	"completion": func(before []string) []string {
		if len(before) == 0 {
			return []string{"bash", "zsh", "fish"}
		}
		return nil
	},
	"man": none,
	"campaign": func(before []string) []string {
		if len(before) == 0 {
			return []string{"merge"}
		}
		return nil
	},
	"socket": none, "boot": none, "matrix": none, "commands": none,
	"": none,
}

// filesAfter are the commands whose words of arguments have files after them.
var filesAfter = map[string]bool{"plan": true}

func none([]string) []string { return nil }
