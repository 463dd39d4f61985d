package ima

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// Open is NewReader for a list that is in memory.
func Open(list []byte, format Format) (RecordReader, error) {
	return NewReader(bytes.NewReader(list), format)
}

// NewReader reads a list of either form, of sha1 or of a bank. It finds out what
// the list is from its content, as the name of a file proves nothing:
//
//   - the form: an ASCII list begins with two places for a PCR and a blank;
//   - the byte order, unless format.OrderKnown: from the first PCR of a binary
//     list, and from the template digests;
//   - the hash of the template digests, unless format names one: from the size
//     of the first digest and the first record whose digest proves a hash;
//   - the hash of the ima template's d field, unless format names one.
//
// Where nothing tells, format holds; a list in which no digest is right is taken
// for what can read most of it. NewReader reads ahead for that, some 64 KiB as a
// rule and never more than the first record and 1 MiB. An empty list is an ASCII
// list. The error is about format or, if reading fails, the source's own.
func NewReader(list io.Reader, format Format) (RecordReader, error) {
	if _, err := format.normal(); err != nil {
		return nil, err
	}
	o := &opener{source: list, given: format}
	o.more(headMin)
	if o.err != nil && o.err != io.EOF {
		return nil, o.err
	}
	best := o.decide()
	if hashes := hashesOfSize(best.format.DigestSize); !best.proven && format.Digest == 0 {
		best.format.Digest = hashes[0]
	}
	whole := io.MultiReader(bytes.NewReader(o.head), &rest{list, o.err})
	if best.ascii {
		return NewASCIIReader(whole, best.format)
	}
	return NewBinaryReader(whole, best.format)
}

const (
	// headMin is how much of a list is read ahead at first, headMax how much
	// at most where whole records have been read.
	headMin = 64 << 10
	headMax = 1 << 20
	// trialMax is how many records are looked at.
	trialMax = 1000
)

// opener finds out what a list is.
type opener struct {
	source io.Reader
	given  Format
	head   []byte
	err    error // of source, after head
}

// rest is the part of a list after its head.
type rest struct {
	source io.Reader
	err    error // what the source has answered already
}

func (r *rest) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	return r.source.Read(p)
}

// more reads ahead until the head has n bytes.
func (o *opener) more(n int) {
	for len(o.head) < n && o.err == nil {
		o.head = slices.Grow(o.head, n-len(o.head))
		var got int
		got, o.err = o.source.Read(o.head[len(o.head):n])
		o.head = o.head[:len(o.head)+got]
	}
}

// trial is the result of reading the head in one way.
type trial struct {
	ascii  bool
	format Format
	// records counts those read, offset is where the reading ended.
	records int
	offset  int64
	// proven reports that a template digest is right, cut that the head ends
	// within a record.
	proven, cut bool
}

// better reports whether t says more than u.
func (t *trial) better(u *trial) bool {
	switch {
	case t.proven != u.proven:
		return t.proven
	case t.records != u.records:
		return t.records > u.records
	}
	return t.offset > u.offset
}

// decide reads the head in all ways that are possible and gives the best one.
func (o *opener) decide() *trial {
	for {
		var best *trial
		for _, t := range o.ways() {
			o.read(&t)
			if best == nil || t.better(best) {
				best = &t
			}
			if best.proven {
				return best
			}
		}
		limit := headMax
		if best.records == 0 {
			limit += o.maxData()
		}
		if !best.cut || len(o.head) >= limit {
			return best
		}
		o.more(min(4*len(o.head), limit))
	}
}

func (o *opener) maxData() int {
	f, _ := o.given.normal()
	return f.MaxData
}

