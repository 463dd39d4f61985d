package state

import "github.com/swtpmd/swtpmd/emulator/wire"

// coder walks over the fields of a struct in one order, writing or reading
// them, so that the two directions cannot differ.
type coder struct {
	decode  bool
	version uint16 // of the section
	w       wire.Writer
	r       wire.Reader
	bad     string // the first field that makes no sense
}

func (c *coder) refuse(what string) {
	if c.bad == "" {
		c.bad = what
	}
}

// failed reports whether what was read so far is no state.
func (c *coder) failed() bool { return c.bad != "" || c.decode && c.r.RC() != wire.RCSuccess }

// slice codes a byte string of at most max octets that has memory of its own.
func (c *coder) slice(p *[]byte, max int) {
	n := len(*p)
	c.count(&n, max)
	if c.decode {
		*p = append([]byte(nil), c.r.Bytes(n)...)
		return
	}
	c.w.Bytes(*p)
}

func (c *coder) u8(p *uint8) {
	if c.decode {
		*p = c.r.U8()
	} else {
		c.w.U8(*p)
	}
}

func (c *coder) u16(p *uint16) {
	if c.decode {
		*p = c.r.U16()
	} else {
		c.w.U16(*p)
	}
}

func (c *coder) u32(p *uint32) {
	if c.decode {
		*p = c.r.U32()
	} else {
		c.w.U32(*p)
	}
}

func (c *coder) u64(p *uint64) {
	if c.decode {
		*p = c.r.U64()
	} else {
		c.w.U64(*p)
	}
}

func (c *coder) i64(p *int64) {
	u := uint64(*p)
	c.u64(&u)
	*p = int64(u)
}

func (c *coder) bool(p *bool) {
	var v uint8
	if *p {
		v = 1
	}
	c.u8(&v)
	if v > 1 {
		c.refuse("a flag is neither 0 nor 1")
	}
	*p = v == 1
}

func (c *coder) alg(p *wire.AlgID) { c.u16((*uint16)(p)) }

// count codes the length of a list of at most max entries.
func (c *coder) count(p *int, max int) {
	n := uint16(*p)
	c.u16(&n)
	if int(n) > max {
		c.refuse("a list is too long")
		n = 0
	}
	*p = int(n)
}

func (c *coder) bytes(p []byte) {
	if c.decode {
		copy(p, c.r.Bytes(len(p)))
	} else {
		c.w.Bytes(p)
	}
}

// sized codes the first n octets of buf, with n before them.
func (c *coder) sized(n *uint8, buf []byte) {
	c.u8(n)
	if int(*n) > len(buf) {
		c.refuse("a byte string is too long")
		*n = 0
	}
	c.bytes(buf[:*n])
}

func (c *coder) tpm2b(list ...*TPM2B) {
	for _, b := range list {
		c.sized(&b.Size, b.Buf[:])
	}
}

func (c *coder) policy(list ...*Policy) {
	for _, p := range list {
		c.alg(&p.Alg)
		c.tpm2b(&p.Digest)
	}
}

func (c *coder) shutdown(p *Shutdown) {
	c.u8((*uint8)(p))
	if *p > ShutdownState {
		c.refuse("the kind of shutdown is not known")
	}
}

func (c *coder) selections(l *wire.PCRSelections) {
	c.count(&l.Count, wire.MaxHashes)
	for i := range l.Slice() {
		s := &l.List[i]
		c.alg(&s.Hash)
		c.u8(&s.Size)
		if s.Size != wire.PCRSelectMax {
			c.refuse("a PCR selection has the wrong size")
		}
		c.bytes(s.Select[:])
	}
}

func (p *Persistent) fields(c *coder) {
	c.tpm2b(&p.EPSeed, &p.SPSeed, &p.PPSeed, &p.EHProof, &p.SHProof, &p.PHProof)
	c.tpm2b(&p.OwnerAuth, &p.EndorsementAuth, &p.LockoutAuth)
	c.policy(&p.OwnerPolicy, &p.EndorsementPolicy, &p.LockoutPolicy)
	for i := range p.PCRPolicy {
		c.policy(&p.PCRPolicy[i])
	}
	c.bool(&p.DisableClear)
	c.shutdown(&p.Shutdown)
	c.bool(&p.ShutdownHCRTM)
	c.u8(&p.ShutdownLocality)
	c.u64(&p.TotalResetCount)
	c.u32(&p.ResetCount)
	c.selections(&p.Allocation)
	c.u32(&p.FailedTries)
	c.u32(&p.MaxTries)
	c.u32(&p.RecoveryTime)
	c.u32(&p.LockoutRecovery)
	c.bool(&p.LockoutAuthEnabled)
	c.u64(&p.AuditCounter)
	c.bool(&p.Established)
	if c.version >= 2 {
		c.bytes(p.PPCommands[:])
		c.bool(&p.DAUsed)
	}
	if c.version >= 3 {
		c.alg(&p.AuditAlg)
		c.bytes(p.AuditCommands[:])
		c.u32(&p.AlgorithmSet)
	}
}

func (o *Orderly) fields(c *coder) {
	c.u64(&o.Clock)
	c.bool(&o.Safe)
	c.u64(&o.Time)
	c.i64(&o.SelfHealTimer)
	c.i64(&o.LockoutTimer)
}

func (r *Reset) fields(c *coder) {
	c.tpm2b(&r.NullProof, &r.NullSeed)
	c.u32(&r.ClearCount)
	c.u32(&r.RestartCount)
	c.u64(&r.ObjectContextID)
	c.u32(&r.PCRUpdateCounter)
	if c.version >= 2 {
		c.tpm2b(&r.CommandAuditDigest)
		r.sessions(c)
		c.u64(&r.CommitCounter)
		c.tpm2b(&r.CommitNonce)
		c.bytes(r.CommitArray[:])
	}
}

func (s *Clear) fields(c *coder) {
	c.bool(&s.ShEnable)
	c.bool(&s.EhEnable)
	c.bool(&s.PhEnableNV)
	c.tpm2b(&s.PlatformAuth)
	c.policy(&s.PlatformPolicy)
	for i := range s.PCRAuth {
		c.tpm2b(&s.PCRAuth[i])
	}
	s.PCRs.fields(c, SavedPCRs)
	if c.version >= 2 {
		c.bool(&s.ReadOnly)
	}
}

// fields codes the first n PCRs of each bank.
func (p *PCRs) fields(c *coder, n int) {
	c.count(&p.Count, MaxBanks)
	for i := range p.Slice() {
		b := &p.Banks[i]
		c.alg(&b.Alg)
		c.u8(&b.Size)
		if b.Size > wire.MaxDigest {
			c.refuse("a PCR is too large")
			b.Size = 0
		}
		c.bytes(b.Allocated[:])
		if c.decode {
			b.values = make([]byte, n*int(b.Size))
		}
		c.bytes(b.values[:n*int(b.Size)])
	}
}
