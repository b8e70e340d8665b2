package cli

import (
	stdbytes "bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyframe/keyframe/rdb"
)

// Engines take expiries, and files tell times, that JSON has no form for.
func TestTimesBeyondJSON(t *testing.T) {
	t.Parallel()
	path := put(t, "a.rdb", file(t, 12,
		pair{"late", math.MaxInt64, rdb.String("v")}, pair{"early", math.MinInt64, rdb.String("v")},
		pair{"h", 0, rdb.Hash{{Name: []byte("f"), Value: []byte("v"), ExpireAt: 1<<47 - 1}}},
		pair{"s", 0, &rdb.Stream{StreamState: rdb.StreamState{Groups: []rdb.Group{{Name: []byte("g"), Pending: []rdb.Pending{{ID: rdb.StreamID{Ms: 1}, DeliveredAt: math.MinInt64}},
			Consumers: []rdb.Consumer{{Name: []byte("c"), SeenAt: math.MaxInt64, Pending: []rdb.StreamID{{Ms: 1}}}}}}}}}))
	want(t, 0, []string{`"9999-12-31T`, `"0001-01-01T`}, "rdb", "keys", "-o", "json", path)
	for _, key := range []string{"late", "early", "h", "s"} {
		want(t, 0, nil, "rdb", "get", "-o", "json", path, key)
	}
	want(t, 1, nil, "rdb", "diff", "-o", "json", path, put(t, "b.rdb", file(t, 12)))
}

// canceling cancels at the first write.
type canceling struct {
	cancel func()
	n      int
}

func (c *canceling) Write(p []byte) (int, error) {
	c.cancel()
	c.n += len(p)
	return len(p), nil
}

// What is shown of one value can be long without anything being read meanwhile.
func TestGetStops(t *testing.T) {
	t.Parallel()
	path := put(t, "a.rdb", file(t, 11, pair{"k", 0, rdb.List{stdbytes.Repeat([]byte{0}, 1<<20)}}))
	ctx, cancel := context.WithCancel(t.Context())
	out := &canceling{cancel: cancel}
	s := &session{out: out, err: new(stdbytes.Buffer), output: "table"}
	err := s.fileOpener()(ctx, []string{path}, func(all []*records) error { return s.get(ctx, all[0], []byte("k"), getFlags{}) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v after %d bytes", err, out.n)
	}
}

// Opening a named pipe that nobody writes to ends with the context.
func TestNamedPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &session{}
	ended := make(chan error, 1)
	go func() {
		ended <- s.fileOpener()(ctx, []string{path}, func(all []*records) error {
			_, err := all[0].streams[0].scan(ctx, nil, rdb.Options{})
			return err
		})
	}()
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it still waits")
	}
	if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil { // whoever opens it at last goes on
		f.Close()
	}
}

// Names of files are other people's words.
func TestProgressIsVisible(t *testing.T) {
	t.Parallel()
	s := &session{}
	if b := s.progress("check a\x1b[2J\n.rdb"); strings.ContainsAny(b.what, "\x1b\n") {
		t.Errorf("%q", b.what)
	}
}
