// Package require stands in for testify's.
package require

type TestingT interface {
	Errorf(format string, args ...any)
	FailNow()
}

func Eventually(t TestingT, condition func() bool) {
	if !condition() {
		t.FailNow()
	}
}

func NoError(t TestingT, err error) {
	if err != nil {
		t.FailNow()
	}
}
