package worker

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// mostValue is the largest value that memcached takes when it is started as we start it.
const mostValue = 1 << 20

// items is a file of items that a cache of memcached is restored from. What it holds is known before it is used, and it must hold that again.
type items struct {
	name            string
	size            int64
	content, expiry string
	open            func(context.Context) (io.ReadCloser, error)
}

// loadItems starts the node of a new cache of memcached and stores the items of the source in it. They are read back and compared before it
// returns how many there are, by node ID. Whatever an earlier run has stored is gone with its engine: half of the items are never served.
func (w *Worker) loadItems(ctx context.Context, r *job.Running, t resource.CreateCacheTask, d *resource.Deployment) (map[string]int64, error) {
	from, err := w.itemSource(ctx, r, t, d.Cache)
	if err != nil {
		return nil, err
	}
	failpoint.Hit("create-cache.items-inspected")
	n := d.Nodes[0]
	if err := w.Engines.Kill(ctx, n.ID); err != nil {
		return nil, err
	}
	if err := w.Engines.Start(ctx, n.ID); err != nil {
		return nil, err
	}
	if err := w.Engines.WaitReady(ctx, n.ID, nil); err != nil {
		return nil, err
	}
	failpoint.Hit("create-cache.items-begun")
	got, err := w.pourItems(ctx, r, from, n)
	switch {
	case errors.Is(err, capture.ErrTooSmall):
		err = job.Cancel(fmt.Errorf("the data needs more memory than the data limit of the cache, which is %d bytes: %w", w.maxMemory(d.Cache), err))
	case errors.Is(err, capture.ErrTooLarge):
		err = job.Cancel(err)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", from.name, err), w.Engines.Kill(context.WithoutCancel(ctx), n.ID))
	}
	failpoint.Hit("create-cache.items-loaded")
	return map[string]int64{n.ID: got.Items}, nil
}

// pourItems stores the items of a file in a node that has none.
func (w *Worker) pourItems(ctx context.Context, r *job.Running, from *items, n *resource.Node) (*capture.LoadResult, error) {
	engine, err := w.engineOf(n)
	if err != nil {
		return nil, err
	}
	body, err := from.open(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	got, err := capture.LoadItems(ctx, engine, body, capture.LoadOptions{MaxValue: mostValue,
		OnProgress: func(_, bytes int64) { r.Progress(ctx, copied{bytes, from.size}) }}) //nolint:errcheck // a lost lease ends the context
	if err != nil {
		return nil, err
	}
	if content, expiry := snapstore.ItemSums(got.Sum); content != from.content || expiry != from.expiry {
		return nil, job.Cancel(errors.New("the items are not those that the source was known to hold"))
	}
	return got, nil
}

// itemSource finds the items that a task names, and what is to be expected of them.
func (w *Worker) itemSource(ctx context.Context, r *job.Running, t resource.CreateCacheTask, cache *resource.Cache) (*items, error) {
	if len(t.Objects) > 1 {
		return nil, job.Cancel(fmt.Errorf("a cache of memcached is restored from one file, and %d were given", len(t.Objects)))
	}
	if len(t.Objects) == 1 {
		return w.itemObject(ctx, r, t.Objects[0], cache)
	}
	m, key, err := w.unlock(ctx, t.SnapshotID)
	if err != nil {
		return nil, err
	}
	if m.Stream != snapstore.Memcached || len(m.Shards) != 1 {
		return nil, job.Cancel(fmt.Errorf("the snapshot holds data of %s", m.Engine))
	}
	sh := &m.Shards[0]
	return &items{name: "shard " + sh.Name, size: sh.Bytes, content: sh.Items.Content, expiry: sh.Items.Expiry,
		open: func(ctx context.Context) (io.ReadCloser, error) { return w.Store.Open(ctx, m, key, sh.Name) }}, nil
}

// itemObject is a file in a bucket. It comes from anywhere, so it is read and verified as a whole before the engine gets any of it.
func (w *Worker) itemObject(ctx context.Context, r *job.Running, o resource.S3Object, cache *resource.Cache) (*items, error) {
	s := &items{name: o.Bucket + "/" + o.Key}
	body, info, err := w.openObject(ctx, cache.Account, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	defer body.Close()
	s.size = info.Size
	s.open = func(ctx context.Context) (io.ReadCloser, error) {
		body, now, err := w.openObject(ctx, cache.Account, o)
		if err == nil && (now.ETag != info.ETag || now.Size != info.Size) {
			body.Close()
			return nil, job.Cancel(errors.New("the file was replaced while it was restored"))
		}
		return body, err
	}
	file, err := itemfile.NewReader(&progressReader{ctx: ctx, r: body, run: r, size: s.size}, itemfile.Options{MaxValue: mostValue})
	for err == nil {
		_, err = file.Next()
	}
	if file == nil || file.Summary() == nil {
		return nil, hopeless(fmt.Errorf("%s: %w", s.name, err))
	}
	s.content, s.expiry = snapstore.ItemSums(file.Summary().Sum)
	return s, nil
}
