package fleet_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func BenchmarkAdd(b *testing.B) {
	f, err := fleet.New(fleet.Options{Dir: transporttest.Dir(b)})
	require.NoError(b, err)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		require.NoError(b, f.Add(context.Background(), strconv.Itoa(i), fleet.Config{}))
	}
	b.StopTimer()
	require.NoError(b, f.Close(context.Background()))
}
