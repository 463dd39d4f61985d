package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// The test program plays QEMU, with a guest in it, and swtpmd when it is
// started with their arguments; which part it plays is said by the kernel's
// name or by a flag "play=…". So what surrounds a boot can be tested without
// one, and with guests that no kernel would be.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "-nodefaults":
		os.Exit(playQEMU(os.Args))
	case len(os.Args) > 1 && os.Args[1] == "--dir":
		os.Exit(playDaemon(os.Args[2], os.Args[len(os.Args)-1]))
	}
	os.Exit(m.Run())
}

// after gives the argument behind one of the given options that begins with
// prefix, without it.
func after(args []string, option, prefix string) string {
	for i := range len(args) - 1 {
		if rest, ok := strings.CutPrefix(args[i+1], prefix); args[i] == option && ok {
			return rest
		}
	}
	return ""
}

func playQEMU(args []string) int {
	part := after(args, "-kernel", "")
	fmt.Fprintf(os.Stderr, "pid %d\n", os.Getpid())
	if part == "refuse" {
		fmt.Fprintln(os.Stderr, "qemu: tpm-emulator: no such thing")
		return 1
	}
	// As QEMU with a TPM that does not answer: deaf to SIGTERM.
	signal.Ignore(syscall.SIGTERM)
	if part == "lost" {
		standStill(args)
	}
	log := after(args, "-chardev", "file,id=console,path=")
	if slices.Contains(args, string(KVM)) {
		playHalfKVM(part, log, args)
	}
	_ = os.WriteFile(log, []byte("[    0.000000] Linux version\r\n[    1.000000] the last words\r\n"), 0o600)
	report, err := net.Dial("unix", after(args, "-chardev", "socket,id=report,path="))
	if err != nil {
		return 1
	}
	monitor, err := net.Dial("unix", after(args, "-chardev", "socket,id=monitor,path="))
	if err != nil {
		return 1
	}
	resets := make(chan struct{}, 1)
	go playMonitor(monitor, resets)
	code := playGuest(part, report, resets)
	if part == "stay" || part == "silent" {
		standStill(args)
	}
	return code
}

// playHalfKVM is a KVM that gets no further than its part says.
func playHalfKVM(part, log string, args []string) {
	console := "SeaBIOS (version 1.16.2)\r\nBooting from ROM...\r\n"
	switch part {
	case "kvm refuses":
		fmt.Fprintln(os.Stderr, "qemu: error: failed to set MSR 0x10a to 0x69\nqemu: Assertion failed.")
		os.Exit(134)
	case "kvm never prints":
	case "kvm prints a banner":
		console += "[    0.000000] Linux version 6.1.0-test\r\n"
	default:
		return
	}
	_ = os.WriteFile(log, []byte(console), 0o600)
	for _, name := range []string{"report", "monitor"} {
		conn, err := net.Dial("unix", after(args, "-chardev", "socket,id="+name+",path="))
		if err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(conn, greeting) // the monitor's; nobody reads the other one's
	}
	standStill(args)
}

// standStill tells the test that the part has been played up to where nothing
// happens any more.
func standStill(args []string) {
	conn, err := net.Dial("unix", stillSocket(after(args, "-append", "")))
	if err == nil {
		conn.Close()
	}
	for { // select{} alone would be found to be a deadlock
		time.Sleep(time.Hour)
	}
}

// stillWord is the kernel argument that names the socket for standStill.
const stillWord = "still="

func stillSocket(commandLine string) string {
	_, path, _ := strings.Cut(commandLine, stillWord)
	return path
}

// playMonitor answers every command; a reset is passed on.
func playMonitor(conn net.Conn, resets chan<- struct{}) {
	fmt.Fprintln(conn, greeting)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		fmt.Fprintln(conn, `{"return": {}}`)
		if strings.Contains(lines.Text(), "system_reset") {
			resets <- struct{}{}
		}
	}
}

// playGuest is guest.sh with canned answers.
func playGuest(part string, port net.Conn, resets <-chan struct{}) int {
	orders := make(chan string)
	go func() {
		lines := bufio.NewScanner(port)
		for lines.Scan() {
			orders <- lines.Text()
		}
		close(orders)
	}()
	items := readItems(filepath.Join("testdata", "on-time"))
	switch part {
	case "mad":
		fmt.Fprintln(port, "Kernel panic - not syncing")
		select {}
	case "late":
		items[itemTPMClass] = nil
	}
	fmt.Fprintln(port, "hello 1 6.1.0-test")
	for {
		select {
		case <-resets:
			fmt.Fprintln(port, "hello 1 6.1.0-test")
			continue
		case line, ok := <-orders:
			if !ok {
				return 0
			}
			if code, over := playOrder(part, line, port, items); over {
				return code
			}
		}
	}
}

func playOrder(part, line string, port io.Writer, items Items) (code int, over bool) {
	order, argument, _ := strings.Cut(line, " ")
	switch {
	case order == "poweroff":
		return 0, true
	case order == "reboot":
		fmt.Fprintln(port, "hello 1 6.1.0-test")
		return 0, false
	case order == "collect" && part == "silent":
		return 0, true
	case order == "collect" && part == "die":
		fmt.Fprintln(port, "report init")
		return 3, true
	case order == "collect":
		fmt.Fprint(port, encodeReport(argument, items))
	case order == "bind" && part == "late":
		items[itemTPMClass] = []byte("tpm0\n")
	case order == "await":
		fmt.Fprintln(port, "done await 1")
		return 0, false
	}
	fmt.Fprintf(port, "done %s 0\n", order)
	return 0, false
}

// readItems reads a report that was kept by Config.Keep, each item a file.
func readItems(dir string) Items {
	items := Items{}
	files, err := os.ReadDir(dir)
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			panic(err)
		}
		items[file.Name()] = content
	}
	return items
}

// playDaemon listens and tells about itself as swtpmd does.
func playDaemon(dir, part string) int {
	switch part {
	case "play=fail":
		fmt.Fprintln(os.Stderr, "swtpmd: the state directory is locked")
		return 1
	case "play=mumble":
		fmt.Println("listening")
		select {}
	case "play=silent":
		select {}
	}
	panel := &control.Panel{Clock: new(initcall.Clock), PCRs: func(context.Context) (control.PCRs, error) {
		return Report{Items: readItems(filepath.Join("testdata", "on-time"))}.pcrs()
	}}
	admin := filepath.Join(dir, "admin.sock")
	listener, err := net.Listen("unix", admin)
	if err != nil {
		return 1
	}
	line, err := json.Marshal(ready{Ready: true, Control: filepath.Join(dir, "tpm.sock.ctrl"), Admin: admin})
	if err != nil {
		return 1
	}
	go func() { _ = http.Serve(listener, panel.Handler()) }()
	fmt.Println(string(bytes.TrimSpace(line)))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	return 0
}
