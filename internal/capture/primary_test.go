package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/rdb"
)

// primary is a scripted engine: it answers commands by name, and PSYNC with a stream.
type primary struct {
	addr    string
	replies map[string]string // "REPLCONF rdb-only" before "REPLCONF"; default +OK
	stream  func(w io.Writer) // answers PSYNC
	hold    bool              // the link stays open until the client hangs up

	mu   sync.Mutex
	seen []string
	gone chan struct{} // closed when the replication client has hung up, if hold
}

func startPrimary(t *testing.T, p *primary) *primary {
	t.Helper()
	p.gone = make(chan struct{})
	p.addr = listen(t, p.serve)
	return p
}

func (p *primary) serve(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.seen = append(p.seen, strings.Join(args, " "))
		p.mu.Unlock()
		if args[0] == "PSYNC" {
			p.stream(c)
			if p.hold {
				io.Copy(io.Discard, c)
				close(p.gone)
			}
			return
		}
		reply := "+OK\r\n"
		for _, name := range []string{args[0], args[0] + " " + args[min(1, len(args)-1)]} {
			if s, ok := p.replies[name]; ok {
				reply = s
			}
		}
		io.WriteString(c, reply)
	}
}

func readCommand(r *bufio.Reader) ([]string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil {
		return nil, err
	}
	var args []string
	for range n {
		if line, err = r.ReadString('\n'); err != nil {
			return nil, err
		}
		size, err := strconv.Atoi(strings.TrimSpace(line[1:]))
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		args = append(args, string(b[:size]))
	}
	return args, nil
}

func sends(s string) func(io.Writer) { return func(w io.Writer) { io.WriteString(w, s) } }

// proxy passes one connection on to an engine and hands every byte that comes back to tamper, which writes what the client is to see.
func proxy(t *testing.T, addr string, tamper func(client net.Conn, engine io.Reader)) string {
	t.Helper()
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	return listen(t, func(c net.Conn) {
		e, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		wg.Go(func() { io.Copy(e, c); e.Close() })
		tamper(c, e)
	})
}

// recording is what a real engine answers to PSYNC, from +FULLRESYNC to the last byte.
func recording(t *testing.T, diskless string) string {
	t.Helper()
	n := kftest.Engine(t, engine.Valkey, kftest.Parameter("repl-diskless-sync", diskless))
	n.Do(t, "FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() return 1 end)")
	for i := range 300 {
		n.Do(t, "SET", fmt.Sprint("key", i), strings.Repeat("v", i), "PX", "100000000")
		n.Do(t, "HSET", "hash", fmt.Sprint(i), "v")
	}
	var mu sync.Mutex
	var all bytes.Buffer
	src := source(t, n)
	src.Address = proxy(t, n.Addr(), func(c net.Conn, e io.Reader) {
		var one bytes.Buffer
		io.Copy(c, io.TeeReader(e, &one))
		if bytes.Contains(one.Bytes(), []byte("+FULLRESYNC")) {
			mu.Lock()
			defer mu.Unlock()
			all = one
		}
	})
	capture(t, src, Options{})
	var stream string
	kftest.Eventually(t, "the recording", func() error {
		mu.Lock()
		defer mu.Unlock()
		if _, after, ok := strings.Cut(all.String(), "+FULLRESYNC"); ok {
			stream = "+FULLRESYNC" + after
			return nil
		}
		return errors.New("none yet")
	})
	return stream
}

// Every single damaged bit, and every cut, must be an error.
func TestDamagedTransfersFail(t *testing.T) {
	t.Parallel()
	for _, diskless := range []string{"yes", "no"} {
		t.Run("diskless "+diskless, func(t *testing.T) {
			t.Parallel()
			whole := recording(t, diskless)
			take := func(stream string) (*Result, error) {
				p := startPrimary(t, &primary{stream: sends(stream)})
				return Shard(kftest.Context(t), Source{Address: p.addr}, io.Discard, Options{ProgressTimeout: 5 * time.Second})
			}
			if _, err := take(whole); err != nil {
				t.Fatalf("the recording itself: %v", err)
			}
			rnd := rand.New(rand.NewPCG(1, 2))
			for i := range 400 {
				at := i // the first lines, the header of the RDB and the end byte by byte, the rest at random
				switch {
				case i >= 300:
					at = len(whole) - 1 - (i - 300)
				case i >= 200:
					at = rnd.IntN(len(whole))
				}
				damaged := []byte(whole)
				bit := byte(1) << rnd.IntN(8)
				damaged[at] ^= bit
				if r, err := take(string(damaged)); err == nil {
					t.Errorf("bit %#x of byte %d flipped (%q): captured %+v", bit, at, whole[max(0, at-8):min(len(whole), at+8)], r)
				}
				if r, err := take(whole[:at]); err == nil {
					t.Errorf("cut after %d of %d bytes: captured %+v", at, len(whole), r)
				} else if !errors.Is(err, ErrLink) {
					t.Errorf("cut after %d of %d bytes: %v", at, len(whole), err)
				}
			}
		})
	}
}

