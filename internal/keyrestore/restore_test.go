package keyrestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// fileOf writes an RDB file of version 12.
func fileOf(t *testing.T, write func(w *rdb.Writer) error) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := rdb.NewWriter(&out, rdb.WriterOptions{Version: 12})
	if err == nil {
		err = write(w)
	}
	if err == nil {
		_, err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func numbered(n int) func(w *rdb.Writer) error {
	return func(w *rdb.Writer) error {
		for i := range n {
			if err := w.Write(rdb.Meta{Key: fmt.Appendf(nil, "key:%d", i), ExpireAt: int64(i%2) * 1999999999000}, rdb.String(strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	}
}

// connect asks an engine for itself, and ends with the test.
func connect(t *testing.T, target Target) *Engine {
	t.Helper()
	e, err := Connect(kftest.Context(t), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// feed adds all records of a file.
func feed(ctx context.Context, r *Run, file []byte) error {
	position := int64(-1)
	_, err := rdb.NewScanner(bytes.NewReader(file), rdb.Options{Keys: true, OnValue: func(rec *rdb.Record, v *rdb.Value) error {
		position++
		return r.Add(ctx, rec, v, position)
	}}).Scan()
	if err == nil {
		err = r.Flush(ctx)
	}
	return err
}

func restoreAll(t *testing.T, e *Engine, o Options, file []byte) *Run {
	t.Helper()
	r := NewRun(e, o)
	if err := feed(kftest.Context(t), r, file); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, resource.Valkey, 3, 0)
	const n = 1500
	file := fileOf(t, numbered(n))
	e := connect(t, Target{Address: nodes[1].Addr()})
	if !e.Cluster || e.Kind != resource.Valkey {
		t.Fatalf("%+v", e)
	}
	e.primary = [rdb.Slots]string{} // so that every key of another node is sent to the wrong one first
	r := restoreAll(t, e, Options{DB: -1, Conflict: Fail}, file)
	if r.Report.Restored != n || r.Report.Present != n || r.Report.Failed+r.Report.Skipped != 0 {
		t.Errorf("%+v", r.Report)
	}
	var sum int64
	for _, node := range nodes {
		size := node.Do(t, "DBSIZE").Int
		if sum += size; size < n/6 {
			t.Errorf("a node has %d keys", size)
		}
	}
	if sum != n {
		t.Errorf("the cluster has %d keys", sum)
	}
	r = restoreAll(t, e, Options{DB: -1, Conflict: Skip}, file)
	if r.Report.Skipped != n || r.Report.Restored != 0 || len(r.Conflicts) != maxFailures {
		t.Errorf("%+v", r.Report)
	}
}

// A key of a slot that is moving goes to the node that it moves to, as the old one says.
func TestMovingSlot(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, resource.Valkey, 2, 0)
	const key = "k"
	slot := strconv.Itoa(rdb.KeySlot([]byte(key)))
	e := connect(t, Target{Address: nodes[0].Addr()})
	from, to := nodes[0], nodes[1]
	if e.home(rdb.KeySlot([]byte(key))) == to.Addr() {
		from, to = to, from
	}
	id := func(n *kftest.Node) string { return n.Do(t, "CLUSTER", "MYID").Str }
	to.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(from))
	from.Do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(to))
	r := restoreAll(t, e, Options{DB: -1, Conflict: Fail}, fileOf(t, func(w *rdb.Writer) error { return w.Write(rdb.Meta{Key: []byte(key)}, rdb.String("v")) }))
	if r.Report.Restored != 1 || r.Report.Present != 1 {
		t.Errorf("%+v", r.Report)
	}
	if n := to.Do(t, "CLUSTER", "COUNTKEYSINSLOT", slot).Int; n != 1 {
		t.Errorf("the new node has %d keys", n)
	}
}

// An engine of another family and of an older version gets every type that it can have, and is told which it cannot.
func TestOlderEngine(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, resource.Redis)
	big := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
	var members rdb.Set
	for i := range 100 {
		members = append(members, fmt.Appendf(nil, "member %d", i))
	}
	file := fileOf(t, func(w *rdb.Writer) error {
		stream := &rdb.Stream{Entries: []rdb.StreamEntry{{ID: rdb.StreamID{Ms: 1, Seq: 1}, Fields: []rdb.Pair{{Name: []byte("f"), Value: []byte("v")}}}}}
		for _, x := range []struct {
			key string
			d   rdb.Data
		}{
			{"string", rdb.String("v")}, {"list", rdb.List{[]byte("a"), []byte("b")}}, {"set", members}, {"zset", rdb.SortedSet{{Text: []byte("m"), Score: 1.5}}},
			{"hash", rdb.Hash{{Name: []byte("f"), Value: []byte("v")}}}, {"stream", stream},
			{"expiring fields", rdb.Hash{{Name: []byte("f"), Value: []byte("v"), ExpireAt: 1999999999000}}},
		} {
			if err := w.Write(rdb.Meta{Key: []byte(x.key)}, x.d); err != nil {
				return err
			}
		}
		if err := w.Write(rdb.Meta{Key: []byte("expired"), ExpireAt: 1}, rdb.String("v")); err != nil {
			return err
		}
		return w.WriteString(rdb.Meta{Key: []byte("big")}, int64(len(big)), bytes.NewReader(big))
	})
	dir := t.TempDir()
	r := restoreAll(t, connect(t, Target{Address: n.Addr()}), Options{DB: 5, Conflict: Fail, Dir: dir}, file)
	if r.Report.Restored != 7 || r.Report.Present != 7 || r.Report.Expired != 1 || r.Report.Failed != 1 || r.Report.Converted < 2 {
		t.Errorf("%+v", r.Report)
	}
	if len(r.Failures) != 1 || string(r.Failures[0].Key) != "expiring fields" || !strings.Contains(r.Failures[0].Reason, "12") {
		t.Errorf("%+v", r.Failures)
	}
	c := n.Admin(t)
	for _, x := range []struct {
		want string
		args []string
	}{
		{"v", []string{"GET", "string"}}, {"2", []string{"LLEN", "list"}}, {"100", []string{"SCARD", "set"}}, {"1.5", []string{"ZSCORE", "zset", "m"}},
		{"v", []string{"HGET", "hash", "f"}}, {"1", []string{"XLEN", "stream"}}, {strconv.Itoa(len(big)), []string{"STRLEN", "big"}}, {"7", []string{"DBSIZE"}},
	} {
		answers, err := c.Pipeline(kftest.Context(t), []string{"SELECT", "5"}, x.args)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := answers[1].Text(); err != nil || got != x.want {
			t.Errorf("%v: %q, %v", x.args, got, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left behind, %v", len(left), err)
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, resource.Valkey)
	n.Do(t, "SET", "key:7", "mine")
	file := fileOf(t, numbered(10))
	e := connect(t, Target{Address: n.Addr()})
	value := func() string { return n.Do(t, "GET", "key:7").Str }
	for _, dry := range []bool{true, false} {
		var conflict *ConflictError
		if err := feed(kftest.Context(t), NewRun(e, Options{DB: -1, Conflict: Fail, DryRun: dry}), file); !errors.As(err, &conflict) || string(conflict.Key) != "key:7" {
			t.Fatalf("dry %v: %v", dry, err)
		}
		if got := n.Do(t, "DBSIZE").Int; dry && got != 1 {
			t.Fatalf("a dry run wrote %d keys", got-1)
		}
	}
	n.Do(t, "FLUSHALL")
	n.Do(t, "SET", "key:7", "mine")
	r := restoreAll(t, e, Options{DB: -1, Conflict: Skip}, file)
	if r.Report.Skipped != 1 || r.Report.Restored != 9 || value() != "mine" {
		t.Errorf("skip: %+v, %q", r.Report, value())
	}
	r = restoreAll(t, e, Options{DB: -1, Conflict: Replace, DryRun: true}, file)
	if r.Report.Replaced != 10 || r.Report.Restored != 10 || value() != "mine" {
		t.Errorf("replace, dry: %+v, %q", r.Report, value())
	}
	r = restoreAll(t, e, Options{DB: -1, Conflict: Replace}, file)
	if r.Report.Restored != 10 || value() != "7" {
		t.Errorf("replace: %+v, %q", r.Report, value())
	}
	if at := n.Do(t, "PEXPIRETIME", "key:7").Int; at != 1999999999000 {
		t.Errorf("expires at %d", at)
	}
	n.Do(t, "FLUSHALL")
	r = restoreAll(t, e, Options{DB: -1, Conflict: Fail, Least: 2}, fileOf(t, func(w *rdb.Writer) error {
		return errors.Join(w.Write(rdb.Meta{Key: []byte("small")}, rdb.String("")), w.Write(rdb.Meta{Key: []byte("large")}, rdb.String("large")))
	}))
	if r.Report.Restored != 1 || n.Do(t, "EXISTS", "large").Int != 1 {
		t.Errorf("least size: %+v", r.Report)
	}
}

func TestRateAndCancel(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, resource.Valkey)
	file := fileOf(t, numbered(40))
	e := connect(t, Target{Address: n.Addr()})
	start := time.Now()
	restoreAll(t, e, Options{DB: -1, Conflict: Fail, Keys: 100}, file)
	if d := time.Since(start); d < 250*time.Millisecond {
		t.Errorf("40 keys at 100 a second took %s", d)
	}
	p := &pace{bytes: 1000}
	if keys, size := p.batch(); keys != batchKeys || size != 100 {
		t.Errorf("batches of %d keys, %d bytes", keys, size)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := feed(ctx, NewRun(e, Options{DB: -1, Conflict: Replace, Keys: 1}), file); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled while it waits: %v", err)
	}
}

// Whoever gives the next piece its time, when the context has just ended, does not wait for an engine that is mute.
func TestCancelAtAMuteEngine(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // which accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := dial(ctx, Target{Address: ln.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ended, late := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := c.exchange(ctx, 1, func(int) error {
			cancel()
			kftest.Eventually(t, "the connection to be given up", func() error {
				if _, err := c.nc.Write([]byte("x")); err == nil {
					return errors.New("it takes bytes")
				}
				return nil
			})
			c.nc.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // as it may be closed
			close(late)
			return nil
		}, func(int) (resp.Value, error) {
			<-late
			return c.r.Read()
		})
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(patience / 2):
		t.Error("it still waits")
	}
}

