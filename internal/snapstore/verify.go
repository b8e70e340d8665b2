package snapstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/rdb"
)

// Scanned is what a walk over a stream found.
type Scanned struct {
	Keys, Expiring int64
	Bytes          int64  // of the stream, to its exact end
	CRC64          string // as in the manifest; empty when the stream has none
	Version        int    // of RDB; 0 when the stream has none

	Content, Expiry string // sums of items as in the manifest; empty when the stream has none
}

// ScanFunc walks a stream from its first byte to its last and checks all that it can. What it cannot accept is an error.
type ScanFunc func(ctx context.Context, r io.Reader) (Scanned, error)

// Report is what Verify found good.
type Report struct {
	Snapshot    string
	Shards      []ShardReport
	Parts       int
	PlainBytes  int64
	StoredBytes int64
	Keys        int64
	Took        time.Duration
}

// ShardReport is the part of a report about one shard.
type ShardReport struct {
	Name   string
	Parts  int
	Bytes  int64
	Keys   int64
	Walked bool // every record was walked; false for a stream that has no scanner
}

// Verify reads all of a snapshot: hashes, seals, blocks, and every record of the streams, whose counts and checksums must be
// those of the manifest. progress, which may be nil, gets stream bytes done and in total, from any goroutine. The error is
// ErrCorrupt when the snapshot is damaged; the report holds what was good.
func (s *Store) Verify(ctx context.Context, snapshot string, progress func(done, total int64)) (*Report, error) {
	return s.verify(ctx, snapshot, false, progress)
}

// VerifyDeep is Verify with a look inside every value of an RDB (rdb.Options.Deep), for some three times the processor time of
// the walk. What an engine handed over was whole; this shows whether the engine itself made sense.
func (s *Store) VerifyDeep(ctx context.Context, snapshot string, progress func(done, total int64)) (*Report, error) {
	return s.verify(ctx, snapshot, true, progress)
}

func (s *Store) verify(ctx context.Context, snapshot string, deep bool, progress func(done, total int64)) (*Report, error) {
	start := time.Now()
	m, err := s.ReadManifest(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	key, err := s.Unlock(ctx, m)
	if err != nil {
		return nil, err
	}
	report := &Report{Snapshot: snapshot}
	var mu sync.Mutex
	var errs []error
	var done atomic.Int64
	total := m.Bytes()
	g := errgroup.Group{}
	g.SetLimit(max(1, runtime.GOMAXPROCS(0)/2)) // each shard keeps about two processors busy
	for i := range m.Shards {
		g.Go(func() error {
			sh := &m.Shards[i]
			got, err := s.verifyShard(ctx, m, key, sh, deep, func(n int) {
				if d := done.Add(int64(n)); progress != nil {
					progress(d, total)
				}
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return nil
			}
			report.Shards = append(report.Shards, got)
			report.Parts += got.Parts
			report.PlainBytes += got.Bytes
			report.Keys += got.Keys
			for _, p := range sh.Parts {
				report.StoredBytes += p.StoredBytes
			}
			return nil
		})
	}
	if m.Report != nil {
		if _, err := s.ReadReport(ctx, m, key); err != nil {
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
		}
	}
	g.Wait() //nolint:errcheck // the errors are in errs: one shard's damage does not hide another's
	report.Took = time.Since(start)
	return report, errors.Join(errs...)
}

func (s *Store) verifyShard(ctx context.Context, m *Manifest, key DataKey, sh *Shard, deep bool, step func(int)) (ShardReport, error) {
	rep := ShardReport{Name: sh.Name, Parts: len(sh.Parts), Bytes: sh.Bytes, Keys: sh.Keys}
	r, err := s.Open(ctx, m, key, sh.Name)
	if err != nil {
		return rep, err
	}
	defer r.Close()
	counted := &countingReader{r: r, step: step}
	scan := s.scanner(m.Stream, deep)
	if scan == nil {
		_, err := io.Copy(io.Discard, counted)
		return rep, err
	}
	bad := func(cause error, format string, args ...any) error {
		return &CorruptError{Snapshot: m.SnapshotID, Capture: m.CaptureID, Shard: sh.Name, Reason: fmt.Sprintf(format, args...), Cause: cause}
	}
	got, err := scan(ctx, counted)
	if counted.err != nil {
		return rep, counted.err // of the store, whatever the scanner made of it
	}
	if err == nil {
		// The scanner has seen its end; the parts' verdicts come with ours.
		var extra int64
		if extra, err = io.Copy(io.Discard, counted); err == nil && extra > 0 {
			err = fmt.Errorf("%d bytes after the end", extra)
		}
		if counted.err != nil {
			return rep, counted.err
		}
	}
	if err != nil {
		return rep, bad(err, "%s", m.Stream)
	}
	switch {
	case got.Bytes != sh.Bytes:
		return rep, bad(nil, "%d bytes, the manifest says %d", got.Bytes, sh.Bytes)
	case got.Keys != sh.Keys || got.Expiring != sh.Expiring:
		return rep, bad(nil, "%d keys, %d expiring; the manifest says %d, %d", got.Keys, got.Expiring, sh.Keys, sh.Expiring)
	case got.CRC64 != sh.CRC64:
		return rep, bad(nil, "CRC64 %s, the manifest says %s", got.CRC64, sh.CRC64)
	case m.Stream == RDB && got.Version > m.RDBVersion: // that of the newest engine: shards may run different ones
		return rep, bad(nil, "RDB version %d, the manifest says %d", got.Version, m.RDBVersion)
	case sh.Items != nil && (got.Content != sh.Items.Content || got.Expiry != sh.Items.Expiry):
		return rep, bad(nil, "items of content %s and expiry %s; the manifest says %s and %s", got.Content, got.Expiry, sh.Items.Content, sh.Items.Expiry)
	}
	rep.Walked = true
	return rep, nil
}

func (s *Store) scanner(stream Stream, deep bool) ScanFunc {
	if f := s.o.Scan[stream]; f != nil {
		return f
	}
	switch stream {
	case RDB:
		return scanRDB(rdb.Options{Deep: deep})
	case Memcached:
		return scanItems
	}
	return nil
}

// countingReader reports progress and remembers the store's error.
type countingReader struct {
	r    io.Reader
	step func(int)
	err  error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		c.step(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
