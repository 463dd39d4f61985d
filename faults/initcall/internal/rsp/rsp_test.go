package rsp_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall/internal/rsp"
)

// peer is a stub that says what it says, whatever it is asked.
type peer struct {
	io.Reader
	sent bytes.Buffer
}

func (p *peer) Write(b []byte) (int, error) { return p.sent.Write(b) }

func says(text string) (*rsp.Conn, *peer) {
	p := &peer{Reader: strings.NewReader(text)}
	return rsp.NewConn(p), p
}

func TestCommandsAndAnswers(t *testing.T) {
	c, p := says("+$OK#9a")
	require.NoError(t, c.Do("Z1,ffffffff81000000,1"))
	assert.Equal(t, "$Z1,ffffffff81000000,1#cd+", p.sent.String())

	c, p = says("+$4c696e#a1" + "+$OK#9a")
	data, err := c.Bytes("m10,3", 3)
	require.NoError(t, err)
	assert.Equal(t, "Lin", string(data))
	assert.Equal(t, "$m10,3#2d+", p.sent.String())

	c, _ = says("$E14#aa")
	_, err = c.Command("m0,1")
	var refused *rsp.RefusedError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "E14", refused.Answer)
	assert.ErrorContains(t, err, "refuses m0,1: E14")

	c, _ = says("$#00")
	_, err = c.Command("p10")
	require.ErrorAs(t, err, &refused)
	assert.ErrorContains(t, err, "does not know p10")
}

// TestMemoryIsReadInPieces: QEMU's packets hold half of what is asked for at once.
func TestMemoryIsReadInPieces(t *testing.T) {
	first := strings.Repeat("00", 1024)
	c, p := says("$" + first + "#00" + "$7f#9d")
	data, err := c.Memory(0x1000, 1025)
	require.NoError(t, err)
	assert.Len(t, data, 1025)
	assert.Equal(t, byte(0x7f), data[1024])
	assert.Contains(t, p.sent.String(), "$m1000,400#")
	assert.Contains(t, p.sent.String(), "$m1400,1#")
}

// TestStopsBeforeTheFirstAnswer: they are of a guest that was stopped for the
// debugger, and whose command is not lost.
func TestStopsBeforeTheFirstAnswer(t *testing.T) {
	c, p := says("$T02thread:p01.01;#03" + "+$PacketSize=1000#f1")
	answer, err := c.First("qSupported")
	require.NoError(t, err)
	assert.Equal(t, "PacketSize=1000", answer)
	assert.Equal(t, 1, strings.Count(p.sent.String(), "qSupported"))
}

// TestACommandThatStopsTheGuest: its first byte was lost, so it is sent again.
func TestACommandThatStopsTheGuest(t *testing.T) {
	c, p := says("$T02thread:p01.01;#03" + "+$OK#9a")
	require.NoError(t, c.Do("z1,10,1"))
	assert.Equal(t, 2, strings.Count(p.sent.String(), "$z1,10,1#"))

	c, p = says(strings.Repeat("$S05#b8", 1000))
	var wrong *rsp.ProtocolError
	require.ErrorAs(t, c.Do("z1,10,1"), &wrong)
	assert.Less(t, strings.Count(p.sent.String(), "$z1,10,1#"), 100)
}

func TestStops(t *testing.T) {
	for _, c := range []struct {
		packet string
		want   rsp.Stop
	}{
		{"$T05thread:p01.02;#07", rsp.Stop{Signal: rsp.Trap, Thread: "p01.02"}},
		{"$T05thread:1;hwbreak:;#30", rsp.Stop{Signal: rsp.Trap, Thread: "1"}},
		{"+$S05#b8", rsp.Stop{Signal: rsp.Trap}},
		{"$T02thread:01;#04", rsp.Stop{Signal: 2, Thread: "01"}},
	} {
		conn, p := says(c.packet)
		got, err := conn.Wait()
		require.NoError(t, err, c.packet)
		assert.Equal(t, c.want, got)
		assert.Equal(t, "+", p.sent.String())
	}
	conn, _ := says("$W00#b7")
	_, err := conn.Wait()
	assert.ErrorIs(t, err, io.EOF)
}

func TestMalformedPackets(t *testing.T) {
	for _, packet := range []string{
		"$OK#9b",                             // checksum
		"$OK#zz",                             // no checksum
		"OK",                                 // no packet
		"-",                                  // our packet was refused
		strings.Repeat("+", 1000) + "$OK#9a", // too many acknowledgments
		"$" + strings.Repeat("0", 20_000) + "#00", // too long
		"$NO#9d", // not OK
	} {
		c, _ := says(packet)
		err := c.Do("z1,10,1")
		var wrong *rsp.ProtocolError
		require.ErrorAs(t, err, &wrong, "%.40q", packet)
		assert.Less(t, len(err.Error()), 250)
	}
	for _, packet := range []string{"", "+", "$OK", "$OK#", "$OK#9", "$"} {
		c, _ := says(packet)
		err := c.Do("z1,10,1")
		assert.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%q: %v", packet, err)
	}
	for _, answer := range []string{"$4c69#06", "$4c69zz#fa", "$4c6#cd"} {
		c, _ := says(answer)
		_, err := c.Bytes("m10,3", 3)
		var wrong *rsp.ProtocolError
		require.ErrorAs(t, err, &wrong, answer)
	}
	for _, stop := range []string{"$Txx#44", "$T05thread:../x;#a9", "$OK#9a", "$#00"} {
		c, _ := says(stop)
		_, err := c.Wait()
		var wrong *rsp.ProtocolError
		require.ErrorAs(t, err, &wrong, stop)
	}
}

// FuzzConn answers with any bytes: nothing breaks, nothing is without end, and
// what is returned keeps its bounds.
func FuzzConn(f *testing.F) {
	f.Add([]byte("$T05thread:p01.01;#06+$PacketSize=1000#f1+$OK#9a+$00#60"))
	f.Add([]byte("+$E14#aa$#00$W00#b7"))
	f.Add([]byte("$OK#9b----"))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		c, p := says(string(bytes))
		_, _ = c.First("qSupported")
		for range 100 {
			if err := c.Do("Z1,10,1"); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if data, err := c.Memory(16, 3000); err == nil {
				require.Len(t, data, 3000)
			}
			if stop, err := c.Wait(); err == nil {
				require.LessOrEqual(t, len(stop.Thread), len(bytes))
			}
		}
		require.Less(t, p.sent.Len(), 100*maxSent)
	})
}

// maxSent is more than one command sends, with all repetitions.
const maxSent = 4 << 10
