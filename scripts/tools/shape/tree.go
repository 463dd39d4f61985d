package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// here is the name of the tree in the current directory.
const here = "."

// measureTree measures a revision, or the current directory.
func measureTree(ctx context.Context, name string, withLookups bool) (shape, error) {
	dir, remove, err := checkout(ctx, name)
	if err != nil {
		return shape{}, err
	}
	defer remove()
	s := shape{Tree: name}
	loaded, err := load(ctx, dir)
	if err != nil {
		return s, err
	}
	for _, p := range loaded {
		f, err := measurePackage(p)
		if err != nil {
			return s, err
		}
		s.Packages = append(s.Packages, f)
	}
	list, err := parseWords(wordsText)
	if err != nil {
		return s, err
	}
	if s.Words, err = countWords(dir, list); err != nil {
		return s, err
	}
	if withLookups {
		s.Lookups, err = countLookups(ctx, dir, loaded)
	}
	return s, err
}

// checkout returns a folder with the tree. remove deletes what was made for it.
func checkout(ctx context.Context, name string) (dir string, remove func(), err error) {
	if name == here {
		dir, err := os.Getwd()
		return dir, func() {}, err
	}
	if strings.HasPrefix(name, "-") {
		return "", nil, errors.New("a revision does not begin with -")
	}
	if dir, err = os.MkdirTemp("", "shape-"); err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	archive, err := output(exec.CommandContext(ctx, "git", "archive", "--format=tar", name))
	if err == nil {
		err = unpack(archive, dir)
	}
	if err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// unpack writes the folders and files of a tar archive below dir.
func unpack(archive []byte, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.FromSlash(strings.TrimSuffix(h.Name, "/"))
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeReg:
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = root.WriteFile(name, content, fs.FileMode(h.Mode)&0o777)
			}
		}
		if err != nil {
			return err
		}
	}
}

// output returns what a command prints. Its error has what the command says.
func output(command *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// load returns the packages of the module in dir, by path, with their types.
func load(ctx context.Context, dir string) ([]*packages.Package, error) {
	list, err := packages.Load(&packages.Config{Context: ctx, Dir: dir, Mode: packages.NeedName | packages.NeedFiles |
		packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedModule |
		packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo}, "./...")
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("%s: %w", p.PkgPath, p.Errors[0])
		}
	}
	list = slices.DeleteFunc(list, func(p *packages.Package) bool { return len(p.Syntax) == 0 })
	if len(list) == 0 {
		return nil, errors.New("there are no Go packages")
	}
	slices.SortFunc(list, func(a, b *packages.Package) int { return strings.Compare(a.PkgPath, b.PkgPath) })
	return list, nil
}

// below is the path of a package below its module.
func below(p *packages.Package) string {
	if p.Module == nil || p.PkgPath == p.Module.Path {
		return here
	}
	return strings.TrimPrefix(p.PkgPath, p.Module.Path+"/")
}
