package boot

// Ending is how IMA stood when a boot ended.
type Ending string

// The endings.
const (
	EndMeasured     Ending = "measured"      // IMA has a TPM and uses it
	EndBypass       Ending = "bypass"        // IMA found no TPM
	EndFieldFailure Ending = "field-failure" // IMA found one in field failure mode
	EndStartFailed  Ending = "failed"        // init_ima returned an error
	EndNeverStarted Ending = "never-started"
	EndPanic        Ending = "panic"
)

// Ending returns how IMA stood when the boot ended.
func (s *Summary) Ending() Ending {
	switch {
	case s.Panic != "":
		return EndPanic
	case !s.Started:
		return EndNeverStarted
	case s.StartError != 0:
		return EndStartFailed
	case s.Bypass:
		return EndBypass
	case s.FieldFailure:
		return EndFieldFailure
	}
	return EndMeasured
}
