package kernelbuild

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Built is a kernel in a cache.
type Built struct {
	Kernel
	Name    string `json:"name"`
	Key     string `json:"key"`
	Package string `json:"package"` // Debian's name of the source package
	Version string `json:"version"` // of that package
	Uname   string `json:"uname"`   // what uname -r prints
	// Method is how a late_sync start was made: "option" for CONFIG_IMA_INIT_LATE_SYNC,
	// "edit" for an edit of the source; empty for a late start.
	Method   string    `json:"method,omitempty"`
	Compiler string    `json:"compiler"` // the first line of its --version
	At       time.Time `json:"built"`
	Seconds  float64   `json:"seconds"`     // that make ran
	CPU      float64   `json:"cpu_seconds"` // that make and all that it started used
	Steps    int       `json:"steps"`       // files that make compiled and linked
	Shared   bool      `json:"shared"`      // make went on in the objects of another kernel
	Size     int64     `json:"size"`        // of the image, in bytes

	// Folder has Image, config, System.map and kernel.json.
	Folder string `json:"folder"`
	Image  string `json:"image"`
}

// Files of an entry.
const (
	imageFile  = "Image"
	configFile = "config"
	symbolFile = "System.map"
	aboutFile  = "kernel.json"
)

// Cache is the folder with the built kernels: the folder kernels of a [lab.CacheDir]. An
// entry is made by a rename, so that it is there as a whole or not at all.
type Cache struct{ Dir string }

// InCache returns the cache below the folder of lab.CacheDir.
func InCache(dir string) Cache { return Cache{Dir: filepath.Join(dir, "kernels")} }

// NotBuiltError reports a kernel that is not in the cache.
type NotBuiltError struct {
	Kernel Kernel
	Dir    string
	// Outdated is true if the cache has one of that name from an older configuration.
	Outdated bool
}

func (e *NotBuiltError) Error() string {
	text := fmt.Sprintf("%s is not built (in %s)", e.Kernel.Name(), e.Dir)
	if e.Outdated {
		text = fmt.Sprintf("%s is in %s only as an older configuration made it", e.Kernel.Name(), e.Dir)
	}
	return text + "; scripts/kernel-lab build " + e.Kernel.Name() + " builds it"
}

func (c Cache) place(k Kernel, version string) string {
	return filepath.Join(c.Dir, fmt.Sprintf("%s_%s", k.Name(), k.Key(version)))
}

// All returns what the cache has, by architecture, release and name; the entry that was
// built last comes last among those of a name. Folders that are no entries are left out.
func (c Cache) All() ([]Built, error) {
	entries, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Built
	for _, entry := range entries {
		if b, err := c.read(entry.Name()); err == nil {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b Built) int {
		if n := slices.Index(Arches, a.Arch) - slices.Index(Arches, b.Arch); n != 0 {
			return n
		}
		if n := compareReleases(a.Release, b.Release); n != 0 {
			return n
		}
		if n := strings.Compare(a.Name, b.Name); n != 0 {
			return n
		}
		return a.At.Compare(b.At)
	})
	return all, nil
}

// read returns the entry in a folder of the cache.
func (c Cache) read(folder string) (Built, error) {
	var b Built
	dir := filepath.Join(c.Dir, folder)
	text, err := os.ReadFile(filepath.Join(dir, aboutFile))
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, err
	}
	// The folder may have been moved since.
	b.Folder, b.Image = dir, filepath.Join(dir, imageFile)
	if folder != b.Name+"_"+b.Key {
		return b, fmt.Errorf("%s has the kernel %s with the key %s", dir, b.Name, b.Key)
	}
	if _, err := os.Stat(b.Image); err != nil {
		return b, err
	}
	return b, nil
}

// Current reports whether the configuration and the edits of today make this kernel of the
// same source package.
func (b Built) Current() bool { return b.Key == b.Kernel.Key(b.Version) }

// Find returns the kernel that was built last with this name and the configuration of
// today, of whichever version of its source package. Newest is the newest release that was
// built. The error is a [*NotBuiltError] if there is none.
func (c Cache) Find(k Kernel) (Built, error) {
	all, err := c.All()
	if err != nil {
		return Built{}, err
	}
	none := &NotBuiltError{Kernel: k, Dir: c.Dir}
	for _, b := range slices.Backward(all) {
		wanted := k
		if k.Release == Newest {
			wanted.Release = b.Release
		}
		if b.Kernel != wanted {
			continue
		}
		if b.Current() {
			return b, nil
		}
		none.Outdated = true
	}
	return Built{}, none
}

// at returns the kernel built from that version of its source package.
func (c Cache) at(k Kernel, version string) (Built, bool) {
	b, err := c.read(filepath.Base(c.place(k, version)))
	return b, err == nil
}

// steps returns how many steps a build of such a kernel took before, or 0.
func (c Cache) steps(k Kernel) int {
	all, _ := c.All()
	for _, b := range slices.Backward(all) {
		if b.Arch == k.Arch && b.Release == k.Release && !b.Shared {
			return b.Steps
		}
	}
	return 0
}
