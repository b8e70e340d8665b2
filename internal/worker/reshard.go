package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/resource"
)

// reshard gives every slot to the shard that shall have it, while clients go on: they are told to ask elsewhere, and never miss a key.
// Slots that an earlier run left half moved are finished first. Every step may be repeated.
func (w *Worker) reshard(ctx context.Context, g *ring, shards []resource.Shard, show func(migration)) error {
	if err := g.until(ctx, g.agreed); err != nil {
		return err
	}
	if err := g.shareFunctions(ctx, shards); err != nil {
		return err
	}
	room := newRoom(g)
	plans := []func() (map[route][]int, error){
		func() (map[route][]int, error) { return g.halfMoved(ctx) },
		func() (map[route][]int, error) { return g.misplaced(shards) },
	}
	for _, plan := range plans {
		moves, err := plan()
		if err != nil {
			return err
		}
		if len(moves) > 0 {
			if err := room.brace(ctx); err != nil {
				return err
			}
		}
		t := &tally{show: show, begun: time.Now()}
		for _, slots := range moves {
			t.of += len(slots)
		}
		for _, routes := range phases(moves) {
			if err := w.migrate(ctx, g, routes, moves, t, room); err != nil {
				return err
			}
			if err := g.until(ctx, g.agreed); err != nil {
				return err
			}
		}
	}
	return room.tidy(ctx)
}

// phases puts routes into an order in which no node gives and takes at the same time, the busiest first. A node that takes raises its
// epoch. Were it to give as well, what it gives could seem to be its own again to others, who had not heard of the gift and had heard
// of the new epoch: they would talk the new owner out of it, who would drop the keys.
func phases(moves map[route][]int) (order [][]route) {
	left := slices.SortedFunc(maps.Keys(moves), func(a, b route) int {
		return cmp.Or(len(moves[b])-len(moves[a]), cmp.Compare(a.from.ID, b.from.ID), cmp.Compare(a.to.ID, b.to.ID))
	})
	for len(left) > 0 {
		gives, takes := make(map[*resource.Node]bool), make(map[*resource.Node]bool)
		var now, later []route
		for _, r := range left {
			if takes[r.from] || gives[r.to] {
				later = append(later, r)
				continue
			}
			gives[r.from], takes[r.to] = true, true
			now = append(now, r)
		}
		order, left = append(order, now), later
	}
	return order
}

// migration is the progress of resharding.
type migration struct {
	Slots, Of int
	Keys      int64
	PerSecond int64 // keys
}

// route is a way that slots go, from the primary of one shard to that of another.
type route struct{ from, to *resource.Node }

// misplaced lists the slots that are not where they shall be.
func (g *ring) misplaced(shards []resource.Shard) (map[route][]int, error) {
	owner, err := g.owners()
	if err != nil {
		return nil, err
	}
	moves := make(map[route][]int)
	for _, shard := range shards {
		to := g.primary(shard.Name)
		for _, r := range shard.Slots {
			for s := r.Start; s <= r.End; s++ {
				switch {
				case to == nil:
					return nil, fmt.Errorf("shard %s has no primary", shard.Name)
				case owner[s] == nil:
					return nil, fmt.Errorf("slot %d has no owner", s)
				case owner[s] != to && owner[s].Shard != shard.Name:
					moves[route{owner[s], to}] = append(moves[route{owner[s], to}], s)
				}
			}
		}
	}
	return moves, nil
}

// halfMoved lists the slots that are open: a migration of them was begun and not finished. Some of their keys are here, some there. Marks
// that lead nowhere are removed.
func (g *ring) halfMoved(ctx context.Context) (map[route][]int, error) {
	owner, err := g.owners()
	if err != nil {
		return nil, err
	}
	moves := make(map[route][]int)
	for _, n := range g.nodes {
		m := g.self[n.ID]
		if !m.Primary {
			continue // it has what its primary has, and takes no orders
		}
		for s, to := range m.Migrating {
			target := g.heir(to)
			switch {
			case owner[s] != n || target == nil || target == n:
				if err := g.tell(ctx, n, "CLUSTER", "SETSLOT", strconv.Itoa(s), "STABLE"); err != nil {
					return nil, err
				}
			default:
				moves[route{n, target}] = append(moves[route{n, target}], s)
			}
		}
		for s := range m.Importing {
			from := owner[s]
			switch {
			case from == nil || from == n || g.self[from.ID].Migrating[s] != "" && g.heir(g.self[from.ID].Migrating[s]) != n:
				if err := g.tell(ctx, n, "CLUSTER", "SETSLOT", strconv.Itoa(s), "STABLE"); err != nil {
					return nil, err
				}
			case g.self[from.ID].Migrating[s] == "": // a primary that was promoted since, or the step between the two marks
				moves[route{from, n}] = append(moves[route{from, n}], s)
			}
		}
	}
	return moves, nil
}

