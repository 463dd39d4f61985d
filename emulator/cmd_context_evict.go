package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// evictControl is TPM2_EvictControl, of Part 3, chapter "Context Management": it
// makes a transient object persistent, or removes a persistent one. What is public only
// can be made persistent since version 185.
func (t *TPM) evictControl(c *call) wire.RC {
	h := c.handle(HandlePersistent)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	auth, e := c.entities[0].handle, &c.entities[1]
	o, persistent := e.object, e.handle.Type() == wire.HTPersistent
	if !o.loaded() || o.publicOnly() && !t.config.hasVersion185() || o.Flags&(state.ObjectTemporary|state.ObjectUntilRestart) != 0 {
		return c.badHandle(2, wire.RCAttributes)
	}
	if persistent && e.handle != h {
		return c.badHandle(2, wire.RCHandle)
	}
	if rc := evictRange(c, o, auth, h, persistent); rc != wire.RCSuccess {
		return rc
	}
	if persistent {
		if rc := t.needNV(); rc != wire.RCSuccess {
			return rc
		}
		t.removePersistent(func(p *state.PersistentObject) bool { return p.Handle == h })
		return wire.RCSuccess
	}
	at, taken := t.persistentPosition(h)
	if taken {
		return wire.RCNVDefined
	}
	if !t.persistentFits(o.Object) {
		return wire.RCNVSpace
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	t.makePersistent(at, h, o.Object)
	return wire.RCSuccess
}

// evictRange reports whether who authorizes may do it. The platform makes only its
// own objects persistent, in its own range, and removes any; the owner has the
// other range, and no business with the platform's objects.
func evictRange(c *call, o *object, auth, h wire.Handle, persistent bool) wire.RC {
	platform := o.Hierarchy == wire.RHPlatform
	if auth == wire.RHPlatform {
		switch {
		case persistent:
			return wire.RCSuccess
		case !platform:
			return c.badHandle(2, wire.RCHierarchy)
		case h < wire.PlatformPersist:
			return c.badParam(1, wire.RCRange)
		}
		return wire.RCSuccess
	}
	switch {
	case platform:
		return c.badHandle(2, wire.RCHierarchy)
	case !persistent && h >= wire.PlatformPersist:
		return c.badParam(1, wire.RCRange)
	}
	return wire.RCSuccess
}
