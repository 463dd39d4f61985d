package ima

import "bytes"

// FileDigest is the content of a digest field.
type FileDigest struct {
	// Type is "ima" or "verity" in d-ngv2, empty otherwise.
	Type string `json:"type,omitempty"`
	// Algo is the hash; zero if the field names one that the kernel does
	// not have. For d it follows from the size.
	Algo HashAlgo `json:"algo,omitempty"`
	Sum  Hex      `json:"sum"`
}

// Zero reports whether the digest consists of zeros (or of nothing).
func (d FileDigest) Zero() bool { return allZero(d.Sum) }

func decodeDigest(b []byte, id string) (d FileDigest) {
	if id == "d" {
		d.Algo = SHA1
		if len(b) == MD5.Size() {
			d.Algo = MD5
		}
		d.Sum = bytes.Clone(b)
		return d
	}
	label, sum, _ := bytes.Cut(b, []byte{0})
	label = bytes.TrimSuffix(label, []byte{':'})
	if kind, algo, found := bytes.Cut(label, []byte{':'}); found {
		d.Type = string(kind)
		label = algo
	}
	d.Algo, _ = hashByName(label)
	d.Sum = bytes.Clone(sum)
	return d
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
