// Package failpoint stops the process at named places, so that tests can prove that every step survives a crash.
//
// KEYFRAME_FAILPOINT=name kills the process (SIGKILL, as a power cut would) when the named place is reached;
// name:n does so at its n-th passing. Without the variable a place costs one comparison.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var armed = parse(os.Getenv("KEYFRAME_FAILPOINT"))

type point struct {
	name string
	left atomic.Int64
}

func parse(s string) *point {
	if s == "" {
		return nil
	}
	name, count, _ := strings.Cut(s, ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		n = 1
	}
	p := &point{name: name}
	p.left.Store(n)
	return p
}

// Hit marks a place. It returns, unless this place was armed and its turn has come.
func Hit(name string) {
	if armed == nil || armed.name != name || armed.left.Add(-1) != 0 {
		return
	}
	syscall.Kill(os.Getpid(), syscall.SIGKILL) //nolint:errcheck // nothing runs after it
	select {}
}
