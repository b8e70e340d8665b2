package capture

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/rdb"
)

const (
	patient = 2 * time.Second // that a replica has to come into step before its primary is taken instead
	nearly  = 1 << 20         // bytes that a replica may lag behind when the pause begins: it catches up in a moment
	closely = 200 * time.Microsecond
	loosely = 20 * time.Millisecond
)

// member is a shard that is being cut.
type member struct {
	*Target
	many             bool // there are other shards
	primary, replica desk
	slots            *rdb.SlotSet

	// Of the current attempt:
	fromReplica bool
	feed        *feed
	before      *view
	held        history // the primary's, once its writes are held
}

func newMember(t *Target, many bool) *member {
	m := &member{Target: t, many: many, primary: desk{src: t.Primary}}
	if t.Replica != nil {
		m.replica.src = *t.Replica
	}
	if t.Slots != nil {
		m.slots = &rdb.SlotSet{}
		for _, r := range t.Slots {
			m.slots.Add(r.Start, r.End)
		}
	}
	return m
}

func (m *member) source() *desk {
	if m.fromReplica {
		return &m.replica
	}
	return &m.primary
}

func (m *member) hangUp() {
	if m.feed != nil {
		m.feed.link.close()
		m.feed = nil
	}
}

// look notes how the primary sees its cluster.
func (m *member) look(ctx context.Context, o Options) (*view, error) {
	if m.Slots == nil {
		return nil, nil
	}
	texts, err := m.primary.do(ctx, o.ProgressTimeout, []string{"CLUSTER", "NODES"})
	if err != nil {
		return nil, err
	}
	return m.viewed(texts[0])
}

func (m *member) viewed(text string) (*view, error) {
	v, err := parseView(text)
	if err != nil {
		return nil, &Error{m.Primary.Address, "CLUSTER NODES", err}
	}
	return v, nil
}

// prepare does all that can be done before the pause: it chooses where to take the data from, waits until that engine can fork, and
// opens the link, which ends with life. Willing allows the replica.
func (m *member) prepare(ctx, life context.Context, o Options, willing bool) error {
	var err error
	m.held = history{}
	if m.before, err = m.look(ctx, o); err != nil {
		return err
	}
	m.fromReplica = false
	if m.Replica != nil && willing {
		if m.fromReplica, err = m.replicaInStep(ctx, o); err != nil {
			return err
		}
	}
	if m.many {
		if err := m.quiet(ctx, o); err != nil {
			return err
		}
	}
	m.feed, err = connect(life, m.source().src, o)
	return err
}

// replicaInStep waits a little until the replica has what its primary had when the capture began or, if a pause follows, nearly that. Whatever is wrong
// with the replica only means that it is not taken.
func (m *member) replicaInStep(ctx context.Context, o Options) (bool, error) {
	info, err := m.primary.info(ctx, o.ProgressTimeout, "replication")
	if err != nil {
		return false, err
	}
	want, err := asPrimary(info)
	if err != nil {
		return false, &Error{m.Primary.Address, "INFO", err}
	}
	if m.many {
		want.offset -= nearly
	}
	limited, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	for {
		info, err := m.replica.info(limited, patient, "replication")
		if err == nil {
			at, ok := asReplica(info)
			if ok && at.reached(want) {
				if !m.many {
					m.held = want // it must not fork before that
				}
				return true, nil
			}
			err = rest(limited, loosely)
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err != nil {
			return false, nil
		}
	}
}

// quiet waits until the engine that is to fork has no other child.
func (m *member) quiet(ctx context.Context, o Options) error {
	d := m.source()
	for deadline := time.Now().Add(o.ChildMax); ; {
		info, err := d.info(ctx, o.ProgressTimeout, "persistence")
		if err != nil {
			return err
		}
		if !busy(info) {
			return nil
		}
		if time.Now().After(deadline) {
			return &Error{d.src.Address, "wait", fmt.Errorf("%w: another child of it has been busy for %v", ErrTemporary, o.ChildMax)}
		}
		if err := rest(ctx, loosely); err != nil {
			return err
		}
	}
}

// hold pauses writes on the primary for at most d, and notes where they stopped.
func (m *member) hold(ctx context.Context, d, wait time.Duration) error {
	commands := [][]string{{"CLIENT", "PAUSE", strconv.FormatInt(d.Milliseconds(), 10), "WRITE"}}
	if m.fromReplica {
		commands = append(commands, []string{"INFO", "replication"})
	}
	texts, err := m.primary.do(ctx, wait, commands...)
	if err != nil {
		if errors.Is(err, ErrRefused) || errors.Is(err, ErrAuth) || errors.Is(err, ErrStalled) {
			err = fmt.Errorf("%w: %w", errNoInstant, err)
		}
		return err
	}
	if m.fromReplica {
		if m.held, err = asPrimary(resp.ParseInfo(texts[1])); err != nil {
			return &Error{m.Primary.Address, "INFO", err}
		}
	}
	return nil
}

// follow waits until the replica has all that its primary had when writes were held. The primary still sends it pings, which count.
func (m *member) follow(ctx context.Context) error {
	for m.fromReplica && m.held.id != "" {
		info, err := m.replica.info(ctx, patient, "replication")
		if err != nil {
			return err
		}
		at, ok := asReplica(info)
		if !ok || at.id != m.held.id {
			return &Error{m.Replica.Address, "INFO", fmt.Errorf("%w: the replica has lost its primary", ErrTemporary)}
		}
		if at.reached(m.held) {
			return nil
		}
		if err := rest(ctx, closely); err != nil {
			return err
		}
	}
	return nil
}

// release lifts the pause, and before that, in the same turn, looks at the cluster if that is wanted.
func (m *member) release(ctx context.Context, wait time.Duration, look bool) (*view, error) {
	unpause := []string{"CLIENT", "UNPAUSE"}
	if look && m.Slots != nil {
		texts, err := m.primary.do(ctx, wait, []string{"CLUSTER", "NODES"}, unpause)
		if err == nil {
			return m.viewed(texts[0])
		}
		_, again := m.primary.do(ctx, wait, unpause)
		return nil, errors.Join(err, again)
	}
	_, err := m.primary.do(ctx, wait, unpause)
	if err != nil {
		_, err = m.primary.do(ctx, wait, unpause) // on a new connection
	}
	return nil, err
}
