package main

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed words.txt
var wordsText string

// word is one of the list, and where it stands.
type word struct {
	Word    string   `json:"word"`
	Instead string   `json:"instead"`
	Places  []string `json:"places"` // FILE:LINE

	pattern *regexp.Regexp
}

// parseWords reads a list: a word or words, a colon, and what to write instead. A
// star is the rest of a word. Lines that are empty or begin with # are left out.
func parseWords(text string) ([]word, error) {
	var list []word
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		w, instead, ok := strings.Cut(line, ":")
		w, instead = strings.TrimSpace(w), strings.TrimSpace(instead)
		if !ok || w == "" || instead == "" {
			return nil, fmt.Errorf("words.txt:%d: %q is not WORD: INSTEAD", i+1, line)
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(w), `\*`, `\pL*`)
		pattern = strings.ReplaceAll(pattern, " ", `\s+`)
		list = append(list, word{Word: w, Instead: instead, Places: []string{}, pattern: regexp.MustCompile(`(?i)\b` + pattern + `\b`)})
	}
	return list, nil
}

// passage is text for readers, and the line it begins at.
type passage struct {
	text string
	line int
}

// countWords looks for the words in what readers of the tree below dir read:
// comments and strings of Go files that are no tests, scripts, pages, help texts.
func countWords(dir string, list []word) ([]word, error) {
	list = slices.Clone(list)
	for i := range list {
		list[i].Places = []string{}
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == "testdata" || strings.HasPrefix(name, ".") && path != dir {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		passages, err := read(path, filepath.ToSlash(rel))
		if err != nil {
			return err
		}
		for _, p := range passages {
			for i := range list {
				for _, at := range list[i].pattern.FindAllStringIndex(p.text, -1) {
					line := p.line + strings.Count(p.text[:at[0]], "\n")
					list[i].Places = append(list[i].Places, filepath.ToSlash(rel)+":"+strconv.Itoa(line))
				}
			}
		}
		return nil
	})
	return list, err
}

// read returns the text for readers of a file. The page with the rules and the lists
// name the words that they forbid.
func read(path, rel string) ([]passage, error) {
	switch {
	case slices.Contains([]string{"style.md", "words.txt", "limits.txt"}, filepath.Base(rel)),
		strings.HasSuffix(rel, "_test.go"):
		return nil, nil
	case strings.HasSuffix(rel, ".go"):
		return readGo(path)
	case strings.HasSuffix(rel, ".md"), strings.HasSuffix(rel, ".txt"), filepath.Dir(rel) == "scripts":
		content, err := os.ReadFile(path)
		return []passage{{string(content), 1}}, err
	}
	return nil, nil
}

// readGo returns the comments and the strings of a Go file.
func readGo(path string) ([]passage, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []passage
	for _, group := range file.Comments {
		// A word may be at the end of one line, and the next at the beginning of
		// another.
		var b strings.Builder
		for _, c := range group.List {
			b.WriteString(strings.TrimPrefix(c.Text, "//"))
			b.WriteByte('\n')
		}
		all = append(all, passage{b.String(), files.Position(group.Pos()).Line})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			all = append(all, passage{literal.Value, files.Position(literal.Pos()).Line})
		}
		return true
	})
	return all, nil
}
