package wire

import "slices"

// unknownNames keeps the alphabetically first names, whatever order they come in.
type unknownNames struct {
	count int
	names []string
}

func (u *unknownNames) add(name string) {
	u.count++
	if len(name) > maxUnknownBytes {
		name = name[:maxUnknownBytes]
	}
	at, _ := slices.BinarySearch(u.names, name)
	if at == maxUnknownNames {
		return
	}
	u.names = slices.Insert(u.names, at, name)
	if len(u.names) > maxUnknownNames {
		u.names = u.names[:maxUnknownNames]
	}
}

func (u *unknownNames) list() Unknown { return Unknown{Count: u.count, Names: u.names} }
