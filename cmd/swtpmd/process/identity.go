package process

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

// Identity is the user and the groups that a process has.
type Identity struct {
	Name     string // as it was asked for
	UID, GID int
	Groups   []int // the supplementary ones
	byGroup  bool  // a group was asked for
}

// ParseIdentity reads USER or USER:GROUP, each a name or a number. Without GROUP the
// groups of a user by name are those of the system's tables; a user by number has the
// group of the same number, as with swtpm's --runas.
func ParseIdentity(text string) (*Identity, error) {
	name, group, withGroup := strings.Cut(text, ":")
	id := &Identity{Name: text}
	uid, err := number(name)
	if err != nil {
		u, err := user.Lookup(name)
		if err != nil {
			return nil, fmt.Errorf("%w; a user of another table than /etc/passwd goes by number", err)
		}
		if uid, err = number(u.Uid); err != nil {
			return nil, err
		}
		if id.GID, err = number(u.Gid); err != nil {
			return nil, err
		}
		if id.Groups, err = groups(u); err != nil {
			return nil, err
		}
	} else {
		id.GID = uid
	}
	id.UID = uid
	if !withGroup {
		return id, nil
	}
	id.Groups, id.byGroup = nil, true
	if id.GID, err = number(group); err == nil {
		return id, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return nil, err
	}
	id.GID, err = number(g.Gid)
	return id, err
}

// number reads the number of a user or a group.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}

// groups returns the groups of a user.
func groups(u *user.User) ([]int, error) {
	texts, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	var list []int
	for _, text := range texts {
		n, err := number(text)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}
