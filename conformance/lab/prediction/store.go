package prediction

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Store is a folder with the results of a campaign and the evidence that its predictions
// are made from.
type Store struct{ Dir string }

const (
	resultsFile   = "results.jsonl"
	consoleEnding = ".log.gz"
	listEnding    = ".ascii"
)

// longestResult bounds a line of the results, in bytes, and longestConsole a console.
const (
	longestResult  = 1 << 20
	longestConsole = 16 << 20
)

// Results reads the results, one JSON object a line, in the file's order. A store without
// any has none.
func (s Store) Results() ([]*Result, error) {
	file, err := os.Open(filepath.Join(s.Dir, resultsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readResults(file)
}

func readResults(r io.Reader) (all []*Result, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestResult)
	for n := 1; lines.Scan(); n++ {
		var result Result
		if err := json.Unmarshal(lines.Bytes(), &result); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", resultsFile, n, err)
		}
		all = append(all, &result)
	}
	return all, lines.Err()
}

// Put adds a result, or replaces that of its cell, and writes the file anew.
func (s Store) Put(result *Result) error {
	all, err := s.Results()
	if err != nil {
		return err
	}
	same := func(r *Result) bool { return r.Cell == result.Cell }
	if i := slices.IndexFunc(all, same); i >= 0 {
		all[i] = result
	} else {
		all = append(all, result)
	}
	return s.write(all)
}

func (s Store) write(all []*Result) error {
	var text bytes.Buffer
	for _, r := range all {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
	}
	return s.replace(resultsFile, text.Bytes())
}

// replace writes a file so that it is complete or as it was.
func (s Store) replace(name string, content []byte) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(s.Dir, name+".")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(content)
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), filepath.Join(s.Dir, name))
}

// evidenceName names the file of a cell's evidence, without its ending.
func evidenceName(c Cell) string { return strings.ReplaceAll(c.ID(), "/", "_") }

// HasEvidence reports whether the store has the evidence of a cell.
func (s Store) HasEvidence(c Cell) bool {
	_, err := os.Stat(filepath.Join(s.Dir, evidenceName(c)+consoleEnding))
	return err == nil
}

// Evidence reads the evidence of a cell.
func (s Store) Evidence(c Cell) (Evidence, error) {
	var e Evidence
	list, err := os.ReadFile(filepath.Join(s.Dir, evidenceName(c)+listEnding))
	if err != nil {
		return e, err
	}
	file, err := os.Open(filepath.Join(s.Dir, evidenceName(c)+consoleEnding))
	if err != nil {
		return e, err
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		return e, fmt.Errorf("%s: %w", file.Name(), err)
	}
	console, err := io.ReadAll(io.LimitReader(packed, longestConsole))
	if err != nil {
		return e, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return Evidence{Console: console, List: list}, nil
}

// PutEvidence writes the evidence of a cell.
func (s Store) PutEvidence(c Cell, e Evidence) error { return s.put(evidenceName(c), e) }

func (s Store) put(name string, e Evidence) error {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(e.Console); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := s.replace(name+listEnding, e.List); err != nil {
		return err
	}
	return s.replace(name+consoleEnding, packed.Bytes())
}
