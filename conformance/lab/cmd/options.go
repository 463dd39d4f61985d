package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/conformance/lab/kernelbuild"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

//go:embed usage.txt
var usage string

// options are the command line.
type options struct {
	deferUntil, deferFrom, whileDeferred string
	deferBoots                           int
	holdMax                              time.Duration

	board, tree             string
	device, firmware, accel string
	asyncProbe              bool
	imaPolicy, loadPolicy   string
	append, kernel, initrd  string
	memory                  string
	processors              int
	qemuArgs                words
	reboot, reset, rebind   bool
	await                   time.Duration

	timeout       time.Duration
	json          bool
	keep          string
	cache, swtpmd string
	reference     bool
	noInstall     bool
	printCommand  bool
}

// words is a flag that may be given several times.
type words []string

func (w *words) String() string { return strings.Join(*w, " ") }

func (w *words) Set(word string) error {
	*w = append(*w, word)
	return nil
}

// flags returns the flags that set o.
func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("qemu-boot", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.deferUntil, "defer-until", "none", "")
	f.StringVar(&o.deferFrom, "defer-from", "", "")
	f.StringVar(&o.whileDeferred, "while-deferred", "", "")
	f.IntVar(&o.deferBoots, "defer-boots", 0, "")
	f.DurationVar(&o.holdMax, "hold-max", 0, "")
	f.StringVar(&o.board, "board", string(lab.Q35), "")
	f.StringVar(&o.tree, "tree", "", "")
	f.StringVar(&o.device, "device", "", "")
	f.StringVar(&o.firmware, "firmware", "", "")
	f.StringVar(&o.accel, "accel", string(lab.Auto), "")
	f.BoolVar(&o.asyncProbe, "async-probe", false, "")
	f.StringVar(&o.imaPolicy, "ima-policy", "tcb", "")
	f.StringVar(&o.loadPolicy, "load-policy", "", "")
	f.StringVar(&o.append, "append", "", "")
	f.StringVar(&o.kernel, "kernel", "", "")
	f.StringVar(&o.initrd, "initrd", "", "")
	f.StringVar(&o.memory, "memory", "", "")
	f.IntVar(&o.processors, "processors", 0, "")
	f.Var(&o.qemuArgs, "qemu-arg", "")
	f.BoolVar(&o.reboot, "reboot", false, "")
	f.BoolVar(&o.reset, "reset", false, "")
	f.BoolVar(&o.rebind, "rebind", false, "")
	f.DurationVar(&o.await, "await", -1, "")
	f.DurationVar(&o.timeout, "timeout", 3*time.Minute, "")
	f.BoolVar(&o.json, "json", false, "")
	f.StringVar(&o.keep, "keep", "", "")
	f.StringVar(&o.cache, "cache", "", "")
	f.StringVar(&o.swtpmd, "swtpmd", "", "")
	f.BoolVar(&o.reference, "reference", false, "")
	f.BoolVar(&o.noInstall, "no-install", false, "")
	f.BoolVar(&o.printCommand, "print-command", false, "")
	return f
}

// parse reads the command line and refuses what makes no boot.
func parse(args []string) (options, error) {
	var o options
	f := o.flags()
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no option", f.Arg(0))
	}
	return o, o.check()
}

