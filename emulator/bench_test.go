package emulator_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// benchmark sends one command again and again to a TPM with the default
// platform, as a transport would, after others that prepare it.
func benchmark(b *testing.B, config emulator.Config, command []byte, before ...[]byte) {
	tpm, err := emulator.New(emulator.Platform{}, config)
	if err != nil {
		b.Fatal(err)
	}
	if err := tpm.Init(); err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	tpm.Send(ctx, 0, et.Command(wire.CCStartup, nil, nil, et.U16(0)))
	for _, c := range before {
		if rsp, err := tpm.Send(ctx, 0, c); err != nil || et.ResponseCode(rsp) != wire.RCSuccess {
			b.Fatal(err, et.ResponseCode(rsp))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		rsp, err := tpm.Send(ctx, 0, command)
		if err != nil || et.ResponseCode(rsp) != wire.RCSuccess {
			b.Fatal(err, et.ResponseCode(rsp))
		}
	}
}

func BenchmarkGetRandom16(b *testing.B) {
	benchmark(b, emulator.Config{}, et.Command(wire.CCGetRandom, nil, nil, et.U16(16)))
}

func BenchmarkPCRExtend(b *testing.B) {
	one := emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA256}}}
	all := []wire.HA{ha(wire.AlgSHA1, 1), ha(wire.AlgSHA256, 1), ha(wire.AlgSHA384, 1), ha(wire.AlgSHA512, 1)}
	b.Run("1of1", func(b *testing.B) { benchmark(b, one, extend(10, all[1])) })
	b.Run("1of4", func(b *testing.B) { benchmark(b, emulator.Config{}, extend(10, all[1])) })
	b.Run("4of4", func(b *testing.B) { benchmark(b, emulator.Config{}, extend(10, all...)) })
}

func BenchmarkPCRRead(b *testing.B) {
	benchmark(b, emulator.Config{}, et.Command(wire.CCPCRRead, nil, nil, et.Selection(wire.AlgSHA256, 10)))
}

func BenchmarkGetCapability(b *testing.B) {
	b.Run("property", func(b *testing.B) {
		benchmark(b, emulator.Config{}, getCapability(wire.CapTPMProperties, uint32(wire.PTTotalCommands), 1))
	})
	b.Run("commands", func(b *testing.B) { benchmark(b, emulator.Config{}, getCapability(wire.CapCommands, 0, 256)) })
	b.Run("pcrs", func(b *testing.B) { benchmark(b, emulator.Config{}, getCapability(wire.CapPCRs, 0, 1)) })
}

func BenchmarkHash64(b *testing.B) {
	benchmark(b, emulator.Config{}, hashCommand(make([]byte, 64), wire.AlgSHA256, wire.RHNull))
}

func BenchmarkNV(b *testing.B) {
	orderly := define(wire.RHOwner, nvPublic{attributes: usable(wire.NTCounter) | wire.NVOrderly}, nil)
	write, read := nvWrite(nvFirst, nvFirst, nil, make([]byte, 8), 0), nvRead(nvFirst, nvFirst, nil, 8, 0)
	b.Run("Read8", func(b *testing.B) { benchmark(b, emulator.Config{}, read, defined(0), write) })
	b.Run("Write8", func(b *testing.B) { benchmark(b, emulator.Config{}, write, defined(0)) })
	b.Run("Extend", func(b *testing.B) {
		benchmark(b, emulator.Config{}, nvDo(wire.CCNVExtend, nvFirst, et.Sized(make([]byte, 32))), defined(wire.NTExtend))
	})
	b.Run("IncrementOrderly", func(b *testing.B) {
		benchmark(b, emulator.Config{}, nvDo(wire.CCNVIncrement, nvFirst), orderly)
	})
	b.Run("ReadPublic", func(b *testing.B) {
		benchmark(b, emulator.Config{}, et.Command(wire.CCNVReadPublic, handles{nvFirst}, nil), defined(0))
	})
}

// started is a TPM with the default platform after TPM2_Startup.
func started(b *testing.B) *emulator.TPM {
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	if err == nil {
		err = tpm.Init()
	}
	if err == nil {
		_, err = tpm.Send(context.Background(), 0, et.Command(wire.CCStartup, nil, nil, et.U16(0)))
	}
	if err != nil {
		b.Fatal(err)
	}
	return tpm
}

// BenchmarkStart is a new TPM up to its first response.
func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		started(b)
	}
}

// BenchmarkIdle reports the memory of a TPM that has been started and does
// nothing, as the mean of a thousand.
func BenchmarkIdle(b *testing.B) {
	const engines = 1000
	for b.Loop() {
		var before, after runtime.MemStats
		list := make([]*emulator.TPM, engines)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range list {
			list[i] = started(b)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/engines/1024, "KiB/TPM")
		runtime.KeepAlive(list)
	}
}

// The response is all that a PCR_Extend allocates.
func TestPCRExtendAllocatesResponseOnly(t *testing.T) {
	tpm := et.New(t, et.Unchecked())
	ctx, command := context.Background(), extend(10, ha(wire.AlgSHA256, 1))
	n := testing.AllocsPerRun(100, func() { tpm.Send(ctx, 0, command) })
	if n != 1 {
		t.Errorf("%v allocations per TPM2_PCR_Extend", n)
	}
}

// BenchmarkLoadP256 is TPM2_Load of a signing key, and TPM2_FlushContext.
func BenchmarkLoadP256(b *testing.B) {
	tpm := started(b)
	send := func(command []byte) []byte {
		rsp, err := tpm.Send(context.Background(), 0, command)
		if err != nil || et.ResponseCode(rsp) != wire.RCSuccess {
			b.Fatal(err, et.ResponseCode(rsp))
		}
		return rsp
	}
	send(storagePrimary())
	load := loadChild(object, send(create(object, eccSigning().template(made), "", "")))
	flush := et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(object+1)))
	b.ReportAllocs()
	for b.Loop() {
		send(load)
		send(flush)
	}
}
