package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/keyframe/keyframe/internal/app"
	"github.com/keyframe/keyframe/internal/config"
	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
)

// catalogue is what the database says at one moment.
type catalogue struct {
	caches    map[string]*resource.Cache  // by name
	nodes     map[string][]*resource.Node // by cache ID, the first primary first
	snapshots map[string]*resource.Snapshot
	uses      []metastore.SnapshotUse
	jobs      []job.Job
}

// stores opens the server's stores beside it, as the command line does.
func (s *server) stores(t *testing.T) *app.Stores {
	t.Helper()
	c := config.Default()
	c.Data = s.dir
	stores, err := app.OpenStoresReadOnly(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stores.Close)
	return stores
}

func look(ctx context.Context, db *metastore.DB) (c *catalogue, err error) {
	err = db.View(ctx, func(tx *metastore.Tx) error {
		c = &catalogue{caches: map[string]*resource.Cache{}, nodes: map[string][]*resource.Node{}, snapshots: map[string]*resource.Snapshot{}}
		for cache, err := range tx.AllCaches() {
			if err != nil {
				return err
			}
			d, err := tx.Deployment(cache)
			if err != nil {
				return err
			}
			slices.SortStableFunc(d.Nodes, func(a, b *resource.Node) int {
				switch {
				case a.Shard != b.Shard || a.Primary == b.Primary:
					return 0
				case a.Primary:
					return -1
				}
				return 1
			})
			c.nodes[cache.ID], c.caches[cache.Name] = d.Nodes, cache
		}
		all, err := tx.AllSnapshots()
		if err != nil {
			return err
		}
		for _, s := range all {
			c.snapshots[s.Name] = s
			uses, err := tx.Uses(s.ID)
			if err != nil {
				return err
			}
			c.uses = append(c.uses, uses...)
		}
		c.jobs, err = job.List(tx, job.Filter{})
		return err
	})
	return c, err
}

