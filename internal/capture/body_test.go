package capture

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// Progress is that of the RDB: the mark behind it is no part of it, also where both come at once.
func TestProgressEndsWithTheRDB(t *testing.T) {
	t.Parallel()
	const size = 1000
	var told []int64
	b := &body{framing: Diskless, l: &link{in: bufio.NewReader(strings.NewReader(strings.Repeat("x", size+markSize)))}}
	b.onProgress = func(n, _ int64) { told = append(told, n) }
	if _, err := io.ReadFull(b, make([]byte, size+markSize)); err != nil {
		t.Fatal(err)
	}
	b.report(size, true)
	if len(told) < 2 || told[0] > size {
		t.Errorf("told of %d bytes, there are %d", told, size)
	}
}
