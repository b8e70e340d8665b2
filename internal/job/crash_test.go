package job

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
)

const (
	childEnv = "KEYFRAME_TEST_JOB_CHILD" // the database of a process that works on its jobs
	hangEnv  = "KEYFRAME_TEST_JOB_HANG"  // set: it begins its jobs and ends none
)

func childOf() string { return os.Getenv(childEnv) }

// child works until it is killed. The lease is longer than any test, so that only TakeOver frees what a killed child held.
func child(path string) {
	ctx := context.Background()
	db, err := metastore.Open(ctx, path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	q := New(db, Options{Owner: "host", Logger: quiet, Lease: time.Hour, MaxCrashes: 1000,
		Backoff: func(int) time.Duration { return time.Millisecond }})
	q.Register("steps", Kind{Run: steps})
	if _, err := q.TakeOver(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := q.Start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

// steps counts to five, each step in a transaction with its checkpoint, and says so; the end goes into a log of its subject.
func steps(ctx context.Context, r *Running) error {
	var n int
	if _, err := r.Load(&n); err != nil {
		return err
	}
	fmt.Println("run", r.ID, n)
	if os.Getenv(hangEnv) != "" {
		select {}
	}
	for n < 5 {
		n++
		if err := r.Update(ctx, func(tx *metastore.Tx) error {
			if err := count(tx, "steps "+r.ID); err != nil {
				return err
			}
			return r.SaveIn(tx, n)
		}); err != nil {
			return err
		}
		fmt.Println("step", r.ID, n)
	}
	err := r.Close(ctx, func(tx *metastore.Tx) error {
		log, _, err := tx.Setting("log " + r.Subject)
		if err != nil {
			return err
		}
		return tx.SetSetting("log "+r.Subject, log+r.ID+" ")
	})
	if err == nil {
		fmt.Println("done", r.ID, n)
	}
	return err
}

func count(tx *metastore.Tx, key string) error {
	value, _, err := tx.Setting(key)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(value) // empty is 0
	return tx.SetSetting(key, strconv.Itoa(n+1))
}

// work starts a child on the database and kills it as soon as enough says so of one of its lines.
func work(t *testing.T, path string, enough func(line string) bool, env ...string) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(append(os.Environ(), childEnv+"="+path), env...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !enough(lines.Text()) {
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	out.Close()
}

// prepare makes a database with n jobs on three subjects.
func prepare(t *testing.T, path string, n int) (ids []string) {
	t.Helper()
	db, err := metastore.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	q := New(db, Options{Logger: quiet})
	err = db.Update(t.Context(), func(tx *metastore.Tx) error {
		for i := range n {
			spec := NewSpec("steps", fmt.Sprint("s", i%3), nil)
			spec.MaxAttempts = 1
			id, err := q.Enqueue(tx, spec)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func inspect(t *testing.T, path string, fn func(tx *metastore.Tx) error) {
	t.Helper()
	db, err := metastore.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestKilledProcessResumes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "meta.db")
	ids := prepare(t, path, 3)
	started := 0
	work(t, path, func(line string) bool {
		if strings.HasPrefix(line, "run ") {
			started++
		}
		return started == 3
	}, hangEnv+"=1")
	inspect(t, path, func(tx *metastore.Tx) error {
		held, err := List(tx, Filter{State: StateRunning})
		if len(held) != 3 {
			t.Errorf("%d jobs were running when the process was killed", len(held))
		}
		return err
	})
	done := 0
	work(t, path, func(line string) bool {
		if strings.HasPrefix(line, "done ") {
			done++
		}
		return done == 3
	})
	inspect(t, path, func(tx *metastore.Tx) error {
		for _, id := range ids {
			j, err := Get(tx, id)
			if err != nil {
				return err
			}
			if j.State != StateCompleted || j.Attempt != 1 || j.Crashes != 1 {
				t.Errorf("the job is %+v", j)
			}
		}
		return nil
	})
}

// TestKilledAtRandomPoints kills the working process again and again, wherever it happens to be. In the end every job is completed once,
// every step was counted once, and each subject's jobs ended in order.
func TestKilledAtRandomPoints(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "meta.db")
	const jobs = 24
	ids := prepare(t, path, jobs)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	done, lives := map[string]bool{}, 0
	for len(done) < jobs {
		if lives++; lives > 500 {
			t.Fatalf("%d of %d jobs are done after %d lives", len(done), jobs, lives)
		}
		left := 1 + random.IntN(25)
		work(t, path, func(line string) bool {
			if left--; strings.HasPrefix(line, "done ") {
				done[strings.Fields(line)[1]] = true
			}
			return left <= 0 || len(done) == jobs
		})
		inspect(t, path, func(tx *metastore.Tx) error { // a kill may hide the last line
			finished, err := List(tx, Filter{State: StateCompleted})
			for _, j := range finished {
				done[j.ID] = true
			}
			return err
		})
	}
	t.Logf("%d lives", lives)
	inspect(t, path, func(tx *metastore.Tx) error {
		order := map[string][]string{}
		for i, id := range ids {
			j, err := Get(tx, id)
			if err != nil {
				return err
			}
			if j.State != StateCompleted || j.Attempt != 1 {
				t.Errorf("the job is %+v", j)
			}
			if n, _, err := tx.Setting("steps " + id); n != "5" || err != nil {
				t.Errorf("%s counted %s steps, %v", id, n, err)
			}
			subject := fmt.Sprint("s", i%3)
			order[subject] = append(order[subject], id)
		}
		for subject, want := range order {
			log, _, err := tx.Setting("log " + subject)
			if got := strings.Fields(log); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s ended as %v, %v; want %v", subject, got, err, want)
			}
		}
		return nil
	})
}
