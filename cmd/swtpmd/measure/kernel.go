package measure

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// measuringKernel are the flags of the kernel that measures.
type measuringKernel struct {
	policy, release, kconfig, template, hash, lsm string
	pcr                                           int
}

func (w *measuringKernel) define(f *flag.FlagSet) {
	f.StringVar(&w.policy, "policy", "tcb", "")
	f.StringVar(&w.release, "kernel", "6.12", "")
	f.StringVar(&w.kconfig, "kconfig", "", "")
	f.StringVar(&w.template, "template", "", "")
	f.StringVar(&w.hash, "hash", "", "")
	f.StringVar(&w.lsm, "lsm", "selinux", "")
	f.IntVar(&w.pcr, "measure-pcr", 0, "")
}

// config is the kernel that measures; rules are to be written into its policy
// file.
func (w *measuringKernel) config(log io.Writer) (config *measure.Config, rules string, err error) {
	kernel, err := measure.KernelByRelease(w.release)
	if err != nil {
		return nil, "", fmt.Errorf("--kernel: %w", err)
	}
	config = &measure.Config{
		Kernel: kernel, Release: w.release, HostOrder: ima.NativeOrder(),
		MeasureKeys: true, Modsig: true, LSM: true,
		Log: func(line string) { fmt.Fprintln(log, line) },
	}
	if err := w.readKconfig(config); err != nil {
		return nil, "", err
	}
	if err := w.check(config); err != nil {
		return nil, "", err
	}
	config.LSM = config.LSM && w.lsm != "none"
	if w.pcr != 0 {
		config.MeasurePCR = w.pcr
	}
	if config.MeasurePCR != 0 && config.MeasurePCR != 10 && !kernel.ChooseMeasurePCR {
		fmt.Fprintf(log, "swtpmd: kernel %s has no prompt for CONFIG_IMA_MEASURE_PCR_IDX, so one that measures into PCR %d was built from an edited Kconfig\n", w.release, config.MeasurePCR)
	}
	var words []string
	if path, ok := strings.CutPrefix(w.policy, "file:"); ok {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, "", fmt.Errorf("--policy: %w", err)
		}
		rules = string(text)
	} else if w.policy != "" {
		words = append(words, fmt.Sprintf("ima_policy=%q", w.policy))
	}
	// The template first: which hashes the kernel takes depends on it.
	if w.template != "" {
		words = append(words, "ima_template="+w.template)
	}
	if w.hash != "" {
		words = append(words, "ima_hash="+w.hash)
	}
	config.CommandLine = strings.Join(words, " ")
	return config, rules, nil
}

func (w *measuringKernel) readKconfig(config *measure.Config) error {
	if w.kconfig == "" {
		return nil
	}
	file, err := os.Open(w.kconfig)
	if err != nil {
		return fmt.Errorf("--kconfig: %w", err)
	}
	defer file.Close()
	if err := config.ReadKconfig(file); err != nil {
		return fmt.Errorf("--kconfig %s: %w", w.kconfig, err)
	}
	return nil
}

// check refuses what a kernel would log and pass over: the words of flags are
// swtpmd's own, and who mistypes one wants to be told.
func (w *measuringKernel) check(config *measure.Config) error {
	if w.policy != "" && !strings.HasPrefix(w.policy, "file:") {
		if err := measure.CheckPolicyOption(w.policy); err != nil {
			return fmt.Errorf("--policy: %w", err)
		}
	}
	if _, ok := ima.LookupTemplate(w.template); !ok && w.template != "" {
		unknown := &measure.UnknownNameError{What: "template", Name: w.template}
		for _, t := range ima.Templates() {
			unknown.Known = append(unknown.Known, t.Name())
		}
		return fmt.Errorf("--template: %w", unknown)
	}
	if w.lsm != "selinux" && w.lsm != "none" {
		return fmt.Errorf("--lsm: %w", &measure.UnknownNameError{What: "LSM", Name: w.lsm, Known: []string{"selinux", "none"}})
	}
	if w.pcr != 0 && (w.pcr < 8 || w.pcr > 14) {
		return errors.New("--measure-pcr is a number from 8 to 14, as CONFIG_IMA_MEASURE_PCR_IDX is")
	}
	return w.checkHash(config)
}

func (w *measuringKernel) checkHash(config *measure.Config) error {
	if w.hash == "" {
		return nil
	}
	unknown := &measure.UnknownNameError{What: "hash", Name: w.hash}
	for id := range uint8(math.MaxUint8) {
		algo, ok := ima.HashAlgoByID(id)
		// The ima template has room for digests of these two alone.
		fits := w.template != "ima" || algo == ima.SHA1 || algo == ima.MD5
		there := !slices.Contains(config.Unavailable, algo) && (algo < ima.SHA3_256 || config.Kernel.SHA3)
		if ok && algo.Available() && fits && there {
			unknown.Known = append(unknown.Known, algo.String())
		}
	}
	if slices.Contains(unknown.Known, w.hash) {
		return nil
	}
	if w.template == "ima" {
		unknown.What = "hash of the template ima"
	}
	return fmt.Errorf("--hash: %w", unknown)
}
