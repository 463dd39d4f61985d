package faults

// Changed is the outcome of a command that was executed and whose response was changed.
const Changed Outcome = "changed"

// change has the command answered by what comes after and its response changed. What
// returns the response and in words what was done to it, empty if nothing was.
func (x *exchange) change(what func(response []byte) ([]byte, string)) ([]byte, error) {
	response, err := x.next()
	if x.gone(err) {
		return response, err
	}
	changed, detail := what(response)
	if detail == "" {
		return response, nil
	}
	x.decision.Outcome, x.decision.Detail = Changed, detail
	return changed, nil
}

// gone reports, of a command that went on and came back with err, whether there is no
// response of the TPM that a fault could change: an error, or a reset or cancel that
// overtook the command.
func (x *exchange) gone(err error) bool {
	return err != nil || x.decision.Outcome == Canceled || x.decision.Outcome == Reset
}
