package keyrestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

func openState(t *testing.T, path string) *State {
	t.Helper()
	s, err := OpenState(path, "this")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runUntil restores a file with a state, and ends before the record with a position. What the state then has is in its file, as
// after a kill.
func runUntil(t *testing.T, e *Engine, o Options, path string, file []byte, position int64) (*Run, error) {
	t.Helper()
	o.DB, o.State = -1, openState(t, path)
	r, at := NewRun(e, o), int64(-1)
	ctx := kftest.Context(t)
	end := errors.New("killed")
	_, err := rdb.NewScanner(bytes.NewReader(file), rdb.Options{Keys: true, OnValue: func(rec *rdb.Record, v *rdb.Value) error {
		if at++; at == position {
			return end
		}
		o.State.saved = time.Now() // so that what is done is not noted
		return r.Add(ctx, rec, v, at)
	}}).Scan()
	if errors.Is(err, end) {
		return r, nil
	}
	if err == nil {
		err = r.Flush(ctx)
	}
	if err == nil {
		err = o.State.Finish(at+1, r.Report)
	}
	return r, err
}

const toEnd = math.MaxInt64

// A run that was stopped in order knows just what it sent: what the engine has beyond is a conflict as ever, and all counts are
// those of an uninterrupted run.
func TestStop(t *testing.T) {
	t.Parallel()
	const n, stop = 1000, 150
	file := fileOf(t, numbered(n))
	for _, policy := range []Policy{Skip, Replace, Fail} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			node := kftest.Engine(t, resource.Valkey)
			e := connect(t, Target{Address: node.Addr()})
			path := filepath.Join(t.TempDir(), "state")
			taken := func(i int) bool { return policy != Fail && i%2 == 1 || i == 700 }
			for i := range n {
				if taken(i) {
					node.Do(t, "SET", "key:"+strconv.Itoa(i), "another's")
				}
			}
			o := Options{Conflict: policy, Keys: 1000} // in batches of a hundred
			r, err := runUntil(t, e, o, path, file, stop)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.o.State.Stop(); err != nil {
				t.Fatal(err)
			}
			if s := openState(t, path); s.Done != 100 || s.Reserved != 100 {
				t.Errorf("done %d, sent %d", s.Done, s.Reserved)
			}
			r, err = runUntil(t, e, Options{Conflict: policy}, path, file, toEnd)
			got := r.Report
			var conflict *ConflictError
			switch policy {
			case Fail:
				if !errors.As(err, &conflict) || string(conflict.Key) != "key:700" {
					t.Errorf("%v; %+v", err, got)
				}
			case Skip:
				if err != nil || got.Skipped != n/2+1 || got.Restored != n/2-1 || got.Present != got.Restored {
					t.Errorf("%v; %+v", err, got)
				}
			case Replace:
				if err != nil || got.Skipped != 0 || got.Restored != n || got.Present != n {
					t.Errorf("%v; %+v", err, got)
				}
			}
			if has := node.Do(t, "GET", "key:700").Str; (has == "another's") != (policy != Replace) {
				t.Errorf("the engine has %q", has)
			}
		})
	}
}

// A run that was killed does not know what became of what it had noted to send: it counts as restored only if it is there, just as
// it would be restored.
func TestKill(t *testing.T) {
	t.Parallel()
	const n, kill, sent = 1000, 420, 400
	file := fileOf(t, numbered(n))
	for _, policy := range []Policy{Skip, Replace, Fail} {
		for _, foreign := range []string{"", "value", "type", "expiry", "later"} {
			t.Run(string(policy)+foreign, func(t *testing.T) {
				t.Parallel()
				node := kftest.Engine(t, resource.Valkey)
				e := connect(t, Target{Address: node.Addr()})
				path := filepath.Join(t.TempDir(), "state")
				r, err := runUntil(t, e, Options{Conflict: policy, Keys: 1000}, path, file, kill)
				if err != nil {
					t.Fatal(err)
				}
				s := openState(t, path)
				if s.Done == sent || s.Reserved < sent || s.Reserved > mostAhead+n {
					t.Fatalf("of %d keys sent, %d are noted as done and %d as sent", r.Report.Restored, s.Done, s.Reserved)
				}
				key, foreigners := "key:301", int64(1)
				switch foreign {
				case "":
					foreigners = 0
				case "value":
					node.Do(t, "SET", key, "another's", "PXAT", "1999999999000")
				case "type":
					node.Do(t, "DEL", key)
					node.Do(t, "RPUSH", key, "301")
					node.Do(t, "PEXPIREAT", key, "1999999999000")
				case "expiry":
					node.Do(t, "PERSIST", key)
				case "later": // one that was noted, but not sent
					key = "key:" + strconv.Itoa(sent)
					node.Do(t, "SET", key, "another's")
				}
				r, err = runUntil(t, e, Options{Conflict: policy}, path, file, toEnd)
				got := r.Report
				var conflict *ConflictError
				switch {
				case policy == Fail && foreigners > 0:
					if !errors.As(err, &conflict) || string(conflict.Key) != key {
						t.Errorf("%v; %+v", err, got)
					}
					return
				case err != nil:
					t.Fatal(err)
				case policy == Replace:
					foreigners = 0
				}
				if got.Skipped != foreigners || got.Restored != n-foreigners || got.Present != got.Restored {
					t.Errorf("%+v", got)
				}
				if size := node.Do(t, "DBSIZE").Int; size != n {
					t.Errorf("%d keys", size)
				}
			})
		}
	}
}

