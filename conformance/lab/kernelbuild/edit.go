package kernelbuild

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// lateSyncEdits are the edits that have IMA start at late_initcall_sync, for a source
// without CONFIG_IMA_INIT_LATE_SYNC.
var lateSyncEdits = embedded("late_sync.json")

// edit is a change of one line of the source.
type edit struct {
	File    string `json:"file"` // from the top of the tree, with slashes
	Find    string `json:"find"` // must be in one line, once
	Replace string `json:"replace"`
}

// EditError reports a source that is not as an edit expects it. The tree is unchanged.
type EditError struct {
	File  string
	Find  string
	Lines []int // where Find is; an edit wants one place
}

func (e *EditError) Error() string {
	if len(e.Lines) == 0 {
		return fmt.Sprintf("%s: no line has %q, so IMA's start cannot be moved in this source", e.File, e.Find)
	}
	places := make([]string, len(e.Lines))
	for i, n := range e.Lines {
		places[i] = fmt.Sprint(n)
	}
	return fmt.Sprintf("%s: lines %s have %q, and one line was expected, so IMA's start cannot be moved in this source",
		e.File, strings.Join(places, " and "), e.Find)
}

func edits() []edit {
	var all []edit
	if err := json.Unmarshal([]byte(lateSyncEdits), &all); err != nil {
		panic(err) // the file is part of the program
	}
	return all
}

// apply makes the edits in the tree and returns what puts the old files back. It changes
// nothing unless every edit can be made.
func apply(tree string, all []edit) (undo func() error, err error) {
	old, changed := make(map[string][]byte), make(map[string]string)
	for _, e := range all {
		name := filepath.Join(tree, filepath.FromSlash(e.File))
		if _, read := changed[name]; !read {
			if old[name], err = os.ReadFile(name); err != nil {
				return nil, err
			}
			changed[name] = string(old[name])
		}
		if err := e.check(changed[name]); err != nil {
			return nil, err
		}
		changed[name] = strings.Replace(changed[name], e.Find, e.Replace, 1)
	}
	undo = func() error {
		for name, text := range old {
			if err := os.WriteFile(name, text, 0o644); err != nil {
				return err
			}
		}
		return nil
	}
	for name, text := range changed {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return undo, err
		}
	}
	return undo, nil
}

// check refuses a text in which Find is not exactly once.
func (e edit) check(text string) error {
	var at []int
	for i, line := range strings.Split(text, "\n") {
		for range strings.Count(line, e.Find) {
			at = append(at, i+1)
		}
	}
	if len(at) != 1 {
		return &EditError{File: e.File, Find: e.Find, Lines: at}
	}
	return nil
}

// lateOption reports whether the source has CONFIG_IMA_INIT_LATE_SYNC.
func lateOption(tree string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(tree, "security", "integrity", "ima", "Kconfig"))
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "config IMA_INIT_LATE_SYNC" {
			return true, nil
		}
	}
	return false, nil
}
