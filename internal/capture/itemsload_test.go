package capture

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/kftest"
)

// fileWith is a file of these items.
func fileWith(t testing.TB, items ...itemfile.Item) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := itemfile.NewWriter(&b, itemfile.Header{Created: time.Now()})
	for i := range items {
		if err == nil {
			err = w.Write(&items[i])
		}
	}
	if err == nil {
		_, err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLoadLeavesOutWhatHasExpired(t *testing.T) {
	t.Parallel()
	_, src := memcached(t)
	now := time.Now().Unix()
	file := fileWith(t, itemfile.Item{Key: []byte("past"), ExpireAt: now - 10}, itemfile.Item{Key: []byte("long past"), ExpireAt: 5},
		itemfile.Item{Key: []byte("stays"), ExpireAt: now + 5000}, itemfile.Item{Key: []byte("forever")})
	var told []int64
	r, err := LoadItems(kftest.Context(t), src, bytes.NewReader(file), LoadOptions{OnProgress: func(n, _ int64) { told = append(told, n) }})
	if err != nil || r.Loaded != 2 || r.Expired != 2 || r.Items != 4 || len(told) == 0 {
		t.Fatalf("%+v %v, told %v", r, err, told)
	}
	_, _, got := takeItems(t, src, Options{})
	if len(got) != 2 || got["stays"].ExpireAt != now+5000 {
		t.Errorf("%+v", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	item := func(key string, size int) itemfile.Item {
		return itemfile.Item{Key: []byte(key), Value: bytes.Repeat([]byte{'v'}, size)}
	}
	small := []itemfile.Item{item("a", 10), item("b", 1000), item("c", 0)}
	sound := fileWith(t, small...)
	damaged := bytes.Clone(sound)
	damaged[len(damaged)-100] ^= 1
	broken := errors.New("disk on fire")
	for name, tc := range map[string]struct {
		opts  []kftest.Option
		there bool // the cache has an item already
		file  io.Reader
		want  error
		names string
	}{
		"a cache that has items":           {there: true, file: bytes.NewReader(sound), want: ErrDiffers, names: "has 1 items already"},
		"no items of a cache":              {file: strings.NewReader("REDIS0011 and more of the like that"), want: itemfile.ErrCorrupt},
		"damage":                           {file: bytes.NewReader(damaged), want: itemfile.ErrCorrupt},
		"the end of a file that broke":     {file: bytes.NewReader(sound[:len(sound)-1]), want: itemfile.ErrCorrupt},
		"a reader that broke":              {file: io.MultiReader(bytes.NewReader(sound[:len(sound)-5]), iotest.ErrReader(broken)), want: broken},
		"a value of more than the limit":   {file: bytes.NewReader(fileWith(t, append(small, item("huge", 1<<20+1))...)), want: ErrTooLarge, names: `"huge"`},
		"an item of more than the limit":   {file: bytes.NewReader(fileWith(t, append(small, item("huge", 1<<20-1))...)), want: ErrTooLarge, names: `"huge"`},
		"of more than a smaller limit":     {opts: []kftest.Option{kftest.Parameter("max_item_size", "2048")}, file: bytes.NewReader(fileWith(t, append(small, item("mean", 2040), item("d", 1))...)), want: ErrTooLarge, names: `"mean"`},
		"more than the cache has room for": {opts: []kftest.Option{kftest.MaxMemory(8 << 20)}, file: bytes.NewReader(fileOf(t, 60_000, 1000)), want: ErrTooSmall, names: "and it has 8388608"},
		"an expiry that cannot be sent":    {file: bytes.NewReader(fileWith(t, itemfile.Item{Key: []byte("k"), ExpireAt: 1 << 31})), want: ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, src := memcached(t, tc.opts...)
			if tc.there {
				store(t, client(t, src), item("x", 1))
			}
			r, err := LoadItems(kftest.Context(t), src, tc.file, LoadOptions{})
			if r != nil || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.names) {
				t.Errorf("%v instead of %v", err, tc.want)
			}
		})
	}
}

func TestLoadFaults(t *testing.T) {
	t.Parallel()
	file := fileOf(t, 30_000, 1000)
	faults := map[string]itemFault{
		"another one writes": {
			do: func(t *testing.T, _ *kftest.Node, src Source, _ func()) {
				store(t, client(t, src), itemfile.Item{Key: []byte("not of the file")})
			},
			want: []error{ErrDiffers},
		},
		"another one deletes": {
			do: func(t *testing.T, _ *kftest.Node, src Source, _ func()) {
				tell(t, client(t, src), []string{"md key:000000000\r\n"}, "HD")
			},
			want: []error{ErrDiffers},
		},
	}
	maps.Copy(faults, itemFaults)
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, src := memcached(t, kftest.MaxMemory(128<<20))
			fault.run(t, n, src, func(ctx context.Context, midway func()) (bool, error) {
				// The hook runs when the first half was read and most of it sent.
				hook, half := readerFunc(func([]byte) (int, error) { midway(); return 0, io.EOF }), len(file)/2
				r, err := LoadItems(ctx, src, io.MultiReader(bytes.NewReader(file[:half]), hook, bytes.NewReader(file[half:])), LoadOptions{ProgressTimeout: fault.timeout})
				return r != nil, err
			})
		})
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// scripted is a server that answers lines as it is told to, and hangs up on an empty answer.
func scripted(t *testing.T, answer func(line string) string) Source {
	t.Helper()
	return Source{Address: listen(t, func(c net.Conn) {
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			a := answer(strings.TrimSpace(line))
			if _, err := io.WriteString(c, a); err != nil || a == "" {
				return
			}
		}
	})}
}

