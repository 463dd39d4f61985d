//go:build !unix

package transport

// readWhenReady reads a response.
func (d *DeviceNode) readWhenReady(response []byte) (int, error) { return d.file.Read(response) }
