package state

import "github.com/swtpmd/swtpmd/emulator/wire"

// MaxNVIndices bounds the number of NV indices.
const MaxNVIndices = 4096

// NVIndex is one NV index: its public area, authValue and data.
type NVIndex struct {
	Handle     wire.Handle
	NameAlg    wire.AlgID
	Attributes wire.NVAttributes
	Policy     TPM2B
	Auth       TPM2B
	Data       []byte // all of it, whether written or not
}

// Written reports whether the index has a value.
func (n *NVIndex) Written() bool { return n.Attributes&wire.NVWritten != 0 }

// Orderly reports whether only TPM2_Shutdown has to save the data of the index.
func (n *NVIndex) Orderly() bool { return n.Attributes&wire.NVOrderly != 0 }

// NV are the NV indices. The data of the orderly ones are in RAM: what a Store
// holds of them is as old as the last commit for another reason.
type NV struct {
	// MaxCounter is the highest value that a counter had when it was undefined.
	MaxCounter uint64
	Indices    []NVIndex // in ascending order of handle
}

// Undefined reports whether there is nothing to encode: no index, and none that
// has left a trace.
func (v *NV) Undefined() bool { return v.MaxCounter == 0 && len(v.Indices) == 0 }

func (v *NV) fields(c *coder) {
	c.u64(&v.MaxCounter)
	n := len(v.Indices)
	c.count(&n, MaxNVIndices)
	last := wire.Handle(0)
	for i := range n {
		if c.decode {
			if c.r.RC() != wire.RCSuccess || c.bad != "" {
				return // before memory is taken for what is not there
			}
			v.Indices = append(v.Indices, NVIndex{})
		}
		x := &v.Indices[i]
		x.fields(c)
		if x.Handle <= last || x.Handle.Type() != wire.HTNVIndex {
			c.refuse("NV indices are not in ascending order of handle")
		}
		last = x.Handle
	}
	if v.Undefined() {
		c.refuse("it is there though it is empty")
	}
}

func (n *NVIndex) fields(c *coder) {
	c.u32((*uint32)(&n.Handle))
	c.alg(&n.NameAlg)
	c.u32((*uint32)(&n.Attributes))
	if n.Attributes&wire.NVReserved != 0 {
		c.refuse("an NV index has attributes that do not exist")
	}
	c.tpm2b(&n.Policy, &n.Auth)
	size := uint16(len(n.Data))
	c.u16(&size)
	if c.decode {
		if int(size) > c.r.Len() {
			c.refuse("an NV index is cut short")
			return
		}
		n.Data = make([]byte, size)
	}
	c.bytes(n.Data)
	switch n.Attributes.Type() {
	case wire.NTCounter, wire.NTBits, wire.NTPinFail, wire.NTPinPass:
		if size != 8 {
			c.refuse("an NV index has the wrong size for its type")
		}
	}
}