func TestItemsOfStrangeServers(t *testing.T) {
	t.Parallel()
	pid, busy := 7, 3
	usual := map[string]func() string{
		"version": func() string { return "VERSION 1.6.18\r\n" },
		"stats": func() string {
			return fmt.Sprintf("STAT pid %d\r\nSTAT time %d\r\nSTAT cmd_flush 0\r\nSTAT curr_items 1\r\nSTAT evictions 0\r\nEND\r\n", pid, time.Now().Unix())
		},
		"stats settings":            func() string { return "STAT item_size_max 1048576\r\nEND\r\n" },
		"lru_crawler metadump hash": func() string { return "key=a exp=-1 la=0 cas=1 fetch=no cls=1 size=63\nEND\r\n" },
		"mg a k f t c v u q":        func() string { return "VA 1 ka f0 t-1 c1\r\nx\r\n" },
		"mn":                        func() string { return "MN\r\n" },
	}
	for name, tc := range map[string]struct {
		line   string
		answer func() string
		want   error
	}{
		"as usual": {},
		"busy for a while": {"lru_crawler metadump hash", func() string {
			if busy--; busy > 0 {
				return "BUSY currently processing crawler request\r\n"
			}
			return usual["lru_crawler metadump hash"]()
		}, nil},
		"no crawler":                {"lru_crawler metadump hash", func() string { return "ERROR lru crawler disabled\r\n" }, ErrRefused},
		"no meta commands":          {"mg a k f t c v u q", func() string { return "ERROR\r\n" }, ErrRefused},
		"out of memory":             {"mg a k f t c v u q", func() string { return "SERVER_ERROR out of memory writing get response\r\n" }, ErrTemporary},
		"an item nobody asked for":  {"mg a k f t c v u q", func() string { return "VA 1 kb f0 t-1 c1\r\nx\r\n" }, ErrProtocol},
		"an item twice":             {"mg a k f t c v u q", func() string { return strings.Repeat("VA 1 ka f0 t-1 c1\r\nx\r\n", 2) }, ErrProtocol},
		"it hangs up":               {"mn", func() string { return "" }, ErrLink},
		"a list without end":        {"lru_crawler metadump hash", func() string { return "key=a exp=-1\n" + strings.Repeat("x", 1<<20) }, ErrProtocol},
		"too many clients":          {"version", func() string { return "ERROR Too many open connections\r\n" }, ErrTemporary},
		"a login":                   {"stats", func() string { return "CLIENT_ERROR unauthenticated\r\n" }, ErrAuth},
		"another one at the end":    {"mn", func() string { pid++; return "MN\r\n" }, ErrLink},
		"statistics without number": {"stats", func() string { return "STAT pid 7\r\nEND\r\n" }, ErrProtocol},
		"another protocol":          {"version", func() string { return "-ERR unknown command\r\n" }, ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			src := scripted(t, func(line string) string {
				if line == tc.line {
					return tc.answer()
				}
				return usual[line]()
			})
			r, err := Items(kftest.Context(t), src, io.Discard, Options{})
			if !errors.Is(err, tc.want) || err == nil && r.Items != 1 {
				t.Errorf("%+v, %v instead of %v", r, err, tc.want)
			}
		})
	}
}

// TestClocks converts expiries when the clock of the server is another one.
func TestClocks(t *testing.T) {
	t.Parallel()
	for _, c := range []serverClock{0, 5, -5} {
		if c.ours(1000) != 1000 || c.theirs(1000) != 1000 {
			t.Errorf("clock %d changes times", c)
		}
	}
	for _, c := range []serverClock{6, -6, 3600} {
		if c.ours(1000) != 1000-int64(c) || c.theirs(c.ours(1000)) != 1000 {
			t.Errorf("clock %d: %d, %d", c, c.ours(1000), c.theirs(c.ours(1000)))
		}
	}
}
