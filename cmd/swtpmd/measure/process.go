package measure

import (
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/ima/files"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// processWords are the flags of the process that opens the files.
type processWords struct {
	as, subject, labels string
	keys                keyWords
}

func (w *processWords) define(f *flag.FlagSet) {
	f.StringVar(&w.as, "as", "0:0", "")
	f.StringVar(&w.subject, "subject", "", "")
	f.StringVar(&w.labels, "labels", "", "")
	f.Var(&w.keys, "key", "")
}

// keyWords are the values of --key.
type keyWords []string

func (w *keyWords) String() string { return strings.Join(*w, " ") }

func (w *keyWords) Set(value string) error {
	*w = append(*w, value)
	return nil
}

// process is who opens files, and the files.
type process struct {
	task    measure.Cred
	keys    []loadedKey
	machine files.Machine
}

// loadedKey is a key that is added to a keyring.
type loadedKey struct {
	keyring string
	payload []byte
}

// read makes the process of the flags.
func (w *processWords) read(selinux bool) (*process, error) {
	p := &process{machine: files.Machine{SELinux: selinux}}
	user, group, both := strings.Cut(w.as, ":")
	if !both {
		group = "0"
	}
	uid, err := strconv.ParseUint(user, 10, 32)
	gid, gidErr := strconv.ParseUint(group, 10, 32)
	if err != nil || gidErr != nil {
		return nil, fmt.Errorf("--as=%s: UID or UID:GID, two numbers", w.as)
	}
	u, g := uint32(uid), uint32(gid)
	p.task = measure.Cred{UID: u, EUID: u, SUID: u, GID: g, EGID: g, SGID: g, CapSetUID: u == 0, CapSetGID: u == 0}
	if p.keys, err = w.keys.read(); err != nil {
		return nil, err
	}
	if !selinux {
		if w.subject != "" || w.labels != "" {
			return nil, errors.New("--subject and --labels are for --lsm=selinux")
		}
		return p, nil
	}
	if p.task.Label, err = w.subjectLabel(); err != nil {
		return nil, err
	}
	return p, w.readLabels(p)
}

// loginOfRoot is the label that the targeted policy gives a login of root.
var loginOfRoot = measure.Label{User: "unconfined_u", Role: "unconfined_r", Type: "unconfined_t"}

func (w *processWords) subjectLabel() (measure.Label, error) {
	if w.subject != "" {
		label, ok := files.ParseLabel(w.subject)
		if !ok {
			return label, fmt.Errorf("--subject=%.64q: a context is user:role:type, with a level after it or not", w.subject)
		}
		return label, nil
	}
	own, err := os.ReadFile("/proc/self/attr/current")
	if label, ok := files.ParseLabel(string(own)); err == nil && ok {
		return label, nil
	}
	return loginOfRoot, nil
}

func (w *processWords) readLabels(p *process) error {
	if w.labels == "" {
		return nil
	}
	file, err := os.Open(w.labels)
	if err != nil {
		return fmt.Errorf("--labels: %w", err)
	}
	defer file.Close()
	if p.machine.Contexts, err = files.ParseContexts(file); err != nil {
		return fmt.Errorf("--labels %s: %w", w.labels, err)
	}
	return nil
}

// read reads the files of the keys: certificates, DER or PEM.
func (w keyWords) read() (keys []loadedKey, err error) {
	for _, word := range w {
		keyring, path, ok := strings.Cut(word, "=")
		if !ok || keyring == "" {
			return nil, fmt.Errorf("--key=%s: KEYRING=FILE, such as .ima=cert.der", word)
		}
		payload, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		if block, _ := pem.Decode(payload); block != nil {
			payload = block.Bytes // user space gives the kernel DER
		}
		if len(payload) == 0 {
			return nil, fmt.Errorf("--key: %s is empty", path)
		}
		keys = append(keys, loadedKey{keyring, payload})
	}
	return keys, nil
}

// loadKeys adds the keys. The kernel keeps them until a policy is loaded.
func (p *process) loadKeys(kernel *measure.IMA) {
	for _, k := range p.keys {
		kernel.KeyCreateOrUpdate(k.keyring, &p.task, k.payload)
	}
}

// walk measures a file, or all files below a directory, and counts them. The path
// is the kernel's: without symbolic links.
func (p *process) walk(ctx context.Context, kernel *measure.IMA, path string, count int) (int, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return count, err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return count, fmt.Errorf("%s: %w", path, err)
	}
	err = filepath.WalkDir(real, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		count++
		return p.open(kernel, path)
	})
	return count, err
}

// open opens a file to read it; one that may be executed is executed too, and
// programs and libraries are mapped, so that rules on that see them.
func (p *process) open(kernel *measure.IMA, path string) error {
	opened, err := p.machine.Open(path)
	if err != nil {
		return err
	}
	defer opened.Close()
	file := &measure.File{Path: path, Read: true, Inode: opened.Inode}
	kernel.Open(file, &p.task, measure.MayRead)
	if opened.Inode.Mode&0o111 != 0 {
		kernel.Open(file, &p.task, measure.MayExec)
		kernel.Exec(file, &p.task, &p.task, opened.Image != files.Script)
		kernel.Release(file)
	}
	if opened.Image == files.Program {
		kernel.Mmap(file, &p.task, true, true)
	}
	kernel.Release(file)
	return nil
}

// warn names files of file systems whose UUID nobody knows, if the rules ask for one.
func warn(log io.Writer, withoutUUID []string, rules string) {
	if !strings.Contains(rules, "fsuuid=") {
		return
	}
	for _, path := range withoutUUID {
		fmt.Fprintf(log, "swtpmd: the UUID of the file system of %s cannot be had, so no fsuuid= has matched on it; kernels since 6.9 tell it\n", path)
	}
}
