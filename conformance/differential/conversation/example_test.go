package conversation_test

import (
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
)

func ExampleReadScript() {
	script, err := conversation.ReadScript(strings.NewReader("init\nsend 0 80010000000c000001440000\n"))
	fmt.Print(script)
	fmt.Println(err)
	// Output:
	// init
	// send 0 80010000000c000001440000 # Startup
	// <nil>
}
