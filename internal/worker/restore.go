package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
)

// filled is the checkpoint of a restore: the data file is whole, and these keys must come out of it.
type filled struct{ Keys int64 }

// launch starts the primaries of a new cache whose nodes are placed: empty, or on the data of the source if the task names one. It returns how
// many keys each primary must then have loaded, by node ID; nil when the cache starts empty. Every byte is verified on its way: part hashes and
// seals, checksum, every record. WaitReady of each tells when the data is loaded.
func (w *Worker) launch(ctx context.Context, r *job.Running, t resource.CreateCacheTask, d *resource.Deployment, binary engine.Choice) (map[string]int64, error) {
	var primaries []*resource.Node
	for _, n := range d.Nodes {
		if n.Primary {
			primaries = append(primaries, n)
		}
	}
	if t.SnapshotID == "" && len(t.Objects) == 0 {
		for _, n := range primaries {
			if err := w.Engines.Start(ctx, n.ID); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	if len(primaries) != 1 {
		return nil, job.Cancel(fmt.Errorf("a restore into %d shards is not possible", len(primaries)))
	}
	node := primaries[0]
	var before filled
	if found, err := r.Load(&before); err != nil {
		return nil, err
	} else if found {
		// An earlier run came this far. Its engine may run on the data; if not, the data is brought again.
		if alive, err := w.Engines.Adopt(ctx, node.ID); err != nil || alive {
			return map[string]int64{node.ID: before.Keys}, err
		}
	}
	load := w.stream
	if len(t.Objects) > 0 {
		load = w.fill
	}
	keys, err := load(ctx, r, t, node.ID, binary)
	if err != nil {
		return nil, err
	}
	return map[string]int64{node.ID: keys}, nil
}

// stream feeds a snapshot to the engine while it is decoded. It was verified when it was taken, and its manifest tells
// beforehand whether the engine can read it.
func (w *Worker) stream(ctx context.Context, r *job.Running, t resource.CreateCacheTask, nodeID string, binary engine.Choice) (int64, error) {
	m, key, err := w.unlock(ctx, t.SnapshotID)
	if err != nil {
		return 0, err
	}
	if len(m.Shards) != 1 {
		return 0, job.Cancel(fmt.Errorf("the snapshot has %d shards and a serverless cache has one", len(m.Shards)))
	}
	shard := &m.Shards[0]
	if err := suitable(shard.Databases, nil); err != nil {
		return 0, job.Cancel(err)
	}
	err = w.Engines.StartWith(ctx, nodeID, func(out io.Writer) error {
		failpoint.Hit("create-cache.streaming")
		body, err := w.Store.Open(ctx, m, key, shard.Name)
		if err != nil {
			return err
		}
		defer body.Close()
		sum, err := convert(&progressReader{ctx: ctx, r: body, size: m.Bytes(), run: r}, out, binary)
		if err == nil && sum.Keys != shard.Keys {
			err = fmt.Errorf("%w: it should hold %d keys and holds %d", snapstore.ErrCorrupt, shard.Keys, sum.Keys)
		}
		return err
	})
	if errors.Is(err, supervisor.ErrNotRunning) {
		return 0, job.Cancel(err) // the engine refused the data, and will do so again
	}
	if err != nil {
		return 0, hopeless(err)
	}
	return shard.Keys, r.Save(ctx, filled{shard.Keys})
}

// fill brings an RDB file from a bucket. It comes from anywhere: all of it is read and verified before anything starts.
func (w *Worker) fill(ctx context.Context, r *job.Running, t resource.CreateCacheTask, nodeID string, binary engine.Choice) (int64, error) {
	cache, err := w.cacheIn(ctx, t.CacheID, resource.CacheCreating)
	if err != nil {
		return 0, err
	}
	body, info, err := w.Targets.Open(ctx, cache.Account, t.Objects[0].Bucket, t.Objects[0].Key)
	if errors.Is(err, target.ErrNoBucket) || errors.Is(err, target.ErrNoObject) || errors.Is(err, target.ErrDenied) {
		return 0, job.Cancel(fmt.Errorf("the file could not be retrieved from S3: %w", err))
	}
	if err != nil {
		return 0, err
	}
	defer body.Close()
	sum, err := w.writeData(&progressReader{ctx: ctx, r: body, size: info.Size, run: r}, nodeID, binary)
	if err != nil {
		return 0, err
	}
	failpoint.Hit("create-cache.written")
	if err := r.Save(ctx, filled{sum.Keys}); err != nil {
		return 0, err
	}
	failpoint.Hit("create-cache.filled")
	return sum.Keys, w.Engines.Start(ctx, nodeID)
}

// unlock reads a snapshot's manifest and its data key.
func (w *Worker) unlock(ctx context.Context, snapshotID string) (*snapstore.Manifest, snapstore.DataKey, error) {
	m, err := w.Store.ReadManifest(ctx, snapshotID)
	if err != nil {
		return nil, snapstore.DataKey{}, hopeless(err)
	}
	key, err := w.Store.Unlock(ctx, m)
	return m, key, hopeless(err)
}

// hopeless marks errors that another attempt would meet again: damage, and keys that cannot be used.
func hopeless(err error) error {
	if errors.Is(err, snapstore.ErrCorrupt) || errors.Is(err, rdb.ErrCorrupt) || is(err, resource.InvalidKey) {
		return job.Cancel(err)
	}
	return err
}

// writeData writes an RDB into the node's data file and checks it as it passes. The file is not synced: after a crash of
// the machine the cache is restored again.
func (w *Worker) writeData(in io.Reader, nodeID string, binary engine.Choice) (*rdb.Summary, error) {
	path := w.Engines.DataPath(nodeID)
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer os.Remove(path + ".part")
	defer f.Close()
	sum, err := convert(in, f, binary)
	if err != nil {
		return nil, hopeless(err)
	}
	if err := suitable(sum.Databases, sum.Modules); err != nil {
		return nil, job.Cancel(err)
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return sum, os.Rename(path+".part", path)
}

// convert copies an RDB, lowering its version when the engine is older than the file and the types in it allow.
func convert(source io.Reader, out io.Writer, binary engine.Choice) (*rdb.Summary, error) {
	in := bufio.NewReaderSize(source, 256<<10)
	head, err := in.Peek(rdbHeader)
	if err != nil {
		return nil, job.Cancel(fmt.Errorf("the file is not an RDB: it ends after %d bytes", len(head)))
	}
	version, err := strconv.Atoi(string(head[len(rdb.FamilyValkey):]))
	if string(head[:len(rdb.FamilyRedis)]) == rdb.FamilyRedis {
		version, err = strconv.Atoi(string(head[len(rdb.FamilyRedis):]))
	}
	own := engine.RDBOf(binary.Engine, binary.Binary.Version)
	family := rdb.FamilyRedis
	if string(head[:len(rdb.FamilyValkey)]) == rdb.FamilyValkey {
		family = rdb.FamilyValkey
	}
	if err == nil && !engine.CanLoad(binary.Engine, binary.Binary.Version, family, version) && own.Family == rdb.FamilyRedis {
		sum, err := rdb.Lower(in, out, own.Writes)
		if errors.Is(err, rdb.ErrCannotLower) {
			err = job.Cancel(fmt.Errorf("%s %s cannot read it: unsupported RDB version %d: %w", binary.Engine, binary.FullVersion, version, err))
		}
		return sum, err
	}
	scanner := rdb.NewScanner(in, rdb.Options{Tee: out})
	sum, err := scanner.Scan()
	if err != nil {
		return nil, err
	}
	// The store's verdict on the last part comes with its end. A file from elsewhere may go on; engines ignore that.
	_, err = io.Copy(io.Discard, scanner.Rest())
	return sum, err
}

// rdbHeader is the length of magic and version.
const rdbHeader = 9

// suitable refuses what a cache in cluster mode does not have.
func suitable(databases map[uint64]int64, modules []string) error {
	for db, keys := range databases {
		if db != 0 && keys > 0 {
			return fmt.Errorf("it holds %d keys in database %d, and a serverless cache has only database 0", keys, db)
		}
	}
	if len(modules) > 0 {
		return fmt.Errorf("it holds data of the modules %v, which are not installed", modules)
	}
	return nil
}

// progressReader shows how much of a stream has passed.
type progressReader struct {
	ctx        context.Context
	r          io.Reader
	run        *job.Running
	done, size int64
}

// copied is the progress of a job that moves bytes.
type copied struct{ Bytes, Of int64 }

func (p *progressReader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, context.Cause(p.ctx)
	}
	n, err := p.r.Read(b)
	p.done += int64(n)
	if n > 0 {
		p.run.Progress(p.ctx, copied{p.done, p.size}) //nolint:errcheck // a lost lease ends the context
	}
	return n, err
}
