//go:build linux

package soak

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// disk replays operations and knows what a power cut can leave of them. It promises
// no more than POSIX does: what is not synced may be there or not, names alone or
// with others, and content in part, in old bytes, or in zeros.
type disk struct {
	seen, durable map[string]*inode
	pending       []naming
	open          map[int]*inode
	// answers is how many commands have been answered.
	answers int
}

// inode is a file: what a reader sees, and what is on the disk for certain.
type inode struct {
	seen, durable []byte
	synced        bool
	// ignored is one whose content does not matter: the lock.
	ignored bool
}

// naming is a change of names that may not be on the disk yet: the file that each
// name gets, nil for none.
type naming map[string]*inode

func newDisk() *disk {
	return &disk{seen: map[string]*inode{}, durable: map[string]*inode{}, open: map[int]*inode{}}
}

// do replays an operation and reports whether it changed what a power cut leaves.
func (d *disk) do(o *operation) (changed bool, err error) {
	switch o.call {
	case answered:
		d.answers++
		return true, nil
	case "openat":
		return d.openFile(o)
	case "unlinkat":
		d.name(naming{o.name: nil})
		return true, nil
	case "renameat", "renameat2":
		return true, d.rename(o)
	}
	if o.dir {
		if o.call == "close" {
			return false, nil
		}
		d.durable, d.pending = maps.Clone(d.seen), nil
		return true, nil
	}
	f := d.open[o.fd]
	if f == nil {
		return false, fmt.Errorf("%s of descriptor %d, which is not open", o.call, o.fd)
	}
	switch o.call {
	case "close":
		delete(d.open, o.fd)
		return false, nil
	case "fsync", "fdatasync":
		f.durable, f.synced = f.seen, true
	case "pwrite64":
		f.write(o.data, o.off)
	case "write":
		f.write(o.data, int64(len(f.seen)))
	case "ftruncate":
		f.resize(o.off)
	case "fallocate":
		f.resize(max(o.off, int64(len(f.seen))))
	default:
		return false, fmt.Errorf("%s is not known here", o.call)
	}
	return !f.ignored, nil
}

func (d *disk) openFile(o *operation) (changed bool, err error) {
	if o.name == "." {
		return false, nil
	}
	f := d.seen[o.name]
	if f == nil {
		if !strings.Contains(o.flag, "O_CREAT") {
			return false, fmt.Errorf("openat of %q, which is not there", o.name)
		}
		f = &inode{ignored: strings.HasSuffix(o.name, ".lock")}
		if !f.ignored {
			d.name(naming{o.name: f})
		} else {
			d.seen[o.name] = f
		}
	}
	if strings.Contains(o.flag, "O_TRUNC") {
		f.resize(0)
	}
	d.open[o.fd] = f
	return !f.ignored, nil
}

func (d *disk) rename(o *operation) error {
	a, b := d.seen[o.name], d.seen[o.to]
	switch {
	case a == nil, o.flag == "RENAME_EXCHANGE" && b == nil:
		return fmt.Errorf("%s of %q to %q, which is not there", o.call, o.name, o.to)
	case o.flag == "RENAME_EXCHANGE":
		d.name(naming{o.name: b, o.to: a})
	default:
		d.name(naming{o.name: nil, o.to: a})
	}
	return nil
}

func (d *disk) name(n naming) {
	n.apply(d.seen)
	d.pending = append(d.pending, n)
}

func (n naming) apply(names map[string]*inode) {
	for name, f := range n {
		if f == nil {
			delete(names, name)
			continue
		}
		names[name] = f
	}
}

func (f *inode) write(data []byte, off int64) {
	f.resize(max(int64(len(f.seen)), off+int64(len(data))))
	copy(f.seen[off:], data)
}

// resize gives the file a size, and content of its own that may be changed.
func (f *inode) resize(size int64) {
	next := make([]byte, size)
	copy(next, f.seen)
	f.seen, f.synced = next, false
}

// versions are what a file can hold after a power cut.
func (f *inode) versions() [][]byte {
	if f.synced {
		return [][]byte{f.durable}
	}
	n := len(f.seen)
	torn := bytes.Clone(f.seen)
	copy(torn[n/2:], make([]byte, n-n/2))
	if len(f.durable) > n/2 {
		copy(torn[n/2:], f.durable[n/2:])
	}
	return [][]byte{f.durable, f.seen, nil, f.seen[:n/2], make([]byte, n), torn}
}

// image is the content of a directory.
type image map[string][]byte

// images are all that a power cut can leave now.
func (d *disk) images() ([]image, error) {
	const most = 8 // names that are pending at a time
	if len(d.pending) > most {
		return nil, fmt.Errorf("%d changes of names are not synced: too many to look at", len(d.pending))
	}
	var all []image
	for subset := range 1 << len(d.pending) {
		names := maps.Clone(d.durable)
		for i, n := range d.pending {
			if subset>>i&1 == 1 {
				n.apply(names)
			}
		}
		some := []image{{}}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			f := names[name]
			if f.ignored {
				continue
			}
			var next []image
			for _, version := range f.versions() {
				for _, im := range some {
					im = maps.Clone(im)
					im[name] = version
					next = append(next, im)
				}
			}
			some = next
		}
		all = append(all, some...)
	}
	return all, nil
}