// Whatever way an engine stores a value in, it is compared by what it says.
func TestDoubt(t *testing.T) {
	t.Parallel()
	var members rdb.Set
	var fields rdb.Hash
	for i := range 300 {
		members = append(members, fmt.Appendf(nil, "member %d", i))
		fields = append(fields, rdb.Field{Name: fmt.Appendf(nil, "field %d", i), Value: []byte("v")})
	}
	const keys = 10
	fileWith := func(text string, score float64, from int) []byte {
		return fileOf(t, func(w *rdb.Writer) error {
			for i, d := range []rdb.Data{
				rdb.String(strings.Repeat("compressed "+text, 100)), rdb.String(strconv.Itoa(1234 + from)), members[from:], members[from : from+5],
				fields[from:], fields[from : from+5], rdb.List{[]byte("a"), []byte("1"), []byte(text)}, rdb.SortedSet{{Text: []byte("m"), Score: score}},
				&rdb.Stream{Entries: []rdb.StreamEntry{{ID: rdb.StreamID{Ms: 1, Seq: 1}, Fields: []rdb.Pair{{Name: []byte("f"), Value: []byte(text)}}}}},
			} {
				if err := w.Write(rdb.Meta{Key: fmt.Appendf(nil, "key:%d", i)}, d); err != nil {
					return err
				}
			}
			big := strings.Repeat("0123456789abcdef", 3*inMemory/16) + text
			return w.WriteString(rdb.Meta{Key: []byte("big"), ExpireAt: 1999999999000}, int64(len(big)), strings.NewReader(big))
		})
	}
	file, another := fileWith("x", 1.5, 0), fileWith("y", 2.5, 1)
	for name, nodes := range map[string]func(t *testing.T) []*kftest.Node{
		"valkey":  func(t *testing.T) []*kftest.Node { return []*kftest.Node{kftest.Engine(t, resource.Valkey)} },
		"6.2":     func(t *testing.T) []*kftest.Node { return []*kftest.Node{kftest.Engine(t, resource.Redis)} },
		"redis":   func(t *testing.T) []*kftest.Node { return []*kftest.Node{kftest.Engine(t, resource.Redis)} },
		"cluster": func(t *testing.T) []*kftest.Node { return kftest.Cluster(t, resource.Valkey, 2, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := nodes(t)[0]
			e := connect(t, Target{Address: node.Addr()})
			if name == "6.2" { // which has fewer commands and forms
				e.Version = engine.Version{Major: 6, Minor: 2}
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "state")
			restoreAll(t, e, Options{DB: -1, Conflict: Fail}, file)
			for _, x := range []struct {
				file []byte
				same int64
			}{{file, keys}, {another, 0}} {
				s := &State{Of: "this", path: path, Reserved: keys} // killed before an answer was noted
				if err := s.Save(); err != nil {
					t.Fatal(err)
				}
				r, err := runUntil(t, e, Options{Conflict: Skip, Dir: dir}, path, x.file, toEnd)
				if err != nil || r.Report.Restored != x.same || r.Report.Present != x.same || r.Report.Skipped != keys-x.same {
					t.Errorf("%v; %+v", err, r.Report)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("%v is left behind, %v", left, err)
			}
		})
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	s := openState(t, path)
	if err := s.sending(512); err != nil {
		t.Fatal(err)
	}
	if err := s.settled(512, Report{Restored: 512}); err != nil {
		t.Fatal(err)
	}
	if err := s.sending(1024); err != nil { // within no time, so that a second sends very many
		t.Fatal(err)
	}
	if s := openState(t, path); s.Done != 512 || s.Report.Restored != 512 || s.Reserved <= 1024 || s.Reserved > 1024+mostAhead {
		t.Errorf("%+v", s)
	}
	if _, err := OpenState(path, "that"); err == nil || !strings.Contains(err.Error(), "another restore") {
		t.Errorf("a file of another restore: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// What a killed run may have sent stays in doubt when the next one is stopped before it gets there.
	s = openState(t, path)
	until := s.Reserved
	s.begun = time.Now().Add(-time.Hour)
	if err := errors.Join(s.sending(600), s.Stop()); err != nil {
		t.Fatal(err)
	}
	if s = openState(t, path); s.Reserved != until || !s.inDoubt(until-1) || s.inDoubt(until) {
		t.Errorf("%+v", s)
	}
	if (*State)(nil).inDoubt(0) {
		t.Error("without a state, nothing is in doubt")
	}
}

// A kill between commands and answers, by a context that ends while the engine is told to wait.
func TestCutOff(t *testing.T) {
	t.Parallel()
	const n = 300
	node := kftest.Engine(t, resource.Redis)
	file := fileOf(t, numbered(n))
	path := filepath.Join(t.TempDir(), "state")
	node.Do(t, "SET", "key:200", "another's")
	e := connect(t, Target{Address: node.Addr()})
	node.Do(t, "CLIENT", "PAUSE", "60000", "WRITE")
	ctx, cancel := context.WithCancel(kftest.Context(t))
	ended := make(chan error)
	r := NewRun(e, Options{DB: -1, Conflict: Skip, State: openState(t, path)})
	go func() { ended <- feed(ctx, r, file) }()
	kftest.Eventually(t, "commands to arrive", func() error {
		if info := node.Do(t, "INFO", "clients").Str; !strings.Contains(info, "blocked_clients:1") {
			return errors.New(info)
		}
		return nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := r.o.State.Stop(); err != nil {
		t.Fatal(err)
	}
	node.Do(t, "CLIENT", "UNPAUSE")
	if s := openState(t, path); s.Done != 0 || s.Reserved != n {
		t.Errorf("%+v", s)
	}
	r, err := runUntil(t, connect(t, Target{Address: node.Addr()}), Options{Conflict: Skip}, path, file, toEnd)
	if err != nil || r.Report.Restored != n-1 || r.Report.Skipped != 1 || r.Report.Present != n-1 {
		t.Errorf("%v; %+v", err, r.Report)
	}
}
