package capture

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

// desk is a connection on which we ask an engine and command it. After a failure the next command connects anew.
type desk struct {
	src  Source
	conn *resp.Conn
}

func (d *desk) close() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
}

// do sends commands in one go and returns the text of each answer. The first error reply, or no answer within wait, is the error.
func (d *desk) do(ctx context.Context, wait time.Duration, commands ...[]string) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, ErrStalled)
	defer cancel()
	answers, err := d.exchange(ctx, commands)
	if err != nil {
		d.close()
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, ErrStalled):
			err = fmt.Errorf("%w: %w: no answer in %v", ErrLink, ErrStalled, wait)
		case cause != nil:
			err = cause
		case !errors.Is(err, ErrAuth) && !errors.Is(err, ErrTemporary) && !errors.Is(err, ErrRefused):
			err = fmt.Errorf("%w: %w", ErrLink, err)
		}
		return nil, &Error{d.src.Address, commands[0][0], err}
	}
	texts := make([]string, len(answers))
	for i, v := range answers {
		if v.Kind == resp.ErrorKind {
			return nil, &Error{d.src.Address, commands[i][0], refusal(commands[i][0], v.Err.Message)}
		}
		if texts[i], err = v.Text(); err != nil {
			return nil, &Error{d.src.Address, commands[i][0], fmt.Errorf("%w: %w", ErrProtocol, err)}
		}
	}
	return texts, nil
}

func (d *desk) exchange(ctx context.Context, commands [][]string) ([]resp.Value, error) {
	if d.conn == nil {
		c, err := resp.Dial(ctx, d.src.Address, d.src.TLS)
		if err != nil {
			return nil, err
		}
		d.conn = c
		if !d.src.Password.IsZero() {
			err := c.Auth(ctx, d.src.User, d.src.Password.Reveal())
			if e := (*resp.Error)(nil); errors.As(err, &e) {
				return nil, refusal("AUTH", e.Message)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return d.conn.Pipeline(ctx, commands...)
}

// info is a section of INFO.
func (d *desk) info(ctx context.Context, wait time.Duration, section string) (map[string]string, error) {
	texts, err := d.do(ctx, wait, []string{"INFO", section})
	if err != nil {
		return nil, err
	}
	return resp.ParseInfo(texts[0]), nil
}

// history is a point in the replication history of an engine.
type history struct {
	id     string
	offset int64
}

// asPrimary reads INFO replication of a primary.
func asPrimary(info map[string]string) (history, error) {
	offset, err := strconv.ParseInt(info["master_repl_offset"], 10, 64)
	if info["role"] != "master" || err != nil {
		return history{}, fmt.Errorf("%w: it is no primary but a %.20q", ErrLayout, info["role"])
	}
	return history{info["master_replid"], offset}, nil
}

// asReplica reads INFO replication of a replica: what it has executed. Not ok says that it is no replica, or has lost its primary.
func asReplica(info map[string]string) (_ history, ok bool) {
	offset, err := strconv.ParseInt(info["slave_repl_offset"], 10, 64)
	return history{info["master_replid"], offset}, err == nil && info["role"] == "slave" && info["master_link_status"] == "up"
}

// reached tells whether a replica that is at h has executed all that its primary had at p.
func (h history) reached(p history) bool { return h.id == p.id && h.offset >= p.offset }

// busy tells whether an engine has a child, or is about to have one: it would not fork for us.
func busy(info map[string]string) bool {
	for _, what := range []string{"rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled", "module_fork_in_progress"} {
		if v := info[what]; v != "" && v != "0" {
			return true
		}
	}
	return false
}

// rest sleeps, or ends early with the context.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
