package capture

import (
	"context"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

// learned is what a second connection says about the engine while the transfer runs. Nobody waits long for it.
type learned struct {
	cancel  context.CancelFunc
	done    chan struct{}
	version string
	fork    int64
}

// learn asks after the fork, so that its cost is known, and before another child can overwrite it.
func learn(ctx context.Context, src Source) *learned {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	l := &learned{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		c, err := resp.Dial(ctx, src.Address, src.TLS)
		if err != nil {
			return
		}
		defer c.Close()
		if !src.Password.IsZero() && c.Auth(ctx, src.User, src.Password.Reveal()) != nil {
			return
		}
		if info, err := c.Info(ctx, "stats"); err == nil {
			l.fork, _ = strconv.ParseInt(info["latest_fork_usec"], 10, 64)
		}
		if info, err := c.Info(ctx, "server"); err == nil {
			if l.version = info["valkey_version"]; l.version == "" {
				l.version = info["redis_version"]
			}
		}
	}()
	return l
}

func (l *learned) stop() {
	l.cancel()
	<-l.done
}

func (l *learned) result() (version string, fork int64) {
	<-l.done
	return l.version, l.fork
}
