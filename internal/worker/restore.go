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

// fill writes the data file that a new node loads at its first start, and returns the number of keys in it; nil when the
// cache starts empty. Every byte is verified on its way: part hashes and seals, checksum, every record.
func (w *Worker) fill(ctx context.Context, r *job.Running, t resource.CreateCacheTask, node supervisor.Node, binary engine.Choice) (*int64, error) {
	if t.SnapshotID == "" && t.Object == nil {
		return nil, nil
	}
	var before filled
	if found, err := r.Load(&before); err != nil {
		return nil, err
	} else if found {
		// An earlier run came this far. Its engine may run on the data; if not, the file is made again.
		if alive, err := w.Engines.Adopt(ctx, node.ID); err != nil || alive {
			return &before.Keys, err
		}
	}
	source, size, want, err := w.source(ctx, t)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	sum, err := w.writeData(ctx, r, source, size, node, binary)
	if err != nil {
		return nil, err
	}
	if want != nil && *want != sum.Keys {
		return nil, job.Cancel(fmt.Errorf("the snapshot should hold %d keys and holds %d", *want, sum.Keys))
	}
	failpoint.Hit("create-cache.written")
	return &sum.Keys, r.Save(ctx, filled{sum.Keys})
}

// source opens what the cache is restored from: its bytes, how many there are, and the keys that should be in it if that is known.
func (w *Worker) source(ctx context.Context, t resource.CreateCacheTask) (io.ReadCloser, int64, *int64, error) {
	if t.Object != nil {
		cache, err := w.cacheIn(ctx, t.CacheID, resource.CacheCreating)
		if err != nil {
			return nil, 0, nil, err
		}
		body, info, err := w.Targets.Open(ctx, cache.Account, t.Object.Bucket, t.Object.Key)
		if errors.Is(err, target.ErrNoBucket) || errors.Is(err, target.ErrNoObject) || errors.Is(err, target.ErrDenied) {
			err = job.Cancel(fmt.Errorf("the file could not be retrieved from S3: %w", err))
		}
		return body, info.Size, nil, err
	}
	m, key, err := w.unlock(ctx, t.SnapshotID)
	if err != nil {
		return nil, 0, nil, err
	}
	if len(m.Shards) != 1 {
		return nil, 0, nil, job.Cancel(fmt.Errorf("the snapshot has %d shards and a serverless cache has one", len(m.Shards)))
	}
	body, err := w.Store.Open(ctx, m, key, m.Shards[0].Name)
	keys := m.Keys()
	return body, m.Bytes(), &keys, err
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

// writeData streams an RDB into the node's data file and checks it as it passes. The file is not synced: after a crash of
// the machine the cache is restored again.
func (w *Worker) writeData(ctx context.Context, r *job.Running, source io.Reader, size int64, node supervisor.Node, binary engine.Choice) (*rdb.Summary, error) {
	path := w.Engines.DataPath(node.ID)
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer os.Remove(path + ".part")
	defer f.Close()
	in := bufio.NewReaderSize(&progressReader{ctx: ctx, r: source, size: size, run: r}, 256<<10)
	sum, err := convert(in, f, binary)
	if err != nil {
		return nil, hopeless(err)
	}
	if err := suitable(sum); err != nil {
		return nil, job.Cancel(err)
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return sum, os.Rename(path+".part", path)
}

// convert copies an RDB, lowering its version when the engine is older than the file and the types in it allow.
func convert(in *bufio.Reader, out io.Writer, binary engine.Choice) (*rdb.Summary, error) {
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

// suitable refuses what cluster mode does not have, before anything starts.
func suitable(sum *rdb.Summary) error {
	for db, keys := range sum.Databases {
		if db != 0 && keys > 0 {
			return fmt.Errorf("it holds %d keys in database %d, and a serverless cache has only database 0", keys, db)
		}
	}
	if len(sum.Modules) > 0 {
		return fmt.Errorf("it holds data of the modules %v, which are not installed", sum.Modules)
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
