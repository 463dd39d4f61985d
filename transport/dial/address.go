package dial

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Protocol is how a TPM is spoken to.
type Protocol uint8

// The protocols.
const (
	Raw    Protocol = iota // TPM commands and nothing around them
	Swtpm                  // swtpm's control and data channel
	Mssim                  // command and platform port of the TCG's simulator
	Device                 // a file below /dev
)

// Address is where a TPM is.
type Address struct {
	Protocol Protocol
	// Network is "unix" or "tcp"; a device has none.
	Network string
	// Data is where TPM commands are taken: a path, or a host and a port. It is ""
	// for a swtpm that is passed a connection over its control channel, and for the
	// first device of the kernel that is there.
	Data string
	// Control is where swtpm's control channel is, or the simulator's platform port.
	Control string
	// Single is set if each command gets a connection of its own.
	Single bool
}

// AddressError is a text that is no address of a TPM.
type AddressError struct {
	Text   string
	Reason string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%q is no address of a TPM: %s", e.Text, e.Reason)
}

// Spellings are the addresses that Parse takes, in short.
const Spellings = "unix:PATH, tcp:HOST:PORT, swtpm:path=PATH, swtpm:host=HOST,port=PORT, swtpm:ctrl=PATH, mssim:host=HOST,port=PORT, mssim:path=PATH, or a device such as /dev/tpmrm0"

// defaultPort is the port of a TPM simulator's commands.
const defaultPort = "2321"

// Parse reads an address, as the package's comment lists them. The error is an
// *AddressError.
func Parse(text string) (Address, error) {
	name, rest, _ := strings.Cut(text, ":")
	var a Address
	var reason string
	switch {
	case strings.HasPrefix(text, "/dev/"):
		a = Address{Protocol: Device, Data: text}
	case !slices.Contains([]string{"unix", "tcp", "swtpm", "mssim", "device"}, name):
		reason = "write it as one of " + Spellings
	case strings.HasPrefix(rest, "//"):
		a, reason = parseURL(name, text)
	case name == "unix":
		a = Address{Network: "unix", Data: rest}
	case name == "tcp":
		a = Address{Network: "tcp", Data: rest}
	case name == "device":
		a = Address{Protocol: Device, Data: rest}
	default:
		a, reason = parseTCTI(name, rest)
	}
	if reason == "" {
		reason = a.lacks()
	}
	if reason != "" {
		return Address{}, &AddressError{Text: text, Reason: reason}
	}
	return a, nil
}

// lacks returns what an address needs and has not.
func (a Address) lacks() string {
	switch {
	case a.Protocol == Device:
	case a.Network == "unix" && a.Data == "" && a.Control == "":
		return "it needs the path of a socket, as in unix:/run/tpm.sock"
	case a.Network == "tcp":
		_, port, err := net.SplitHostPort(a.Data)
		if err != nil {
			return "it needs a host and a port, as in tcp:127.0.0.1:2321"
		}
		if _, err := portNumber(port); err != nil {
			return err.Error()
		}
	}
	return ""
}

func portNumber(text string) (int, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is no port, a number from 1 to 65535", text)
	}
	return int(port), nil
}

// parseURL reads an address in the form of a URL.
func parseURL(name, text string) (a Address, reason string) {
	u, err := url.Parse(text)
	if err != nil {
		return a, err.Error()
	}
	a = Address{Network: "tcp", Data: u.Host}
	if name == "unix" || name == "device" || channels[name] != Raw && u.Host == "" {
		a = Address{Network: "unix", Data: u.Path}
	}
	switch {
	case u.User != nil || u.Fragment != "":
		return a, "it has no user and no fragment"
	case a.Network == "unix" && u.Host != "":
		return a, "a path follows three slashes, as in " + name + ":///" + u.Host + u.Path
	case a.Network == "tcp" && u.Path != "" && u.Path != "/":
		return a, "a host and a port are all that it takes"
	case u.RawQuery == "single" && (name == "unix" || name == "tcp"):
		a.Single = true
	case u.RawQuery != "":
		return a, fmt.Sprintf("%q is unknown: unix and tcp take ?single, the others nothing", "?"+u.RawQuery)
	}
	protocol, two := channels[name]
	switch {
	case name == "device":
		return Address{Protocol: Device, Data: a.Data}, ""
	case two && a.Network == "unix":
		return beside(protocol, a.Data)
	case two:
		return next(protocol, u.Hostname(), cmp.Or(u.Port(), defaultPort))
	}
	return a, ""
}

