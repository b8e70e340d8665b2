// Package keyrestore puts chosen keys of RDB files into an engine that runs, or into a cluster, by the command RESTORE.
//
// Keys are sent in batches, in the order of the file, each with its absolute expiry. A batch is over when every key of it has an
// answer; how far that is can be noted in a State, and a later run goes on from there.
package keyrestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/rdb"
)

// Policy says what becomes of a key that the engine has already.
type Policy string

// Policies.
const (
	Fail    Policy = "fail"    // the run ends
	Skip    Policy = "skip"    // the engine's stays
	Replace Policy = "replace" // the engine's goes
)

// Options say how keys are restored.
type Options struct {
	Conflict Policy
	DryRun   bool    // only look what would happen
	Keys     float64 // most keys a second; 0: no limit
	Bytes    float64 // most bytes of payload a second; 0: no limit
	DB       int64   // database that all keys go to; -1: that in which they were
	Least    int64   // least size of a value
	Dir      string  // for temporary files; the system's if empty
	Deep     bool    // look inside every value before it is sent: of files that come from anywhere
	State    *State  // where it is noted how far the run is; nil: nowhere

	// Now is the clock that says which keys have expired; time.Now if nil.
	Now func() time.Time
}

// Report counts what became of keys.
type Report struct {
	Restored  int64
	Bytes     int64 // of the payloads restored
	Skipped   int64 // the engine had them, and they stayed
	Replaced  int64 `json:",omitempty"` // of Restored, with the policy Replace: known only from a dry run
	Expired   int64 // while they were stored
	Failed    int64
	Present   int64 // of Restored: the engine had them right after
	Converted int64 // stored in an older form, as the engine does not know theirs
}

// Failure is a key that could not be restored, while others can.
type Failure struct {
	DB     uint64
	Key    []byte
	Reason string
}

// maxFailures is how many failures are told one by one.
const maxFailures = 100

// ConflictError is a key that the engine has, with the policy Fail.
type ConflictError struct {
	DB  uint64
	Key []byte
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the engine has the key %q in database %d already", cut(e.Key), e.DB)
}

func cut(key []byte) []byte { return key[:min(len(key), 200)] }

// Run restores keys. Add them all, in the order of the file, then Flush.
type Run struct {
	Report   Report
	Failures []Failure // the first hundred

	// Conflicts are those of Skipped, or in a dry run of any policy, that came first.
	Conflicts [][]byte

	e     *Engine
	o     Options
	pace  pace
	batch []*item
	bytes int64
}

// item is a key on its way.
type item struct {
	key      []byte
	db       uint64
	slot     int
	expireAt int64
	position int64
	payload  *payload
	at       string // node
	asking   bool
	tries    int
}

// Bounds of a batch.
const (
	batchKeys  = 512
	batchBytes = 4 << 20
)

// NewRun begins to restore into an engine, or goes on where the state says.
func NewRun(e *Engine, o Options) *Run {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Run{e: e, o: o, pace: pace{keys: o.Keys, bytes: o.Bytes}}
	if o.State != nil {
		r.Report = o.State.Report
	}
	return r
}

// Add takes a key with its value, which it reads. position is how many records the files have before it; what the state has as done
// is passed by. The key may be sent by this or a later call.
func (r *Run) Add(ctx context.Context, rec *rdb.Record, v *rdb.Value, position int64) error {
	if r.o.State != nil && position < r.o.State.Done {
		return nil
	}
	if err := r.add(ctx, rec, v, position); err != nil || r.o.State == nil || r.Pending() {
		return err
	}
	return r.o.State.settled(position+1, r.Report)
}

func (r *Run) add(ctx context.Context, rec *rdb.Record, v *rdb.Value, position int64) error {
	if rec.ExpireAt != 0 && rec.ExpireAt <= r.o.Now().UnixMilli() {
		r.Report.Expired++
		return nil
	}
	it := &item{key: slices.Clone(rec.Key), db: rec.DB, slot: rdb.KeySlot(rec.Key), expireAt: rec.ExpireAt, position: position}
	if r.o.DB >= 0 {
		it.db = uint64(r.o.DB)
	}
	typ := v.Type()
	p, err := payloadOf(r.e, r.o.Dir, v, r.o.Deep)
	var bad *unfit
	switch {
	case errors.As(err, &bad):
		r.fail(it, bad.Error())
		return nil
	case err != nil:
		return err
	case p.size-tail-1 < r.o.Least:
		p.close()
		return nil
	case len(p.mem) > 0 && p.mem[0] != typ:
		r.Report.Converted++
	}
	it.payload = p
	r.batch = append(r.batch, it)
	r.bytes += p.size + int64(len(it.key))
	most, mostBytes := r.pace.batch()
	if len(r.batch) >= most || r.bytes >= mostBytes {
		return r.Flush(ctx)
	}
	return nil
}