// heir is the primary of the shard of a member: where keys are that were sent to that member before it was replaced.
func (g *ring) heir(id string) *resource.Node {
	if n := g.byID[id]; n != nil {
		return g.primary(n.Shard)
	}
	return nil
}

// shareFunctions brings function libraries to the primaries that have no slots yet, as every shard must have them.
func (g *ring) shareFunctions(ctx context.Context, shards []resource.Shard) error {
	var libraries string
	known := false
	for _, shard := range shards {
		n := g.primary(shard.Name)
		if n == nil || len(g.self[n.ID].Slots) > 0 {
			continue
		}
		if !known {
			source := g.serving()
			if source == nil {
				return errors.New("no primary serves a slot")
			}
			v, err := g.conns[source.ID].Do(ctx, "FUNCTION", "DUMP")
			if err != nil {
				return fmt.Errorf("node %s: FUNCTION DUMP: %w", source.ID, err)
			}
			libraries, known = v.Str, true
		}
		if err := g.tell(ctx, n, "FUNCTION", "RESTORE", libraries, "FLUSH"); err != nil {
			return err
		}
	}
	return nil
}

// serving is a primary that has slots.
func (g *ring) serving() *resource.Node {
	for _, n := range g.nodes {
		if m := g.self[n.ID]; m.Primary && len(m.Slots) > 0 {
			return n
		}
	}
	return nil
}

const (
	routesAtOnce = 4
	lanes        = 8  // of a route: engines with replicas wait for them at every step of a slot
	slotsAtOnce  = 16 // open at a time on a lane
	keysAtOnce   = 64 // in one MIGRATE, during which the source serves nobody
	bytesAtOnce  = 512 << 10
)

// migrate moves the slots of some routes with the engines' own migration.
func (w *Worker) migrate(ctx context.Context, g *ring, routes []route, moves map[route][]int, t *tally, room *room) error {
	// What arrives must not push out what is there, nor be refused in the middle of a slot: the limit comes back at the end.
	for _, r := range routes {
		if err := g.tell(ctx, r.to, "CONFIG", "SET", "maxmemory", "0"); err != nil {
			return err
		}
	}
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(routesAtOnce)
	for _, r := range routes {
		eg.Go(func() error {
			if err := w.travel(ctx, g, r, moves[r], t, room); err != nil {
				return fmt.Errorf("move slots from %s to %s: %w", r.from.Name, r.to.Name, err)
			}
			return nil
		})
	}
	return eg.Wait()
}

