package measure

import (
	"errors"
	"fmt"
)

// Errno is a kernel's error number as IMA's functions give it, positive.
type Errno int

// The error numbers that IMA gives.
const (
	ENOENT   Errno = 2
	EIO      Errno = 5
	EBADF    Errno = 9
	EACCES   Errno = 13
	EBUSY    Errno = 16
	EEXIST   Errno = 17
	ENODEV   Errno = 19
	EINVAL   Errno = 22
	ENODATA  Errno = 61
	ESTALE   Errno = 116
	ENOPARAM Errno = 519
)

var errnoTexts = map[Errno]string{
	ENOENT: "ENOENT", EIO: "EIO", EBADF: "EBADF", EACCES: "EACCES", EBUSY: "EBUSY",
	EEXIST: "EEXIST", ENODEV: "ENODEV", EINVAL: "EINVAL", ENODATA: "ENODATA", ENOPARAM: "ENOPARAM",
}

func (e Errno) Error() string {
	if text, ok := errnoTexts[e]; ok {
		return text
	}
	return fmt.Sprintf("errno %d", int(e))
}

// errnoOf returns the number that the kernel would have for err: 0 for none.
func errnoOf(err error) int {
	var result ErrnoResult
	var errno Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &result):
		return result.ErrnoResult()
	case errors.As(err, &errno):
		return -int(errno)
	}
	return -int(EIO)
}
