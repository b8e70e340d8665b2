package metastore

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/resource"
	"pgregory.net/rapid"
)

func event(source string, at time.Time, message string) resource.Event {
	return resource.Event{Scope: east, Service: "elasticache", SourceType: "serverless-cache", SourceID: source, Message: message, At: at}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	db := open(t)
	snapshot := event("c", noon.Add(time.Minute), "snapshot")
	snapshot.SourceType = "serverless-cache-snapshot"
	memory, elsewhere := event("c", noon, "memory"), event("c", noon, "elsewhere")
	memory.Service, elsewhere.Scope = "memorydb", west
	update(t, db, func(tx *Tx) error {
		for _, e := range []resource.Event{event("c", noon, "first"), event("c", noon, "second"), snapshot, memory, elsewhere,
			event("d", noon.Add(-time.Hour), "appended late"), event("c", noon.Add(2*time.Minute), "last")} {
			if err := tx.AppendEvent(e); err != nil {
				return err
			}
		}
		return nil
	})
	list := func(change func(*EventFilter), want ...string) (next string) {
		t.Helper()
		view(t, db, func(tx *Tx) error {
			f := EventFilter{Scope: east, Service: "elasticache"}
			change(&f)
			page, cursor, err := tx.Events(f)
			got := make([]string, len(page))
			for i, e := range page {
				got[i] = e.Message
			}
			if !slices.Equal(got, want) {
				t.Errorf("%+v lists %v, want %v", f, got, want)
			}
			next = cursor
			return err
		})
		return next
	}
	if next := list(func(f *EventFilter) {}, "last", "snapshot", "second", "first", "appended late"); next != "" {
		t.Errorf("a cursor %q after everything", next)
	}
	list(func(f *EventFilter) { f.SourceType = "serverless-cache" }, "last", "second", "first", "appended late")
	list(func(f *EventFilter) { f.SourceID = "c" }, "last", "snapshot", "second", "first")
	list(func(f *EventFilter) { f.SourceType, f.SourceID = "serverless-cache", "d" }, "appended late")
	list(func(f *EventFilter) { f.From, f.To = noon, noon.Add(time.Minute) }, "snapshot", "second", "first")
	list(func(f *EventFilter) { f.Service = "memorydb" }, "memory")
	list(func(f *EventFilter) { f.Scope = west }, "elsewhere")
	next := list(func(f *EventFilter) { f.Limit = 3 }, "last", "snapshot", "second")
	update(t, db, func(tx *Tx) error { return tx.AppendEvent(event("c", noon.Add(time.Hour), "meanwhile")) })
	if next = list(func(f *EventFilter) { f.Limit, f.Before = 2, next }, "first", "appended late"); next != "" {
		t.Errorf("a cursor %q at the end", next)
	}
	view(t, db, func(tx *Tx) error {
		page, _, err := tx.Events(EventFilter{Scope: east, Service: "elasticache", SourceType: snapshot.SourceType})
		if len(page) != 1 || page[0] != snapshot {
			t.Errorf("the event came back as %+v", page)
		}
		for _, bad := range []string{"x", "-1", "0", "1e9", "99999999999999999999999"} {
			_, _, err := tx.Events(EventFilter{Scope: east, Service: "elasticache", Before: bad})
			wantKind(t, err, resource.InvalidValue, resource.TypeParameter)
		}
		return err
	})
	update(t, db, func(tx *Tx) error {
		n, err := tx.PruneEvents(noon)
		if n != 1 {
			t.Errorf("pruned %d", n)
		}
		return err
	})
	list(func(f *EventFilter) { f.SourceID = "d" })
}

func TestEventTimesOutOfReach(t *testing.T) {
	t.Parallel()
	db := open(t)
	for _, at := range []time.Time{{}, time.Unix(-5, 0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		update(t, db, func(tx *Tx) error { return tx.AppendEvent(event("c", at, "odd")) })
	}
	view(t, db, func(tx *Tx) error {
		page, _, err := tx.Events(EventFilter{Scope: east, Service: "elasticache", To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)})
		if len(page) != 3 {
			t.Errorf("%d events", len(page))
		}
		return err
	})
}

// TestEventPagesMeetEverythingOnce pages through events, many of one millisecond, while newer ones are appended.
func TestEventPagesMeetEverythingOnce(t *testing.T) {
	t.Parallel()
	db := open(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		scope := resource.Scope{Account: fmt.Sprintf("%012d", run), Region: "us-east-1"}
		n := 0
		add := func(ms int) {
			e := event("c", noon.Add(time.Duration(ms)*time.Millisecond), fmt.Sprint(n))
			e.Scope = scope
			n++
			if err := db.Update(context.Background(), func(tx *Tx) error { return tx.AppendEvent(e) }); err != nil {
				rt.Fatal(err)
			}
		}
		for _, ms := range rapid.SliceOfN(rapid.IntRange(0, 3), 0, 30).Draw(rt, "times") {
			add(ms)
		}
		there := n
		f := EventFilter{Scope: scope, Service: "elasticache", Limit: rapid.IntRange(1, 9).Draw(rt, "limit")}
		seen := map[string]bool{}
		last := noon.Add(time.Hour)
		for {
			var page []resource.Event
			var next string
			if err := db.View(context.Background(), func(tx *Tx) (err error) {
				page, next, err = tx.Events(f)
				return err
			}); err != nil {
				rt.Fatal(err)
			}
			for _, e := range page {
				if seen[e.Message] || e.At.After(last) {
					rt.Fatalf("event %s of %s again, or out of order", e.Message, e.At)
				}
				seen[e.Message], last = true, e.At
			}
			if next == "" {
				break
			}
			f.Before = next
			add(10)
		}
		if len(seen) != there {
			rt.Fatalf("met %d of %d events", len(seen), there)
		}
	})
}
