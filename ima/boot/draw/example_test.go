package draw_test

import (
	"bytes"
	"context"
	"fmt"
	"os"

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

// The same machine without a TPM under two strategies.
func ExampleTable() {
	platform, err := boot.PlatformByName("no-tpm")
	if err != nil {
		panic(err)
	}
	row := draw.Row{Platform: platform.Name, Title: platform.Title}
	for _, strategy := range []boot.Strategy{boot.Late, boot.Notifier} {
		result, err := boot.Run(context.Background(), platform, boot.Config{Strategy: strategy})
		if err != nil {
			panic(err)
		}
		row.Cells = append(row.Cells, draw.Cell{Strategy: strategy, Peaceful: draw.Outcome{Boot: result}})
	}
	if err := draw.Table(os.Stdout, row); err != nil {
		panic(err)
	}
	// Output:
	// platform strategy kept not ext. lost denied IMA    boot_aggregate policies attack
	// no-tpm   late     4    4        0    0      bypass zero                    none
	//          notifier 0    0        3    0      never  none                    none
}
