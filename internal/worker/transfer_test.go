package worker

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// A transfer that is cut or damaged is tried again, and the snapshot ends in failed when none is sound.
func TestDamagedTransfersAreTriedAgain(t *testing.T) {
	t.Parallel()
	for name, rdb := range map[string]string{"cut": "REDIS0011\xfa\x05redis", "damaged": "REDIS0011\xff12345678", "garbage": strings.Repeat("x", 200)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			c := h.cache(engine.Valkey, 5)
			node, err := h.Engines.Node(h.node(c.ID))
			h.must(err)
			h.must(h.Engines.Stop(t.Context(), node.ID))
			at := node.Endpoint()
			l, err := net.Listen("tcp", net.JoinHostPort(at.Address, strconv.Itoa(at.Port)))
			h.must(err)
			t.Cleanup(func() { l.Close() })
			var transfers atomic.Int64
			go primary(l, rdb, &transfers)
			if s := h.snapshot("s", c); s.Status != resource.SnapshotFailed || s.StatusReason == "" {
				t.Errorf("the snapshot is %s: %s", s.Status, s.StatusReason)
			}
			if n := transfers.Load(); n != job.DefaultAttempts {
				t.Errorf("%d transfers, want %d", n, job.DefaultAttempts)
			}
			if n := h.objects(""); n != 0 {
				t.Errorf("%d objects are left", n)
			}
			var told []resource.Event
			h.must(h.DB.View(t.Context(), func(tx *metastore.Tx) (err error) {
				told, _, err = tx.Events(metastore.EventFilter{Scope: home, Service: "elasticache", SourceType: "serverless-cache-snapshot", SourceID: "s"})
				return err
			}))
			if len(told) != 1 || !strings.HasPrefix(told[0].Message, "Failed to create snapshot for cache") {
				t.Errorf("events: %v", told)
			}
		})
	}
}

// primary answers as an engine does up to the transfer, which is rdb and then the end of the connection.
func primary(l net.Listener, rdb string, transfers *atomic.Int64) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for in := bufio.NewReader(c); ; {
				var n int
				if _, err := fmt.Fscanf(in, "*%d\r\n", &n); err != nil {
					return
				}
				words := make([]string, n)
				for i := range words {
					var size int
					if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil || size > 1<<16 {
						return
					}
					word := make([]byte, size+2)
					if _, err := io.ReadFull(in, word); err != nil {
						return
					}
					words[i] = string(word[:size])
				}
				if words[0] == "PSYNC" {
					transfers.Add(1)
					fmt.Fprintf(c, "+FULLRESYNC %s 0\r\n$EOF:%s\r\n%s", strings.Repeat("a", 40), strings.Repeat("e", 40), rdb)
					return
				}
				answer := "+OK\r\n"
				if words[0] == "PING" {
					answer = "+PONG\r\n"
				}
				io.WriteString(c, answer)
			}
		}()
	}
}
