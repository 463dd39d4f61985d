package serve

// Serve serves what has come, which is its own until it returns. taken: it has. stays: the
// answer is to be written, and the connection stays in the loop.
type Serve func(got []byte) (answer []byte, taken, stays bool)

// Left is what a loop has left to the goroutine of a connection.
type Left struct {
	Got  []byte // what has come and was not taken, valid until the next Wait
	Rest []byte // of an answer, what was not written
}
