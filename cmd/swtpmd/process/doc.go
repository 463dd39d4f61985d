// Package process does to the process of the daemon what the system has calls for: it
// sends it to the background, keeps its memory out of core dumps, and tells what the
// descriptors are that it was given.
package process