// check refuses values and combinations that make no boot.
func (o *options) check() error {
	if o.deferUntil == "none" {
		o.deferUntil = ""
	}
	if err := o.checkLevels(); err != nil {
		return err
	}
	if o.whileDeferred != "" {
		var way faults.WhileDeferred
		if err := way.UnmarshalText([]byte(o.whileDeferred)); err != nil {
			return err
		}
	}
	deferring := o.deferFrom != "" || o.whileDeferred != "" || o.deferBoots != 0 || o.holdMax != 0
	switch {
	case deferring && o.deferUntil == "":
		return errors.New("--defer-from, --while-deferred, --defer-boots and --hold-max need --defer-until")
	case o.reference && o.deferUntil != "":
		return errors.New("--reference is always on time; leave out --defer-until")
	case o.reference && o.swtpmd != "":
		return errors.New("--reference and --swtpmd exclude each other")
	case o.reboot && o.reset:
		return errors.New("--reboot and --reset exclude each other")
	case o.holdMax < 0:
		return fmt.Errorf("--hold-max=%s: a time to hold a command is not negative", o.holdMax)
	case o.deferBoots < 0:
		return fmt.Errorf("--defer-boots=%d: a number of boots is not negative", o.deferBoots)
	case o.timeout <= 0:
		return fmt.Errorf("--timeout=%s: a boot takes longer than that", o.timeout)
	case o.memory != "" && !memorySyntax.MatchString(o.memory):
		return fmt.Errorf("--memory=%s: it is a number of MiB, or a number with M or G", o.memory)
	case o.processors < 0 || o.processors > mostProcessors:
		return fmt.Errorf("--processors=%d: it is a number from 1 to %d", o.processors, mostProcessors)
	case o.printCommand && o.json:
		return errors.New("--print-command and --json exclude each other: there is no verdict without a boot")
	case strings.ContainsAny(o.append+o.imaPolicy, "\n\""):
		return errors.New("--append and --ima-policy take no quotation marks and no line ends")
	}
	return errors.Join(
		oneOf("accel", o.accel, string(lab.Auto), string(lab.KVM), string(lab.TCG)),
		o.checkBoard(),
	)
}

// checkBoard refuses a board that there is not, and what it does not have. It fills in
// the board's own firmware and device.
func (o *options) checkBoard() error {
	var names []string
	for _, b := range lab.Boards() {
		names = append(names, b.String())
	}
	if err := oneOf("board", o.board, names...); err != nil {
		return err
	}
	board := lab.Board(o.board)
	o.firmware = cmp.Or(o.firmware, string(board.Firmware()))
	o.device = cmp.Or(o.device, string(board.Device()))
	return o.machine().Check()
}

// machine returns the machine without what has to be found.
func (o *options) machine() lab.Machine {
	return lab.Machine{
		Board: lab.Board(o.board), Firmware: lab.Firmware(o.firmware), Device: lab.Device(o.device), Accel: lab.Accel(o.accel),
		AsyncProbe: o.asyncProbe, Append: o.append, Kernel: o.kernel, Tree: o.tree,
		Initrd: o.initrd, Memory: o.memory, Processors: o.processors, QEMUArgs: o.qemuArgs,
	}
}

// memorySyntax is that of QEMU's -m, as far as it makes sense here.
var memorySyntax = regexp.MustCompile(`^[1-9][0-9]{0,5}[MG]?$`)

// mostProcessors is how many every board can have.
const mostProcessors = 8

// checkLevels refuses a deferral that ends where it begins, or before.
func (o *options) checkLevels() error {
	var until, from initcall.Level
	var err error
	if o.deferUntil != "" {
		if until, err = initcall.ParseLevel(o.deferUntil); err != nil {
			return fmt.Errorf("--defer-until: %w", err)
		}
	}
	given := "--defer-from=" + o.deferFrom
	if o.deferFrom == "" {
		from, given = initcall.Kernel, "--defer-from is kernel unless it is given"
	} else if from, err = initcall.ParseLevel(o.deferFrom); err != nil {
		return fmt.Errorf("--defer-from: %w", err)
	}
	switch {
	case until == initcall.Firmware || from < until:
		return nil
	case until == initcall.Kernel:
		return fmt.Errorf("--defer-until=%s defers nothing: %s; add --defer-from=firmware, or name a later level", until, given)
	}
	return fmt.Errorf("--defer-until=%s defers nothing: %s; it must begin before it ends", until, given)
}

func oneOf(option, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("--%s=%s: it is one of %s", option, value, strings.Join(allowed, ", "))
}

