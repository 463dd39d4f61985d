module github.com/swtpmd/swtpmd/ima/cel/peers

go 1.26.0

require (
	github.com/fxamacker/cbor/v2 v2.10.0
	github.com/google/go-eventlog v0.0.2
	github.com/stretchr/testify v1.12.1
	github.com/swtpmd/swtpmd v0.0.0
)

require (
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/swtpmd/swtpmd => ../../..
