package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/blob/disk"
	"github.com/keyframe/keyframe/internal/blob/fault"
	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

var home = resource.Scope{Account: "123456789012", Region: "us-east-1"}

// hall is a worker with its queue, stores and engines, and a store that can be made to fail.
type hall struct {
	*Worker
	t     *testing.T
	store *fault.Bucket
	key   string // ARN
	box   *buckets.Service
}

func newHall(t *testing.T, change ...func(*Options)) *hall {
	t.Helper()
	h := &hall{t: t}
	dir := t.TempDir()
	db, err := metastore.Open(t.Context(), filepath.Join(dir, "meta.db"))
	h.must(err)
	t.Cleanup(func() { db.Close() })
	keys, err := kms.OpenLocal(dir, time.Now)
	h.must(err)
	h.key, err = keys.Resolve(t.Context(), home, "elasticache", "")
	h.must(err)
	box, err := buckets.Open(filepath.Join(dir, "buckets"))
	h.must(err)
	h.box = box
	files, err := disk.Open(filepath.Join(dir, "store"))
	h.must(err)
	t.Cleanup(func() { files.Close() })
	h.store = fault.New(files, func(int, fault.Op, string) bool { return false })
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	queue := job.New(db, job.Options{Logger: quiet, Backoff: func(int) time.Duration { return 10 * time.Millisecond }})
	o := Options{DB: db, Queue: queue, Store: snapstore.New(h.store, keys, snapstore.Options{}), Keys: keys, Targets: target.BuiltIn(box),
		Engines: kftest.Supervisor(t, supervisor.Options{}), Catalog: kftest.Catalog(t), Host: "here", Spool: dir, DefaultBytes: 1 << 30, Now: time.Now, Log: quiet}
	for _, f := range change {
		f(&o)
	}
	h.Worker = New(o)
	h.must(queue.Start(t.Context()))
	t.Cleanup(func() {
		if err := queue.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *hall) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// do runs a job to its end.
func (h *hall) do(kind, subject string, task any, prepare func(tx *metastore.Tx) error) job.Job {
	h.t.Helper()
	return h.begin(kind, subject, task, prepare)()
}

// begin orders a job. What it returns waits for its end.
func (h *hall) begin(kind, subject string, task any, prepare func(tx *metastore.Tx) error) (end func() job.Job) {
	h.t.Helper()
	var id string
	h.must(h.DB.Update(h.t.Context(), func(tx *metastore.Tx) (err error) {
		if err := prepare(tx); err != nil {
			return err
		}
		id, err = h.Queue.Enqueue(tx, job.NewSpec(kind, subject, task))
		return err
	}))
	return func() job.Job {
		h.t.Helper()
		j, err := job.Wait(kftest.Context(h.t), h.DB, id)
		h.must(err)
		return j
	}
}

// cache makes a cache with some keys.
func (h *hall) cache(e resource.Engine, keys int) *resource.Cache {
	h.t.Helper()
	choice, err := h.Catalog.Resolve(e, "")
	h.must(err)
	c := &resource.Cache{ID: "cache-" + string(e), Kind: resource.Serverless, Scope: home, Name: string(e), Status: resource.CacheCreating,
		CreatedAt: time.Now(), Engine: e, MajorEngineVersion: choice.Major, FullEngineVersion: choice.FullVersion}
	h.do(resource.TaskCreateCache, c.ID, resource.CreateCacheTask{CacheID: c.ID}, func(tx *metastore.Tx) error { return tx.InsertCache(c) })
	c = h.cacheNow(c.ID)
	if c.Status != resource.CacheAvailable {
		h.t.Fatalf("the cache is %s: %s", c.Status, c.StatusReason)
	}
	conn, err := h.Engines.Admin(h.t.Context(), h.node(c.ID))
	h.must(err)
	defer conn.Close()
	for i := range keys {
		_, err := conn.Do(h.t.Context(), "SET", "key:"+strconv.Itoa(i), strings.Repeat("v", 100))
		h.must(err)
	}
	return c
}

func (h *hall) cacheNow(id string) (c *resource.Cache) {
	h.t.Helper()
	h.must(h.DB.View(h.t.Context(), func(tx *metastore.Tx) (err error) { c, err = tx.CacheByID(id); return err }))
	return c
}

func (h *hall) snapshotNow(id string) (s *resource.Snapshot) {
	h.t.Helper()
	h.must(h.DB.View(h.t.Context(), func(tx *metastore.Tx) (err error) { s, err = tx.SnapshotByID(id); return err }))
	return s
}

func (h *hall) node(cacheID string) (id string) {
	h.t.Helper()
	h.must(h.DB.View(h.t.Context(), func(tx *metastore.Tx) error {
		nodes, err := tx.NodesOf(cacheID)
		if err == nil {
			id = nodes[0].ID
		}
		return err
	}))
	return id
}

// snapshot takes one and waits for what becomes of it.
func (h *hall) snapshot(id string, c *resource.Cache) *resource.Snapshot {
	h.t.Helper()
	s := &resource.Snapshot{ID: id, Kind: c.Kind, Scope: home, Name: id, Type: resource.Manual, Status: resource.SnapshotCreating,
		RequestedAt: time.Now(), Source: *c, KMSKeyID: h.key}
	h.do(resource.TaskCreateSnapshot, id, resource.SnapshotTask{SnapshotID: id}, func(tx *metastore.Tx) error { return tx.InsertSnapshot(s) })
	return h.snapshotNow(id)
}

func (h *hall) remove(id string) {
	h.t.Helper()
	h.do(resource.TaskDeleteSnapshot, id, resource.SnapshotTask{SnapshotID: id}, func(tx *metastore.Tx) error {
		s, err := tx.SnapshotByID(id)
		if err != nil {
			return err
		}
		s.Status = resource.SnapshotDeleting
		return tx.UpdateSnapshot(s)
	})
}

func (h *hall) objects(prefix string) (n int) {
	h.t.Helper()
	h.must(h.store.List(h.t.Context(), prefix, func(blob.Info) error { n++; return nil }))
	return n
}

// whole wants a snapshot that can be restored: every byte of it is read.
func (h *hall) whole(id string, keys int64) {
	h.t.Helper()
	if r, err := h.Store.Verify(h.t.Context(), id, nil); err != nil || r.Keys != keys {
		h.t.Errorf("snapshot %s: %+v, %v", id, r, err)
	}
}

// The catalogue is that of a backup, and does not know of a copy that was made later: its parts stay when the source is deleted.
func TestDeleteKeepsThePartsOfForgottenCopies(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.snapshot("source", h.cache(engine.Valkey, 50))
	m, err := h.Store.ReadManifest(t.Context(), "source")
	h.must(err)
	_, err = h.Store.Copy(t.Context(), m, "forgotten", nil, h.key)
	h.must(err)
	h.remove("source")
	h.whole("forgotten", 50)
	h.must(h.Sweep(t.Context()))
	h.whole("forgotten", 50)
	h.must(h.Store.DeleteManifest(t.Context(), "forgotten"))
	h.must(h.Sweep(t.Context()))
	if n := h.objects(""); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// The catalogue is that of a backup, and lists a snapshot that was deleted later: it is not called available.
func TestSnapshotWithoutManifestIsNotAvailable(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c := h.cache(engine.Valkey, 5)
	kept, err := h.Store.ReadManifest(t.Context(), h.snapshot("kept", c).ID)
	h.must(err)
	h.snapshot("gone", c)
	h.must(h.Store.DeleteManifest(t.Context(), "gone"))
	for range 2 {
		h.must(h.Sweep(t.Context()))
		if s := h.snapshotNow("gone"); s.Status != resource.SnapshotFailed || s.StatusReason == "" {
			t.Errorf("gone is %s: %s", s.Status, s.StatusReason)
		}
		if s := h.snapshotNow("kept"); s.Status != resource.SnapshotAvailable {
			t.Errorf("kept is %s: %s", s.Status, s.StatusReason)
		}
	}
	_, err = h.Store.Copy(t.Context(), kept, "gone", nil, h.key)
	h.must(err)
	h.must(h.Sweep(t.Context()))
	if s := h.snapshotNow("gone"); s.Status != resource.SnapshotAvailable || s.StatusReason != "" {
		t.Errorf("its manifest is back, and it is %s: %s", s.Status, s.StatusReason)
	}
}

// A run that had lost its lease wrote the manifest after the next run had removed its parts. It must not become a snapshot.
func TestManifestWithoutPartsIsTakenAgain(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c := h.cache(engine.Valkey, 50)
	s := h.snapshot("first", c)
	m, err := h.Store.ReadManifest(t.Context(), "first")
	h.must(err)
	_, err = h.Store.Copy(t.Context(), m, "second", nil, h.key)
	h.must(err)
	h.must(h.Store.DeleteCapture(t.Context(), s.CaptureID))
	second := h.snapshot("second", c)
	if second.Status != resource.SnapshotAvailable || second.CaptureID == s.CaptureID {
		t.Errorf("the snapshot is %s, of capture %s", second.Status, second.CaptureID)
	}
	h.whole("second", 50)
}

// A copy of a snapshot that has lost parts would be available and could not be restored.
func TestCopyOfMissingPartsFails(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	s := h.snapshot("source", h.cache(engine.Valkey, 5))
	h.must(h.Store.DeleteCapture(t.Context(), s.CaptureID))
	cp := &resource.Snapshot{ID: "copy", Kind: s.Kind, Scope: home, Name: "copy", Type: resource.Manual, Status: resource.SnapshotCreating,
		RequestedAt: time.Now(), Source: s.Source, KMSKeyID: h.key, CopiedFrom: s.ID}
	h.do(resource.TaskCopySnapshot, "copy", resource.CopySnapshotTask{SourceID: s.ID, TargetID: "copy"}, func(tx *metastore.Tx) error { return tx.InsertSnapshot(cp) })
	if got := h.snapshotNow("copy"); got.Status != resource.SnapshotFailed || !strings.Contains(got.StatusReason, "missing") {
		t.Errorf("%s: %s", got.Status, got.StatusReason)
	}
}

// A store that takes no more bytes ends a snapshot in failed, and nothing of it keeps the disk full.
func TestFailedCaptureFreesItsParts(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c := h.cache(engine.Valkey, 50)
	conn, err := h.Engines.Admin(t.Context(), h.node(c.ID))
	h.must(err)
	defer conn.Close()
	for i := range 80 { // more than one part
		_, err := conn.Do(t.Context(), "SET", "big:"+strconv.Itoa(i), strings.Repeat("v", 1<<20))
		h.must(err)
	}
	h.store.Set(func(_ int, op fault.Op, key string) bool {
		return op == fault.Commit && strings.HasSuffix(key, "/000002")
	})
	if s := h.snapshot("s", c); s.Status != resource.SnapshotFailed || s.StatusReason == "" {
		t.Errorf("the snapshot is %s: %s", s.Status, s.StatusReason)
	}
	if n := h.objects(""); n != 0 {
		t.Errorf("%d objects are left", n)
	}
	h.store.Set(func(int, fault.Op, string) bool { return false })
	if s := h.snapshot("again", c); s.Status != resource.SnapshotAvailable {
		t.Errorf("the next one is %s: %s", s.Status, s.StatusReason)
	}
	h.whole("again", 130)
}

// A new engine that cannot run costs nothing: the old one comes back with everything that it had saved.
func TestFailedUpgradeGoesBack(t *testing.T) {
	t.Parallel()
	h := newHall(t, func(o *Options) {
		catalog := *o.Catalog
		catalog.Installed = nil
		for _, b := range o.Catalog.Installed {
			if b.Engine == engine.Valkey {
				b.Path = "/bin/false"
			}
			catalog.Installed = append(catalog.Installed, b)
		}
		o.Catalog = &catalog
	})
	c := h.cache(engine.Redis, 50)
	choice, err := h.Catalog.Resolve(engine.Valkey, "")
	h.must(err)
	h.do(resource.TaskModifyCache, c.ID, resource.ModifyCacheTask{CacheID: c.ID, Engine: engine.Valkey, Major: choice.Major}, func(tx *metastore.Tx) error {
		c.Status = resource.CacheModifying
		return tx.UpdateCache(c)
	})
	var recovery string
	h.must(h.DB.View(t.Context(), func(tx *metastore.Tx) error {
		jobs, err := job.List(tx, job.Filter{Kind: resource.TaskRecoverNode, Limit: 1})
		if err == nil && len(jobs) == 0 {
			err = errors.New("nothing brings the old engine back")
		}
		if err == nil {
			recovery = jobs[0].ID
		}
		return err
	}))
	if j, err := job.Wait(kftest.Context(t), h.DB, recovery); err != nil || j.State != job.StateCompleted {
		t.Fatalf("%s, %v", j.State, err)
	}
	now := h.cacheNow(c.ID)
	if now.Status != resource.CacheAvailable || now.Engine != engine.Redis || now.Restarts != 0 {
		t.Errorf("%+v", now)
	}
	if s := h.snapshot("after", now); s.Status != resource.SnapshotAvailable {
		t.Errorf("the snapshot is %s: %s", s.Status, s.StatusReason)
	}
	h.whole("after", 50)
}

// A restart that an earlier run began is counted again when its engine has died since: a snapshot that was asked for in
// between must not show the emptiness after it.
func TestEveryRestartIsCounted(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c := h.cache(engine.Valkey, 5)
	node := h.node(c.ID)
	h.must(h.Engines.Stop(t.Context(), node))
	var id string
	h.must(h.DB.Update(t.Context(), func(tx *metastore.Tx) (err error) {
		if id, err = h.Queue.Enqueue(tx, job.NewSpec(resource.TaskRecoverNode, c.ID, resource.RecoverNodeTask{CacheID: c.ID, NodeID: node})); err == nil {
			_, err = tx.Exec(`UPDATE jobs SET checkpoint = ? WHERE id = ?`, `{"Counted":true,"Saved":true}`, id)
		}
		return err
	}))
	if j, err := job.Wait(kftest.Context(t), h.DB, id); err != nil || j.State != job.StateCompleted {
		t.Fatalf("%s, %v", j.State, err)
	}
	if now := h.cacheNow(c.ID); now.Restarts != 1 {
		t.Errorf("%d restarts are counted", now.Restarts)
	}
	if s := h.snapshot("late", c); s.Status != resource.SnapshotFailed || !strings.Contains(s.StatusReason, "lost") {
		t.Errorf("a snapshot that was asked for before is %s: %s", s.Status, s.StatusReason)
	}
}
