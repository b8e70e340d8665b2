package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/rdb"
)

func (s *Stage) cli() string   { return string(s.Engine) + "-cli" }
func (s *Stage) check() string { return string(s.Engine) + "-check-rdb" }

// CLI is the engine's own client, which takes a dump into a file.
func (s *Stage) CLI(file string) func(context.Context) error {
	return func(ctx context.Context) error {
		e := s.Node.Endpoint()
		cmd := exec.CommandContext(ctx, s.cli(), "-h", e.Address, "-p", strconv.Itoa(e.Port), "--user", s.Source.User, "--rdb", file)
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+s.Source.Password.Reveal())
		out, err := cmd.CombinedOutput()
		// A device cannot be synced, and the client calls that a failure.
		if err != nil && !(file == os.DevNull && bytes.Contains(out, []byte("finished with success"))) {
			return fmt.Errorf("%w: %.300s", err, out)
		}
		return nil
	}
}

// Capture takes a capture and drops it.
func (s *Stage) Capture(ctx context.Context) error {
	_, err := capture.Shard(ctx, s.Source, io.Discard, capture.Options{SpoolDir: s.temp})
	return err
}

// CaptureCounted takes a capture as snapshots do, which tell what is in them, and drops it.
func (s *Stage) CaptureCounted(ctx context.Context) error {
	r, err := capture.Shard(ctx, s.Source, io.Discard, capture.Options{SpoolDir: s.temp, Count: true, CountSlots: true})
	if err == nil {
		if report := r.Keys.Report(r.Summary); report.Keys != s.Keys {
			err = fmt.Errorf("%d keys were counted of %d", report.Keys, s.Keys)
		}
	}
	return err
}

// CaptureTo takes a capture into a file and syncs it.
func (s *Stage) CaptureTo(ctx context.Context, path string) error {
	return create(path, func(f *os.File) error {
		_, err := capture.Shard(ctx, s.Source, f, capture.Options{SpoolDir: s.temp})
		return err
	})
}

// Scan verifies the RDB.
func (s *Stage) Scan(context.Context) error {
	f, err := os.Open(s.RDB)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := rdb.NewScanner(f, rdb.Options{}).Scan()
	if err == nil && (sum.Bytes != s.Size || sum.Checksum != rdb.ChecksumVerified || sum.Keys != s.Keys) {
		err = fmt.Errorf("scanned %d bytes and %d keys, checksum %s", sum.Bytes, sum.Keys, sum.Checksum)
	}
	return err
}

// Check has the engine's tool verify the RDB.
func (s *Stage) Check(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, s.check(), s.RDB).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %.300s", err, out)
	}
	return nil
}

// CopyFsync copies the RDB to another file on the same disk and syncs it: what storing that many bytes takes at least.
func (s *Stage) CopyFsync(ctx context.Context) error {
	out := s.Temp("copy.rdb")
	if b, err := exec.CommandContext(ctx, "cp", "--reflink=never", s.RDB, out).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w: %.300s", err, b)
	}
	f, err := os.Open(out)
	if err != nil {
		return err
	}
	defer os.Remove(out)
	defer f.Close()
	return f.Sync()
}

func create(path string, fill func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
