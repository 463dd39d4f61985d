package transport

// NewDeviceNode is OpenDeviceNode of a file that is open already.
var NewDeviceNode = newDeviceNode

// Owed reports whether a response was not read yet.
func (d *DeviceNode) Owed() bool { return d.owed }

// Polled reports whether a wait for a response can be given up.
func (d *DeviceNode) Polled() bool { return d.polled }
