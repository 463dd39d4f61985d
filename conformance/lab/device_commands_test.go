package lab

import (
	"fmt"
	"strconv"
	"strings"
)

// deviceCommand is something that BenchmarkDevices measures.
type deviceCommand struct {
	name  string
	share int      // the repetitions of a round, in thousandths of SWTPMD_DEVICES_COMMANDS
	steps []string // see askdevice
}

// times returns how often a round repeats the steps.
func (c deviceCommand) times(commands int) string {
	return strconv.Itoa(max(1, commands*c.share/1000))
}

// short reports whether a TPM needs no time for the commands that counts beside that of
// their way.
func (c deviceCommand) short() bool { return c.share == 1000 }

const (
	// An authorization area with one session, the empty password.
	emptyPassword = "00000009" + "40000009" + "0000" + "00" + "0000"
	owner         = "40000001"
)

// Public areas (TPMT_PUBLIC, Part 2, 12.2.4, revision 1.59). Those of a storage root key
// are templates L-1 and L-2 of the TCG EK Credential Profile with the attributes of a
// storage root key (TCG TPM v2.0 Provisioning Guidance, revision 1.00, 7.5.1).
const (
	storage = "000b" + "00030472" + "0000" + "0006" + "0080" + "0043" + "0010" // AES-128 CFB, no scheme
	srkRSA  = "0001" + storage + "0800" + "00000000" + "0000"
	srkP256 = "0023" + storage + "0003" + "0010" + "0000" + "0000"

	signRSA  = "0001" + "000b" + "00040472" + "0000" + "0010" + "0014" + "000b" + "0800" + "00000000" + "0000" // RSASSA
	quoteRSA = "0001" + "000b" + "00050472" + "0000" + "0010" + "0014" + "000b" + "0800" + "00000000" + "0000" // restricted
	openRSA  = "0001" + "000b" + "00020472" + "0000" + "0010" + "0017" + "000b" + "0800" + "00000000" + "0000" // OAEP
	signP256 = "0023" + "000b" + "00040472" + "0000" + "0010" + "0018" + "000b" + "0003" + "0010" + "0000" + "0000"
	signP384 = "0023" + "000b" + "00040472" + "0000" + "0010" + "0018" + "000c" + "0004" + "0010" + "0000" + "0000"
)

// unlike is a template that has the number of the repetition as its unique field, so that
// another key comes of it each time.
func unlike(template string) string {
	if strings.HasPrefix(template, "0001") {
		return strings.TrimSuffix(template, "0000") + "0004{n}"
	}
	return strings.TrimSuffix(template, "00000000") + "0004{n}" + "0000"
}

// sized is a TPM2B of hexadecimal digits, in which each {n} is four bytes.
func sized(digits string) string {
	return fmt.Sprintf("%04x%s", len(strings.ReplaceAll(digits, "{n}", "00000000"))/2, digits)
}

// Commands (Part 3, revision 1.59), whose size fields askdevice writes.

func plainCommand(code, rest string) string { return "8001" + "00000000" + code + rest }

func authorized(code, handles, parameters string) string {
	return "8002" + "00000000" + code + handles + emptyPassword + parameters
}

// creation is the parameters of TPM2_Create and TPM2_CreatePrimary.
func creation(template string) string {
	return sized("0000"+"0000") + sized(template) + "0000" + "00000000"
}

func primaryKey(template string) string { return authorized("00000131", owner, creation(template)) }

func flush(name string) string { return plainCommand("00000165", "{"+name+"}") }

// withKey is the steps around a timed command of a key.
func withKey(template, command string) []string {
	return []string{"once:" + primaryKey(template) + ":key=handle", "time:" + command, "end:" + flush("key")}
}

// sign is TPM2_Sign of a digest with the scheme of the key.
func sign(digest int) string {
	return authorized("0000015d", "{key}", sized(strings.Repeat("5a", digest))+"0010"+"8024"+"40000007"+"0000")
}

