package metastore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

const childEnv = "KEYFRAME_TEST_METASTORE_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if err := commitForEver(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1) // only a kill ends it as the test wants
	}
	goleak.VerifyTestMain(m)
}

// commitForEver counts up in transactions of three writes, and announces each number after its commit.
func commitForEver(path string) error {
	ctx := context.Background()
	db, err := Open(ctx, path)
	if err != nil {
		return err
	}
	for {
		var n int
		err := db.Update(ctx, func(tx *Tx) error {
			value, _, err := tx.Setting("n")
			if err != nil {
				return err
			}
			if value != "" {
				if n, err = strconv.Atoi(value); err != nil {
					return err
				}
			}
			n++
			if err := tx.SetSetting("n", strconv.Itoa(n)); err != nil {
				return err
			}
			if err := tx.AppendEvent(event("c", noon, strconv.Itoa(n))); err != nil {
				return err
			}
			return tx.InsertCache(cacheNamed(fmt.Sprintf("c%06d", n)))
		})
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// TestKillKeepsWhatWasAnnounced kills a writing process with SIGKILL, again and again on the same file: every announced transaction must be
// there, whole, and the file sound.
func TestKillKeepsWhatWasAnnounced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "meta.db")
	announced := 0
	for round := range 6 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+path)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for i := 0; i < 5+13*round && lines.Scan(); i++ {
			if announced, err = strconv.Atoi(lines.Text()); err != nil {
				t.Error(err)
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // said between the last look and the kill
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				announced = n
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.Exited() {
			t.Fatalf("the child ended by itself: %v", err)
		}
		checkCount(t, path, announced)
	}
	if announced < 100 {
		t.Errorf("only %d transactions", announced)
	}
}

func checkCount(t *testing.T, path string, announced int) {
	t.Helper()
	db, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	view(t, db, func(tx *Tx) error {
		value, _, err := tx.Setting("n")
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < announced {
			t.Errorf("%d was announced, %q is there", announced, value)
		}
		events, _, err := tx.Events(EventFilter{Scope: east, Service: "elasticache"})
		if err != nil {
			return err
		}
		caches, err := tx.CountCaches(east, "serverless")
		if len(events) != n || caches != n || events[0].Message != value {
			t.Errorf("a transaction was torn: n is %d, %d events, %d caches", n, len(events), caches)
		}
		return err
	})
	var verdict string
	if err := db.write.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %s, %v", verdict, err)
	}
}
