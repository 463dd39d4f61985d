// Package prediction compares the simulated boot with real ones.
//
// A [Cell] is one boot: a machine of the lab, how its kernel starts IMA, and how the TPM
// is late. Before a cell is booted, package ima/boot predicts it from the console and the
// measurement list of another cell, its [Evidence], which had its TPM on time. Then
// package lab boots it. A [Result] has both: the [Outcome] of each simulated boot and of
// each real one, counted where nothing orders IMA's look and the TPM's registration.
//
// Results and evidence are files that [Store] keeps, so a campaign can be interrupted and
// the predictions can be made again without any boot. [Table] writes the results as
// Markdown.
package prediction
