package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/keyframe/keyframe/internal/dataset"
)

// plane is a server that comes and goes while clients use it.
type plane struct {
	*server
	mu  sync.Mutex // guards the server's address
	now aws.Config
}

// up starts the server and tells the clients where it is.
func (p *plane) up() {
	p.t.Helper()
	p.start()
	c := p.config("us-east-1")
	p.mu.Lock()
	p.now = c
	p.now.BaseEndpoint = aws.String(p.url)
	p.mu.Unlock()
}

func (p *plane) client() *elasticache.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return elasticache.NewFromConfig(p.now)
}

// user is a client that owns some names, and knows what should lie behind them.
type user struct {
	*plane
	id        string
	rng       *rand.Rand
	keys      int // of a cache
	n         int // of the last name
	caches    map[string]dataset.Digest
	engines   map[string]string // of the caches
	snapshots map[string]dataset.Digest
	of        map[string]string // engines of the snapshots' caches
	objects   map[string]bool
	files     map[string]dataset.Digest
	done      map[string]int // operations by name
}

func (u *user) name(kind string) string {
	u.n++
	return fmt.Sprintf("%s-%s%d", u.id, kind, u.n)
}

// call sends a command until the server answers it. An answer that one sent before has taken effect is success.
func (u *user) call(ctx context.Context, accepted []string, command func(*elasticache.Client) error) error {
	for tries := 0; ; tries++ {
		err := command(u.client())
		var refused smithy.APIError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refused):
			if tries > 0 && slices.Contains(accepted, refused.ErrorCode()) {
				return nil
			}
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		time.Sleep(20 * time.Millisecond) // the server is down
	}
}

const (
	cacheExistsCode    = "ServerlessCacheAlreadyExistsFault"
	snapshotExistsCode = "ServerlessCacheSnapshotAlreadyExistsFault"
	noCacheCode        = "ServerlessCacheNotFoundFault"
	noSnapshotCode     = "ServerlessCacheSnapshotNotFoundFault"
	cacheBusyCode      = "InvalidServerlessCacheStateFault"
	snapshotBusyCode   = "InvalidServerlessCacheSnapshotStateFault"
)

// waitCache waits for a cache to be available, and returns its endpoint; for one to be gone it returns "".
func (u *user) waitCache(ctx context.Context, name string, gone bool) (string, error) {
	for {
		var out *elasticache.DescribeServerlessCachesOutput
		err := u.call(ctx, nil, func(c *elasticache.Client) (err error) {
			out, err = c.DescribeServerlessCaches(ctx, &elasticache.DescribeServerlessCachesInput{ServerlessCacheName: &name})
			return err
		})
		var absent *types.ServerlessCacheNotFoundFault
		if gone && errors.As(err, &absent) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("cache %s: %w", name, err)
		}
		switch cache := out.ServerlessCaches[0]; {
		case !gone && *cache.Status == "available":
			return fmt.Sprintf("%s:%d", *cache.Endpoint.Address, *cache.Endpoint.Port), nil
		case *cache.Status == "create-failed", gone && *cache.Status == "available":
			return "", fmt.Errorf("cache %s is %s", name, *cache.Status)
		}
		time.Sleep(30 * time.Millisecond) // there is no signal to wait for
	}
}

func (u *user) waitSnapshot(ctx context.Context, name string, gone bool) (arn string, err error) {
	for {
		var out *elasticache.DescribeServerlessCacheSnapshotsOutput
		err := u.call(ctx, nil, func(c *elasticache.Client) (err error) {
			out, err = c.DescribeServerlessCacheSnapshots(ctx, &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: &name})
			return err
		})
		var absent *types.ServerlessCacheSnapshotNotFoundFault
		if gone && errors.As(err, &absent) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("snapshot %s: %w", name, err)
		}
		switch s := out.ServerlessCacheSnapshots[0]; {
		case !gone && *s.Status == "available":
			return *s.ARN, nil
		case *s.Status == "failed", gone && *s.Status == "available":
			return "", fmt.Errorf("snapshot %s is %s", name, *s.Status)
		}
		time.Sleep(30 * time.Millisecond) // there is no signal to wait for
	}
}

