package dial

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Address{
		"unix:/run/tpm.sock":                {Network: "unix", Data: "/run/tpm.sock"},
		"unix:@tpm":                         {Network: "unix", Data: "@tpm"},
		"unix:///run/tpm.sock":              {Network: "unix", Data: "/run/tpm.sock"},
		"unix:///run/a%20b?single":          {Network: "unix", Data: "/run/a b", Single: true},
		"tcp:127.0.0.1:2321":                {Network: "tcp", Data: "127.0.0.1:2321"},
		"tcp://[::1]:2321?single":           {Network: "tcp", Data: "[::1]:2321", Single: true},
		"swtpm:path=/run/tpm.sock":          {Protocol: Swtpm, Network: "unix", Data: "/run/tpm.sock", Control: "/run/tpm.sock.ctrl"},
		"swtpm:///run/tpm.sock":             {Protocol: Swtpm, Network: "unix", Data: "/run/tpm.sock", Control: "/run/tpm.sock.ctrl"},
		"swtpm":                             {Protocol: Swtpm, Network: "tcp", Data: "localhost:2321", Control: "localhost:2322"},
		"swtpm:port=4000":                   {Protocol: Swtpm, Network: "tcp", Data: "localhost:4000", Control: "localhost:4001"},
		"swtpm:host=::1,port=4000":          {Protocol: Swtpm, Network: "tcp", Data: "[::1]:4000", Control: "[::1]:4001"},
		"swtpm://tpm.example:4000":          {Protocol: Swtpm, Network: "tcp", Data: "tpm.example:4000", Control: "tpm.example:4001"},
		"swtpm://tpm.example":               {Protocol: Swtpm, Network: "tcp", Data: "tpm.example:2321", Control: "tpm.example:2322"},
		"swtpm:ctrl=/var/lib/swtpm/ctrl":    {Protocol: Swtpm, Network: "unix", Control: "/var/lib/swtpm/ctrl"},
		"mssim":                             {Protocol: Mssim, Network: "tcp", Data: "localhost:2321", Control: "localhost:2322"},
		"mssim:path=/run/s":                 {Protocol: Mssim, Network: "unix", Data: "/run/s", Control: "/run/s.ctrl"},
		"mssim:host=h,port=1":               {Protocol: Mssim, Network: "tcp", Data: "h:1", Control: "h:2"},
		"mssim://h:1":                       {Protocol: Mssim, Network: "tcp", Data: "h:1", Control: "h:2"},
		"device":                            {Protocol: Device},
		"device:/dev/tpm1":                  {Protocol: Device, Data: "/dev/tpm1"},
		"device:///dev/tpm1":                {Protocol: Device, Data: "/dev/tpm1"},
		"/dev/tpmrm0":                       {Protocol: Device, Data: "/dev/tpmrm0"},
		"swtpm:///a,b":                      {Protocol: Swtpm, Network: "unix", Data: "/a,b", Control: "/a,b.ctrl"},
		"unix:////run/two-slashes":          {Network: "unix", Data: "//run/two-slashes"},
		"unix:relative?not-a-query":         {Network: "unix", Data: "relative?not-a-query"},
		"tcp:localhost:1":                   {Network: "tcp", Data: "localhost:1"},
		"swtpm:host=fe80::1%eth0,port=2321": {Protocol: Swtpm, Network: "tcp", Data: "[fe80::1%eth0]:2321", Control: "[fe80::1%eth0]:2322"},
	} {
		got, err := Parse(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		again, err := Parse(got.String())
		require.NoError(t, err, "%s from %s", got, text)
		assert.Equal(t, got, again, text)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                          "unix:PATH",
		"/run/tpm.sock":             "unix:PATH",
		"udp:1":                     "unix:PATH",
		"unix:":                     "the path of a socket",
		"unix://run/tpm.sock":       "three slashes, as in unix:///run/tpm.sock",
		"unix:///run/tpm?twice":     "?single",
		"tcp:2321":                  "a host and a port",
		"tcp:host:0":                "1 to 65535",
		"tcp:host:65536":            "1 to 65535",
		"tcp://host:1/path":         "a host and a port",
		"tcp://me@host:1":           "no user",
		"swtpm:path=":               "each once",
		"swtpm:path=/a,path=/b":     "each once",
		"swtpm:path=/a,port=1":      "stand alone",
		"swtpm:port=65535":          "no next one",
		"swtpm:port=x":              "1 to 65535",
		"mssim:ctrl=/a":             "it takes path=",
		"swtpm:speed=9600":          "it takes path=",
		"swtpm://":                  "the path of a socket",
		"swtpm://host:2321?single":  "the others nothing",
		"device://host/dev/tpm0":    "three slashes",
		"tcp://host:bad":            "invalid port",
		"swtpm:ctrl=/a,host=h":      "stand alone",
		"swtpm://host:65535":        "no next one",
		"swtpm:///run/tpm#fragment": "no fragment",
	} {
		_, err := Parse(text)
		var wrong *AddressError
		require.ErrorAs(t, err, &wrong, text)
		assert.Equal(t, text, wrong.Text)
		assert.ErrorContains(t, err, says, text)
	}
}

// FuzzParse: what is taken can be written down and read again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"unix:/a", "tcp:h:1", "swtpm:host=h,port=1", "swtpm:///a%2C", "unix:///a?single", "/dev/tpm0", "device"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(a.String())
		if err != nil || again != a {
			t.Fatalf("%q is %+v, written as %q, which is %+v: %v", text, a, a, again, err)
		}
	})
}
