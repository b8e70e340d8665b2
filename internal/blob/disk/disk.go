// Package disk keeps objects as files under one directory. An object appears by rename or link of a file that was synced
// before, and the directories that lead to it are synced before Commit returns.
package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/keyframe/keyframe/internal/blob"
)

// tempDir is the first segment that no key may have: unfinished objects live below it, in one directory per process.
const tempDir = ".tmp"

// Bucket is a directory of objects.
type Bucket struct {
	root  string
	temp  string   // this process's own directory of unfinished objects
	lock  *os.File // held while the process lives, so that others do not sweep temp
	close sync.Once

	mu    sync.RWMutex // writers publish under it for reading; removing a directory takes it whole
	dirs  sync.Mutex
	known map[string]bool // directories whose names are synced
}

var _ blob.Bucket = (*Bucket)(nil)

// Open makes the directory when needed (mode 0700), removes what dead processes left unfinished, and returns the bucket.
func Open(root string) (*Bucket, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	all := filepath.Join(root, tempDir)
	if err := mkdirSynced(all); err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	if err := sweep(all); err != nil {
		return nil, fmt.Errorf("sweep object store: %w", err)
	}
	temp, lock, err := claim(all)
	if err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	return &Bucket{root: root, temp: temp, lock: lock, known: map[string]bool{}}, nil
}

// claim makes a directory of unfinished objects that belongs to this process. A sweep that runs at the same moment may take
// the lock file between its making and its locking: then another is made.
func claim(all string) (temp string, lock *os.File, err error) {
	for range 20 {
		temp = filepath.Join(all, rand.Text())
		lock, err = lockFile(temp + ".lock")
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		mine, serr := lock.Stat()
		there, err := os.Stat(temp + ".lock")
		if serr == nil && err == nil && os.SameFile(mine, there) {
			if err = os.Mkdir(temp, 0o700); err != nil {
				lock.Close()
			}
			return temp, lock, err
		}
		lock.Close()
	}
	return "", nil, errors.New("no lock could be had: are many processes starting at once?")
}

// Close gives up the directory of unfinished objects. Writers that are still open fail.
func (b *Bucket) Close() error {
	var err error
	b.close.Do(func() {
		err = os.RemoveAll(b.temp)
		os.Remove(b.temp + ".lock")
		b.lock.Close()
	})
	return err
}

// sweep removes the unfinished objects of processes that are gone: those whose lock can be had.
func sweep(all string) error {
	entries, err := os.ReadDir(all)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, isLock := strings.CutSuffix(e.Name(), ".lock")
		if !isLock {
			continue
		}
		path := filepath.Join(all, e.Name())
		f, err := lockFile(path)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return err
		}
		err = os.RemoveAll(filepath.Join(all, name))
		if err == nil {
			err = os.Remove(path)
		}
		f.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (b *Bucket) path(key string) (string, error) {
	if err := blob.CheckKey(key); err != nil {
		return "", err
	}
	if first, _, _ := strings.Cut(key, "/"); first == tempDir {
		return "", fmt.Errorf("%w: %q", blob.ErrInvalidKey, key)
	}
	return filepath.Join(b.root, filepath.FromSlash(key)), nil
}

// Open implements blob.Bucket.
func (b *Bucket) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	path, err := b.path(key)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, wrap("open", key, err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fs.ErrNotExist
	}
	if err == nil && off > 0 {
		_, err = f.Seek(off, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, wrap("open", key, err)
	}
	adviseSequential(f)
	r := &reader{ctx: ctx, f: f, left: n}
	if n < 0 {
		r.left = 1<<63 - 1
	}
	return r, nil
}

// reader ends early when the context does.
type reader struct {
	ctx  context.Context
	f    *os.File
	left int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.left <= 0 {
		return 0, io.EOF
	}
	n, err := r.f.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}

func (r *reader) Close() error { return r.f.Close() }

// Stat implements blob.Bucket.
func (b *Bucket) Stat(ctx context.Context, key string) (blob.Info, error) {
	path, err := b.path(key)
	if err != nil {
		return blob.Info{}, err
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return blob.Info{}, wrap("stat", key, err)
	}
	return blob.Info{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil
}

// List implements blob.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	if strings.ContainsAny(prefix, "\\\x00") || slices.Contains(strings.Split(prefix, "/"), "..") {
		return fmt.Errorf("%w: prefix %q", blob.ErrInvalidKey, prefix)
	}
	dir := ""
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		dir = prefix[:i+1]
	}
	return b.list(ctx, dir, prefix, fn)
}

// list walks the directory dir, which is "" or ends in a slash. Directories sort as if their name ended in a slash, so that
// the order is that of whole keys.
func (b *Bucket) list(ctx context.Context, dir, prefix string, fn func(blob.Info) error) error {
	entries, err := os.ReadDir(filepath.Join(b.root, filepath.FromSlash(dir)))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", prefix, err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := dir + e.Name()
		if e.IsDir() {
			name += "/"
		}
		if strings.HasPrefix(name, prefix) || strings.HasPrefix(prefix, name) && e.IsDir() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if name == tempDir+"/" {
			continue
		}
		if strings.HasSuffix(name, "/") {
			if err := b.list(ctx, name, prefix, fn); err != nil {
				return err
			}
			continue
		}
		info, err := b.Stat(ctx, name)
		if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrInvalidKey) {
			continue // removed meanwhile, or not one of ours
		}
		if err != nil {
			return err
		}
		if err := fn(info); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements blob.Bucket. Directories that become empty go too.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	path, err := b.path(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil // a directory is not an object
	}
	if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	} else if err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	b.mu.Lock() // no directory vanishes between a writer's mkdir and its rename
	dir := filepath.Dir(path)
	for dir != b.root && os.Remove(dir) == nil {
		delete(b.known, dir)
		dir = filepath.Dir(dir)
	}
	b.mu.Unlock()
	if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func wrap(op, key string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		err = blob.ErrNotFound
	case errors.Is(err, fs.ErrExist):
		err = blob.ErrExists
	}
	return fmt.Errorf("%s %s: %w", op, key, err)
}