// define is TPM2_NV_DefineSpace of an index with the empty password.
func define(index, attributes, size string) string {
	return authorized("0000012a", owner, "0000"+sized(index+"000b"+attributes+"0000"+size))
}

func undefine(index string) string { return authorized("00000122", owner+index, "") }

// deviceCommands are what BenchmarkDevices measures.
var deviceCommands = []deviceCommand{
	{"GetRandom", 1000, []string{"time:" + plainCommand("0000017b", "0010")}},
	{"PCR_Read", 1000, []string{"time:" + plainCommand("0000017e", "00000001"+"000b"+"03000001")}},
	{"PCR_Extend", 1000, []string{"time:" + authorized("00000182", "00000010", "00000001"+"000b"+strings.Repeat("5a", 32))}},
	{"GetCapability", 1000, []string{"time:" + plainCommand("0000017a", "00000006"+"00000105"+"00000001")}},

	{"CreatePrimary,RSA-2048,first", 50, []string{
		"time:" + primaryKey(unlike(srkRSA)) + ":key=handle", "each:" + flush("key"),
	}},
	{"CreatePrimary,RSA-2048,again", 50, []string{
		"once:" + primaryKey(srkRSA) + ":key=handle", "once:" + flush("key"),
		"time:" + primaryKey(srkRSA) + ":key=handle", "each:" + flush("key"),
	}},
	{"CreatePrimary,P-256,first", 200, []string{
		"time:" + primaryKey(unlike(srkP256)) + ":key=handle", "each:" + flush("key"),
	}},
	{"CreatePrimary,P-256,again", 200, []string{
		"once:" + primaryKey(srkP256) + ":key=handle", "once:" + flush("key"),
		"time:" + primaryKey(srkP256) + ":key=handle", "each:" + flush("key"),
	}},
	{"Create,RSA-2048", 50, []string{
		"once:" + primaryKey(srkP256) + ":parent=handle",
		"time:" + authorized("00000153", "{parent}", creation(signRSA)),
		"end:" + flush("parent"),
	}},
	{"Load,RSA-2048", 200, []string{
		"once:" + primaryKey(srkP256) + ":parent=handle",
		"once:" + authorized("00000153", "{parent}", creation(signRSA)) + ":blob=pair",
		"time:" + authorized("00000157", "{parent}", "{blob}") + ":key=handle", "each:" + flush("key"),
		"end:" + flush("parent"),
	}},
	{"Sign,RSA-2048", 200, withKey(signRSA, sign(32))},
	{"Quote,RSA-2048", 200, withKey(quoteRSA,
		authorized("00000158", "{key}", sized(strings.Repeat("a5", 20))+"0010"+"00000001"+"000b"+"03ff0000"))},
	{"RSA_Decrypt,RSA-2048", 200, []string{
		"once:" + primaryKey(openRSA) + ":key=handle",
		"once:" + plainCommand("00000174", "{key}"+sized(strings.Repeat("5a", 32))+"0010"+"0000") + ":secret=first",
		"time:" + authorized("00000159", "{key}", "{secret}"+"0010"+"0000"),
		"end:" + flush("key"),
	}},
	{"Sign,P-256", 200, withKey(signP256, sign(32))},
	{"Sign,P-384", 200, withKey(signP384, sign(48))},
	{"EC_Ephemeral,P-384", 200, []string{"time:" + plainCommand("0000018e", "0004")}},
	{"NV_Write", 1000, []string{
		"once:" + define("01800001", "02040004", "0040"),
		"time:" + authorized("00000137", "01800001"+"01800001", sized("{n}"+strings.Repeat("5a", 60))+"0000"),
		"end:" + undefine("01800001"),
	}},
	{"NV_Increment", 1000, []string{
		"once:" + define("01800002", "02040014", "0008"),
		"time:" + authorized("00000134", "01800002"+"01800002", ""),
		"end:" + undefine("01800002"),
	}},
}