func (r *Run) fail(it *item, reason string) {
	r.Report.Failed++
	if len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures, Failure{it.db, it.key, reason})
	}
}

// Pending tells whether keys wait for a batch to fill.
func (r *Run) Pending() bool { return len(r.batch) > 0 }

// Flush sends what waits, and returns when all of it is answered.
func (r *Run) Flush(ctx context.Context) error {
	all := r.batch
	r.batch, r.bytes = nil, 0
	defer func() {
		for _, it := range all {
			it.payload.close()
		}
	}()
	if len(all) == 0 {
		return nil
	}
	var size int64
	for _, it := range all {
		it.at = r.e.home(it.slot)
		size += it.payload.size
	}
	if err := r.pace.wait(ctx, len(all), size); err != nil {
		return err
	}
	if r.o.DryRun {
		return r.look(ctx, all)
	}
	if r.o.State != nil {
		if err := r.o.State.sending(all[len(all)-1].position + 1); err != nil {
			return err
		}
	}
	restored, err := r.restore(ctx, all)
	for _, it := range restored {
		r.Report.Restored++
		r.Report.Bytes += it.payload.size
	}
	if err != nil {
		return err
	}
	return r.readBack(ctx, restored)
}

// waits are the times to wait before a node that cannot serve just now is asked again.
var waits = []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 10 * time.Second}

// restore sends a batch, and tells which keys of it the engine has taken, also when it ends early.
func (r *Run) restore(ctx context.Context, all []*item) (restored []*item, err error) {
	for left := all; len(left) > 0; {
		var again []*item
		answered, err := r.each(ctx, left, call{send: r.sendRestore})
		if err != nil {
			return restored, err
		}
		var ends error
		for i, v := range answered {
			it := left[i]
			verdict, err := r.judge(it, v)
			if verdict == busy && ends == nil {
				verdict, err = r.busy(ctx, it)
			}
			switch {
			case ends == nil && err != nil:
				ends = err
			case verdict == done:
				restored = append(restored, it)
			case verdict == retry:
				again = append(again, it)
			}
		}
		if ends != nil {
			return restored, ends
		}
		if len(again) > 0 {
			if err := r.reconsider(ctx, again); err != nil {
				return restored, err
			}
		}
		left = again
	}
	return restored, nil
}

// reconsider waits before keys are sent again, and asks the cluster anew who has which slots.
func (r *Run) reconsider(ctx context.Context, again []*item) error {
	tries := 0
	for _, it := range again {
		if !it.asking {
			it.tries++
		}
		tries = max(tries, it.tries)
	}
	if tries == 0 {
		return nil
	}
	if tries >= len(waits) {
		return fmt.Errorf("key %q: no node of the cluster takes it", cut(again[0].key))
	}
	select {
	case <-time.After(waits[tries]):
	case <-ctx.Done():
		return ctx.Err()
	}
	if !r.e.Cluster {
		return nil
	}
	if err := r.e.learn(ctx); err != nil {
		return err
	}
	for _, it := range again {
		if !it.asking {
			it.at = r.e.home(it.slot)
		}
	}
	return nil
}

type verdict int

const (
	done verdict = iota
	settled
	retry
	busy // the engine has the key
)

// judge says what an answer means for its key. An error ends the run.
func (r *Run) judge(it *item, v resp.Value) (verdict, error) {
	if v.Kind != resp.ErrorKind {
		return done, nil
	}
	it.asking = false
	text := v.Err.Error()
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "MOVED", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN":
		if r.e.Cluster || word != "MOVED" {
			return retry, nil
		}
	case "ASK":
		if f := strings.Fields(text); len(f) == 3 {
			it.at, it.asking = f[2], true
			return retry, nil
		}
	case "BUSYKEY":
		return busy, nil
	case "NOPERM":
		if strings.Contains(text, "key") {
			r.fail(it, text)
			return settled, nil
		}
	case "ERR":
		if strings.Contains(text, "Bad data format") || strings.Contains(text, "DUMP payload") {
			r.fail(it, text)
			return settled, nil
		}
	}
	return settled, fmt.Errorf("key %q: %s refuses it: %w", cut(it.key), it.at, v.Err)
}

func (r *Run) conflict(it *item) {
	if len(r.Conflicts) < maxFailures {
		r.Conflicts = append(r.Conflicts, it.key)
	}
}

