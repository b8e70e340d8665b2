package worker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"sync/atomic"

	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
)

// dump is one RDB among those that a cache is restored from. What it holds is known before it is used, and it must hold that again.
type dump struct {
	name  string
	keys  int64
	size  int64
	slots *rdb.SlotSet // that its keys are of; nil for any
	alien bool         // the engine does not read it as it is, or must not: what a cluster told of itself there is not true here
	open  func(context.Context) (io.ReadCloser, error)
}

// snapshotSources are the shards of a snapshot. They were verified when it was taken, and the manifest tells what is in them.
func (w *Worker) snapshotSources(ctx context.Context, id string, to *receiver) ([]dump, error) {
	m, key, err := w.unlock(ctx, id)
	if err != nil {
		return nil, err
	}
	if m.Stream != snapstore.RDB {
		return nil, job.Cancel(fmt.Errorf("the snapshot holds data of %s", m.Engine))
	}
	if len(m.Shards) > 1 && !to.cluster {
		return nil, job.Cancel(fmt.Errorf("the snapshot has %d shards, and a cache without cluster mode has one", len(m.Shards)))
	}
	var from []dump
	for i := range m.Shards {
		sh := &m.Shards[i]
		sum := &rdb.Summary{Version: m.RDBVersion, Family: rdb.FamilyRedis, Functions: sh.Functions, Databases: sh.Databases}
		if m.RDBVersion >= 80 {
			sum.Family = rdb.FamilyValkey
		}
		for t, n := range sh.Types {
			if t >= 0 && t < len(sum.Types) {
				sum.Types[t] = n
			}
		}
		if err := to.suits(sum); err != nil {
			return nil, job.Cancel(err)
		}
		s := dump{name: "shard " + sh.Name, keys: sh.Keys, size: sh.Bytes, alien: !to.reads(sum),
			open: func(ctx context.Context) (io.ReadCloser, error) { return w.Store.Open(ctx, m, key, sh.Name) }}
		if len(sh.Slots) > 0 {
			s.slots = slotSet(sh.Slots)
		}
		from = append(from, s)
	}
	return from, nil
}

// openObject opens an RDB file in a bucket.
func (w *Worker) openObject(ctx context.Context, account string, o resource.S3Object) (io.ReadCloser, target.Info, error) {
	body, info, err := w.Targets.Open(ctx, account, o.Bucket, o.Key)
	if errors.Is(err, target.ErrNoBucket) || errors.Is(err, target.ErrNoObject) || errors.Is(err, target.ErrDenied) {
		err = job.Cancel(fmt.Errorf("the file could not be retrieved from S3: %w", err))
	}
	return body, info, err
}

// objectSources are RDB files in buckets. They come from anywhere, so all of them are read and verified before anything starts, and once
// more when they are used: plain data does not touch the disk.
func (w *Worker) objectSources(ctx context.Context, r *job.Running, objects []resource.S3Object, to *receiver) ([]dump, error) {
	var from []dump
	for _, o := range objects {
		s, err := w.inspect(ctx, r, o, to)
		if err != nil {
			return nil, err
		}
		from = append(from, s)
	}
	if err := w.refuseDoubles(ctx, r, from); err != nil {
		return nil, err
	}
	failpoint.Hit("create-cache.inspected")
	return from, nil
}

// inspect verifies a file and finds out what is in it.
func (w *Worker) inspect(ctx context.Context, r *job.Running, o resource.S3Object, to *receiver) (dump, error) {
	s := dump{name: o.Bucket + "/" + o.Key, slots: new(rdb.SlotSet)}
	body, info, err := w.openObject(ctx, to.cache.Account, o)
	if err != nil {
		return s, fmt.Errorf("%s: %w", s.name, err)
	}
	s.size = info.Size
	s.open = func(ctx context.Context) (io.ReadCloser, error) {
		body, now, err := w.openObject(ctx, to.cache.Account, o)
		if err == nil && (now.ETag != info.ETag || now.Size != info.Size) {
			body.Close()
			return nil, job.Cancel(errors.New("the file was replaced while it was restored"))
		}
		return body, err
	}
	if info.Size < rdbHeader {
		body.Close()
		return s, job.Cancel(fmt.Errorf("%s: the file is not an RDB: it ends after %d bytes", s.name, info.Size))
	}
	// Deep, because an engine that loads a file does not look inside values by itself, and may crash on a broken one later.
	sum, err := scan(ctx, body, rdb.Options{Deep: true, Slots: slotSet(resource.AllSlots), OnRecord: func(rec *rdb.Record) error {
		s.slots.Add(rec.Slot, rec.Slot)
		return nil
	}}, &progress{run: r, size: info.Size})
	if err != nil {
		return s, hopeless(fmt.Errorf("%s: %w", s.name, err))
	}
	if err := to.suits(sum); err != nil {
		return s, job.Cancel(fmt.Errorf("%s: %w", s.name, err))
	}
	s.keys, s.alien = sum.Keys, to.cluster || !to.reads(sum)
	return s, nil
}

