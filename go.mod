module github.com/swtpmd/swtpmd

go 1.26.0

require (
	filippo.io/bigmod v0.1.0
	github.com/fsnotify/fsnotify v1.10.1
	github.com/google/go-tpm v0.9.8
	golang.org/x/sys v0.49.0
)

// Tests only.
require (
	github.com/google/go-tpm-tools v0.4.11
	github.com/stretchr/testify v1.12.1
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