// quiet waits until no job is left, and returns the catalogue of that moment.
func (s *server) quiet(t *testing.T, stores *app.Stores) (c *catalogue) {
	t.Helper()
	busy := ""
	deadline := time.Now().Add(3 * time.Minute)
	for {
		var err error
		if c, err = look(t.Context(), stores.DB); err != nil {
			t.Fatal(err)
		}
		busy = ""
		for _, j := range c.jobs {
			if !j.State.Finished() {
				busy += fmt.Sprintf("\n%s of %s is %s, attempt %d, crashes %d, last error %q", j.Kind, j.Subject, j.State, j.Attempt, j.Crashes, j.LastError)
			}
		}
		if busy == "" {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("operations did not end:%s", busy)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// wanted is what a test knows about the world. Nil parts are not compared.
type wanted struct {
	failures bool                          // operations may have ended in a named failure
	caches   map[string]dataset.Digest     // what each cache must hold, by name; others must at least answer
	items    map[string]map[string]memItem // the same of caches of memcached
	objects  map[string]bool               // buckets' objects by "bucket/key"
}

// check waits until every operation has ended and then compares the catalogue with the disk, the engines and the buckets.
func (s *server) check(t *testing.T, stores *app.Stores, want wanted) {
	t.Helper()
	c := s.quiet(t, stores)
	s.checkStates(t, c, want)
	s.checkStore(t, c, stores)
	s.checkEngines(t, stores, want)
	s.checkObjects(t, want)
	s.checkLeftovers(t)
}

func (s *server) checkStates(t *testing.T, c *catalogue, want wanted) {
	t.Helper()
	for name, cache := range c.caches {
		failed := (cache.Status == resource.CacheCreateFailed || cache.Status == resource.CacheRestoreFailed) && cache.StatusReason != ""
		if cache.Status != resource.CacheAvailable && !(failed && want.failures) {
			t.Errorf("cache %s is %s (%s)", name, cache.Status, cache.StatusReason)
		}
	}
	for name, snap := range c.snapshots {
		failed := snap.Status == resource.SnapshotFailed && snap.StatusReason != ""
		if snap.Status != resource.SnapshotAvailable && !(failed && want.failures) {
			t.Errorf("snapshot %s is %s (%s)", name, snap.Status, snap.StatusReason)
		}
	}
	for _, j := range c.jobs {
		if j.State != job.StateCompleted && (!want.failures || j.LastError == "") {
			t.Errorf("%s of %s ended as %s: %s", j.Kind, j.Subject, j.State, j.LastError)
		}
	}
	if len(c.uses) > 0 {
		t.Errorf("snapshots are in use by nobody: %v", c.uses)
	}
}

// checkStore compares manifests and parts with the catalogue, and reads every snapshot from end to end.
func (s *server) checkStore(t *testing.T, c *catalogue, stores *app.Stores) {
	t.Helper()
	known := map[string]*resource.Snapshot{}
	for name, snap := range c.snapshots {
		known[snap.ID] = snap
		if snap.Status != resource.SnapshotAvailable {
			continue
		}
		if _, err := stores.Snapshots.Verify(t.Context(), snap.ID, nil); err != nil {
			t.Errorf("snapshot %s is available and cannot be restored: %v", name, err)
		}
	}
	named := map[string]bool{}
	err := stores.Snapshots.Manifests(t.Context(), func(id string, m *snapstore.Manifest, err error) error {
		if known[id] == nil {
			t.Errorf("manifest %s belongs to no snapshot", id)
		}
		if err == nil {
			named[m.CaptureID] = true
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// The sweeper comes by every second.
	var orphans []string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		orphans = nil
		entries, err := os.ReadDir(filepath.Join(s.dir, "store", "captures"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !named[e.Name()] && !empty(filepath.Join(s.dir, "store", "captures", e.Name())) {
				orphans = append(orphans, e.Name())
			}
		}
		if len(orphans) == 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(orphans) > 0 {
		t.Errorf("no manifest names the captures %v", orphans)
	}
}

func empty(dir string) bool {
	files := 0
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files++
		}
		return nil
	})
	return files == 0
}

// engines lists the processes that work in the server's node directories, by directory.
func (s *server) engines(t *testing.T) map[string][]int {
	t.Helper()
	root, err := filepath.EvalSymlinks(filepath.Join(s.dir, "nodes"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if dir, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd")); err == nil && filepath.Dir(dir) == root {
			found[filepath.Base(dir)] = append(found[filepath.Base(dir)], pid)
		}
	}
	return found
}

// checkEngines compares caches with processes, directories and addresses, and their data with what it should be.
func (s *server) checkEngines(t *testing.T, stores *app.Stores, want wanted) {
	t.Helper()
	// Engines that were promoted or restarted need a moment until all of them know.
	var c *catalogue
	var err error
	for deadline := time.Now().Add(kftest.Patience); ; time.Sleep(50 * time.Millisecond) {
		c = s.quiet(t, stores)
		if err = s.caches(t, c); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Error(err)
		return
	}
	nodes := map[string]bool{} // by ID; true for those that are started again when they die
	for name, cache := range c.caches {
		for _, n := range c.nodes[cache.ID] {
			nodes[n.ID] = cache.Status == resource.CacheAvailable
		}
		if items, ok := want.items[name]; ok && cache.Status == resource.CacheAvailable {
			wantMem(t, dialMem(t, fmt.Sprintf("%s:%d", cache.Endpoint.Address, cache.Endpoint.Port), nil), items)
		}
		if cache.Status != resource.CacheAvailable || cache.Engine == resource.Memcached {
			continue
		}
		got, err := contents(t.Context(), cache, c.nodes[cache.ID])
		if err != nil {
			t.Errorf("cache %s: %v", name, err)
		} else if expected, ok := want.caches[name]; ok && got != expected {
			t.Errorf("cache %s holds %v, want %v", name, got, expected)
		}
	}
	for name := range want.caches {
		if c.caches[name] == nil {
			t.Errorf("cache %s is gone", name)
		}
	}
	for name := range want.items {
		if c.caches[name] == nil {
			t.Errorf("cache %s is gone", name)
		}
	}
	for id, pids := range s.engines(t) {
		if _, known := nodes[id]; !known {
			t.Errorf("processes %v of node %s belong to no cache", pids, id)
		}
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, "nodes"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, known := nodes[e.Name()]; !known {
			t.Errorf("directory nodes/%s belongs to no cache", e.Name())
		}
		if _, err := os.Stat(filepath.Join(s.dir, "nodes", e.Name(), "dump.rdb")); err == nil && nodes[e.Name()] {
			t.Errorf("node %s has a data file that a restart would bring back", e.Name())
		}
	}
	s.checkLeases(t, nodes)
}

// checkLeases looks for addresses that are held for nodes that are no more.
func (s *server) checkLeases(t *testing.T, nodes map[string]bool) {
	t.Helper()
	root, err := filepath.EvalSymlinks(filepath.Join(s.dir, "nodes"))
	if err != nil {
		t.Fatal(err)
	}
	leases := filepath.Join(os.TempDir(), "keyframe-addresses")
	entries, err := os.ReadDir(leases)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(leases, e.Name()))
		owner := strings.TrimSpace(string(text))
		if _, known := nodes[filepath.Base(owner)]; err == nil && filepath.Dir(owner) == root && !known {
			t.Errorf("address %s is leased to %s, which belongs to no cache", e.Name(), filepath.Base(owner))
		}
	}
}

// checkObjects reads every object of every bucket: an export is there whole or not at all.
func (s *server) checkObjects(t *testing.T, want wanted) {
	t.Helper()
	c := s.s3()
	buckets, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, b := range buckets.Buckets {
		pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: b.Name})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				found[*b.Name+"/"+*o.Key] = true
				body, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: b.Name, Key: o.Key})
				if err != nil {
					t.Fatal(err)
				}
				size, err := wholeFile(*o.Key, body.Body)
				body.Body.Close()
				if err != nil || size != aws.ToInt64(o.Size) {
					t.Errorf("object %s/%s of %d bytes is not a whole file: %d, %v", *b.Name, *o.Key, aws.ToInt64(o.Size), size, err)
				}
			}
		}
	}
	for name := range want.objects {
		if want.objects[name] && !found[name] {
			t.Errorf("object %s is missing: its export succeeded", name)
		}
		if !want.objects[name] && found[name] {
			t.Errorf("object %s is there: its export failed", name)
		}
	}
	for name := range found {
		if _, ok := want.objects[name]; want.objects != nil && !ok {
			t.Errorf("object %s belongs to no export", name)
		}
	}
}

// wholeFile is the size of an exported file that was read to its end, of RDB or of items.
func wholeFile(key string, body io.Reader) (int64, error) {
	if strings.HasSuffix(key, ".items") {
		sum, err := itemfile.Scan(body, itemfile.Options{})
		if err != nil {
			return 0, err
		}
		return sum.Bytes, nil
	}
	sum, err := rdb.NewScanner(body, rdb.Options{}).Scan()
	if err != nil {
		return 0, err
	}
	return sum.Bytes, nil
}

// checkLeftovers looks for unfinished files. Ours and the server's own directories of such are there, and empty.
func (s *server) checkLeftovers(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"store/.tmp", "buckets/tmp", "spool"} {
		filepath.WalkDir(filepath.Join(s.dir, dir), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && !strings.HasSuffix(path, ".lock") {
				t.Errorf("%s was left", path)
			}
			return nil
		})
	}
	var parts []string
	filepath.WalkDir(filepath.Join(s.dir, "nodes"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".part") {
			parts = append(parts, path)
		}
		return nil
	})
	slices.Sort(parts)
	if len(parts) > 0 {
		t.Errorf("unfinished data files were left: %v", parts)
	}
}
