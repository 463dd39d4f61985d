// Package generator draws scripts. It plays each step on the reference at once and
// keeps a model of the state that the step leaves, so that most commands refer to
// handles that exist and carry the right authorization values.
//
// The layers of a campaign are the methods of [Source]: Packets draws single
// commands, sound and broken in every way the command format allows; Sequence draws
// commands that build state; Power draws boots, localities and DRTM sequences.
//
// How a command is drawn is its recipe; the files recipes*.go have the tables.
package generator
