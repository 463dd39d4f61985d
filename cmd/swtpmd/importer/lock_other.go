//go:build !unix

package importer

// lockSwtpm does nothing: swtpm does not run here.
func lockSwtpm(string) (unlock func(), err error) { return func() {}, nil }
