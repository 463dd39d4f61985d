// Package draw makes pictures and tables of simulated boots (package boot): what
// the initcalls, the driver core, the TPM and IMA did on one time axis, and what
// came of every strategy on every platform.
//
//	svg.go                   a boot as SVG: what is in the picture, and its frame
//	timeline.go              events of a boot, paired to what lasts
//	axis.go ticks.go         time to places, linear by pieces
//	strips.go records.go     what is drawn, line by line
//	deferral.go              when the TPM was away
//	legend.go                what the shapes mean
//	layout.go                labels that do not overlap
//	breaks.go                lines that do not cross them
//	marks.go                 shapes and colors
//	story.go                 what happened, in a sentence
//	text.go                  names, times and results as text
//	matrix.go html.go        strategies by platforms, as a page
//	table.go                 the same for a terminal
//
// The words are the kernel's: initcall levels and functions as initcall_debug
// prints them (init/main.c), probes as drivers/base/dd.c does, records as IMA
// names them (security/integrity/ima). Times are virtual, since power-on.
//
// Nothing here has state or asks for the time of day: the same input gives the
// same bytes, on every machine.
package draw