func TestCutAndDamagedLinkToARealEngine(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Redis)
	fill(t, n, 6<<20)
	_, rdbBytes := capture(t, source(t, n), Options{})
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range 10 {
		at, bit, flip := 2000+rnd.Int64N(int64(len(rdbBytes))-2000), byte(1)<<rnd.IntN(8), i%2 == 0
		src := source(t, n)
		src.Address = proxy(t, n.Addr(), func(c net.Conn, e io.Reader) {
			io.CopyN(c, e, at)
			if !flip {
				return
			}
			b := []byte{0}
			io.ReadFull(e, b)
			b[0] ^= bit
			c.Write(b)
			io.Copy(c, e)
		})
		_, err := Shard(kftest.Context(t), src, io.Discard, Options{ProgressTimeout: 10 * time.Second})
		if err == nil || !flip && !errors.Is(err, ErrLink) {
			t.Errorf("flip %v after %d bytes: %v", flip, at, err)
		}
	}
}

func TestAnOrdinaryReplicaHangsUpFirst(t *testing.T) {
	t.Parallel()
	for _, diskless := range []string{"yes", "no"} {
		whole := recording(t, diskless)
		p := startPrimary(t, &primary{
			replies: map[string]string{"REPLCONF rdb-only": "-ERR Unrecognized REPLCONF option: rdb-only\r\n", "REPLCONF version": "-ERR Unrecognized\r\n"},
			stream:  sends("\n\n" + whole),
			hold:    true,
		})
		r, err := Shard(kftest.Context(t), Source{Address: p.addr}, io.Discard, Options{})
		if err != nil || r.Summary.Keys != 301 {
			t.Fatalf("%v %v", r, err)
		}
		kftest.Eventually(t, "the end of the link", func() error {
			select {
			case <-p.gone:
				return nil
			default:
				return errors.New("still open")
			}
		})
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	whole := recording(t, "yes")
	p := startPrimary(t, &primary{stream: sends(whole), replies: map[string]string{"PING": "-NOAUTH Authentication required.\r\n"}})
	src := Source{Address: p.addr, User: "u", Password: engine.NewSecret("p")}
	if _, err := Shard(kftest.Context(t), src, io.Discard, Options{Announce: "9.9.9"}); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	got := strings.Join(p.seen[:6], ", ")
	if want := "PING, AUTH u p, REPLCONF capa eof capa psync2, REPLCONF version 9.9.9, REPLCONF rdb-only 1, PSYNC ? -1"; got != want {
		t.Fatalf("said %s\nwant %s", got, want)
	}
}

func TestRepliesOfEngines(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("a", 40)
	full := "+FULLRESYNC " + id + " 1\r\n"
	for _, c := range []struct {
		name    string
		replies map[string]string
		stream  string
		want    error
	}{
		{"loading", map[string]string{"PING": "-LOADING the dataset\r\n"}, "", ErrTemporary},
		{"no login", map[string]string{"PING": "-NOAUTH Authentication required.\r\n"}, "", ErrAuth},
		{"protected", map[string]string{"PING": "-DENIED running in protected mode\r\n"}, "", ErrAuth},
		{"no replconf", map[string]string{"REPLCONF": "-NOPERM no permissions\r\n"}, "", ErrAuth},
		{"another protocol", map[string]string{"PING": "HTTP/1.1 400 Bad Request\r\n"}, "", ErrProtocol},
		{"long line", map[string]string{"PING": "+" + strings.Repeat("x", maxLine) + "\r\n"}, "", ErrProtocol},
		{"chained", nil, "-NOMASTERLINK Can't SYNC while not connected with my master\r\n", ErrTemporary},
		{"chained, old", nil, "-ERR Can't SYNC while not connected with my master\r\n", ErrTemporary},
		{"unknown", nil, "-ERR unknown command 'PSYNC'\r\n", ErrRefused},
		{"no permission", nil, "-NOPERM this user has no permissions to run the 'psync' command\r\n", ErrAuth},
		{"continue", nil, "+CONTINUE\r\n", ErrProtocol},
		{"bad id", nil, "+FULLRESYNC xyz 1\r\n", ErrProtocol},
		{"bad offset", nil, "+FULLRESYNC " + id + " -1\r\n", ErrProtocol},
		{"no offset", nil, "+FULLRESYNC " + id + "\r\n", ErrProtocol},
		{"hangs up", nil, "", ErrLink},
		{"hangs up after the fork", nil, full, ErrLink},
		{"failed fork", nil, full + "-ERR BGSAVE failed, replication can't continue\r\n", ErrTemporary},
		{"bad length", nil, full + "$12x\r\n", ErrProtocol},
		{"negative length", nil, full + "$-1\r\n", ErrProtocol},
		{"huge length", nil, full + "$99999999999999999999\r\n", ErrProtocol},
		{"short mark", nil, full + "$EOF:abc\r\n", ErrProtocol},
		{"no header", nil, full + "REDIS0011", ErrLink},
		{"no RDB", nil, full + "$9\r\nNOTREDIS9", rdb.ErrCorrupt},
		{"empty", nil, full + "$0\r\n", rdb.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := startPrimary(t, &primary{replies: c.replies, stream: sends(c.stream)})
			_, err := Shard(kftest.Context(t), Source{Address: p.addr}, io.Discard, Options{})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if want := c.want == ErrTemporary || c.want == ErrLink; Retryable(err) != want {
				t.Errorf("retryable is %v: %v", !want, err)
			}
		})
	}
	if _, err := Shard(kftest.Context(t), Source{Address: "127.0.0.1:1"}, io.Discard, Options{}); !errors.Is(err, ErrLink) {
		t.Errorf("nobody listens: %v", err)
	}
}