func TestLoginAndTLS(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, resource.Valkey, kftest.WithTLS())
	n.Do(t, "ACL", "SETUSER", "restorer", "on", ">very secret", "~key:*", "+@all")
	target := Target{Address: n.Addr(), TLS: n.TLSConfig(t), User: "restorer", Password: "very secret"}
	r := restoreAll(t, connect(t, target), Options{DB: -1, Conflict: Fail}, fileOf(t, func(w *rdb.Writer) error {
		return errors.Join(w.Write(rdb.Meta{Key: []byte("key:1")}, rdb.String("v")), w.Write(rdb.Meta{Key: []byte("other")}, rdb.String("v")))
	}))
	if r.Report.Restored != 1 || r.Report.Failed != 1 || string(r.Failures[0].Key) != "other" {
		t.Errorf("%+v, %+v", r.Report, r.Failures)
	}
	target.Password = "not it, but secret"
	if _, err := Connect(kftest.Context(t), target); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("with a wrong password: %v", err)
	}
}

// What is larger than memory allows for passes through the file, and is read as often as it must be.
func TestPayload(t *testing.T) {
	t.Parallel()
	p := &payload{dir: t.TempDir()}
	want := bytes.Repeat([]byte("abcdefg"), inMemory/3)
	for part := want; len(part) > 0; {
		n := min(len(part), 100_000)
		if _, err := p.Write(part[:n]); err != nil {
			t.Fatal(err)
		}
		part = part[n:]
	}
	defer p.close()
	if len(p.mem) != inMemory || p.file == nil {
		t.Errorf("%d bytes in memory", len(p.mem))
	}
	for _, n := range []int{0, 1, inMemory, inMemory + 1, len(want)} {
		got, err := io.ReadAll(p.reader(int64(n)))
		if err != nil || !bytes.Equal(got, want[:n]) {
			t.Errorf("of %d bytes %d, %v", n, len(got), err)
		}
	}
}

