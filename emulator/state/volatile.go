package state

import "github.com/swtpmd/swtpmd/emulator/wire"

func (v *Volatile) fields(c *coder) {
	c.bool(&v.Started)
	c.bool(&v.HCRTM)
	c.u8(&v.StartupLocality)
	c.shutdown(&v.PreviousShutdown)
	c.bool(&v.PhEnable)
	c.bool(&v.Reconfigured)
	c.u64(&v.Time)
	adjust := uint32(v.RateAdjust)
	c.u32(&adjust)
	v.RateAdjust = int32(adjust)
	c.bytes(v.DRBG.Key[:])
	c.bytes(v.DRBG.V[:])
	c.u64(&v.DRBG.Reseeds)
	v.PCRs.fields(c, wire.PCRCount)
	v.objects(c)
	c.bool(&v.DAPending)
	c.algs(&v.SelfTested)
	c.u32((*uint32)(&v.ExclusiveSession))
	c.u32(&v.FailureCode)
	if c.version >= 2 {
		v.sessions(c)
		c.u64(&v.TimeEpoch)
		c.u64(&v.Fraction)
		c.u32(&v.BufferSize)
	}
}

func (v *Volatile) objects(c *coder) {
	n := len(v.Objects)
	c.count(&n, MaxObjects)
	if c.decode {
		v.Objects = make([]Object, n)
	}
	for i := range v.Objects {
		v.Objects[i].fields(c)
	}
	c.u16(&v.DRTMSlot)
	if int(v.DRTMSlot) > n {
		c.refuse("the hash sequence is in a slot that is not there")
		v.DRTMSlot = 0
	}
}

func (c *coder) algs(list *[]wire.AlgID) {
	n := len(*list)
	c.count(&n, 256)
	if c.decode {
		*list = make([]wire.AlgID, n)
	}
	for i := range *list {
		c.alg(&(*list)[i])
	}
}
