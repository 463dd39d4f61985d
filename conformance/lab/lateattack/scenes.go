// Package lateattack shows, with real boots of the lab's guest, what a program can do that
// runs before IMA starts, and what a verifier can and cannot notice of it.
//
// The kernel runs /sbin/modprobe by itself while it boots: here its driver for the board's
// flash asks for a module. Somebody who can change the initramfs, or whatever holds
// modprobe, and not the kernel, puts a program there. The program leaves a process with
// the rights of root and a changed file, and puts the honest modprobe back. Each [Scene]
// is booted twice, with the honest modprobe and with the program; the two lists, the
// two PCRs 10 and the verifier's opinions are compared.
//
// It is a demonstration for people who must decide when IMA starts in their kernel. The
// program exploits nothing: it is run by the kernel as root, as modprobe is, and all that
// it changes is in the memory of a guest that ends.
package lateattack

import (
	_ "embed"
	"strings"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/ima/verify"
)

//go:embed flash.dts
var flashTree string

//go:embed honest.sh
var honest string

//go:embed program.sh
var programText string

// program is the program with the honest text in it.
func program() []byte {
	return []byte(strings.Replace(programText, "HONEST_TEXT\n", honest, 1))
}

// tpmTree is the device tree in which the kernel defers the TPM to
// deferred_probe_initcall.
const tpmTree = "regulator-gpio"

// Scene is a machine on which the program runs, and what comes of it.
type Scene struct {
	Name string `json:"name"`
	// LateSync reports that IMA starts at late_sync, by a kernel like one with
	// CONFIG_IMA_INIT_LATE_SYNC, and not at late.
	LateSync bool `json:"ima_late_sync"`
	// Deferred reports that the TPM binds at late, after init_ima's place there.
	Deferred bool `json:"tpm_deferred"`
	// Gap reports that the kernel runs modprobe at late, after init_ima's place there and
	// before late_sync. Otherwise it does so at device, before both.
	Gap bool `json:"in_gap"`
	// Teaches is what the scene shows.
	Teaches string `json:"teaches"`

	// Recorded reports that a record tells of the program, Vouched that PCR 10 holds the
	// list.
	Recorded bool `json:"recorded"`
	Vouched  bool `json:"vouched"`
	// Opinions are those of the policies. The board has no firmware that measures, so
	// nothing binds the kernel's build: strict and build-bound accept no list of it.
	Opinions map[string]verify.Outcome `json:"opinions"`
}

// Kernel returns the name of the scene's kernel for scripts/kernel-lab. It has loadable
// modules: without them a kernel never runs modprobe.
func (s Scene) Kernel() string {
	if s.LateSync {
		return "arm64-6.1-late_sync-modules"
	}
	return "arm64-6.1-late-modules"
}

// tree returns what is added to the machine's device tree.
func (s Scene) tree() (string, error) {
	var tree string
	if s.Deferred {
		var err error
		if tree, err = lab.Tree(tpmTree); err != nil {
			return "", err
		}
	}
	if s.Gap {
		tree += flashTree
	}
	return tree, nil
}

// build is what a verifier knows of the kernel: when it starts IMA, and that the measured
// boot has shown this kernel to run.
func (s Scene) build() verify.Build {
	if s.LateSync {
		return verify.Build{InitLateSync: verify.SettingOn, Bound: true}
	}
	return verify.Build{Strategy: verify.StrategyLate, Bound: true}
}

// Policies are the names of the policies that are asked.
func Policies() []string { return []string{"strict", "build-bound", "accept-late"} }

func opinions(strict, buildBound, acceptLate verify.Outcome) map[string]verify.Outcome {
	return map[string]verify.Outcome{"strict": strict, "build-bound": buildBound, "accept-late": acceptLate}
}

// Scenes returns the scenes.
func Scenes() []Scene {
	clean := opinions(verify.CannotTell, verify.CannotTell, verify.Accept)
	late := opinions(verify.Reject, verify.CannotTell, verify.Accept)
	bypass := opinions(verify.Reject, verify.CannotTell, verify.CannotTell)
	return []Scene{
		{Name: "late-on-time", Gap: true, Recorded: true, Vouched: true, Opinions: clean,
			Teaches: "IMA at late with its TPM: the program is in the list, and in the PCR before it ran. Whoever compares the records with reference values sees it; no policy about the list alone does."},
		{Name: "late-deferred", Deferred: true, Gap: true, Recorded: true, Opinions: bypass,
			Teaches: "IMA at late, the TPM deferred: TPM-bypass. The record is nothing but memory of a kernel that the program, being root, could have changed. That nothing vouches for the list is what a verifier sees."},
		{Name: "late_sync-deferred", LateSync: true, Deferred: true, Gap: true, Vouched: true, Opinions: late,
			Teaches: "IMA at late_sync, the same machine: the TPM vouches for a list without the program. Only a policy that asks when IMA started refuses it, and refuses every boot of that kernel."},
		{Name: "late_sync-on-time", LateSync: true, Gap: true, Vouched: true, Opinions: late,
			Teaches: "IMA at late_sync, the TPM on time: the program that a start at late would have recorded is not recorded. The option opens the window on machines that do not need it."},
		{Name: "late-before", Vouched: true, Opinions: clean,
			Teaches: "IMA at late with its TPM, and the program runs at device: no start of IMA at an initcall of late or after sees it, and no policy asks. What the firmware or boot loader measures of the initramfs does."},
	}
}
