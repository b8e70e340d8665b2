package buckets

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// crashDir tells a child of this test binary to write into a directory until it is killed.
const crashDir = "KEYFRAME_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Println("failed:", writeForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// contentOf is what an object of this key holds, so that a reader knows whether it is whole.
func contentOf(key string) []byte {
	h := fnv.New64a()
	io.WriteString(h, key)
	return randomBytes(h.Sum64(), 200_000+int(h.Sum64()%1000))
}

// writeForever writes objects and names each on stdout once it must survive.
func writeForever(dir string) error {
	ctx := context.Background()
	s, err := Open(dir)
	if err != nil {
		return err
	}
	tail := []byte("the end")
	for i := 0; ; i++ {
		key := fmt.Sprintf("put/%d/k", i)
		if _, err := s.Put(ctx, "bkt", key, bytes.NewReader(contentOf(key)), PutOptions{}); err != nil {
			return err
		}
		fmt.Println(key)
		key = fmt.Sprintf("export/%d", i)
		w, err := s.Create(ctx, "bkt", key, CreateOptions{Condition: Condition{IfAbsent: true}})
		if err != nil {
			return err
		}
		if _, err := w.Write(contentOf(key)); err != nil {
			return err
		}
		if err := w.Commit(); err != nil {
			return err
		}
		fmt.Println(key)
		key = fmt.Sprintf("multi/%d", i)
		u, err := s.CreateUpload(ctx, "bkt", key, "", "", Attributes{})
		if err != nil {
			return err
		}
		var parts []CompletePart
		for n, data := range [][]byte{make([]byte, MinPart), tail} {
			p, err := s.PutPart(ctx, "bkt", key, u.ID, n+1, bytes.NewReader(data), PutOptions{})
			if err != nil {
				return err
			}
			parts = append(parts, CompletePart{Number: n + 1, ETag: p.ETag})
		}
		fmt.Println("about", key)
		if _, err := s.CompleteUpload(ctx, "bkt", key, u.ID, parts, CompleteOptions{Size: -1}); err != nil {
			return err
		}
		fmt.Println(key)
	}
}

// The child is killed at moments that differ: after so many lines, at once. What it named must be there, and nothing half.
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	for _, lines := range []int{1, 2, 3, 4, 6, 7, 11} {
		t.Run(fmt.Sprint(lines), func(t *testing.T) {
			t.Parallel()
			s, dir := withBucket(t)
			_ = s
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), crashDir+"="+dir)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewScanner(out)
			var named []string
			for in.Scan() {
				if strings.HasPrefix(in.Text(), "failed") {
					t.Error(in.Text())
				}
				if !strings.HasPrefix(in.Text(), "about") {
					named = append(named, in.Text())
				}
				if lines--; lines == 0 {
					cmd.Process.Kill()
				}
			}
			cmd.Wait()
			if lines > 0 {
				t.Fatal("the child ended by itself")
			}
			afterCrash(t, dir, named)
		})
	}
}

func afterCrash(t *testing.T, dir string, named []string) {
	s := open(t, dir)
	noLeftovers(t, s)
	for _, key := range named {
		if _, err := s.Head(t.Context(), "bkt", key); err != nil {
			t.Errorf("%s is lost: %v", key, err)
		}
	}
	p, err := s.List(t.Context(), "bkt", ListOptions{Max: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range p.Objects {
		want := contentOf(o.Key)
		if strings.HasPrefix(o.Key, "multi/") {
			want = append(make([]byte, MinPart), "the end"...)
		}
		if read(t, s, o.Key) != string(want) {
			t.Errorf("%s is half", o.Key)
		}
	}
	// An upload that was cut off can be taken up or dropped.
	uploads, err := s.Uploads(t.Context(), "bkt", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range uploads {
		if err := s.AbortUpload(t.Context(), "bkt", u.Key, u.ID); err != nil {
			t.Error(err)
		}
	}
	if l, err := os.ReadDir(filepath.Join(dir, "buckets", "bkt", "uploads")); err != nil || len(l) != 0 {
		t.Errorf("uploads left: %v, %v", l, err)
	}
}
