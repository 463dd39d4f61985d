package imatrace

import (
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// ReadLayout returns the layout of an x86 kernel, from the BTF in its image
// (Documentation/arch/x86/boot.rst). It runs xz or zstd if the image is compressed so.
func ReadLayout(ctx context.Context, image string) (*Layout, error) {
	data, err := os.ReadFile(image)
	if err != nil {
		return nil, err
	}
	payload, err := payloadOf(data)
	if err != nil {
		return nil, err
	}
	vmlinux, err := decompress(ctx, payload)
	if err != nil {
		return nil, err
	}
	file, err := elf.NewFile(bytes.NewReader(vmlinux))
	if err != nil {
		return nil, fmt.Errorf("the kernel in %s: %w", image, err)
	}
	section := file.Section(".BTF")
	if section == nil {
		return nil, &LayoutError{image + " has none (CONFIG_DEBUG_INFO_BTF)"}
	}
	btf, err := section.Data()
	if err != nil {
		return nil, err
	}
	return ParseBTF(btf)
}

// payloadOf returns the compressed kernel in an image.
func payloadOf(image []byte) ([]byte, error) {
	const (
		setupSectors  = 0x1f1
		magic         = 0x202 // "HdrS"
		payloadOffset = 0x248
		payloadLength = 0x24c
		end           = 0x250
	)
	if len(image) < end || string(image[magic:magic+4]) != "HdrS" {
		return nil, &LayoutError{"the image is no bzImage"}
	}
	begin := (uint64(image[setupSectors])+1)*512 + uint64(binary.LittleEndian.Uint32(image[payloadOffset:]))
	payload, ok := part(image, begin, uint64(binary.LittleEndian.Uint32(image[payloadLength:])))
	if !ok {
		return nil, &LayoutError{"the image is cut off"}
	}
	return payload, nil
}

// vmlinuxMax bounds a kernel in bytes.
const vmlinuxMax = 512 << 20

// decompress returns the kernel. Four bytes follow the compressed data, its size.
func decompress(ctx context.Context, payload []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(payload, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(bytes.NewReader(payload))
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		return io.ReadAll(io.LimitReader(z, vmlinuxMax))
	case bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")):
		return throughProgram(ctx, payload, "xz", "--decompress", "--stdout", "--single-stream")
	case bytes.HasPrefix(payload, []byte("\x28\xb5\x2f\xfd")):
		return throughProgram(ctx, payload[:len(payload)-4], "zstd", "--decompress", "--stdout")
	}
	return nil, &LayoutError{"the image is compressed neither with gzip nor with xz nor with zstd"}
}

// throughProgram returns what a program makes of data. What it complains of after its
// output is the size that follows.
func throughProgram(ctx context.Context, data []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}
