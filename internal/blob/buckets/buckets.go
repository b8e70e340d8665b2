// Package buckets is the built-in bucket service: S3-like buckets of objects in one directory, durable against kill -9 and power loss.
//
// On disk:
//
//	buckets/<bucket>/bucket.json   owner, region, time of creation
//	buckets/<bucket>/objects/...   one file per object: its bytes, then its description (format.go); names.go makes paths of keys
//	buckets/<bucket>/uploads/<id>/ upload.json and one file per part of a multipart upload
//	tmp/                           what is being written; emptied by Open
//
// An object comes into being by one rename, so that it is there whole or not at all. A directory belongs to one process at a time:
// the caller sees to that.
package buckets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"
)

// Bucket describes a bucket.
type Bucket struct {
	Name      string    `json:"name"`
	Owner     string    `json:"owner"`  // account, twelve digits
	Region    string    `json:"region"` // such as us-east-1
	CreatedAt time.Time `json:"createdAt"`
}

// Service holds the buckets of one directory. Its methods are safe for concurrent use.
type Service struct {
	dir string
	now func() time.Time

	mu      sync.RWMutex
	buckets map[string]*bucket
}

// bucket is a bucket that is in use. Its mutex guards the names in it: whoever adds or removes one holds it.
type bucket struct {
	Bucket
	dir string

	mu   sync.Mutex
	gone bool // deleted: writers that still run must not commit
}

func (b *bucket) objects() string { return filepath.Join(b.dir, "objects") }
func (b *bucket) uploads() string { return filepath.Join(b.dir, "uploads") }

// Open opens the service in dir, which is made if absent, and removes what interrupted writers left behind.
func Open(dir string) (*Service, error) {
	s := &Service{dir: dir, now: time.Now, buckets: map[string]*bucket{}}
	if err := os.RemoveAll(s.tmp()); err != nil {
		return nil, fmt.Errorf("buckets: remove leftovers: %w", err)
	}
	for _, d := range []string{s.tmp(), s.root()} {
		if err := makeDirs(d); err != nil {
			return nil, fmt.Errorf("buckets: %w", err)
		}
	}
	entries, err := os.ReadDir(s.root())
	if err != nil {
		return nil, fmt.Errorf("buckets: %w", err)
	}
	for _, e := range entries {
		if !ValidName(e.Name()) {
			return nil, fmt.Errorf("buckets: %s is not a bucket: remove it", filepath.Join(s.root(), e.Name()))
		}
		b := &bucket{dir: filepath.Join(s.root(), e.Name())}
		file := filepath.Join(b.dir, "bucket.json")
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("buckets: %w", err)
		}
		if err := json.Unmarshal(text, &b.Bucket); err != nil || b.Name != e.Name() {
			return nil, fmt.Errorf("buckets: %s does not describe its bucket: %v", file, err)
		}
		s.buckets[b.Name] = b
	}
	return s, nil
}

func (s *Service) root() string { return filepath.Join(s.dir, "buckets") }
func (s *Service) tmp() string  { return filepath.Join(s.dir, "tmp") }

// CreateBucket makes a bucket. Names are global: ErrBucketOwnedByYou if owner has one of that name, ErrBucketExists if another has.
func (s *Service) CreateBucket(ctx context.Context, name, owner, region string) (Bucket, error) {
	if !ValidName(name) {
		return Bucket{}, fmt.Errorf("%w: %q", ErrInvalidBucketName, name)
	}
	if err := ctx.Err(); err != nil {
		return Bucket{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.buckets[name]; ok {
		if b.Owner == owner {
			return b.Bucket, ErrBucketOwnedByYou
		}
		return Bucket{}, ErrBucketExists
	}
	b := &bucket{
		Bucket: Bucket{name, owner, region, s.now().UTC().Truncate(time.Millisecond)},
		dir:    filepath.Join(s.root(), name),
	}
	if err := s.makeBucket(b); err != nil {
		return Bucket{}, fmt.Errorf("create bucket %s: %w", name, err)
	}
	s.buckets[name] = b
	return b.Bucket, nil
}

// makeBucket builds the bucket aside and moves it into place whole.
func (s *Service) makeBucket(b *bucket) error {
	aside, err := os.MkdirTemp(s.tmp(), "bucket-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	for _, d := range []string{"objects", "uploads"} {
		if err := os.Mkdir(filepath.Join(aside, d), 0o700); err != nil {
			return err
		}
	}
	text, err := json.Marshal(b.Bucket)
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(aside, "bucket.json"), text); err != nil {
		return err
	}
	if err := syncDir(aside); err != nil {
		return err
	}
	if err := os.Rename(aside, b.dir); err != nil {
		return err
	}
	return syncDir(s.root())
}

// HeadBucket describes a bucket, or fails with ErrNoSuchBucket.
func (s *Service) HeadBucket(_ context.Context, name string) (Bucket, error) {
	b, err := s.bucket(name)
	if err != nil {
		return Bucket{}, err
	}
	return b.Bucket, nil
}

func (s *Service) bucket(name string) (*bucket, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.buckets[name]
	if !ok {
		return nil, ErrNoSuchBucket
	}
	return b, nil
}

// Buckets lists an owner's buckets by name.
func (s *Service) Buckets(_ context.Context, owner string) []Bucket {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []Bucket
	for _, b := range s.buckets {
		if b.Owner == owner {
			list = append(list, b.Bucket)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// DeleteBucket removes a bucket that holds no objects, or fails with ErrBucketNotEmpty. Multipart uploads in it go with it.
func (s *Service) DeleteBucket(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buckets[name]
	if !ok {
		return ErrNoSuchBucket
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	full, err := holdsAny(b.objects())
	if err != nil {
		return fmt.Errorf("delete bucket %s: %w", name, err)
	}
	if full {
		return ErrBucketNotEmpty
	}
	if err := s.discard(b.dir); err != nil {
		return fmt.Errorf("delete bucket %s: %w", name, err)
	}
	b.gone = true
	delete(s.buckets, name)
	return nil
}

// discard makes a directory vanish at once, then removes what was in it.
func (s *Service) discard(dir string) error {
	aside, err := os.MkdirTemp(s.tmp(), "gone-")
	if err != nil {
		return err
	}
	if err := os.Rename(dir, filepath.Join(aside, "x")); err != nil {
		os.Remove(aside)
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	// What cannot be removed now goes with the leftovers at the next Open.
	os.RemoveAll(aside)
	return nil
}

// Writable reports why nothing can be written, or nil.
func (s *Service) Writable() error {
	f, err := os.CreateTemp(s.tmp(), "probe-")
	if err != nil {
		return err
	}
	_, err = f.Write([]byte("probe"))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