// The RDB must end where its transfer does.
func TestTransferAndRDBEndTogether(t *testing.T) {
	t.Parallel()
	whole := recording(t, "no")
	head, rest, _ := strings.Cut(whole, "\r\n")
	size, body, _ := strings.Cut(rest, "\r\n")
	n, _ := strconv.Atoi(strings.TrimLeft(size, "\n$"))
	mark := strings.Repeat("m", markSize)
	for name, stream := range map[string]string{
		"longer transfer":  fmt.Sprintf("$%d\r\n%sxxx", n+3, body),
		"shorter transfer": fmt.Sprintf("$%d\r\n%s", n-1, body),
		"another mark":     "$EOF:" + mark + "\r\n" + body + strings.Repeat("n", markSize),
		"bytes before it":  "$EOF:" + mark + "\r\n" + body + "x" + mark,
		"two RDBs":         "$EOF:" + mark + "\r\n" + body + body + mark,
	} {
		p := startPrimary(t, &primary{stream: sends(head + "\r\n" + stream)})
		if _, err := Shard(kftest.Context(t), Source{Address: p.addr}, io.Discard, Options{}); err == nil || errors.Is(err, ErrLink) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := startPrimary(t, &primary{stream: sends(head + "\r\n$EOF:" + mark + "\r\n" + body + mark)})
	if _, err := Shard(kftest.Context(t), Source{Address: p.addr}, io.Discard, Options{}); err != nil {
		t.Errorf("reframed: %v", err)
	}
}

func TestSilenceAndTrickles(t *testing.T) {
	t.Parallel()
	whole := recording(t, "yes")
	silent := startPrimary(t, &primary{stream: sends(whole[:len(whole)/2]), hold: true})
	_, err := Shard(kftest.Context(t), Source{Address: silent.addr}, io.Discard, Options{ProgressTimeout: 500 * time.Millisecond})
	if !errors.Is(err, ErrStalled) || !Retryable(err) {
		t.Errorf("silence: %v", err)
	}
	// The low-water mark must not hold back what an engine sends slowly after a burst, nor the tail when nobody hangs up.
	big := kftest.Engine(t, engine.Valkey)
	big.Do(t, "SETRANGE", "large", fmt.Sprint(3<<20), "x")
	src := source(t, big)
	src.Address = proxy(t, big.Addr(), func(c net.Conn, e io.Reader) {
		io.CopyN(c, e, 2<<20)
		for buf := make([]byte, 4<<10); ; {
			n, err := e.Read(buf)
			c.Write(buf[:n])
			if err != nil {
				<-time.After(200 * time.Millisecond) // the client has to be done before it is hung up on
				return
			}
		}
	})
	if _, err := Shard(kftest.Context(t), src, io.Discard, Options{}); err != nil {
		t.Errorf("trickle: %v", err)
	}
}

func FuzzReplies(f *testing.F) {
	id := strings.Repeat("a", 40)
	ok := strings.Repeat("+OK\r\n", 4)
	f.Add([]byte(ok + "+FULLRESYNC " + id + " 1\r\n\n\n$EOF:" + id + "\r\nREDIS0011\xff\x00\x00\x00\x00\x00\x00\x00\x00" + id))
	f.Add([]byte(ok + "+FULLRESYNC " + id + " 1\r\n$18\r\nREDIS0011\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("-LOADING x\r\n"))
	f.Add([]byte(ok + "-NOMASTERLINK x\r\n"))
	f.Add([]byte(ok + "+FULLRESYNC " + id + " 1\r\n$99999999999\r\nREDIS0011\xfa"))
	f.Fuzz(func(t *testing.T, in []byte) {
		client, engine := net.Pipe()
		defer client.Close()
		go io.Copy(io.Discard, engine)
		go func() {
			engine.Write(in)
			engine.Close()
		}()
		l := &link{conn: client, timeout: 10 * time.Second, left: -1}
		l.in = bufio.NewReaderSize(l, maxLine)
		if err := l.introduce(Source{}, Options{}.withDefaults()); err != nil {
			return
		}
		if _, err := l.psync(); err != nil {
			return
		}
		b, err := l.body()
		if err != nil {
			return
		}
		var out bytes.Buffer
		sum, err := receive(b, rdb.Options{Tee: &out})
		if err == nil && (sum.Bytes != int64(out.Len()) || out.Len() < 10) {
			t.Fatalf("%d bytes, summary %+v", out.Len(), sum)
		}
	})
}