func (u *user) createCache(ctx context.Context, engine string, data *dataset.Digest, from ...string) error {
	name := u.name("c")
	err := u.call(ctx, []string{cacheExistsCode}, func(c *elasticache.Client) error {
		_, err := c.CreateServerlessCache(ctx, &elasticache.CreateServerlessCacheInput{ServerlessCacheName: &name, Engine: &engine, SnapshotArnsToRestore: from})
		return err
	})
	if err != nil {
		return err
	}
	at, err := u.waitCache(ctx, name, false)
	if err != nil {
		return err
	}
	if data == nil {
		if _, err := dataset.Fill(ctx, dataset.At(at), dataset.Spec{Keys: u.keys, Seed: u.rng.Uint64()}); err != nil {
			return err
		}
	}
	got, err := dataset.DigestOf(ctx, dataset.At(at), time.Time{})
	if err == nil && data != nil && got != *data {
		err = fmt.Errorf("cache %s was restored from %v and holds %v, want %v", name, from, got, *data)
	}
	u.caches[name], u.engines[name] = got, engine
	return err
}

// step does one operation at random, and returns when it has ended.
func (u *user) step(ctx context.Context) error {
	if len(u.caches) == 0 {
		u.done["create"]++
		return u.createCache(ctx, []string{"valkey", "redis"}[u.rng.IntN(2)], nil)
	}
	cache := pick(u.rng, u.caches)
	if len(u.snapshots) == 0 {
		return u.take(ctx, cache)
	}
	snap := pick(u.rng, u.snapshots)
	switch u.rng.IntN(9) {
	case 0, 1:
		return u.take(ctx, cache)
	case 2:
		return u.copy(ctx, snap)
	case 3:
		return u.export(ctx, snap)
	case 4, 5:
		if len(u.caches) > 2 {
			return u.deleteCache(ctx, cache)
		}
		if u.rng.IntN(2) == 0 && len(u.files) > 0 {
			u.done["restore a file"]++
			file := pick(u.rng, u.files)
			data := u.files[file]
			return u.createCache(ctx, "valkey", &data, "arn:aws:s3:::"+file)
		}
		u.done["restore"]++
		arn, err := u.waitSnapshot(ctx, snap, false)
		if err != nil {
			return err
		}
		data := u.snapshots[snap]
		return u.createCache(ctx, u.of[snap], &data, arn)
	case 6:
		return u.modify(ctx, cache)
	case 7:
		return u.deleteCache(ctx, cache)
	default:
		return u.deleteSnapshot(ctx, snap)
	}
}

// pick chooses a key, the same for the same generator.
func pick[V any](rng *rand.Rand, m map[string]V) string {
	return slices.Sorted(maps.Keys(m))[rng.IntN(len(m))]
}

func (u *user) take(ctx context.Context, cache string) error {
	u.done["snapshot"]++
	name := u.name("s")
	err := u.call(ctx, []string{snapshotExistsCode}, func(c *elasticache.Client) error {
		_, err := c.CreateServerlessCacheSnapshot(ctx, &elasticache.CreateServerlessCacheSnapshotInput{ServerlessCacheName: &cache, ServerlessCacheSnapshotName: &name})
		return err
	})
	if err == nil {
		_, err = u.waitSnapshot(ctx, name, false)
	}
	u.snapshots[name], u.of[name] = u.caches[cache], u.engines[cache]
	return err
}

