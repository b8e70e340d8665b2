package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

func TestCaptureRestoresTheSameData(t *testing.T) {
	t.Parallel()
	modes := map[string][]kftest.Option{
		"plain": nil, "cluster": {kftest.InCluster()}, "tls": {kftest.WithTLS()}, "lzf": {kftest.Parameter("rdbcompression", "yes")},
	}
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		for mode, opts := range modes {
			t.Run(string(e)+" "+mode, func(t *testing.T) {
				t.Parallel()
				n := kftest.Engine(t, e, opts...)
				fill(t, n, 2<<20)
				want := digest(t, n)
				for _, framing := range []Framing{Diskless, Disk} {
					n.Do(t, "CONFIG", "SET", "repl-diskless-sync", map[Framing]string{Diskless: "yes", Disk: "no"}[framing])
					before := time.Now()
					r, rdb := capture(t, source(t, n), Options{})
					if r.Framing != framing || r.Summary.Keys != want.Keys || r.Summary.Expiring != want.Expiring || r.Summary.Functions != 1 {
						t.Errorf("%s: got %+v, %d keys, %d expiring, want %v", framing, r, r.Summary.Keys, r.Summary.Expiring, want)
					}
					if len(r.ReplID) != 40 || r.ReplID != r.Summary.Aux.ReplID || r.ForkMicros <= 0 || r.EngineVersion == "" || r.CutAt.Before(before) ||
						r.Duration < r.Transfer || r.Transfer <= 0 {
						t.Errorf("%s: result %+v", framing, r)
					}
					if got := digest(t, loaded(t, n, rdb, opts...)); got != want {
						t.Errorf("%s: loaded %v, captured %v", framing, got, want)
					}
				}
			})
		}
	}
}

func TestCaptureOfNothing(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey)
	for _, diskless := range []string{"yes", "no"} {
		n.Do(t, "CONFIG", "SET", "repl-diskless-sync", diskless)
		var seen []int64
		r, rdb := capture(t, source(t, n), Options{OnProgress: func(n, _ int64) { seen = append(seen, n) }})
		if r.Summary.Keys != 0 || len(rdb) == 0 || len(seen) == 0 || seen[len(seen)-1] != int64(len(rdb)) {
			t.Errorf("%d keys, %d bytes, progress %v", r.Summary.Keys, len(rdb), seen)
		}
	}
}

func TestCaptureOfOneLargeValue(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Redis)
	const size = 200 << 20
	n.Do(t, "SETRANGE", "large", fmt.Sprint(size-1), "x")
	var out int64
	r, err := Shard(kftest.Context(t), source(t, n), writerFunc(func(p []byte) (int, error) { out += int64(len(p)); return len(p), nil }), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Summary.Keys != 1 || out != r.Summary.Bytes || out < size {
		t.Fatalf("%d keys, %d bytes", r.Summary.Keys, out)
	}
}

func TestCaptureOfAReplica(t *testing.T) {
	t.Parallel()
	p := kftest.Engine(t, engine.Valkey)
	fill(t, p, 1<<20)
	replica := kftest.Engine(t, engine.Valkey, kftest.ReplicaOf(p))
	replica.WaitLink(t)
	r, rdb := capture(t, source(t, replica), Options{})
	if got, want := digest(t, loaded(t, p, rdb)), digest(t, p); got != want {
		t.Errorf("loaded %v, the primary has %v", got, want)
	}
	info, err := p.Admin(t).Info(kftest.Context(t), "replication")
	if err != nil || info["master_replid"] != r.ReplID {
		t.Errorf("captured history %s, the primary's is %s, %v", r.ReplID, info["master_replid"], err)
	}
}

