package conform

import (
	"encoding/xml"
	"fmt"
	"html/template"
	"io"
	"sync"
)

// The elements of a JUnit report, as CI servers read them.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
	}
)

// WriteJUnit writes the report as JUnit's XML. What is not supported, refused or not run is
// skipped there.
func (r *Report) WriteJUnit(w io.Writer) error {
	suite := junitSuite{
		Name: "swtpmd conform " + r.Target, Tests: len(r.Results), Failures: r.Count(Fail),
		Skipped: len(r.Results) - r.Count(Fail) - r.Count(Pass), Time: fmt.Sprintf("%.3f", r.Duration.Seconds()),
	}
	for i := range r.Results {
		result := &r.Results[i]
		c := junitCase{Class: result.Case.Section.String(), Name: result.Case.Name, Time: fmt.Sprintf("%.6f", result.Duration.Seconds())}
		switch result.Status {
		case Pass:
		case Fail:
			c.Failure = &junitMessage{result.Finding()}
		default:
			c.Skipped = &junitMessage{string(result.Status) + ": " + result.Why}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", " ")
	if err := out.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// page is the report for people: cases that failed first, then all of them by section.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Conformance of {{.Report.Target}}</title>
<style>
body { font-family: sans-serif; margin: 2em; }
table { border-collapse: collapse; }
td, th { border: 1px solid #999; padding: 0.2em 0.6em; text-align: left; vertical-align: top; }
.pass { background: #dfd; } .fail { background: #fdd; } .other { background: #eee; }
</style></head><body>
<h1>Conformance of {{.Report.Target}}</h1>
<p>{{.Report.TPM.Manufacturer}} {{.Report.TPM.Vendor}}, firmware {{.Report.TPM.Firmware}}, library revision {{.Report.TPM.Revision}}</p>
<p>{{.Report.Summary}}<br>{{.Report.Found}}</p>
{{if .Failed}}<h2>What failed</h2>
<table><tr><th>case</th><th>section</th><th>finding</th></tr>
{{range .Failed}}<tr class="fail"><td>{{.Case.Name}}</td><td>{{.Case.Section}}</td><td>{{.Finding}}</td></tr>
{{end}}</table>
{{end}}<h2>All cases</h2>
<table><tr><th>status</th><th>case</th><th>section</th><th>why</th></tr>
{{range .Report.Results}}<tr class="{{if eq .Status "pass"}}pass{{else if eq .Status "fail"}}fail{{else}}other{{end}}"><td>{{.Status}}</td><td>{{.Case.Name}}</td><td>{{.Case.Section}}</td><td>{{if eq .Status "fail"}}{{.Finding}}{{else}}{{.Why}}{{end}}</td></tr>
{{end}}</table>
</body></html>
`))
})

// WriteHTML writes the report as a page without scripts or other files.
func (r *Report) WriteHTML(w io.Writer) error {
	data := struct {
		Report *Report
		Failed []*Result
	}{Report: r}
	for i := range r.Results {
		if r.Results[i].Status == Fail {
			data.Failed = append(data.Failed, &r.Results[i])
		}
	}
	return page().Execute(w, data)
}
