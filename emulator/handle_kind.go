package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// HandleKind is one of the TPMI_DH_*, TPMI_RH_* and TPMI_SH_* types that a
// handle of a command can have (Part 2, chapter "Interface Types").
type HandleKind uint8

// The kinds of handle. Null in a name is the "+" of Part 2: TPM_RH_NULL is
// accepted too.
const (
	NoHandle HandleKind = iota
	HandlePCR
	HandlePCRNull
	HandleObject
	HandleParent
	HandlePersistent
	HandleEntity
	HandleContext
	HandleSaved
	HandleHMACSession
	HandlePolicySession
	HandleAuthSessionNull
	HandleHierarchy
	HandleBaseHierarchy
	HandleEnables
	HandleHierarchyAuth
	HandleHierarchyPolicy
	HandlePlatform
	HandleOwnerNull
	HandleEndorsement
	HandleProvision
	HandleClear
	HandleLockout
	HandleNVAuth
	HandleNVIndex
	HandleNVDefinedIndex
	HandleAC
	HandleACT
	HandleObjectNull
	HandleEntityNull

	handleKinds = int(HandleEntityNull) + 1
)

// handleKind is one row of the table of handle kinds.
type handleKind struct {
	name      string
	types     []wire.HT     // handle types of which every handle is accepted
	permanent []wire.Handle // permanent handles that are accepted
}

var kinds = [handleKinds]handleKind{
	NoHandle:              {name: ""},
	HandlePCR:             {name: "TPMI_DH_PCR", types: []wire.HT{wire.HTPCR}},
	HandlePCRNull:         {name: "TPMI_DH_PCR+", types: []wire.HT{wire.HTPCR}, permanent: []wire.Handle{wire.RHNull}},
	HandleObject:          {name: "TPMI_DH_OBJECT", types: []wire.HT{wire.HTTransient, wire.HTPersistent}},
	HandleObjectNull:      {name: "TPMI_DH_OBJECT+", types: []wire.HT{wire.HTTransient, wire.HTPersistent}, permanent: []wire.Handle{wire.RHNull}},
	HandleParent:          {name: "TPMI_DH_PARENT", types: []wire.HT{wire.HTTransient, wire.HTPersistent}, permanent: []wire.Handle{wire.RHOwner, wire.RHPlatform, wire.RHEndorsement, wire.RHNull}},
	HandlePersistent:      {name: "TPMI_DH_PERSISTENT", types: []wire.HT{wire.HTPersistent}},
	HandleEntity:          {name: "TPMI_DH_ENTITY", types: []wire.HT{wire.HTTransient, wire.HTPersistent, wire.HTNVIndex, wire.HTPCR}, permanent: []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHPlatform, wire.RHLockout}},
	HandleEntityNull:      {name: "TPMI_DH_ENTITY+", types: []wire.HT{wire.HTTransient, wire.HTPersistent, wire.HTNVIndex, wire.HTPCR}, permanent: []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHPlatform, wire.RHLockout, wire.RHNull}},
	HandleContext:         {name: "TPMI_DH_CONTEXT", types: []wire.HT{wire.HTHMACSession, wire.HTPolicySession, wire.HTTransient}},
	HandleSaved:           {name: "TPMI_DH_SAVED", types: []wire.HT{wire.HTHMACSession, wire.HTPolicySession}, permanent: []wire.Handle{0x80000000, 0x80000001, 0x80000002}},
	HandleHMACSession:     {name: "TPMI_SH_HMAC", types: []wire.HT{wire.HTHMACSession}},
	HandlePolicySession:   {name: "TPMI_SH_POLICY", types: []wire.HT{wire.HTPolicySession}},
	HandleAuthSessionNull: {name: "TPMI_SH_AUTH_SESSION+", types: []wire.HT{wire.HTHMACSession, wire.HTPolicySession}, permanent: []wire.Handle{wire.RSPW, wire.RHNull}},
	HandleHierarchy:       {name: "TPMI_RH_HIERARCHY", permanent: []wire.Handle{wire.RHOwner, wire.RHPlatform, wire.RHEndorsement, wire.RHNull}},
	HandleBaseHierarchy:   {name: "TPMI_RH_BASE_HIERARCHY", permanent: []wire.Handle{wire.RHOwner, wire.RHPlatform, wire.RHEndorsement}},
	HandleEnables:         {name: "TPMI_RH_ENABLES", permanent: []wire.Handle{wire.RHOwner, wire.RHPlatform, wire.RHEndorsement, wire.RHPlatformNV}},
	HandleHierarchyAuth:   {name: "TPMI_RH_HIERARCHY_AUTH", permanent: []wire.Handle{wire.RHOwner, wire.RHPlatform, wire.RHEndorsement, wire.RHLockout}},
	HandleHierarchyPolicy: {name: "TPMI_RH_HIERARCHY_POLICY", permanent: []wire.Handle{wire.RHOwner, wire.RHPlatform, wire.RHEndorsement, wire.RHLockout}},
	HandlePlatform:        {name: "TPMI_RH_PLATFORM", permanent: []wire.Handle{wire.RHPlatform}},
	HandleOwnerNull:       {name: "TPMI_RH_OWNER+", permanent: []wire.Handle{wire.RHOwner, wire.RHNull}},
	HandleEndorsement:     {name: "TPMI_RH_ENDORSEMENT", permanent: []wire.Handle{wire.RHEndorsement}},
	HandleProvision:       {name: "TPMI_RH_PROVISION", permanent: []wire.Handle{wire.RHOwner, wire.RHPlatform}},
	HandleClear:           {name: "TPMI_RH_CLEAR", permanent: []wire.Handle{wire.RHLockout, wire.RHPlatform}},
	HandleLockout:         {name: "TPMI_RH_LOCKOUT", permanent: []wire.Handle{wire.RHLockout}},
	HandleNVAuth:          {name: "TPMI_RH_NV_AUTH", types: []wire.HT{wire.HTNVIndex}, permanent: []wire.Handle{wire.RHPlatform, wire.RHOwner}},
	// Without TPM2_NV_DefineSpace2 (rev 1.83) there are no external and no
	// permanent NV indices, and their handles are none, as in earlier revisions.
	HandleNVIndex:        {name: "TPMI_RH_NV_INDEX", types: []wire.HT{wire.HTNVIndex}},
	HandleNVDefinedIndex: {name: "TPMI_RH_NV_DEFINED_INDEX", types: []wire.HT{wire.HTNVIndex}},
	HandleAC:             {name: "TPMI_RH_AC", types: []wire.HT{wire.HTAC}},
	HandleACT:            {name: "TPMI_RH_ACT"},
}

// String is the name of the type in Part 2.
func (k HandleKind) String() string { return kinds[k].name }

// accepts reports whether h is of the kind. Its value alone decides, not whether it
// names anything.
func (k HandleKind) accepts(h wire.Handle) bool {
	row := &kinds[k]
	ht := h.Type()
	for _, want := range row.types {
		if ht == want {
			return ht != wire.HTPCR || h < wire.PCRFirst+wire.PCRCount
		}
	}
	for _, want := range row.permanent {
		if h == want {
			return true
		}
	}
	switch k {
	case HandleACT:
		return h >= wire.RHACT0 && h <= wire.RHACTF
	case HandleEntity, HandleEntityNull:
		return vendorAuth(h)
	}
	return false
}

// vendorAuth reports whether h is one of the handles for authorizations that a
// vendor defines. This TPM has none, but they are of the kinds that name them.
func vendorAuth(h wire.Handle) bool { return h >= wire.RHAuth00 && h <= wire.RHAuthFF }
