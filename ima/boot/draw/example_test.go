package draw_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/boot/draw"
)

// A machine whose TPM does not answer, as a picture. Its second line is the
// Story.
func ExampleSVG() {
	platform, err := boot.PlatformByName("pc-tis")
	if err != nil {
		panic(err)
	}
	result, err := boot.Run(context.Background(), platform, boot.Config{Strategy: boot.Late})
	if err != nil {
		panic(err)
	}
	var picture bytes.Buffer
	if err := draw.SVG(&picture, result, draw.Options{}); err != nil {
		panic(err)
	}
	fmt.Println(bytes.Contains(picture.Bytes(), []byte(draw.Story(result))))
	// Output: true
}
