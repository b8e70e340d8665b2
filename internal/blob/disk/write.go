package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyframe/keyframe/internal/blob"
)

// flushEvery is how much is written before the kernel is told to start writing it back: the sync at the end then finds
// little left to do, and dirty pages never pile up.
const flushEvery = 8 << 20

// maxKnown bounds the directories that a bucket remembers as synced.
const maxKnown = 4096

type writer struct {
	b        *Bucket
	ctx      context.Context
	key      string
	path     string
	ifAbsent bool
	f        *os.File
	out      blockFile
	failed   error
	done     bool
}

// Create implements blob.Bucket.
func (b *Bucket) Create(ctx context.Context, key string, o blob.CreateOptions) (blob.Writer, error) {
	path, err := b.path(key)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.IfAbsent {
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("create %s: %w", key, blob.ErrExists)
		}
	}
	f, err := os.OpenFile(filepath.Join(b.temp, rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", key, err)
	}
	return &writer{b: b, ctx: ctx, key: key, path: path, ifAbsent: o.IfAbsent, f: f, out: blockFile{f: f}}, nil
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, blob.ErrClosed
	}
	if w.failed == nil {
		w.failed = w.ctx.Err()
	}
	if w.failed != nil {
		return 0, w.failed
	}
	n, err := w.out.Write(p)
	if err != nil {
		w.failed = fmt.Errorf("write %s: %w", w.key, err)
		return n, w.failed
	}
	return n, nil
}

// Commit implements blob.Writer: sync the file, make the directories, link or rename, sync the directories.
func (w *writer) Commit() error {
	if w.done {
		return blob.ErrClosed
	}
	if w.failed == nil {
		w.failed = w.ctx.Err()
	}
	if w.failed != nil {
		w.Abort()
		return w.failed
	}
	w.done = true
	temp := w.f.Name()
	err := w.out.finish()
	if cerr := w.f.Close(); err == nil {
		err = cerr
	}
	w.out.release()
	if err == nil {
		err = w.publish(temp)
	}
	if err != nil {
		os.Remove(temp)
		return wrap("commit", w.key, err)
	}
	return nil
}

func (w *writer) publish(temp string) error {
	w.b.mu.RLock()
	defer w.b.mu.RUnlock()
	dir := filepath.Dir(w.path)
	if err := w.b.ensureDir(dir); err != nil {
		return err
	}
	if w.ifAbsent {
		if err := os.Link(temp, w.path); err != nil {
			return err
		}
		os.Remove(temp) // a leftover name is swept at the next start
	} else if err := os.Rename(temp, w.path); err != nil {
		return err
	}
	return syncDir(dir)
}

// Abort implements blob.Writer.
func (w *writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.out.release()
	w.f.Close()
	os.Remove(w.f.Name())
}

// ensureDir makes dir and its parents, and syncs the parent of each: otherwise a power cut can lose the directory together
// with the synced files in it. One that exists already may be the work of a process that died before it synced, so every
// directory is synced into its parent once per process. The caller holds b.mu for reading.
func (b *Bucket) ensureDir(dir string) error {
	b.dirs.Lock()
	defer b.dirs.Unlock()
	return b.ensureDirLocked(dir)
}

func (b *Bucket) ensureDirLocked(dir string) error {
	if dir == b.root || b.known[dir] {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := b.ensureDirLocked(parent); err != nil {
		return err
	}
	if err := mkdirSynced(dir); err != nil {
		return err
	}
	if len(b.known) >= maxKnown {
		clear(b.known)
	}
	b.known[dir] = true
	return nil
}

// mkdirSynced makes dir, with its parents, and syncs the parent of each.
func mkdirSynced(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := mkdirSynced(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		info, serr := os.Stat(dir)
		if serr != nil {
			return serr
		}
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("an object stands where a directory is needed")}
		}
		err = nil
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
