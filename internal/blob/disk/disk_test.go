package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/blob/blobtest"
	"github.com/keyframe/keyframe/internal/blob/disk"
)

func open(t *testing.T) blob.Bucket {
	t.Helper()
	b, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestSuite(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, open)
}

func begin(t *testing.T, b *disk.Bucket, key string) blob.Writer {
	t.Helper()
	w, err := b.Create(t.Context(), key, blob.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("unfinished")); err != nil {
		t.Fatal(err)
	}
	return w
}

// leftovers counts the files below the directory of unfinished objects.
func leftovers(t *testing.T, root string) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, ".tmp"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(path) != ".lock" {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSweepAtOpen(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	live, err := disk.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	w := begin(t, live, "live/k")
	// What a process leaves when it is killed: its directory and a lock file that nobody holds.
	dead := filepath.Join(root, ".tmp", "DEAD")
	if err := errors.Join(os.Mkdir(dead, 0o700), os.WriteFile(dead+".lock", nil, 0o600),
		os.WriteFile(filepath.Join(dead, "part"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	next, err := disk.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the dead process's directory is still there: %v", err)
	}
	if n := leftovers(t, root); n != 1 {
		t.Fatalf("%d unfinished objects, want the live one only", n)
	}
	if err := w.Commit(); err != nil {
		t.Fatalf("the live process was disturbed: %v", err)
	}
	if n := leftovers(t, root); n != 0 {
		t.Fatalf("%d leftovers after commit", n)
	}
}

func TestNothingLeftBehind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	b, err := disk.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	begin(t, b, "a/b/k").Abort()
	w := begin(t, b, "a/b/k")
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := leftovers(t, root); n != 0 {
		t.Fatalf("%d leftovers", n)
	}
	if err := b.Delete(t.Context(), "a/b/k"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "a")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("empty directories stay: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(root, ".tmp"))
	if err != nil || len(entries) != 0 {
		t.Fatalf("after close: %v, %v", entries, err)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "new", "store")
	b, err := disk.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := begin(t, b, "d/k").Commit(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{root: 0o700 | os.ModeDir, root + "/d": 0o700 | os.ModeDir, root + "/d/k": 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestTempIsNotAKey(t *testing.T) {
	t.Parallel()
	b := open(t)
	if _, err := b.Create(t.Context(), ".tmp/k", blob.CreateOptions{}); !errors.Is(err, blob.ErrInvalidKey) {
		t.Fatalf("%v, want ErrInvalidKey", err)
	}
}

func TestListRefusesEscape(t *testing.T) {
	t.Parallel()
	b := open(t)
	if err := b.List(t.Context(), "../", func(blob.Info) error { return nil }); !errors.Is(err, blob.ErrInvalidKey) {
		t.Fatalf("%v, want ErrInvalidKey", err)
	}
}

func TestManyOpenAtOnce(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			b, err := disk.Open(root)
			if err != nil {
				t.Error(err)
				return
			}
			defer b.Close()
			if err := blob.Put(t.Context(), b, "k", []byte("x"), blob.CreateOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	entries, err := os.ReadDir(filepath.Join(root, ".tmp"))
	if err != nil || len(entries) != 0 {
		t.Fatal(entries, err)
	}
}
