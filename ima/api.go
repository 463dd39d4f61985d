package ima

import (
	"fmt"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// NewTemplateEntry makes the record of an event (ima_alloc_init_template) with
// its template digest of algo. A violation gets a digest of zeros, as
// ima_store_template leaves it.
func NewTemplateEntry(t *Template, pcr uint32, algo HashAlgo, event *EventData) (*Record, error) {
	values := make([][]byte, len(t.fields))
	for i, f := range t.fields {
		var err error
		if values[i], err = f.init(event); err != nil {
			return nil, fmt.Errorf("event %q: field %s: %w", clip.String(event.Filename), f.id, err)
		}
	}
	rec, err := NewRecord(t, event.Order, pcr, algo, values...)
	if err != nil {
		return nil, err
	}
	if event.Violation {
		clear(rec.Digest)
	}
	return rec, nil
}
