package verify_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log"
	"os"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// contents of a file of testdata.
func contents(name string) []byte {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		log.Fatal(err)
	}
	return b
}

// exampleEvidence is a list of testdata, with the PCR values read after it.
func exampleEvidence(list, pcrs string) verify.Evidence {
	var e verify.Evidence
	if err := json.Unmarshal(contents(pcrs), &e.PCRs); err != nil {
		log.Fatal(err)
	}
	reader, err := ima.Open(contents(list), ima.Format{})
	if err != nil {
		log.Fatal(err)
	}
	e.List = reader
	return e
}

// What does the list of a Debian machine show, whose PCRs we have read
// ourselves? The kernel is one that starts IMA at late, and nothing shows that
// it is the one that ran.
func ExampleVerify() {
	e := exampleEvidence("debian-6.1-exec.bin", "debian-6.1-exec.pcrs.json")
	e.Vouched = true
	e.Build = verify.Build{Strategy: verify.StrategyLate}
	v, err := verify.Verify(e)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range v.Findings {
		fmt.Printf("%s: %s (%s)\n", f.Severity, f.Code, f.Where())
	}
	// Output:
	// note: aggregate-match (record 1, sha256 PCR 0-9)
	// note: replay-match (record 4, sha1 PCR 10)
	// note: replay-match (record 4, sha256 PCR 10)
	// note: replay-match (record 4, sha384 PCR 10)
	// note: digests-padded (sha384 PCR 10)
	// note: replay-match (record 4, sha512 PCR 10)
	// note: digests-padded (sha512 PCR 10)
	// note: pcrs-vouched (PCRs)
	// note: before-start-unknown (build)
	// caution: build-unbound (build)
	// caution: on-time-claimed (record 1)
}

// A kernel that retries calls the boot aggregate what it was told to call it
// when it ran: the quote is genuine, the list gives the value of PCR 10, the boot
// aggregate is that of the PCRs, and still nobody knows when IMA started.
func ExamplePolicy_Appraise() {
	e := exampleEvidence("quotes/list.bin", "quotes/pcrs.json")
	block, _ := pem.Decode(contents("quotes/ecdsa-p256-sha256.pem"))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	e.Quote = &verify.Quote{
		Attest:    contents("quotes/ecdsa-p256-sha256.attest"),
		Signature: contents("quotes/ecdsa-p256-sha256.sig"),
		Key:       key,
		Nonce:     []byte("nonce of a test"),
	}
	e.Build = verify.Build{Strategy: verify.StrategyRetry, Bound: true}
	v, err := verify.Verify(e)
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range verify.PolicyNames() {
		policy, err := verify.PolicyByName(name)
		if err != nil {
			log.Fatal(err)
		}
		result := policy.Appraise(v)
		fmt.Printf("%s: %s\n", result.Policy, result.Outcome)
		for _, reason := range result.Decided {
			if reason.Outcome > verify.Accept {
				fmt.Printf("  %s: %s\n", reason.Codes[0], reason.Policy)
			}
		}
		for _, reason := range result.Tolerated {
			fmt.Printf("  tolerates %s: %s\n", reason.Codes[0], reason.Policy)
		}
	}
	// Output:
	// strict: cannot-tell
	//   on-time-bound: the measured build has to show when IMA started, not a name
	//   on-time-claimed: a name that a kernel chooses when it runs is worth what ran before it chose
	// accept-late: accept
	//   tolerates on-time-claimed: when IMA started is not asked
	// build-bound: cannot-tell
	//   on-time-bound: the build has to leave no choice of when IMA starts
	//   on-time-claimed: the build does not show when IMA started
}

// An attestation service has a policy of its own, as a file.
func ExampleParsePolicy() {
	policy, err := verify.ParsePolicy([]byte(`{
		"name": "replay only",
		"question": "Does the list give the value of the PCR?",
		"otherwise": "cannot-tell",
		"require": [{"any": ["replay-match"], "else": "reject", "reason": "it has to"}],
		"rules": [{"findings": ["bypass"], "outcome": "accept", "reason": "we have no TPM"}]
	}`))
	fmt.Println(policy, err)
	// Output:
	// <nil> appraisal policy, rule 1: bypass can be given cannot-tell at best: the boot aggregate is zero and the PCR at reset, so nothing was extended: TPM-bypass, or a TPM in field failure mode; the list is unauthenticated data of the running software
}

// A verdict, as a terminal shows it: the list that PowerVM sent has two boot
// aggregates, and what lies between them was recorded before late_sync.
func ExampleVerdict_Render() {
	list, err := ima.Open(contents("powervm_7.1.0-rc1_ima-sig_ascii_runtime_measurements"), ima.Format{})
	if err != nil {
		log.Fatal(err)
	}
	var value ima.Hex
	if err := value.UnmarshalText([]byte("4504e2524ea5b08575a2e476bf34f17fae7258509b31c34e60ce7f903781f4e4")); err != nil {
		log.Fatal(err)
	}
	v, err := verify.Verify(verify.Evidence{
		List:  list,
		PCRs:  ima.PCRs{ima.SHA256: {10: value}},
		Build: verify.Build{Strategy: verify.StrategyDual},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := v.Render(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// list: 32 records, 0 violations (ascii)
	// sha256 PCR 10: match at record 31, per-bank digests
	// note        list-ascii: list
	//             The list was read in its ASCII form, in which the kernel escapes
	//             nothing; only the binary form is unambiguous.
	// note        kernel-version: record 2
	//             The kernel recorded its release, "7.1.0-rc1+".
	// caution     several-aggregates: records 1, 31
	//             The list has 2 boot aggregates, under both names: a kernel records
	//             two that does so at late and again at late_sync, or kexec has
	//             started another one. A file has that name too if the kernel could
	//             not make its path.
	// caution     aggregate-unchecked: records 1, 31, sha256 PCR 0-9
	//             The boot aggregate cannot be compared: PCR 0-9 of bank sha256 were
	//             not given.
	// note        replay-match: record 31, sha256 PCR 10
	//             The list up to record 31 gives the value of PCR 10 in bank sha256
	//             (per-bank digests).
	// note        records-after: sha256 PCR 10
	//             For PCR 10 the list has 1 more after it, as it was read later than
	//             the PCR; nothing vouches for what follows yet.
	// caution     pcrs-unquoted: PCRs
	//             No quote covers the PCR values, so anybody can have made them.
	// note        before-start-unknown: build
	//             Nothing is known of files used before IMA started; its hooks record
	//             nothing until then.
	// caution     build-unbound: build
	//             Nothing shows that the build named is the one that ran.
	// caution     gap-unproven: records 2-9 … (29)
	//             A kernel that starts IMA at late and records a second boot aggregate
	//             at late_sync recorded both; what lies between are 29 records.
	//             Nothing shows that they were extended when they were recorded; until
	//             then they were memory that who was in it could change, so they may
	//             be incomplete.
}