// channels are the protocols that have a second channel beside that of the commands.
var channels = map[string]Protocol{"swtpm": Swtpm, "mssim": Mssim}

// parseTCTI reads the configuration of tcti-swtpm and tcti-mssim, and ours.
func parseTCTI(name, config string) (a Address, reason string) {
	protocol := channels[name]
	known, say := []string{"path", "host", "port"}, "it takes path=, or host= and port=, each once"
	if protocol == Swtpm {
		known, say = append(known, "ctrl"), "it takes path=, or host= and port=, or ctrl=, each once"
	}
	values := map[string]string{}
	for word := range strings.SplitSeq(config, ",") {
		if config == "" {
			break
		}
		key, value, _ := strings.Cut(word, "=")
		if _, twice := values[key]; twice || value == "" || !slices.Contains(known, key) {
			return a, fmt.Sprintf("%q: %s", word, say)
		}
		values[key] = value
	}
	path, control := values["path"], values["ctrl"]
	switch {
	case path != "" && len(values) == 1:
		return beside(protocol, path)
	case control != "" && len(values) == 1:
		return Address{Protocol: Swtpm, Network: "unix", Control: control}, ""
	case path != "" || control != "":
		return a, "path= and ctrl= stand alone"
	}
	return next(protocol, cmp.Or(values["host"], "localhost"), cmp.Or(values["port"], defaultPort))
}

// beside is a TPM whose second channel has the name of the first with .ctrl.
func beside(protocol Protocol, path string) (Address, string) {
	if path == "" {
		return Address{}, "it needs the path of a socket, as in swtpm:path=/run/tpm.sock"
	}
	return Address{Protocol: protocol, Network: "unix", Data: path, Control: path + ".ctrl"}, ""
}

// next is a TPM whose second channel has the port after that of the first.
func next(protocol Protocol, host, text string) (Address, string) {
	port, err := portNumber(text)
	if err == nil && port == 65535 {
		err = fmt.Errorf("port %d has no next one for the second channel", port)
	}
	if err != nil {
		return Address{}, err.Error()
	}
	return Address{
		Protocol: protocol, Network: "tcp",
		Data:    net.JoinHostPort(host, strconv.Itoa(port)),
		Control: net.JoinHostPort(host, strconv.Itoa(port+1)),
	}, ""
}

// String returns the address in a form that Parse takes.
func (a Address) String() string {
	name := names[a.Protocol]
	switch {
	case a.Protocol == Device:
		return inWords(name, "", a.Data)
	case a.Protocol != Raw && a.Data == "":
		return name + ":ctrl=" + a.Control
	case a.Protocol != Raw && a.Network == "unix":
		return inWords(name, "path=", a.Data)
	case a.Protocol != Raw:
		host, port, _ := net.SplitHostPort(a.Data)
		if strings.Contains(host, ",") {
			return name + "://" + a.Data
		}
		return name + ":host=" + host + ",port=" + port
	case a.Single && a.Network == "unix":
		return inURL("unix", a.Data) + "?single"
	case a.Single:
		return "tcp://" + a.Data + "?single"
	case a.Network == "unix":
		return inWords("unix", "", a.Data)
	}
	return "tcp:" + a.Data
}

// names are the words that addresses begin with; that of Raw is its network's.
var names = map[Protocol]string{Swtpm: "swtpm", Mssim: "mssim", Device: "device"}

// inWords writes a path as users write it, and as a URL where that would be read as
// something else.
func inWords(name, key, path string) string {
	if strings.HasPrefix(path, "//") || key != "" && strings.Contains(path, ",") {
		return inURL(name, path)
	}
	return name + ":" + key + path
}

func inURL(name, path string) string {
	return name + "://" + (&url.URL{Path: path}).EscapedPath()
}

// Ports returns the TCP ports of the address.
func (a Address) Ports() (ports []uint16, err error) {
	if a.Network != "tcp" {
		return nil, nil
	}
	for _, address := range []string{a.Data, a.Control} {
		if address == "" {
			continue
		}
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		port, err := portNumber(text)
		if err != nil {
			return nil, err
		}
		ports = append(ports, uint16(port))
	}
	return ports, nil
}
