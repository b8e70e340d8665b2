package resp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var replies = map[string]Value{
	"+OK\r\n":                        {Kind: Simple, Str: "OK"},
	"+\r\n":                          {Kind: Simple},
	":-42\r\n":                       {Kind: Int, Int: -42},
	"$3\r\na\r\n\r\n":                {Kind: Bulk, Str: "a\r\n"},
	"$0\r\n\r\n":                     {Kind: Bulk},
	"$-1\r\n":                        {},
	"*-1\r\n":                        {},
	"_\r\n":                          {},
	"#t\r\n":                         {Kind: Bool, Int: 1},
	",1.5\r\n":                       {Kind: Double, Str: "1.5"},
	"(123456789012345678901\r\n":     {Kind: BigNum, Str: "123456789012345678901"},
	"=7\r\ntxt:abc\r\n":              {Kind: Bulk, Str: "abc"},
	"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n":  {Kind: Array, Elems: []Value{{Kind: Int, Int: 1}, {Kind: Array, Elems: []Value{{Kind: Bulk, Str: "x"}}}}},
	"%1\r\n+a\r\n:1\r\n":             {Kind: Map, Elems: []Value{{Kind: Simple, Str: "a"}, {Kind: Int, Int: 1}}},
	"~1\r\n:1\r\n":                   {Kind: Array, Elems: []Value{{Kind: Int, Int: 1}}},
	">1\r\n+x\r\n:7\r\n":             {Kind: Int, Int: 7},
	"|1\r\n+a\r\n+b\r\n:7\r\n":       {Kind: Int, Int: 7},
	"*1\r\n-ERR no\r\n":              {Kind: Array, Elems: []Value{{Kind: ErrorKind, Err: &Error{"ERR", "ERR no"}}}},
	"!8\r\nNOPERM x\r\n":             {Kind: ErrorKind, Err: &Error{"NOPERM", "NOPERM x"}},
	"-LOADING Redis is loading\r\n":  {Kind: ErrorKind, Err: &Error{"LOADING", "LOADING Redis is loading"}},
	"*0\r\n":                         {Kind: Array, Elems: []Value{}},
	"*1\r\n|1\r\n+a\r\n+b\r\n+c\r\n": {Kind: Array, Elems: []Value{{Kind: Simple, Str: "c"}}},
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for in, want := range replies {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			rd := NewReader(r, Limits{})
			got, err := rd.Read()
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%q became %+v, %v", in, got, err)
			}
			if _, err := rd.Read(); err != io.EOF {
				t.Errorf("%q: %v follows", in, err)
			}
		}
		for cut := 1; cut < len(in); cut++ {
			if v, err := NewReader(strings.NewReader(in[:cut]), Limits{}).Read(); !errors.Is(err, io.ErrUnexpectedEOF) && !(err == io.EOF && in[0] == '>') {
				t.Errorf("%q became %+v, %v", in[:cut], v, err)
			}
		}
	}
}

// What is passed on is not held, and has no limit; all else is read as ever.
func TestPass(t *testing.T) {
	t.Parallel()
	limits := Limits{Bulk: 2, Total: 2}
	for in, want := range map[string]struct {
		text string
		v    Value
	}{
		"$5\r\na\r\nbc\r\n": {"a\r\nbc", Value{Kind: Bulk, Int: 5}}, "$0\r\n\r\n": {"", Value{Kind: Bulk}}, "$-1\r\n": {}, ":7\r\n": {"", Value{Kind: Int, Int: 7}},
		"-MOVED 1 a:2\r\n": {"", Value{Kind: ErrorKind, Err: &Error{"MOVED", "MOVED 1 a:2"}}},
	} {
		var out bytes.Buffer
		r := NewReader(strings.NewReader(in+":1\r\n"), limits)
		if got, err := r.Pass(&out); err != nil || !reflect.DeepEqual(got, want.v) || out.String() != want.text {
			t.Errorf("%q became %+v and %q, %v", in, got, out.String(), err)
		}
		if v, err := r.Read(); err != nil || v.Int != 1 {
			t.Errorf("%q: %+v, %v follows", in, v, err)
		}
		for cut := 1; cut < len(in); cut++ {
			if v, err := NewReader(strings.NewReader(in[:cut]), limits).Pass(io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q became %+v, %v", in[:cut], v, err)
			}
		}
	}
	for _, in := range []string{"$3\r\nabcd\r\n", "$-2\r\n", "$x\r\n"} {
		if v, err := NewReader(strings.NewReader(in), limits).Pass(io.Discard); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q became %+v, %v", in, v, err)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	l := Limits{Bulk: 10, Total: 15, Elems: 5, Depth: 3}
	for _, bad := range []string{
		"$11\r\nabcdefghijk\r\n", "*2\r\n$8\r\nabcdefgh\r\n$8\r\nabcdefgh\r\n", "*6\r\n", "*3\r\n:1\r\n*3\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
		"%3\r\n", "$99999999999999999999\r\n", "$-2\r\n", "*-5\r\n", "$x\r\n", "?1\r\n", "\r\n", "+a\n", ":\r\n", ":1.5\r\n", "#x\r\n", "=2\r\nab\r\n",
		"$3\r\nabcde\r\n", "*1\r\n>1\r\n+x\r\n", "+" + strings.Repeat("a", maxLine+1) + "\r\n",
		strings.Repeat("|1\r\n+a\r\n+b\r\n", 5) + ":1\r\n", "$9223372036854775807\r\n", "%4611686018427387904\r\n",
	} {
		if v, err := NewReader(strings.NewReader(bad), l).Read(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.40q became %+v, %v", bad, v, err)
		}
	}
}

func TestLengthAloneCostsNothing(t *testing.T) { // alone, as it counts what the process allocates
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	NewReader(strings.NewReader("*1000000\r\n$60000000\r\nab"), Limits{}).Read()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes for a length that nothing follows", n)
	}
}

