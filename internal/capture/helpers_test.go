package capture

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func source(t testing.TB, n *kftest.Node) Source {
	return Source{Address: n.Addr(), TLS: n.TLSConfig(t), User: engine.AdminUser, Password: n.Password}
}

func server(t testing.TB, n *kftest.Node) dataset.Server {
	return dataset.Server{Address: n.Addr(), TLS: n.TLSConfig(t), User: engine.AdminUser, Password: n.Password}
}

// fill writes a data set that makes an RDB of about n bytes.
func fill(t testing.TB, node *kftest.Node, n int64) {
	t.Helper()
	spec := dataset.Sized(n, 1)
	spec.Functions = true
	if _, err := dataset.Fill(kftest.Context(t), server(t, node), spec); err != nil {
		t.Fatal(err)
	}
}

// bulk stores some MiB of noise, where volume is all that counts: fill takes much longer.
func bulk(t testing.TB, n *kftest.Node, mib int) {
	t.Helper()
	noise, value := rand.NewChaCha8([32]byte{}), make([]byte, 1<<20)
	for i := range mib {
		noise.Read(value)
		n.Do(t, "SET", fmt.Sprint("bulk:", i), string(value))
	}
}

func digest(t testing.TB, n *kftest.Node) dataset.Digest {
	t.Helper()
	d, err := dataset.DigestOf(kftest.Context(t), server(t, n), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// capture takes a snapshot into memory and checks what the result says about it.
func capture(t testing.TB, src Source, o Options) (*Result, []byte) {
	t.Helper()
	var out bytes.Buffer
	r, err := Shard(kftest.Context(t), src, &out, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Summary.Bytes != int64(out.Len()) {
		t.Fatalf("the writer got %d bytes of %d", out.Len(), r.Summary.Bytes)
	}
	return r, out.Bytes()
}

// loaded is an engine that has loaded the RDB.
func loaded(t testing.TB, n *kftest.Node, rdb []byte, opts ...kftest.Option) *kftest.Node {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(file, rdb, 0o600); err != nil {
		t.Fatal(err)
	}
	return kftest.Engine(t, n.Engine, append(opts, kftest.Data(file))...)
}

// writerFunc is a writer made of a function.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

var _ io.Writer = writerFunc(nil)

// listen serves connections, each in its goroutine, until the test ends. They are closed when serve returns.
func listen(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// shard runs Shard beside the test.
func shard(ctx context.Context, src Source, w io.Writer, o Options) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		r, err := Shard(ctx, src, w, o)
		c <- outcome{r, err}
	}()
	return c
}

type outcome struct {
	*Result
	err error
}
