package ima

import "io"

// RecordReader is a list to be read record by record: a BinaryReader, an
// ASCIIReader or a slice of records (Records).
type RecordReader interface {
	// Read reads the next record into rec, whose memory it uses again. At
	// the end of the list it returns io.EOF itself, not wrapped.
	Read(rec *Record) error
}

// ReadAll reads a list to its end. With an error it gives the records before
// the offending one.
func ReadAll(list RecordReader) ([]*Record, error) {
	var all []*Record
	for {
		rec := new(Record)
		if err := list.Read(rec); err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, err
		}
		all = append(all, rec)
	}
}

// Records returns a RecordReader of records that are in memory.
func Records(records []*Record) RecordReader { return &recordSlice{records} }

type recordSlice struct{ rest []*Record }

func (s *recordSlice) Read(rec *Record) error {
	if len(s.rest) == 0 {
		return io.EOF
	}
	src := s.rest[0]
	s.rest = s.rest[1:]
	digest, data, more, sums := rec.Digest, rec.data, rec.more, rec.sums
	*rec = *src
	rec.more, rec.sums = append(more[:0], src.more...), sums
	rec.Digest = append(digest[:0], src.Digest...)
	rec.data = append(data[:0], src.data...)
	return nil
}