// call is a command for a key.
type call struct {
	send func(*conn, *item) error
	read func(*conn) (resp.Value, error) // the answer; nil: into memory
}

// each sends a command for every key to its node, and returns the answers in the order of the keys.
func (r *Run) each(ctx context.Context, all []*item, do call) ([]resp.Value, error) {
	answers := make([]resp.Value, len(all))
	at := map[string][]int{}
	for i, it := range all {
		at[it.at] = append(at[it.at], i)
	}
	for address, mine := range at {
		c, err := r.e.at(ctx, address)
		if err != nil {
			return nil, err
		}
		if err := r.exchange(ctx, c, all, mine, answers, do); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// exchange speaks with one node: SELECT and ASKING come before the keys that need them.
func (r *Run) exchange(ctx context.Context, c *conn, all []*item, mine []int, answers []resp.Value, do call) error {
	type step struct {
		key  int // -1: none
		args []string
	}
	var steps []step
	for _, i := range mine {
		if db := int64(all[i].db); db != c.db {
			steps = append(steps, step{-1, []string{"SELECT", strconv.FormatInt(db, 10)}})
			c.db = db
		}
		if all[i].asking {
			steps = append(steps, step{-1, []string{"ASKING"}})
		}
		steps = append(steps, step{key: i})
	}
	got, err := c.exchange(ctx, len(steps), func(k int) error {
		if s := steps[k]; s.key < 0 {
			return c.send(s.args...)
		}
		return do.send(c, all[steps[k].key])
	}, func(k int) (resp.Value, error) {
		if do.read == nil || steps[k].key < 0 {
			return c.r.Read()
		}
		return do.read(c)
	})
	if err != nil {
		return err
	}
	for k, s := range steps {
		switch {
		case s.key >= 0:
			answers[s.key] = got[k]
		case got[k].Kind == resp.ErrorKind:
			return fmt.Errorf("%s: %s: %w", c.address, strings.Join(s.args, " "), got[k].Err)
		}
	}
	return nil
}

func (r *Run) sendRestore(c *conn, it *item) error {
	n := int64(5)
	if r.o.Conflict == Replace {
		n++
	}
	c.head('*', n)
	c.argument("RESTORE")
	c.argument(string(it.key))
	c.argument(strconv.FormatInt(it.expireAt, 10))
	c.head('$', it.payload.size)
	if err := c.pass(it.payload); err != nil {
		return err
	}
	c.w.WriteString("\r\n")
	c.argument("ABSTTL")
	if r.o.Conflict == Replace {
		c.argument("REPLACE")
	}
	return nil
}

// ask sends a command for every key and hands over the answers. Of a key whose slot is under way, it asks again.
func (r *Run) ask(ctx context.Context, all []*item, do call, answered func(*item, resp.Value)) error {
	for left := all; len(left) > 0; {
		answers, err := r.each(ctx, left, do)
		if err != nil {
			return err
		}
		var again []*item
		for i, v := range answers {
			it := left[i]
			if v.Kind != resp.ErrorKind {
				answered(it, v)
				continue
			}
			verdict, err := r.judge(it, v)
			if err != nil {
				return err
			}
			if verdict == retry {
				again = append(again, it)
			}
		}
		if len(again) > 0 {
			if err := r.reconsider(ctx, again); err != nil {
				return err
			}
		}
		left = again
	}
	return nil
}

// exist asks which keys the engine has.
func (r *Run) exist(ctx context.Context, all []*item) (map[*item]bool, error) {
	has := map[*item]bool{}
	exists := call{send: func(c *conn, it *item) error { return c.send("EXISTS", string(it.key)) }}
	err := r.ask(ctx, all, exists, func(it *item, v resp.Value) { has[it] = v.Int > 0 })
	return has, err
}

func (r *Run) readBack(ctx context.Context, restored []*item) error {
	has, err := r.exist(ctx, restored)
	if err != nil {
		return err
	}
	for _, there := range has {
		if there {
			r.Report.Present++
		}
	}
	return nil
}

// look is a dry run of a batch.
func (r *Run) look(ctx context.Context, all []*item) error {
	has, err := r.exist(ctx, all)
	if err != nil {
		return err
	}
	for _, it := range all {
		if has[it] {
			r.conflict(it)
			switch r.o.Conflict {
			case Fail:
				return &ConflictError{it.db, it.key}
			case Skip:
				r.Report.Skipped++
				continue
			}
			r.Report.Replaced++
		}
		r.Report.Restored++
		r.Report.Bytes += it.payload.size
	}
	return nil
}
