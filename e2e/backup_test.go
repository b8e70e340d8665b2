package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/keyframe/keyframe/internal/dataset"
)

// docs/operating.md: a data directory is backed up without its nodes while the server is stopped, and brought back beside the
// original. Its snapshots are whole, and its caches are there again, empty, each at an address of its own.
func TestBackupOfDataDirectory(t *testing.T) {
	t.Parallel()
	s := serve(t)
	at := s.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("orders"), Engine: aws.String("valkey")})
	if _, err := dataset.Fill(t.Context(), dataset.At(at), dataset.Spec{Keys: 500, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	before := digest(t, at)
	if _, err := s.elasticache().CreateServerlessCacheSnapshot(t.Context(), &elasticache.CreateServerlessCacheSnapshotInput{
		ServerlessCacheName: aws.String("orders"), ServerlessCacheSnapshotName: aws.String("kept")}); err != nil {
		t.Fatal(err)
	}
	s.settled("kept", "available")
	s.stop()

	twin := &server{t: t, dir: filepath.Join(t.TempDir(), "data")}
	twin.log = filepath.Join(filepath.Dir(twin.dir), "server.log")
	if err := os.Mkdir(twin.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	copied := exec.Command("sh", "-c", `tar -C "$0" --exclude=./lock --exclude=./nodes -cf - . | tar -C "$1" -xf -`, s.dir, twin.dir)
	if out, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		twin.stop()
		twin.removeEngines()
	})
	twin.start()
	if out := twin.cli("snapshot", "verify"); !strings.Contains(out, "good") {
		t.Errorf("the snapshot of the backup: %s", out)
	}
	until(t, "a new endpoint of orders", func() (bool, error) { return twin.available("orders") != at, nil })
	if n := digest(t, twin.available("orders")); n != (dataset.Digest{}) {
		t.Errorf("the cache came back with %v", n)
	}
	restored := twin.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("restored"), Engine: aws.String("valkey"),
		SnapshotArnsToRestore: []string{*twin.snapshot("kept").ARN}})
	if got := digest(t, restored); got != before {
		t.Errorf("restored from the backup: %v, want %v", got, before)
	}
	if got, err := dataset.DigestOf(t.Context(), dataset.At(at), time.Time{}); err != nil || got != before {
		t.Errorf("the original's engine holds %v (%v), want %v", got, err, before)
	}
}