func (u *user) copy(ctx context.Context, from string) error {
	u.done["copy"]++
	name := u.name("s")
	err := u.call(ctx, []string{snapshotExistsCode}, func(c *elasticache.Client) error {
		_, err := c.CopyServerlessCacheSnapshot(ctx, &elasticache.CopyServerlessCacheSnapshotInput{
			SourceServerlessCacheSnapshotName: &from, TargetServerlessCacheSnapshotName: &name})
		return err
	})
	if err == nil {
		_, err = u.waitSnapshot(ctx, name, false)
	}
	if err == nil {
		_, err = u.waitSnapshot(ctx, from, false)
	}
	u.snapshots[name], u.of[name] = u.snapshots[from], u.of[from]
	return err
}

// export sends the command once only after it knows that the one before was not heard: a second would meet the first one's object.
func (u *user) export(ctx context.Context, snap string) error {
	object := "exports/" + snap + "-0001.rdb"
	if u.objects[object] {
		return nil
	}
	u.done["export"]++
	for {
		_, err := u.client().ExportServerlessCacheSnapshot(ctx, &elasticache.ExportServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: &snap, S3BucketName: aws.String("exports")})
		var refused smithy.APIError
		if errors.As(err, &refused) || ctx.Err() != nil {
			return err
		}
		if _, err := u.waitSnapshot(ctx, snap, false); err != nil {
			return err
		}
		there, herr := u.there(ctx, snap+"-0001.rdb")
		if herr != nil {
			return herr
		}
		if there {
			u.objects[object], u.files[object] = true, u.snapshots[snap]
			return nil
		}
		if err == nil {
			return fmt.Errorf("the export of %s was accepted and left no object", snap)
		}
	}
}

func (u *user) there(ctx context.Context, key string) (bool, error) {
	for {
		u.mu.Lock()
		c := s3.NewFromConfig(u.now, func(o *s3.Options) { o.UsePathStyle = true })
		u.mu.Unlock()
		_, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("exports"), Key: &key})
		var refused smithy.APIError
		switch {
		case err == nil:
			return true, nil
		case errors.As(err, &refused):
			if refused.ErrorCode() == "NotFound" || refused.ErrorCode() == "NoSuchKey" {
				return false, nil
			}
			return false, err
		case ctx.Err() != nil:
			return false, ctx.Err()
		}
		time.Sleep(20 * time.Millisecond) // the server is down
	}
}

func (u *user) modify(ctx context.Context, cache string) error {
	in := &elasticache.ModifyServerlessCacheInput{ServerlessCacheName: &cache}
	if u.engines[cache] == "redis" {
		u.done["upgrade"]++
		in.Engine, in.MajorEngineVersion = aws.String("valkey"), aws.String("8")
	} else {
		u.done["limit"]++
		in.CacheUsageLimits = &types.CacheUsageLimits{DataStorage: &types.DataStorage{Maximum: aws.Int32(int32(1 + u.rng.IntN(4))), Unit: types.DataStorageUnitGb}}
	}
	err := u.call(ctx, []string{cacheBusyCode}, func(c *elasticache.Client) error {
		_, err := c.ModifyServerlessCache(ctx, in)
		return err
	})
	if err == nil {
		_, err = u.waitCache(ctx, cache, false)
	}
	u.engines[cache] = "valkey"
	return err
}

func (u *user) deleteCache(ctx context.Context, cache string) error {
	u.done["delete"]++
	in := &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: &cache}
	if u.rng.IntN(2) == 0 {
		name := u.name("s")
		in.FinalSnapshotName = &name
		u.snapshots[name], u.of[name] = u.caches[cache], u.engines[cache]
	}
	delete(u.caches, cache)
	err := u.call(ctx, []string{noCacheCode, cacheBusyCode, snapshotExistsCode}, func(c *elasticache.Client) error {
		_, err := c.DeleteServerlessCache(ctx, in)
		return err
	})
	if err == nil {
		_, err = u.waitCache(ctx, cache, true)
	}
	return err
}

