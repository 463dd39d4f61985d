package control_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// schema is as much of a schema of openapi.json as the tests look at.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Enum       []string          `json:"enum"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
}

type body struct {
	Content map[string]struct {
		Schema schema `json:"schema"`
	} `json:"content"`
}

type document struct {
	Paths map[string]map[string]struct {
		RequestBody *body           `json:"requestBody"`
		Responses   map[string]body `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

func openapi(t testing.TB) (d document) {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &d))
	return d
}

// The document has the fields of each request and answer, and whether they may be missing.
func TestOpenAPIHasTheFields(t *testing.T) {
	d := openapi(t)
	types := control.Bodies()
	for name, v := range map[string]any{
		"LevelEvent": initcall.Event{}, "Decision": faults.Decision{}, "Entry": control.Entry{}, "RuleStatus": control.RuleStatus{},
		"Status": control.Status{}, "Snapshot": control.Snapshot{}, "RuleChange": control.RuleChange{}, "Command": control.Command{}, "Event": control.Event{},
	} {
		types[name] = v
	}
	for name, s := range d.Components.Schemas {
		if s.Type != "object" || len(s.Properties) == 0 {
			continue
		}
		require.Contains(t, types, name)
		always, all := fields(t, d, reflect.TypeOf(types[name]), name)
		assert.ElementsMatch(t, slices.Collect(maps.Keys(s.Properties)), all, name)
		if name != "Entry" { // which has either the fields of a decision or lost
			assert.ElementsMatch(t, s.Required, always, name)
		}
	}
	assert.Equal(t, names(initcall.Levels()), d.Components.Schemas["Level"].Enum)
}

func names(levels []initcall.Level) (list []string) {
	for _, l := range levels {
		list = append(list, l.String())
	}
	return list
}

// fields returns the names of the fields of a type as JSON, and of those that are always
// there.
func fields(t *testing.T, d document, typ reflect.Type, name string) (always, all []string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag := f.Tag.Get("json")
		if f.Anonymous && tag == "" {
			a, b := fields(t, d, f.Type, name)
			always, all = append(always, a...), append(all, b...)
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		require.NotEmpty(t, key, "%s.%s", name, f.Name)
		if key == "-" {
			continue
		}
		all = append(all, key)
		if !strings.Contains(options, "omit") {
			always = append(always, key)
		}
		if property, ok := d.Components.Schemas[name].Properties[key]; ok && property.Ref == "" {
			assert.Equal(t, jsonType(f.Type), property.Type, "%s.%s", name, key)
		}
	}
	return always, all
}

// jsonType is the type of a value as JSON.
func jsonType(typ reflect.Type) string {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ == reflect.TypeFor[time.Time](), typ.Kind() == reflect.String, typ == reflect.TypeFor[[]byte](), typ == reflect.TypeFor[initcall.Level]():
		return "string"
	case typ.Kind() == reflect.Bool:
		return "boolean"
	case typ.Kind() == reflect.Slice:
		return "array"
	case typ.Kind() == reflect.Map, typ.Kind() == reflect.Struct:
		return "object"
	}
	return "integer"
}

// Each path and method is in the document and in the handler, and the statuses of each are
// those that requests have got.
func TestOpenAPIHasThePathsAndTheirStatuses(t *testing.T) {
	d := openapi(t)
	told := map[string]bool{}
	for path, methods := range d.Paths {
		for method, operation := range methods {
			for status := range operation.Responses {
				told[strings.ToUpper(method)+" "+path+" "+status] = true
			}
		}
	}
	var routed []string
	for _, r := range control.Routes() {
		routed = append(routed, r[0]+" "+r[1])
	}
	var documented []string
	for path, methods := range d.Paths {
		for method := range methods {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	assert.ElementsMatch(t, documented, routed)

	seen := map[string]bool{}
	for _, q := range requests {
		panel := fullPanel(t)
		if q.bare {
			panel = &control.Panel{Clock: new(initcall.Clock)}
		}
		for range max(q.again, 1) {
			w := ask(t, panel, q.method, q.path, q.body)
			path, _, _ := strings.Cut(q.path, "?")
			seen[q.method+" "+path+" "+strconv.Itoa(w.Code)] = true
			isWhatIsTold(t, d, q.method, path, w)
		}
	}
	assert.Equal(t, told, seen)
}

// isWhatIsTold compares an answer with its schema.
func isWhatIsTold(t *testing.T, d document, method, path string, w *httptest.ResponseRecorder) {
	t.Helper()
	response, ok := d.Paths[path][strings.ToLower(method)].Responses[strconv.Itoa(w.Code)]
	if !assert.True(t, ok, "%s %s %d: %s", method, path, w.Code, w.Body) {
		return
	}
	content, ok := response.Content[w.Header().Get("Content-Type")]
	require.True(t, ok, "%s %s: %s", method, path, w.Header())
	if path == "/events" {
		return // a stream
	}
	var value any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &value))
	fits(t, d, content.Schema, value, method+" "+path)
}

// fits compares a value with a schema.
func fits(t *testing.T, d document, s schema, value any, where string) {
	t.Helper()
	if s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	switch v := value.(type) {
	case []any:
		require.Equal(t, "array", s.Type, where)
		for _, one := range v {
			fits(t, d, *s.Items, one, where)
		}
	case map[string]any:
		require.Equal(t, "object", s.Type, where)
		for _, name := range s.Required {
			assert.Contains(t, v, name, where)
		}
		for name, one := range v {
			if property, ok := s.Properties[name]; ok {
				fits(t, d, property, one, where+" "+name)
			} else {
				assert.Empty(t, s.Properties, "%s: %s", where, name)
			}
		}
	case string:
		require.Equal(t, "string", s.Type, where)
		if len(s.Enum) > 0 {
			assert.Contains(t, s.Enum, v, where)
		}
	case nil:
		assert.Fail(t, "null", where)
	}
}

// requests get each status of each path. A bare panel has nothing to ask.
var requests = []struct {
	method, path, body string
	bare               bool
	again              int
}{
	{"GET", "/status", "", false, 0},
	{"GET", "/journal", "", false, 0},
	{"GET", "/pcrs", "", false, 0},
	{"GET", "/pcrs", "", true, 0},
	{"POST", "/level", `{"level":"late"}`, false, 0},
	{"POST", "/level", `{}`, false, 0},
	{"POST", "/level", `{"level":"firmware"}`, false, 0},
	{"GET", "/rules", "", false, 0},
	{"GET", "/rules", "", true, 0},
	{"POST", "/rules", `{"rules":["GetRandom: rc=RETRY"]}`, false, 2},
	{"POST", "/rules", `{"rules":["GetRandom"]}`, false, 0},
	{"POST", "/rules", `{"rules":[]}`, false, 0},
	{"POST", "/rules", `{"rules":["GetRandom: rc=RETRY"]}`, true, 0},
	{"POST", "/rules/remove", `{"name":"first"}`, false, 2},
	{"POST", "/rules/remove", `{}`, false, 0},
	{"POST", "/rules/remove", `{"name":"second"}`, false, 0},
	{"POST", "/rules/remove", `{"name":"first"}`, true, 0},
	{"POST", "/rules/enable", `{"name":"first","enabled":false}`, false, 0},
	{"POST", "/rules/enable", `{"name":"nobody","enabled":true}`, false, 0},
	{"POST", "/rules/enable", `{"name":"first"}`, false, 0},
	{"POST", "/rules/enable", `{"enabled":true}`, false, 0},
	{"POST", "/rules/enable", `{"name":"first","enabled":false}`, true, 0},
	{"POST", "/power", `{"power":"on"}`, false, 0},
	{"POST", "/power", `{"power":"up"}`, false, 0},
	{"POST", "/power", `{"power":"off"}`, true, 0},
	{"GET", "/snapshot", "", false, 0},
	{"GET", "/snapshot", "", true, 0},
	{"POST", "/snapshot", `{"permanent":"AQI=","volatile":"Aw=="}`, false, 0},
	{"POST", "/snapshot", `{"permanent":"","volatile":""}`, false, 0},
	{"POST", "/snapshot", `{"permanent":"AQI=","volatile":"Aw=="}`, true, 0},
	{"GET", "/events?commands=yes", "", false, 0},
}

// fullPanel returns a panel that has everything. The clock stands at core; a rule is after
// another one.
func fullPanel(t *testing.T) *control.Panel {
	t.Helper()
	clock := new(initcall.Clock)
	require.NoError(t, clock.Advance(initcall.Core, initcall.NoTime, "test"))
	var rules []faults.Rule
	for _, text := range []string{"name=alone PCR_Read: pass", "name=first PCR_Extend: rc=RETRY", "name=second GetCapability: rc=RETRY", "name=third GetTestResult after=second: rc=RETRY"} {
		rule, err := faults.ParseRule(text)
		require.NoError(t, err)
		rules = append(rules, rule)
	}
	panel := &control.Panel{
		Clock: clock, Layer: layerOf(t, faults.Plan{Clock: clock, Rules: rules, Seed: 7}), Seed: 7,
		Powered: func() bool { return true }, Failure: func() error { return errors.New("broken") }, Sandbox: "off", LogLost: func() uint64 { return 1 },
		PCRs:   func(_ ctxt) (control.PCRs, error) { return control.PCRs{"sha256": {10: "00"}}, nil },
		Switch: func(control.Power) error { return nil },
		Save: func() (control.Snapshot, error) {
			return control.Snapshot{Permanent: []byte{1}, Volatile: []byte{2}}, nil
		},
		Restore: func(control.Snapshot) error { return nil },
	}
	panel.RecordLevel(clock.Now())
	panel.RecordDecision(faults.Decision{Time: time.Now(), Number: 1, Rule: "first", Outcome: faults.Answered, Code: 1, Detail: "x", HeldFor: 1, Cause: "y"})
	panel.RecordDecision(faults.Decision{Time: time.Now(), Number: 2, Rule: "second", Outcome: faults.Held})
	return panel
}

// ask sends a request to a panel. That for events ends at once.
func ask(t *testing.T, panel *control.Panel, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if strings.HasPrefix(path, "/events") {
		ctx, cancel := withCancel(t)
		cancel()
		r = r.WithContext(ctx)
	}
	w := httptest.NewRecorder()
	panel.Handler().ServeHTTP(w, r)
	return w
}

// FuzzRequests: whatever is sent, the panel answers what the document tells, and goes on.
func FuzzRequests(f *testing.F) {
	for i, r := range control.Routes() {
		for _, q := range requests {
			if q.method == r[0] && strings.HasPrefix(q.path, r[1]) {
				f.Add(uint8(i), []byte(q.body))
			}
		}
	}
	d := openapi(f)
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		r := control.Routes()[int(which)%len(control.Routes())]
		panel := fullPanel(t)
		w := ask(t, panel, r[0], r[1], string(body))
		isWhatIsTold(t, d, r[0], r[1], w)
		w = ask(t, panel, "GET", "/status", "")
		require.Equal(t, http.StatusOK, w.Code)
		isWhatIsTold(t, d, "GET", "/status", w)
	})
}
