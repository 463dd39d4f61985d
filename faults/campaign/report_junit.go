package campaign

import (
	"encoding/xml"
	"fmt"
	"io"
)

// The elements of JUnit's XML that CI systems read.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report in the XML that CI systems read from JUnit: a test case for each
// run, a failure for each whose outcome is not good. It has no times, which would be others
// at the next run.
func (r *Report) JUnit(w io.Writer) error {
	suite := junitSuite{Name: printable(r.title()), Tests: r.Runs}
	for i := range r.results {
		result := &r.results[i]
		c := junitCase{Class: "swtpmd.campaign", Name: fmt.Sprintf("seed %d", result.Seed), Output: printable(result.Output)}
		if !r.Header.IsGood(result.Outcome) {
			suite.Failures++
			c.Failure = &junitFailure{
				Message: printable(result.what()), Type: printable(string(result.Outcome)),
				Text: printable(result.Plan + result.firedText()),
			}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", " ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
