package swtpm

// Command is the code of a control request.
type Command uint32

// The control requests.
const (
	CmdGetCapability       Command = 0x01
	CmdInit                Command = 0x02
	CmdShutdown            Command = 0x03
	CmdGetTPMEstablished   Command = 0x04
	CmdSetLocality         Command = 0x05
	CmdHashStart           Command = 0x06
	CmdHashData            Command = 0x07
	CmdHashEnd             Command = 0x08
	CmdCancelTPMCmd        Command = 0x09
	CmdStoreVolatile       Command = 0x0A
	CmdResetTPMEstablished Command = 0x0B
	CmdGetStateBlob        Command = 0x0C
	CmdSetStateBlob        Command = 0x0D
	CmdStop                Command = 0x0E
	CmdGetConfig           Command = 0x0F
	CmdSetDataFD           Command = 0x10
	CmdSetBufferSize       Command = 0x11
	CmdGetInfo             Command = 0x12
	CmdLockStorage         Command = 0x13
)