// travel moves slots on one route.
func (w *Worker) travel(ctx context.Context, g *ring, r route, slots []int, t *tally, room *room) error {
	eg, ctx := errgroup.WithContext(ctx)
	next := make(chan []int)
	eg.Go(func() error {
		defer close(next)
		for some := range slices.Chunk(slices.Sorted(slices.Values(slots)), slotsAtOnce) {
			select {
			case next <- some:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range min(lanes, len(slots)/slotsAtOnce+1) {
		eg.Go(func() error {
			m, err := w.newMover(ctx, r, room)
			if err != nil {
				return err
			}
			defer m.close()
			m.tally = t
			for some := range next {
				if err := m.move(ctx, some); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return eg.Wait()
}

// mover moves slots on one route, over connections of its own.
type mover struct {
	route
	fromID, toID string // in the cluster
	src, dst     *resp.Conn
	head         []string // of every MIGRATE, up to the time limit
	tail         []string // and after it, up to the keys
	tally        *tally
	room         *room
}

func (w *Worker) newMover(ctx context.Context, r route, room *room) (*mover, error) {
	to, err := w.Engines.Node(r.to.ID)
	if err != nil {
		return nil, err
	}
	m := &mover{route: r, room: room, fromID: engine.ClusterID(r.from.ID), toID: engine.ClusterID(r.to.ID)}
	at := to.Endpoint()
	m.head = []string{"MIGRATE", at.Address, strconv.Itoa(at.Port), "", "0"}
	m.tail = []string{"REPLACE", "AUTH2", engine.AdminUser, to.Password.Reveal(), "KEYS"}
	if m.src, err = w.Engines.Admin(ctx, r.from.ID); err != nil {
		return nil, err
	}
	if m.dst, err = w.Engines.Admin(ctx, r.to.ID); err != nil {
		m.src.Close()
		return nil, err
	}
	m.src.Limit, m.dst.Limit = room.limit, room.limit
	return m, nil
}

func (m *mover) close() {
	m.src.Close()
	m.dst.Close()
}

// move moves some slots. The marks come first on the target, so that nobody is sent to one that does not expect him. The new owner comes
// first on the target too: for a moment two own the slot, and the target's claim is the newer one; the other way round nobody would.
func (m *mover) move(ctx context.Context, slots []int) error {
	if err := m.mark(ctx, m.dst, slots, "IMPORTING", m.fromID); err != nil {
		return err
	}
	failpoint.Hit("reshape.importing")
	if err := m.mark(ctx, m.src, slots, "MIGRATING", m.toID); err != nil {
		return err
	}
	failpoint.Hit("reshape.migrating")
	counts, err := pipeline(ctx, m.src, slots, func(s string) []string { return []string{"CLUSTER", "COUNTKEYSINSLOT", s} })
	if err != nil {
		return err
	}
	for i, v := range counts {
		if n, err := v.Integer(); err != nil {
			return err
		} else if n > 0 {
			if err := m.empty(ctx, slots[i]); err != nil {
				return fmt.Errorf("slot %d: %w", slots[i], err)
			}
		}
	}
	failpoint.Hit("reshape.emptied")
	if err := m.mark(ctx, m.dst, slots, "NODE", m.toID); err != nil {
		return err
	}
	failpoint.Hit("reshape.taken")
	if err := m.mark(ctx, m.src, slots, "NODE", m.toID); err != nil {
		return err
	}
	failpoint.Hit("reshape.given")
	m.tally.add(len(slots), 0)
	return nil
}

func (m *mover) mark(ctx context.Context, c *resp.Conn, slots []int, state, id string) error {
	for until := time.Now().Add(agreement); ; {
		_, err := pipeline(ctx, c, slots, func(s string) []string { return []string{"CLUSTER", "SETSLOT", s, state, id} })
		switch {
		case err == nil:
			return nil
		case !resp.IsCode(err, "NOREPLICAS") || time.Now().After(until):
			return fmt.Errorf("CLUSTER SETSLOT %s: %w", state, err)
		}
		// Replicas must have the mark first, and they are behind while a large value moves.
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// pipeline sends one command for each slot, and returns the first error reply as an error.
func pipeline(ctx context.Context, c *resp.Conn, slots []int, command func(slot string) []string) ([]resp.Value, error) {
	cmds := make([][]string, len(slots))
	for i, s := range slots {
		cmds[i] = command(strconv.Itoa(s))
	}
	return replies(ctx, c, cmds)
}

func replies(ctx context.Context, c *resp.Conn, cmds [][]string) ([]resp.Value, error) {
	values, err := c.Pipeline(ctx, cmds...)
	for i := 0; err == nil && i < len(values); i++ {
		if values[i].Kind == resp.ErrorKind {
			err = values[i].Err
		}
	}
	return values, err
}

// empty moves all keys of a slot. New ones cannot appear at the source, which sends their writers to the target.
func (m *mover) empty(ctx context.Context, slot int) error {
	for {
		v, err := m.src.Do(ctx, "CLUSTER", "GETKEYSINSLOT", strconv.Itoa(slot), "256")
		if err != nil {
			return err
		}
		keys, err := v.Strings()
		if err != nil || len(keys) == 0 {
			return err
		}
		asks := make([][]string, len(keys))
		for i, k := range keys {
			asks[i] = []string{"MEMORY", "USAGE", k}
		}
		sizes, err := replies(ctx, m.src, asks)
		if err != nil {
			return err
		}
		for first, bytes := 0, int64(0); first < len(keys); bytes = 0 {
			last := first
			for last < len(keys) && last-first < keysAtOnce && (last == first || bytes+sizes[last].Int <= bytesAtOnce) {
				bytes += sizes[last].Int
				last++
			}
			if err := m.send(ctx, keys[first:last], bytes); err != nil {
				return err
			}
			m.tally.add(0, last-first)
			first = last
		}
	}
}

// send moves keys in one step of the source. What the target has of them already is a copy that an interrupted step left: the source,
// which owns the slot, has what counts.
func (m *mover) send(ctx context.Context, keys []string, bytes int64) error {
	if err := m.room.make(ctx, bytes); err != nil {
		return err
	}
	limit := 10*time.Second + time.Duration(bytes/slowest)*time.Second
	command := append(append(slices.Clone(m.head), strconv.FormatInt(limit.Milliseconds(), 10)), m.tail...)
	if _, err := m.src.Do(ctx, append(command, keys...)...); err != nil {
		return fmt.Errorf("MIGRATE of %d keys: %w", len(keys), err)
	}
	return nil
}

// slowest is the speed in bytes per second at which even a busy engine moves a value.
const slowest = 10 << 20