// ways are the ways in which the list can be read, the likeliest first.
func (o *opener) ways() (ways []trial) {
	ascii := len(o.head) == 0 || asciiStart(o.head)
	sizes := o.sizes(ascii)
	for _, order := range o.orders(ascii) {
		for _, size := range sizes {
			for _, legacy := range o.legacyHashes(ascii) {
				f := o.given
				f.Order, f.LegacyHash = order, legacy
				if f.Digest == 0 {
					f.Digest, f.DigestSize = SHA1, max(size, SHA1.Size())
				}
				ways = append(ways, trial{ascii: ascii, format: f})
			}
		}
	}
	return ways
}

// orders returns the byte orders that the list can have. A PCR index is below 64,
// so its three high bytes are zero.
func (o *opener) orders(ascii bool) []ByteOrder {
	switch {
	case o.given.OrderKnown:
		return []ByteOrder{o.given.Order}
	case !ascii && len(o.head) >= 4 && (o.head[0] != 0) != (o.head[3] != 0):
		if o.head[0] == 0 {
			return []ByteOrder{BigEndian}
		}
		return []ByteOrder{LittleEndian}
	}
	return []ByteOrder{o.given.Order, 1 - o.given.Order}
}

// sizes returns the sizes that the template digests can have: an ASCII list shows
// it, a binary one does not.
func (o *opener) sizes(ascii bool) []int {
	switch {
	case o.given.Digest != 0:
		return []int{o.given.DigestSize}
	case !ascii:
		return []int{20, 32, 48, 64}
	case len(o.head) == 0:
		return []int{SHA1.Size()}
	}
	digest, _, _ := bytes.Cut(o.head[3:], []byte{' '})
	if size := len(digest) / 2; size > SHA1.Size() && size <= maxDigestSize {
		return []int{size}
	}
	return []int{SHA1.Size()}
}

func (o *opener) legacyHashes(ascii bool) []HashAlgo {
	if ascii || o.given.LegacyHash != 0 {
		return []HashAlgo{o.given.LegacyHash}
	}
	return []HashAlgo{SHA1, MD5}
}

// read tries a way.
func (o *opener) read(t *trial) {
	var list interface {
		RecordReader
		position() int64
	}
	source := bytes.NewReader(o.head)
	if t.ascii {
		list, _ = NewASCIIReader(source, t.format)
	} else {
		list, _ = NewBinaryReader(source, t.format)
	}
	var rec Record
	for t.records < trialMax {
		err := list.Read(&rec)
		var at *ListError
		switch {
		case errors.As(err, &at):
			t.offset = at.Offset
			t.cut = errors.Is(err, io.ErrUnexpectedEOF) && o.err == nil
			return
		case err != nil:
			t.cut = o.err == nil
			return
		}
		t.records++
		t.offset = list.position()
		if o.prove(t, &rec) {
			return
		}
	}
}

// prove finds the hash of which rec's template digest is.
func (o *opener) prove(t *trial, rec *Record) bool {
	if rec.Violation() {
		return false
	}
	hashes := []HashAlgo{o.given.Digest}
	if o.given.Digest == 0 {
		hashes = hashesOfSize(t.format.DigestSize)
	}
	for _, algo := range hashes {
		if sum, err := rec.TemplateDigest(algo); err != nil || !showsDigest(rec.Digest, sum) {
			continue
		}
		t.format.Digest, t.proven = algo, true
		return true
	}
	return false
}

// hashesOfSize returns the hashes of which digests of size bytes can be in a list:
// those that a bank can have, the likeliest first, then sha1 with zeros.
func hashesOfSize(size int) (list []HashAlgo) {
	for h := SHA1; h < hashAlgos; h++ {
		if hashTable[h].tpm != 0 && h.Available() && h.Size() == size {
			list = append(list, h)
		}
	}
	if size > SHA1.Size() {
		list = append(list, SHA1)
	}
	return list
}

// asciiStart knows "10 ", " 9 ": no binary list begins so, as these bytes are
// no PCR index in either order.
func asciiStart(list []byte) bool {
	return len(list) >= 3 && (list[0] == ' ' || isDigit(list[0])) && isDigit(list[1]) && list[2] == ' '
}
