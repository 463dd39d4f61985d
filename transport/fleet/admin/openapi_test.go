package admin_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/fleet/admin"
)

// document is as much of openapi.json as the test looks at.
type document struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct {
				Schema struct {
					Ref   string `json:"$ref"`
					Type  string `json:"type"`
					Items struct {
						Ref string `json:"$ref"`
					} `json:"items"`
				} `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Required   []string                   `json:"required"`
			Properties map[string]json.RawMessage `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

// openapi.json has the fields of a TPM's status, and each request is answered as it says.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	var d document
	require.NoError(t, json.Unmarshal(text, &d))
	status := d.Components.Schemas["Status"]
	var always, all []string
	for f := range reflect.TypeFor[fleet.Status]().Fields() {
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, key)
		if options == "" {
			always = append(always, key)
		}
	}
	assert.ElementsMatch(t, all, slices.Collect(maps.Keys(status.Properties)))
	assert.ElementsMatch(t, always, status.Required)

	dir := t.TempDir()
	f, err := fleet.New(fleet.Options{Dir: dir})
	require.NoError(t, err)
	handler := admin.Handler(f)
	told, seen := map[string]bool{}, map[string]bool{}
	for path, methods := range d.Paths {
		for method, operation := range methods {
			for code := range operation.Responses {
				told[strings.ToUpper(method)+" "+path+" "+code] = true
			}
		}
	}
	ask := func(method, path, request string) {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(request)))
		pattern := path
		if strings.HasPrefix(path, "/tpms/") && path != "/tpms/remove" {
			pattern = "/tpms/{name}"
		}
		code := strconv.Itoa(w.Code)
		seen[method+" "+pattern+" "+code] = true
		content, ok := d.Paths[pattern][strings.ToLower(method)].Responses[code].Content[w.Header().Get("Content-Type")]
		require.True(t, ok, "%s %s %s: %s", method, path, w.Header(), w.Body)
		var got any
		switch {
		case content.Schema.Type == "string":
			return
		case content.Schema.Type == "array":
			var list []any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &list))
			require.NotEmpty(t, list)
			got, content.Schema.Ref = list[0], content.Schema.Items.Ref
		default:
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		}
		schema, ok := d.Components.Schemas[strings.TrimPrefix(content.Schema.Ref, "#/components/schemas/")]
		require.True(t, ok, "%s %s", method, path)
		fields, ok := got.(map[string]any)
		require.True(t, ok, "%s %s", method, path)
		for key := range fields {
			assert.Contains(t, schema.Properties, key, "%s %s", method, path)
		}
		for _, key := range schema.Required {
			assert.Contains(t, fields, key, "%s %s", method, path)
		}
	}
	ask(http.MethodPost, "/tpms", `{"name":"web","config":"defer-until=late_sync\n"}`)
	ask(http.MethodPost, "/tpms", `{"name":"web"}`)
	ask(http.MethodPost, "/tpms", `{}`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	ask(http.MethodPost, "/tpms", `{"name":"file"}`) // whose directory cannot be made
	ask(http.MethodGet, "/tpms", "")
	ask(http.MethodGet, "/tpms/web", "")
	ask(http.MethodGet, "/tpms/db", "")
	ask(http.MethodGet, "/metrics", "")
	ask(http.MethodPost, "/tpms/remove", `{`)
	ask(http.MethodPost, "/tpms/remove", `{"name":"db"}`)
	ask(http.MethodPost, "/tpms/remove", `{"name":"web","force":true}`)
	require.NoError(t, f.Close(t.Context()))
	ask(http.MethodPost, "/tpms", `{"name":"late"}`)
	for _, not := range []string{"POST /tpms/remove 409", "POST /tpms/remove 500"} { // a client's, and the system's
		delete(told, not)
	}
	assert.Equal(t, told, seen)
}
