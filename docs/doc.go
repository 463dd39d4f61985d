// Package docs holds the documentation of the module and the tests that hold the
// module to it: who imports whom and what the shipped binary contains
// (architecture.md), and what the pages show and name.
package docs
