package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// noteLife is how long a note on KVM holds: the host of a virtual machine may change
// what it permits.
const noteLife = 7 * 24 * time.Hour

// noteSchema names the form of the file.
const noteSchema = "swtpmd-kvm/1"

// kvmNote is a file that records that KVM was given up on this machine.
type kvmNote struct {
	path string // empty: nothing is noted
}

// kvmSaid is the content of the file, in JSON.
type kvmSaid struct {
	Schema string    `json:"schema"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	QEMU   string    `json:"qemu"`
}

// noteOn returns the note on this machine in a cache folder, which several machines
// may share. With another kernel or processor it is another machine.
func noteOn(cache string) kvmNote {
	if cache == "" {
		return kvmNote{}
	}
	sum := sha256.New()
	for _, source := range []struct{ path, line string }{
		{"/etc/machine-id", ".*"}, {"/proc/sys/kernel/hostname", ".*"}, {"/proc/sys/kernel/osrelease", ".*"}, {"/proc/cpuinfo", "model name.*"},
	} {
		text, _ := os.ReadFile(source.path) // a file that is absent adds nothing
		fmt.Fprintf(sum, "%s\n", regexp.MustCompile(source.line).Find(text))
	}
	return kvmNote{path: filepath.Join(cache, "kvm-"+hex.EncodeToString(sum.Sum(nil)[:6])+".json")}
}

// read returns the content of the note if there is one that holds now. A file that
// cannot be read is no note.
func (n kvmNote) read(now time.Time) (kvmSaid, bool) {
	var said kvmSaid
	if n.path == "" {
		return said, false
	}
	text, err := os.ReadFile(n.path)
	if err != nil || json.Unmarshal(text, &said) != nil || said.Schema != noteSchema {
		return said, false
	}
	age := now.Sub(said.At)
	return said, age >= 0 && age < noteLife
}

// write makes the note, by a rename, because another boot may be reading it. If the
// cache cannot be written, the next boot tries KVM again.
func (n kvmNote) write(c Config, reason string) {
	if n.path == "" {
		return
	}
	text, err := json.MarshalIndent(kvmSaid{Schema: noteSchema, Reason: reason, At: time.Now().UTC().Truncate(time.Second), QEMU: c.Machine.Tools.QEMU}, "", "  ")
	if err == nil {
		err = replaceFile(n.path, append(text, '\n'))
	}
	if err != nil {
		fmt.Fprintf(c.Progress, "cannot note that KVM was given up: %v\n", err)
	}
}

func replaceFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}

// remove deletes the note.
func (n kvmNote) remove() {
	if n.path != "" {
		os.Remove(n.path)
	}
}