func FuzzRead(f *testing.F) {
	for in := range replies {
		f.Add([]byte(in))
	}
	f.Add([]byte("%1\r\n*2\r\n|1\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		l := Limits{Bulk: 1000, Total: 2000, Elems: 100, Depth: 5}
		r := NewReader(bytes.NewReader(in), l)
		for {
			v, err := r.Read()
			if err != nil {
				return
			}
			strs, elems := measure(v)
			if strs > l.Total+maxLine*(elems+1) || elems > l.Elems {
				t.Fatalf("reply of %d bytes and %d elements", strs, elems)
			}
			v.Text()
			v.Integer()
			v.Strings()
		}
	})
}

func measure(v Value) (strs, elems int) {
	strs = len(v.Str)
	for _, e := range v.Elems {
		s, n := measure(e)
		strs, elems = strs+s, elems+n+1
	}
	return strs, elems
}

// serve answers the other end of a connection with fixed bytes, one reply for each command it sees.
func serve(t *testing.T, answer func(cmd []string) string) *Conn {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	go func() {
		r, w := NewReader(b, Limits{}), bufio.NewWriter(b)
		for {
			v, err := r.Read()
			if err != nil {
				return
			}
			cmd, _ := v.Strings()
			w.WriteString(answer(cmd))
			w.Flush()
		}
	}()
	return NewConn(a, Limits{})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := serve(t, func(cmd []string) string {
		if cmd[0] == "bad" {
			return "-ERR bad\r\n"
		}
		return fmt.Sprintf("$%d\r\n%s\r\n", len(cmd[len(cmd)-1]), cmd[len(cmd)-1])
	})
	if v, err := c.Do(ctx, "echo", "a\r\n\x00"); err != nil || v.Str != "a\r\n\x00" {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := c.Do(ctx, "bad"); !IsCode(err, "ERR") {
		t.Fatal(err)
	}
	var cmds [][]string
	for i := range 1000 {
		cmds = append(cmds, []string{"echo", strings.Repeat("x", i)})
	}
	cmds = append(cmds, []string{"bad"})
	vs, err := c.Pipeline(ctx, cmds...)
	if err != nil || len(vs) != 1001 || len(vs[999].Str) != 999 || vs[1000].Kind != ErrorKind {
		t.Fatalf("%d replies, %v", len(vs), err)
	}
	if _, err := c.Do(ctx); err == nil {
		t.Fatal("an empty command was sent")
	}
	if v, err := c.Do(ctx, "still", "alive"); err != nil || v.Str != "alive" {
		t.Fatalf("%+v, %v", v, err)
	}
}

func TestCancelBreaksTheConnection(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 1)
	c := serve(t, func([]string) string { arrived <- struct{}{}; return "" })
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	if _, err := c.Do(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := c.Do(context.Background(), "x"); !errors.Is(err, ErrBroken) {
		t.Fatal(err)
	}
	c = serve(t, func([]string) string { return "" })
	ctx, cancel = context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestParseInfo(t *testing.T) {
	t.Parallel()
	got := ParseInfo("# Server\r\nredis_version:7.0.15\r\n\r\nexecutable:/a:b\r\nempty:\r\n")
	if want := map[string]string{"redis_version": "7.0.15", "executable": "/a:b", "empty": ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}
