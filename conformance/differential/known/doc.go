// Package known lists the known differences between the module's emulator and the
// references, each with its reason. [Differences], in list.go, is the list; the
// other files are the questions that its entries ask about a [Case].
package known