// Engines take a payload whose checksum is right at its word, and end when they read what is inside.
func TestDeep(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, resource.Valkey)
	n.Do(t, "CONFIG", "SET", "sanitize-dump-payload", "no") // the default of engines
	e := connect(t, Target{Address: n.Addr()})
	const listpack = "\x10\x00\x00\x00\x02\x00\x81a\x02\x85abcd\x01\xff" // whose last element runs over the end
	file := "REDIS0011" + "\x00\x04good\x01v" + "\x10\x03bad" + string(rune(len(listpack))) + listpack
	big := strings.Repeat("b", 2*inMemory)
	file += "\x02\x03big\x02" // a set with a member of two megabytes, twice
	for range 2 {
		file += "\x80" + string([]byte{byte(len(big) >> 24), byte(len(big) >> 16), byte(len(big) >> 8), byte(len(big))}) + big
	}
	file += "\xff\x00\x00\x00\x00\x00\x00\x00\x00"
	r := restoreAll(t, e, Options{DB: -1, Conflict: Fail, Deep: true}, []byte(file))
	if r.Report.Restored != 1 || r.Report.Failed != 2 || string(r.Failures[0].Key) != "bad" || string(r.Failures[1].Key) != "big" {
		t.Errorf("%+v, %+v", r.Report, r.Failures)
	}
}