// Each writer increases one counter by one and then sets a second to the same number: a cut that is an instant shows them equal, or the first
// one ahead by one.
func TestCaptureIsAnInstantUnderWriters(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			n := kftest.Engine(t, e)
			fill(t, n, 8<<20)
			ctx, cancel := context.WithCancel(kftest.Context(t))
			defer cancel()
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			for i := range 3 {
				c := n.Admin(t)
				wg.Go(func() {
					for k := 1; ctx.Err() == nil; k++ {
						c.Do(ctx, "SET", fmt.Sprintf("a%d", i), fmt.Sprint(k))
						c.Do(ctx, "SET", fmt.Sprintf("b%d", i), fmt.Sprint(k))
					}
				})
			}
			started := make(chan struct{})
			wg.Go(func() {
				spec := dataset.Sized(8<<20, 1)
				if _, err := dataset.Mutate(ctx, server(t, n), spec, started); err != nil {
					t.Error(err)
				}
			})
			kftest.Eventually(t, "writes", func() error {
				select {
				case <-started:
					return nil
				default:
					return errors.New("none yet")
				}
			})
			for range 2 {
				_, rdb := capture(t, source(t, n), Options{})
				back := loaded(t, n, rdb)
				for i := range 3 {
					a, errA := back.Do(t, "GET", fmt.Sprintf("a%d", i)).Integer()
					b, errB := back.Do(t, "GET", fmt.Sprintf("b%d", i)).Integer()
					if errA != nil || errB != nil || a != b && a != b+1 {
						t.Errorf("writer %d: a=%d b=%d %v %v", i, a, b, errA, errB)
					}
				}
			}
		})
	}
}

func TestSlowWriterDoesNotHoldTheEngine(t *testing.T) {
	t.Parallel()
	for _, diskless := range []string{"yes", "no"} {
		t.Run("diskless "+diskless, func(t *testing.T) {
			t.Parallel()
			n := kftest.Engine(t, engine.Valkey, kftest.Parameter("repl-diskless-sync", diskless))
			bulk(t, n, 24)
			want := digest(t, n)
			dir := t.TempDir()
			go1 := make(chan struct{})
			var out bytes.Buffer
			done := shard(kftest.Context(t), source(t, n), writerFunc(func(p []byte) (int, error) {
				<-go1
				return out.Write(p)
			}), Options{Buffer: 1 << 20, Patience: time.Millisecond, SpoolDir: dir})
			admin := n.Admin(t)
			saved := false
			kftest.Eventually(t, "the engine to be done with us", func() error {
				stats, err := admin.Info(kftest.Context(t), "stats")
				if err != nil {
					return err
				}
				repl, err := admin.Info(kftest.Context(t), "replication")
				saved = saved || stats["sync_full"] == "1"
				if err == nil && (!saved || repl["connected_slaves"] != "0") {
					err = fmt.Errorf("%s full syncs, %s replicas", stats["sync_full"], repl["connected_slaves"])
				}
				return err
			})
			if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
				t.Errorf("the spool has a name: %v %v", names, err)
			}
			close(go1)
			r := kftest.Receive(t, "the capture", done)
			if r.err != nil {
				t.Fatal(r.err)
			}
			if r.Spooled < 12<<20 {
				t.Errorf("only %d bytes were spooled", r.Spooled)
			}
			if got := digest(t, loaded(t, n, out.Bytes())); got != want {
				t.Errorf("loaded %v, captured %v", got, want)
			}
		})
	}
}

