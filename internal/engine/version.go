package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// Version is an engine version such as 8.0.1. Parts that were not given are -1: "8" is {8, -1, -1}.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads "8", "8.0" or "8.0.1"; AWS's "6.x" counts as "6".
func ParseVersion(s string) (Version, error) {
	v := Version{-1, -1, -1}
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return v, fmt.Errorf("engine version %q has more than three parts", s)
	}
	dst := []*int{&v.Major, &v.Minor, &v.Patch}
	for i, p := range parts {
		if p == "x" && i == len(parts)-1 && i > 0 {
			break
		}
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return Version{-1, -1, -1}, fmt.Errorf("engine version %q is not of the form 8, 8.0 or 8.0.1", s)
		}
		*dst[i] = int(n)
	}
	return v, nil
}

func (v Version) String() string {
	s := strconv.Itoa(v.Major)
	if v.Minor >= 0 {
		s += "." + strconv.Itoa(v.Minor)
		if v.Patch >= 0 {
			s += "." + strconv.Itoa(v.Patch)
		}
	}
	return s
}

// Compare orders versions; a part that was not given counts as zero.
func (v Version) Compare(o Version) int {
	for _, d := range [3][2]int{{v.Major, o.Major}, {v.Minor, o.Minor}, {v.Patch, o.Patch}} {
		if a, b := max(d[0], 0), max(d[1], 0); a != b {
			if a < b {
				return -1
			}
			return 1
		}
	}
	return 0
}

// AtLeast tells whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool { return v.Compare(Version{major, minor, 0}) >= 0 }

// RDB says which snapshot files an engine version deals in.
type RDB struct {
	Writes int    // version in the header that it writes; 0 for an engine without RDB files
	Family string // magic: REDIS, or VALKEY from Valkey 9 on
}

// RDBOf is the RDB dialect of an engine version. A version without minor means the oldest of that major which AWS offers.
func RDBOf(e resource.Engine, v Version) RDB {
	switch e {
	case Valkey:
		switch {
		case v.AtLeast(9, 2):
			return RDB{81, "VALKEY"}
		case v.AtLeast(9, 0):
			return RDB{80, "VALKEY"}
		}
		return RDB{11, "REDIS"} // 7.2 to 8.1
	case Redis:
		r := RDB{Family: "REDIS"}
		switch {
		case v.AtLeast(8, 10):
			r.Writes = 15
		case v.AtLeast(8, 8):
			r.Writes = 14
		case v.AtLeast(8, 6):
			r.Writes = 13
		case v.AtLeast(7, 4):
			r.Writes = 12
		case v.AtLeast(7, 2):
			r.Writes = 11
		case v.AtLeast(7, 0):
			r.Writes = 10
		case v.AtLeast(5, 0):
			r.Writes = 9
		default:
			r.Writes = 8
		}
		return r
	}
	return RDB{}
}

// CanLoad tells whether an engine version, with its default settings, accepts a file whose header says version and family.
// Types inside the file may still be newer than the header says.
func CanLoad(e resource.Engine, v Version, family string, version int) bool {
	own := RDBOf(e, v)
	switch {
	case own.Writes == 0 || version < 1:
		return false
	case family == "VALKEY":
		return own.Family == "VALKEY" && version >= 80 && version <= own.Writes
	case family != "REDIS":
		return false
	case e == Valkey:
		return version <= 11 // 12 to 79 belong to Redis after the fork
	}
	return version <= own.Writes
}
