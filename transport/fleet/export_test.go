package fleet

import (
	"io"
	"time"
)

// Descriptors of a TPM, by what they are for.
const (
	StartedDescriptors = socketDescriptors + stateDescriptors
	ConsoleDescriptors = consoleDescriptors
)

// Descriptors returns how many descriptors a TPM is taken to need.
func (f *Fleet) Descriptors(name string) int { return f.served(name).descriptors() }

// SettleAfter sets when TPMs are settled that nobody uses. None is there yet.
func (f *Fleet) SettleAfter(d time.Duration) { f.unsettled.after = d }

// SetEntropy has a TPM that was not powered yet draw from r. A client's INIT makes the
// engine in another goroutine.
func (f *Fleet) SetEntropy(name string, r io.Reader) {
	e := f.served(name).engine
	e.mu.Lock()
	defer e.mu.Unlock()
	e.platform.Entropy = r
}