func TestWithoutASpoolTheEngineWaits(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey)
	bulk(t, n, 20)
	for name, o := range map[string]Options{
		"forbidden":    {SpoolMax: -1, Buffer: 1 << 20, Patience: time.Millisecond},
		"no directory": {SpoolDir: "/nonexistent", Buffer: 1 << 20, Patience: time.Millisecond},
		"small":        {SpoolMax: 1 << 20, SpoolDir: t.TempDir(), Buffer: 1 << 20, Patience: time.Millisecond},
	} {
		var out int64
		r, err := Shard(kftest.Context(t), source(t, n), writerFunc(func(p []byte) (int, error) {
			time.Sleep(100 * time.Microsecond) // slower than the engine
			out += int64(len(p))
			return len(p), nil
		}), o)
		if err != nil || out != r.Summary.Bytes {
			t.Fatalf("%s: %d bytes, %v", name, out, err)
		}
		if name != "small" && r.Spooled != 0 {
			t.Errorf("%s: spooled %d bytes", name, r.Spooled)
		}
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey)
	fill(t, n, 100<<10)
	n.Do(t, "ACL", "SETUSER", "backup", "on", ">hush", "+psync", "+replconf", "+ping")
	n.Do(t, "ACL", "SETUSER", "nobody", "on", ">hush", "-@all", "+ping")
	n.Do(t, "ACL", "SETUSER", "default", "on", "resetpass", ">hush", "+@all")
	pass := engine.NewSecret("hush")
	for name, c := range map[string]struct {
		src  Source
		want error
	}{
		"least privilege": {Source{User: "backup", Password: pass}, nil},
		"password alone":  {Source{Password: pass}, nil},
		"no password":     {Source{}, ErrAuth},
		"wrong password":  {Source{User: "backup", Password: engine.NewSecret("no")}, ErrAuth},
		"no permission":   {Source{User: "nobody", Password: pass}, ErrAuth},
	} {
		c.src.Address = n.Addr()
		_, err := Shard(kftest.Context(t), c.src, io.Discard, Options{})
		if !errors.Is(err, c.want) || Retryable(err) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), n.Addr())) {
			t.Errorf("%s: bad message: %v", name, err)
		}
	}
}

func TestCancelEndsACapture(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey)
	bulk(t, n, 20)
	reason := errors.New("the job lost its lease")
	ctx, cancel := context.WithCancelCause(kftest.Context(t))
	_, err := Shard(ctx, source(t, n), io.Discard, Options{OnProgress: func(int64, int64) { cancel(reason) }})
	if !errors.Is(err, reason) {
		t.Fatalf("while bytes arrive: %v", err)
	}
	if _, err := Shard(ctx, source(t, n), io.Discard, Options{}); !errors.Is(err, reason) {
		t.Fatalf("before it began: %v", err)
	}
	// While the engine waits for its other child: it is told to delay the fork.
	n.Do(t, "CONFIG", "SET", "repl-diskless-sync-delay", "3600")
	ctx, cancel = context.WithCancelCause(kftest.Context(t))
	done := shard(ctx, source(t, n), io.Discard, Options{})
	admin := n.Admin(t)
	kftest.Eventually(t, "the engine to see us", func() error {
		info, err := admin.Info(kftest.Context(t), "replication")
		if err == nil && info["connected_slaves"] != "1" {
			err = errors.New("no replica")
		}
		return err
	})
	cancel(reason)
	if r := kftest.Receive(t, "the capture", done); !errors.Is(r.err, reason) {
		t.Fatalf("before the fork: %v", r.err)
	}
}

func TestWriterErrorEndsACapture(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey)
	bulk(t, n, 20)
	full := errors.New("no space left")
	for _, after := range []int{0, 5 << 20} {
		got := 0
		_, err := Shard(kftest.Context(t), source(t, n), writerFunc(func(p []byte) (int, error) {
			if got += len(p); got > after {
				return 0, full
			}
			return len(p), nil
		}), Options{})
		if !errors.Is(err, full) || Retryable(err) {
			t.Errorf("after %d bytes: %v", after, err)
		}
	}
}

func TestEngineDies(t *testing.T) {
	t.Parallel()
	for _, diskless := range []string{"yes", "no"} {
		t.Run("diskless "+diskless, func(t *testing.T) {
			t.Parallel()
			n := kftest.Engine(t, engine.Valkey, kftest.Parameter("repl-diskless-sync", diskless))
			bulk(t, n, 40)
			pid := n.Sup.PID(n.ID)
			var once sync.Once
			_, err := Shard(kftest.Context(t), source(t, n), io.Discard, Options{OnProgress: func(int64, int64) {
				once.Do(func() { syscall.Kill(pid, syscall.SIGKILL) })
			}})
			if !errors.Is(err, ErrLink) || !Retryable(err) {
				t.Fatalf("got %v", err)
			}
		})
	}
}