// scan walks a stream to its very end and closes it.
func scan(ctx context.Context, body io.ReadCloser, o rdb.Options, p *progress) (*rdb.Summary, error) {
	defer body.Close()
	scanner := rdb.NewScanner(&progressReader{ctx: ctx, r: body, size: p.size, shared: p, run: p.run}, o)
	sum, err := scanner.Scan()
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, scanner.Rest()) // the store's verdict on the last bytes comes with the end
	return sum, err
}

// hashBudget is how many hashes of keys are held at once, 64 MiB.
const hashBudget = 8 << 20

// refuseDoubles makes sure that no key is in two files in the same database: an engine would end with a panic. Only files that share slots
// can have such keys.
// Then the hashes of their keys in these slots are compared, as many at a time as memory is spared for; each time the files are read again.
func (w *Worker) refuseDoubles(ctx context.Context, r *job.Running, from []dump) error {
	shared, sharing := overlap(from)
	if len(sharing) == 0 {
		return nil
	}
	total := int64(0)
	for _, s := range sharing {
		total += s.keys
	}
	seed := maphash.MakeSeed()
	rounds := uint64(total/hashBudget + 1)
	for round := range rounds {
		var hashes []uint64
		for _, s := range sharing {
			body, err := s.open(ctx)
			if err == nil {
				var named []byte
				_, err = scan(ctx, body, rdb.Options{Keys: true, OnRecord: func(rec *rdb.Record) error {
					named = append(binary.AppendUvarint(named[:0], rec.DB), rec.Key...)
					if h := maphash.Bytes(seed, named); h%rounds == round && shared.Has(rec.Slot) {
						hashes = append(hashes, h)
					}
					return nil
				}}, &progress{run: r, size: s.size})
			}
			if err != nil {
				return hopeless(fmt.Errorf("%s: %w", s.name, err))
			}
		}
		slices.Sort(hashes)
		if n := len(hashes) - len(slices.Compact(hashes)); n > 0 {
			return job.Cancel(fmt.Errorf("%d keys are in more than one of the files, and a cache can have only one of each", n))
		}
	}
	return nil
}

// overlap finds the slots that several sources have, and these sources.
func overlap(from []dump) (shared rdb.SlotSet, sharing []dump) {
	var seen rdb.SlotSet
	for _, s := range from {
		for i, word := range s.slots {
			shared[i] |= seen[i] & word
			seen[i] |= word
		}
	}
	for _, s := range from {
		for i, word := range s.slots {
			if shared[i]&word != 0 {
				sharing = append(sharing, s)
				break
			}
		}
	}
	return shared, sharing
}

// progress is that of several streams together.
type progress struct {
	run  *job.Running
	size int64
	done atomic.Int64
}

// progressReader shows how much of a stream has passed.
type progressReader struct {
	ctx        context.Context
	r          io.Reader
	run        *job.Running
	done, size int64
	shared     *progress // with other readers; nil if this is the only one
}

// copied is the progress of a job that moves bytes.
type copied struct{ Bytes, Of int64 }

func (p *progressReader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, context.Cause(p.ctx)
	}
	n, err := p.r.Read(b)
	if n <= 0 {
		return n, err
	}
	if p.shared != nil {
		p.done = p.shared.done.Add(int64(n))
	} else {
		p.done += int64(n)
	}
	p.run.Progress(p.ctx, copied{p.done, p.size}) //nolint:errcheck // a lost lease ends the context
	return n, err
}
