package control

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

var home = resource.Scope{Account: "123456789012", Region: "us-east-1"}

// noon is when every test begins.
var noon = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

// plane is a control plane on a metastore of its own. Its queue never runs: tests do by hand what jobs would.
type plane struct {
	*Control
	t    *testing.T
	ring *kms.Local
	box  *buckets.Service

	mu    sync.Mutex
	clock time.Time
}

func newPlane(t *testing.T, change ...func(*Options)) *plane {
	t.Helper()
	dir := t.TempDir()
	p := &plane{t: t, clock: noon}
	db, err := metastore.Open(context.Background(), filepath.Join(dir, "meta.db"))
	p.must(err)
	t.Cleanup(func() { db.Close() })
	p.ring, err = kms.OpenLocal(dir, p.now)
	p.must(err)
	p.box, err = buckets.Open(filepath.Join(dir, "buckets"))
	p.must(err)
	installed := func(e resource.Engine, version string) engine.Installed {
		v, err := engine.ParseVersion(version)
		p.must(err)
		return engine.Installed{Engine: e, Version: v, Path: "/usr/bin/" + string(e) + "-server"}
	}
	o := Options{DB: db, Queue: job.New(db, job.Options{Clock: p.now, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}), Keys: p.ring,
		Targets: target.BuiltIn(p.box), Engines: &engine.Catalog{Installed: []engine.Installed{installed("valkey", "8.0.1"), installed("redis", "7.0.15")}},
		Quota: Quota{ServerlessCaches: 40, ServerlessSnapshots: 24, NodeSnapshots: 20, TagsPerResource: 50}, Now: p.now}
	for _, f := range change {
		f(&o)
	}
	p.Control = New(o)
	return p
}

func (p *plane) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clock
}

func (p *plane) advance(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clock = p.clock.Add(d)
}

func (p *plane) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// running makes a cache that is available.
func (p *plane) running(name string, change ...func(*CreateCache)) *resource.Cache {
	p.t.Helper()
	in := CreateCache{Scope: home, Name: name, Engine: "valkey"}
	for _, f := range change {
		f(&in)
	}
	cache, err := p.CreateCache(context.Background(), in)
	p.must(err)
	p.settle(cache.ID)
	return cache
}

// settle ends what goes on with a cache.
func (p *plane) settle(cacheID string) {
	p.t.Helper()
	p.must(p.db.Update(context.Background(), func(tx *metastore.Tx) error {
		cache, err := tx.CacheByID(cacheID)
		if err != nil {
			return err
		}
		cache.Status = resource.CacheAvailable
		return tx.UpdateCache(cache)
	}))
}

// finish ends the creation of snapshots: they become what status says.
func (p *plane) finish(status resource.SnapshotStatus) {
	p.t.Helper()
	p.must(p.db.Update(context.Background(), func(tx *metastore.Tx) error {
		all, err := tx.AllSnapshots()
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.Status != resource.SnapshotCreating {
				continue
			}
			s.Status, s.CreatedAt, s.Bytes = status, p.now(), 100
			if err := tx.UpdateSnapshot(s); err != nil {
				return err
			}
			if status == resource.SnapshotFailed {
				if err := tx.ForgetTaken(s.ID); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// taken makes a snapshot that is available.
func (p *plane) taken(cache, name string) *resource.Snapshot {
	p.t.Helper()
	s, err := p.CreateSnapshot(context.Background(), CreateSnapshot{Scope: home, Space: serverlessSpace, Cache: cache, Name: name})
	p.must(err)
	p.finish(resource.SnapshotAvailable)
	return s
}

// jobs lists the jobs of a kind that wait.
func (p *plane) jobs(kind string) (jobs []job.Job) {
	p.t.Helper()
	p.must(p.db.View(context.Background(), func(tx *metastore.Tx) (err error) {
		jobs, err = job.List(tx, job.Filter{Kind: kind})
		return err
	}))
	return jobs
}

// list names snapshots with their status, in order of name.
func (p *plane) list() (all []string) {
	p.t.Helper()
	p.must(p.db.View(context.Background(), func(tx *metastore.Tx) error {
		snapshots, err := tx.AllSnapshots()
		for _, s := range snapshots {
			all = append(all, s.Name+" "+string(s.Status))
		}
		return err
	}))
	slices.Sort(all)
	return all
}

func wantKind(t *testing.T, err error, kind resource.ErrorKind) {
	t.Helper()
	if !is(err, kind) {
		t.Errorf("got %v, want the kind %v", err, kind)
	}
}
