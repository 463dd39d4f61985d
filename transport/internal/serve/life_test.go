package serve

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

type cause string

// A life ends once: what comes later does not change its reason.
func TestLife(t *testing.T) {
	l := NewLife[cause]()
	group := NewGroup(1, func(int) {})
	assert.Empty(t, l.Reason())
	assert.NoError(t, l.Ctx.Err())
	select {
	case <-l.Done():
		t.Error("ended already")
	default:
	}

	l.End("first", group)
	l.End("second", group)
	select {
	case <-l.Done():
	default:
		t.Fatal("not ended")
	}
	assert.Equal(t, cause("first"), l.Reason())
	assert.Error(t, l.Ctx.Err())
	assert.NoError(t, group.Wait(t.Context()))
}