// daemonFlags returns the flags for the daemon.
func (o *options) daemonFlags() []string {
	if o.deferUntil == "" {
		return nil
	}
	flags := []string{"--defer-until=" + o.deferUntil}
	if o.deferFrom != "" {
		flags = append(flags, "--defer-from="+o.deferFrom)
	}
	if o.whileDeferred != "" {
		flags = append(flags, "--while-deferred="+o.whileDeferred)
	}
	if o.holdMax != 0 {
		flags = append(flags, "--hold-max="+o.holdMax.String())
	}
	if o.deferBoots != 0 {
		flags = append(flags, fmt.Sprintf("--defer-boots=%d", o.deferBoots))
	}
	return flags
}

// awaitAsync is how long a guest that probes asynchronously waits for its TPM without
// --await.
const awaitAsync = 30 * time.Second

func (o *options) awaitTime() time.Duration {
	switch {
	case o.await >= 0:
		return o.await
	case o.asyncProbe:
		return awaitAsync
	}
	return 0
}

// config returns the configuration of the boot; done removes what was made for it.
func (o *options) config(ctx context.Context, progress io.Writer) (c lab.Config, done func(), err error) {
	c = lab.Config{
		Machine: o.machine(),
		Rebind:  o.rebind, Await: o.awaitTime(), Timeout: o.timeout, Keep: o.keep, Progress: progress,
	}
	if o.imaPolicy != "none" {
		c.Machine.IMAPolicy = o.imaPolicy
	}
	switch {
	case o.reboot:
		c.Restart = lab.GuestReboot
	case o.reset:
		c.Restart = lab.SystemReset
	}
	if o.loadPolicy != "" {
		if c.Policy, err = os.ReadFile(o.loadPolicy); err != nil {
			return c, nil, &lab.SetupError{What: "the IMA policy", Err: err}
		}
	}
	if o.tree != "" {
		if c.Machine.Tree, err = lab.Tree(o.tree); err != nil {
			return c, nil, err
		}
	}
	done, err = o.equip(ctx, &c, progress)
	return c, done, err
}

// equip finds the programs, the kernel and the TPM.
func (o *options) equip(ctx context.Context, c *lab.Config, progress io.Writer) (done func(), err error) {
	cache, err := lab.CacheDir(o.cache)
	if err != nil {
		return nil, err
	}
	c.Cache = cache
	apt := &lab.Apt{Cache: cache, Progress: progress}
	m := &c.Machine
	if m.Tools, err = lab.FindTools(ctx, apt, m.Board, m.Firmware, m.Tree != "", !o.noInstall); err != nil {
		return nil, err
	}
	if m.Kernel, err = findKernel(ctx, apt, m); err != nil {
		return nil, err
	}
	if _, err := os.Stat(m.Initrd); m.Initrd != "" && err != nil {
		return nil, &lab.SetupError{What: "the initramfs of --initrd", Err: err}
	}
	if o.reference {
		path, err := lab.FindSwtpm(ctx, apt, !o.noInstall)
		if err == nil {
			c.TPM = lab.Swtpm(path)
		}
		return func() {}, err
	}
	path, done := o.swtpmd, func() {}
	if path == "" {
		fmt.Fprintln(progress, "building swtpmd")
		if path, done, err = lab.BuildSwtpmd(ctx, os.Getenv("QEMU_BOOT_SOURCE")); err != nil {
			return nil, err
		}
	}
	c.TPM = lab.Swtpmd(path, o.daemonFlags())
	return done, nil
}

// findKernel returns the kernel image of m: a file, a kernel of scripts/kernel-lab by its
// name, or Debian's.
func findKernel(ctx context.Context, apt *lab.Apt, m *lab.Machine) (string, error) {
	if m.Kernel == "" {
		return lab.DebianKernel(ctx, apt, m.Board)
	}
	_, missing := os.Stat(m.Kernel)
	if missing == nil {
		return m.Kernel, nil
	}
	k, err := kernelbuild.ParseName(m.Kernel)
	if err != nil {
		return "", &lab.SetupError{What: "the kernel of --kernel", Hint: "scripts/kernel-lab list has names of kernels", Err: missing}
	}
	built, err := kernelbuild.InCache(apt.Cache).Find(k)
	if err != nil {
		return "", &lab.SetupError{What: "the kernel of --kernel", Err: err}
	}
	return built.Image, nil
}
