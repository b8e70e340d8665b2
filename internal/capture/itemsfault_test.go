package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine/memcache"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/kftest"
)

const manyItems = 20_000

// manyKey is the i-th of the items that fill stores; old is what it stores.
func manyKey(i int) []byte { return fmt.Appendf(nil, "key:%06d", i) }

var old = bytes.Repeat([]byte("old "), 250)

// filled is a cache with items of a kilobyte: more than all buffers on the way hold.
func filled(t *testing.T) (*kftest.Node, Source) {
	t.Helper()
	n, src := memcached(t, kftest.MaxMemory(128<<20))
	var b bytes.Buffer
	w, err := itemfile.NewWriter(&b, itemfile.Header{Created: time.Now()})
	for i := 0; err == nil && i < manyItems; i++ {
		err = w.Write(&itemfile.Item{Key: manyKey(i), Flags: 1, Value: old})
	}
	if err == nil {
		_, err = w.Close()
	}
	if err == nil {
		_, err = LoadItems(kftest.Context(t), src, &b, LoadOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return n, src
}

// midway calls f at the first bytes of the file, when most items were not yet read.
func midway(w io.Writer, f func()) io.Writer {
	var once sync.Once
	return writerFunc(func(p []byte) (int, error) {
		once.Do(f)
		return w.Write(p)
	})
}

// tell sends commands that are answered by a line each.
func tell(t *testing.T, c *memcache.Conn, commands []string, answers ...string) {
	t.Helper()
	if err := c.Send([]byte(strings.Join(commands, ""))); err != nil {
		t.Error(err)
	}
	for range commands {
		line, err := c.Line()
		if err != nil || !strings.Contains(strings.Join(answers, ","), string(line)) {
			t.Errorf("%q, %v", line, err)
			return
		}
	}
}

func TestItemsThatChangeMeanwhile(t *testing.T) {
	t.Parallel()
	_, src := filled(t)
	c := client(t, src)
	expire := time.Now().Unix() + 5000
	change := func() {
		for from := 0; from < manyItems; from += 1000 {
			var commands []string
			for i := from; i < from+1000; i++ {
				switch i % 4 {
				case 0:
					commands = append(commands, fmt.Sprintf("md %s\r\n", manyKey(i)))
				case 1:
					commands = append(commands, fmt.Sprintf("ms %s 3 F2 T%d\r\nnew\r\n", manyKey(i), expire))
				case 2:
					commands = append(commands, fmt.Sprintf("mg %s T5000\r\n", manyKey(i)))
				}
			}
			tell(t, c, commands, "HD")
		}
	}
	var file bytes.Buffer
	r, err := Items(kftest.Context(t), src, midway(&file, change), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := itemsOf(t, file.Bytes())
	if r.Vanished == 0 || r.Changed == 0 || r.Expired != 0 || int64(len(got)) != r.Items || r.Items+r.Vanished > manyItems {
		t.Errorf("%+v", r)
	}
	touched := 0
	for i := range manyItems {
		it, ok := got[string(manyKey(i))]
		was := it.Flags == 1 && bytes.Equal(it.Value, old)
		switch {
		case !ok && i%4 == 0:
		case ok && was && it.ExpireAt == 0:
		case was && i%4 == 2 && it.ExpireAt >= expire-clockSlack && it.ExpireAt <= time.Now().Unix()+5000+clockSlack:
			touched++
		case i%4 == 1 && it.Flags == 2 && string(it.Value) == "new" && it.ExpireAt >= expire-clockSlack && it.ExpireAt <= expire+clockSlack:
		default:
			t.Fatalf("item %d: there %v, flags %d, expiry %d, %d bytes", i, ok, it.Flags, it.ExpireAt, len(it.Value))
		}
	}
	if touched == 0 {
		t.Error("no changed expiry was seen")
	}
}

func TestItemsThatExpireMeanwhile(t *testing.T) {
	t.Parallel()
	_, src := filled(t)
	c := client(t, src)
	wait := func() {
		kftest.Eventually(t, "the items to expire", func() error {
			if err := c.Send([]byte("mg " + string(manyKey(1)) + "\r\n")); err != nil {
				return err
			}
			return c.Expect("EN")
		})
	}
	for ttl := 2; ; ttl *= 3 {
		for from := 1; from < manyItems; from += 1000 {
			var commands []string
			for i := from; i < from+1000; i += 2 {
				commands = append(commands, fmt.Sprintf("ms %s 3 T%d\r\nxxx\r\n", manyKey(i), ttl))
			}
			tell(t, c, commands, "HD")
		}
		r, err := Items(kftest.Context(t), src, midway(io.Discard, wait), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Vanished != 0 || r.Items < manyItems/2 || r.Items+r.Expired > manyItems {
			t.Errorf("%+v", r)
		}
		if r.Expired > 0 {
			return
		}
		if ttl > 60 { // so slow is no machine
			t.Fatalf("nothing expired: %+v", r)
		}
	}
}

// itemFault is what happens in the middle of a capture or a load of items, and the errors that it ends with.
type itemFault struct {
	timeout time.Duration // 0 is the default
	do      func(t *testing.T, n *kftest.Node, src Source, cancel func())
	want    []error
}

var itemFaults = map[string]itemFault{
	"the server dies": {
		do: func(t *testing.T, n *kftest.Node, _ Source, _ func()) { syscall.Kill(n.Sup.PID(n.ID), syscall.SIGKILL) }, want: []error{ErrLink},
	},
	"the server hangs": {
		timeout: time.Second,
		do: func(t *testing.T, n *kftest.Node, _ Source, _ func()) {
			pid := n.Sup.PID(n.ID)
			syscall.Kill(pid, syscall.SIGSTOP)
			t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
		},
		want: []error{ErrLink, ErrStalled},
	},
	"the cache is flushed": {
		do: func(t *testing.T, _ *kftest.Node, src Source, _ func()) {
			tell(t, client(t, src), []string{"flush_all\r\n"}, "OK")
		},
		want: []error{ErrTemporary},
	},
	"nobody wants it any more": {do: func(_ *testing.T, _ *kftest.Node, _ Source, cancel func()) { cancel() }, want: []error{context.Canceled}},
}

// run breaks a transfer, which tells whether it has a result. It calls midway at that moment.
func (f itemFault) run(t *testing.T, n *kftest.Node, src Source, transfer func(ctx context.Context, midway func()) (done bool, err error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(kftest.Context(t))
	defer cancel()
	done, err := transfer(ctx, func() { f.do(t, n, src, cancel) })
	for _, want := range f.want {
		if done || !errors.Is(err, want) {
			t.Errorf("%v instead of %v", err, want)
		}
	}
}

func TestItemsFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range itemFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, src := filled(t)
			fault.run(t, n, src, func(ctx context.Context, hook func()) (bool, error) {
				r, err := Items(ctx, src, midway(io.Discard, hook), Options{ProgressTimeout: fault.timeout})
				return r != nil, err
			})
		})
	}
}

func TestItemsSlowAndBrokenWriters(t *testing.T) {
	t.Parallel()
	_, src := filled(t)
	// It is not the server that stalls. Should it do so too, it has two seconds.
	r, err := Items(kftest.Context(t), src, midway(io.Discard, func() { time.Sleep(3 * time.Second) }), Options{ProgressTimeout: 2 * time.Second, Buffer: 1})
	if err != nil || r.Items != manyItems {
		t.Errorf("%+v %v", r, err)
	}
	full := errors.New("disk full")
	_, err = Items(kftest.Context(t), src, writerFunc(func([]byte) (int, error) { return 0, full }), Options{})
	if !errors.Is(err, full) {
		t.Error(err)
	}
	// A cut anywhere is an error, on the way of the items or of their list.
	for _, at := range []int64{0, 10, 5000, 100_000, 1_000_000} {
		through := src
		through.Address = proxy(t, src.Address, func(c net.Conn, e io.Reader) { io.CopyN(c, e, at) })
		if r, err := Items(kftest.Context(t), through, io.Discard, Options{}); r != nil || !errors.Is(err, ErrLink) {
			t.Errorf("cut after %d bytes: %v", at, err)
		}
	}
}

// TestItemsSpool holds the crawler apart from a slow writer: what it lists is soon off its hands.
func TestItemsSpool(t *testing.T) {
	t.Parallel()
	_, src := memcached(t, kftest.MaxMemory(128<<20))
	items := make([]itemfile.Item, 60_000) // with the longest keys: the list is more than all buffers on the way hold
	for i := range items {
		items[i].Key = fmt.Appendf(nil, "%0250d", i)
	}
	if _, err := LoadItems(kftest.Context(t), src, bytes.NewReader(fileWith(t, items...)), LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	c := client(t, src)
	wait := func() {
		kftest.Eventually(t, "the crawler to be free", func() error { return c.Metadump(func(*memcache.Entry) error { return nil }) })
	}
	r, err := Items(kftest.Context(t), src, midway(io.Discard, wait), Options{Buffer: 1, SpoolDir: t.TempDir()})
	if err != nil || r.Items != int64(len(items)) || r.Spooled == 0 {
		t.Errorf("%+v %v", r, err)
	}
}
