package admin_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/fleet/admin"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// served is a fleet with an admin socket.
func served(t *testing.T) (f *fleet.Fleet, dir, socket string, client *admin.Client) {
	t.Helper()
	dir = t.TempDir()
	f, err := fleet.New(fleet.Options{Dir: filepath.Join(dir, "fleet"), State: filepath.Join(dir, "state")})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close(context.Background())) })
	socket = filepath.Join(dir, "admin.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := control.Bounded(admin.Handler(f), nil)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(control.Limit(l, func(int) {})) }()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, transporttest.Receive(t, ended), http.ErrServerClosed)
	})
	client = admin.NewClient(socket)
	t.Cleanup(client.Close)
	return f, dir, socket, client
}

func TestTPMsComeAndGo(t *testing.T) {
	_, dir, _, client := served(t)
	ctx := t.Context()
	list, err := client.List(ctx)
	require.NoError(t, err)
	assert.NotNil(t, list)
	assert.Empty(t, list)

	s, err := client.Add(ctx, "web1", "profile=tiny\ndefer-until=late_sync\n")
	require.NoError(t, err)
	assert.Equal(t, "tiny", s.Profile)
	assert.Equal(t, filepath.Join(dir, "fleet/web1/tpm.sock"), s.Data)
	assert.NotEmpty(t, s.Console)
	again, err := client.Status(ctx, "web1")
	require.NoError(t, err)
	assert.Equal(t, s, again)
	_, err = client.Add(ctx, "db", "")
	require.NoError(t, err)
	list, err = client.List(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, "db", list[0].Name)

	conn, err := net.Dial("unix", s.Data)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0})
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 10)) // the server has the connection now
	require.NoError(t, err)
	err = client.Remove(ctx, "web1", false)
	refused(t, err, http.StatusConflict, "clients are connected")
	require.NoError(t, client.Remove(ctx, "web1", true))
	_, err = client.Status(ctx, "web1")
	refused(t, err, http.StatusNotFound, "there is no TPM of this name")
	require.NoError(t, client.Remove(ctx, "db", false))
}

func refused(t *testing.T, err error, status int, reason string) {
	t.Helper()
	var r *control.RequestError
	require.ErrorAs(t, err, &r)
	assert.Equal(t, status, r.Status, r.Reason)
	assert.Contains(t, r.Reason, reason)
}

func TestRefused(t *testing.T) {
	_, _, socket, client := served(t)
	ctx := t.Context()
	_, err := client.Add(ctx, "a", "")
	require.NoError(t, err)
	for _, c := range []struct {
		name, config string
		status       int
		reason       string
	}{
		{"a", "", http.StatusConflict, "the name is taken"},
		{"../b", "", http.StatusBadRequest, "a name has up to"},
		{"b.c", "", http.StatusBadRequest, "a name has up to"},
		{"", "", http.StatusBadRequest, "a name has up to"},
		{"b", "\nprofil=tiny", http.StatusBadRequest, `:2: "profil": unknown word`},
	} {
		_, err := client.Add(ctx, c.name, c.config)
		refused(t, err, c.status, c.reason)
	}
	refused(t, client.Remove(ctx, "b", true), http.StatusNotFound, "there is no TPM")

	post := func(path, body string) int {
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}}
		defer transport.CloseIdleConnections()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://swtpmd"+path, strings.NewReader(body))
		require.NoError(t, err)
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		defer response.Body.Close()
		return response.StatusCode
	}
	for _, body := range []string{`{}`, `{"name":"x","more":1}`, `{"name":"x"} {}`, `[`, ``, `{"name":"` + strings.Repeat("x", 1<<20) + `"}`} {
		assert.Equal(t, http.StatusBadRequest, post("/tpms", body), "%.40s", body)
		assert.Equal(t, http.StatusBadRequest, post("/tpms/remove", body), "%.40s", body)
	}
	assert.Equal(t, http.StatusNotFound, post("/tpms/none/level", `{"level":"late"}`))
	list, err := client.List(ctx)
	require.NoError(t, err)
	assert.Len(t, list, 1, "what is refused changes nothing")
}

// Each TPM is steered by the client of one TPM.
func TestThePanelOfATPM(t *testing.T) {
	_, _, socket, client := served(t)
	ctx := t.Context()
	for _, name := range []string{"a", "b"} {
		_, err := client.Add(ctx, name, "defer-until=late_sync")
		require.NoError(t, err)
	}
	one := control.NewClientBelow(socket, "/tpms/a")
	defer one.Close()
	_, err := one.Power(ctx, control.PowerOn)
	require.NoError(t, err)
	s, err := one.Advance(ctx, initcall.LateSync)
	require.NoError(t, err)
	assert.Equal(t, initcall.LateSync, s.Now.Level)
	a, err := client.Status(ctx, "a")
	require.NoError(t, err)
	assert.Equal(t, initcall.LateSync, a.Level)
	b, err := client.Status(ctx, "b")
	require.NoError(t, err)
	assert.Equal(t, initcall.Firmware, b.Level, "the other one is where it was")
	assert.False(t, b.Powered)
}

func TestMetrics(t *testing.T) {
	f, dir, _, client := served(t)
	ctx := t.Context()
	_, err := client.Add(ctx, "on", "started=true")
	require.NoError(t, err)
	_, err = client.Add(ctx, "off", "")
	require.NoError(t, err)
	f.Refuse("wrong", os.ErrInvalid)
	s, err := client.Status(ctx, "on")
	require.NoError(t, err)
	conn, err := raw.Dial(ctx, "unix", s.Data)
	require.NoError(t, err)
	defer conn.Close()
	response, err := conn.Send(ctx, 0, []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0xff}) // no command
	require.NoError(t, err)
	require.NotZero(t, transport.ResponseCode(response))

	var text bytes.Buffer
	require.NoError(t, client.Metrics(ctx, &text))
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text.Bytes()))
	require.NoError(t, err, text.String())
	value := func(name string, labels ...string) float64 {
		t.Helper()
		require.Contains(t, families, name)
		for _, m := range families[name].GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetName()+"="+l.GetValue())
			}
			if strings.Join(got, ",") == strings.Join(labels, ",") {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		t.Fatalf("%s%v is not there:\n%s", name, labels, &text)
		return 0
	}
	// The engine of one without power is not made yet.
	for name, n := range map[string]float64{"tpms": 2, "tpms_refused": 1, "tpms_powered": 1, "tpms_failed": 0, "engines": 1} {
		assert.InDelta(t, n, value("swtpmd_fleet_"+name), 0, name)
	}
	assert.InDelta(t, 1, value("swtpmd_tpm_connections", "tpm=on", "channel=data"), 0)
	assert.InDelta(t, 0, value("swtpmd_tpm_connections", "tpm=on", "channel=control"), 0)
	assert.InDelta(t, 1, value("swtpmd_tpm_commands_total", "tpm=on"), 0)
	assert.InDelta(t, 1, value("swtpmd_tpm_errors_total", "tpm=on"), 0)
	assert.InDelta(t, 0, value("swtpmd_tpm_commands_total", "tpm=off"), 0)
	info, err := os.Stat(filepath.Join(dir, "state/on/tpm2.state"))
	require.NoError(t, err)
	assert.InDelta(t, info.Size(), value("swtpmd_tpm_state_bytes", "tpm=on"), 0)
	assert.Equal(t, "COUNTER", families["swtpmd_tpm_commands_total"].GetType().String())
	for name, family := range families {
		assert.NotEmpty(t, family.GetHelp(), name)
	}
}