func (u *user) deleteSnapshot(ctx context.Context, snap string) error {
	u.done["delete a snapshot"]++
	delete(u.snapshots, snap)
	err := u.call(ctx, []string{noSnapshotCode, snapshotBusyCode}, func(c *elasticache.Client) error {
		_, err := c.DeleteServerlessCacheSnapshot(ctx, &elasticache.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: &snap})
		return err
	})
	if err == nil {
		_, err = u.waitSnapshot(ctx, snap, true)
	}
	return err
}

// Clients work while the server is killed at random moments. Every operation succeeds, and after every round the world is as
// the clients know it.
func TestCrashAtRandomMoments(t *testing.T) {
	t.Parallel()
	rounds, keys := 12, 200
	if soak {
		rounds, keys = 1000, 5000
	}
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("KEYFRAME_TEST_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("KEYFRAME_TEST_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	p := &plane{server: serve(t, "--sweep-every", "1s", "--quota-serverless-snapshots", "100000")}
	p.kill()
	p.up()
	if _, err := p.s3().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("exports")}); err != nil {
		t.Fatal(err)
	}
	stores := p.stores(t)
	users := make([]*user, 3)
	for i := range users {
		users[i] = &user{plane: p, id: fmt.Sprintf("u%d", i), keys: keys, rng: rand.New(rand.NewPCG(seed, uint64(i)+1)), caches: map[string]dataset.Digest{},
			engines: map[string]string{}, snapshots: map[string]dataset.Digest{}, of: map[string]string{}, objects: map[string]bool{},
			files: map[string]dataset.Digest{}, done: map[string]int{}}
	}
	kills, begun := 0, time.Now()
	for round := range rounds {
		if time.Since(begun) > soakTime {
			break
		}
		if soak {
			t.Logf("round %d after %v and %d kills", round, time.Since(begun).Round(time.Second), kills)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		stop := make(chan struct{})
		errs := make(chan error, len(users))
		for _, u := range users {
			go func() {
				for {
					if err := u.step(ctx); err != nil {
						errs <- fmt.Errorf("round %d, user %s: %w", round, u.id, err)
						return
					}
					select {
					case <-stop:
						errs <- nil
						return
					default:
					}
				}
			}()
		}
		for range 1 + rng.IntN(3) { // at most as often as a job is resumed without a pause
			time.Sleep(time.Duration(rng.Int64N(int64(900 * time.Millisecond)))) // the random moment
			p.kill()
			kills++
			p.up()
		}
		close(stop)
		for range users {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		cancel()
		want := wanted{caches: map[string]dataset.Digest{}, objects: map[string]bool{}}
		for _, u := range users {
			maps.Copy(want.caches, u.caches)
			maps.Copy(want.objects, u.objects)
		}
		p.check(t, stores, want)
		p.owned(t, users)
		if t.Failed() {
			t.FailNow()
		}
	}
	done := map[string]int{}
	for _, u := range users {
		for what, n := range u.done {
			done[what] += n
		}
	}
	t.Logf("%d kills during %v", kills, done)
}

// owned compares what is listed with what the clients made.
func (p *plane) owned(t *testing.T, users []*user) {
	t.Helper()
	caches, err := p.client().DescribeServerlessCaches(t.Context(), &elasticache.DescribeServerlessCachesInput{})
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, c := range caches.ServerlessCaches {
		listed[*c.ServerlessCacheName] = true
	}
	pages := elasticache.NewDescribeServerlessCacheSnapshotsPaginator(p.client(), &elasticache.DescribeServerlessCacheSnapshotsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.ServerlessCacheSnapshots {
			listed[*s.ServerlessCacheSnapshotName] = true
		}
	}
	for _, u := range users {
		for _, name := range slices.Concat(slices.Collect(maps.Keys(u.caches)), slices.Collect(maps.Keys(u.snapshots))) {
			if !listed[name] {
				t.Errorf("%s is not listed", name)
			}
			delete(listed, name)
		}
	}
	if len(listed) > 0 {
		t.Errorf("nobody made %v, or somebody deleted them", slices.Sorted(maps.Keys(listed)))
	}
}
