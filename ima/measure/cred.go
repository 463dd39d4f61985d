package measure

// Cred are the credentials of a task. The zero value is root without the two
// capabilities; the hooks take nil for the kernel itself, which is root with
// them.
type Cred struct {
	UID, EUID, SUID uint32
	GID, EGID, SGID uint32
	// CapSetUID and CapSetGID are capabilities, with which euid= and egid=
	// look at all of the task's ids.
	CapSetUID, CapSetGID bool
	Label                Label
}

// Label is an LSM's label.
type Label struct{ User, Role, Type string }

// kernelCred is who the kernel itself is.
var kernelCred = Cred{CapSetUID: true, CapSetGID: true}

func (c *Cred) orKernel() *Cred {
	if c == nil {
		return &kernelCred
	}
	return c
}
