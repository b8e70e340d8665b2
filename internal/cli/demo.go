package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/api/client"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/dataset"
)

func (s *session) demo() *cobra.Command {
	cmd := &cobra.Command{
		Use: "demo", Short: "Run the main job on an empty data directory, and clean up", Args: cobra.NoArgs,
		Long: "Starts a server on an empty directory, creates a cache, fills it, snapshots it while writes go on, copies the snapshot\nunder another key, exports it, restores it, and compares the data. Then the same with three shards that are cut at one\ninstant and restored into five. Everything is removed at the end.",
	}
	megabytes := cmd.Flags().Int("megabytes", 64, "size of the data set")
	keep := cmd.Flags().Bool("keep", false, "leave server, caches and data directory as they are at the end")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if *megabytes < 1 {
			return usageError{fmt.Errorf("--megabytes %d is less than 1", *megabytes)}
		}
		dir, err := os.MkdirTemp("", "keyframe-demo-")
		if err != nil {
			return err
		}
		d := &demo{s: s, dir: dir, size: int64(*megabytes) << 20, began: time.Now()}
		if !*keep {
			defer func() { err = errors.Join(err, d.cleanUp()) }()
		}
		if err := d.run(cmd.Context()); err != nil {
			if cmd.Context().Err() != nil {
				return errors.New("interrupted")
			}
			if tail := d.server.logTail(); tail != "" {
				fmt.Fprintf(s.err, "\nThe server's last words:\n%s\n", tail)
			}
			return err
		}
		d.next(*keep)
		return nil
	}
	return cmd
}

// demo is one run of the main job.
type demo struct {
	s      *session
	dir    string
	size   int64
	server *child
	api    *client.Client
	step   int
	began  time.Time
}

// step is one line of the demo.
type step struct {
	what string
	act  func() (string, error)
}

func (d *demo) steps(all []step) error {
	for _, s := range all {
		if err := d.do(s.what, s.act); err != nil {
			return err
		}
	}
	return nil
}

// do narrates a step: what it is about to do, and when it is done, how long it took and what came of it.
func (d *demo) do(what string, act func() (string, error)) error {
	d.step++
	fmt.Fprintf(d.s.out, "%2d. %-62s", d.step, what)
	start := time.Now()
	result, err := act()
	if err != nil {
		fmt.Fprintln(d.s.out, " FAILED")
		return fmt.Errorf("%s: %w", what, err)
	}
	fmt.Fprintf(d.s.out, " %6.2fs  %s\n", time.Since(start).Seconds(), result)
	return nil
}

func (d *demo) run(ctx context.Context) error {
	fmt.Fprintf(d.s.out, "Keyframe %s: the main job, in %s\n\n", d.s.version, d.dir)
	var before, restored dataset.Digest
	var source, target string
	spec := dataset.Sized(d.size, 1)
	const bucket = "demo-exports"
	err := d.steps([]step{
		{"Start a server on an empty data directory", func() (string, error) { return d.start(ctx) }},
		{"Create the serverless cache orders (Valkey 8)", func() (address string, err error) {
			source, err = d.createCache(ctx, "orders", nil)
			return "available at " + source, err
		}},
		{"Fill it with every type of key", func() (string, error) {
			stats, err := dataset.Fill(ctx, dataset.At(source), spec)
			return fmt.Sprintf("%d keys, %s", stats.Keys, bytes(stats.Bytes)), err
		}},
		{"Digest what is in it", func() (text string, err error) {
			before, err = dataset.DigestOf(ctx, dataset.At(source), time.Time{})
			return before.String(), err
		}},
		{"Snapshot it: orders-1", func() (string, error) {
			return d.createSnapshot(ctx, "orders", "orders-1")
		}},
		{"Write on: the snapshot must not show it", func() (string, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			n, err := dataset.Mutate(ctx, dataset.At(source), spec, nil)
			return fmt.Sprintf("%d commands", n), err
		}},
		{"Make a KMS key, alias/audit", func() (string, error) { return d.createKey("alias/audit") }},
		{"Copy orders-1 to orders-audit under that key", func() (string, error) {
			return d.copySnapshot(ctx, "orders-1", "orders-audit", "alias/audit")
		}},
		{"Delete orders-1: the copy keeps the data alive", func() (string, error) {
			return "gone", d.deleteSnapshot(ctx, "orders-1")
		}},
		{"Export orders-audit to the bucket " + bucket, func() (string, error) {
			return d.export(ctx, "orders-audit", bucket)
		}},
		{"Restore orders-audit into the new cache orders-restored", func() (string, error) {
			var err error
			target, err = d.createCache(ctx, "orders-restored", []string{d.snapshotARN("orders-audit")})
			return "available at " + target, err
		}},
		{"Compare: restored cache against the digest of step 4", func() (string, error) {
			var err error
			if restored, err = dataset.DigestOf(ctx, dataset.At(target), time.Time{}); err != nil {
				return "", err
			}
			return equal(before, restored)
		}},
		{"Compare: exported file in a stock valkey-server", func() (string, error) {
			got, err := d.digestExport(ctx, bucket, "orders-audit-0001.rdb")
			if err != nil {
				return "", err
			}
			return equal(before, got)
		}},
		{"Verify the stored snapshot from end to end", func() (string, error) { return d.verify(ctx, "orders-audit") }},
	})
	if err == nil {
		err = d.second(ctx)
	}
	if err == nil {
		err = d.do("The story, as DescribeEvents tells it", func() (string, error) { return d.story(ctx) })
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(d.s.out, "\nThe data is the data of the instants of the snapshots. %.1f seconds in all.\n", time.Since(d.began).Seconds())
	return nil
}

// equal says whether two digests are the same.
func equal(want, got dataset.Digest) (string, error) {
	if want != got {
		return "", fmt.Errorf("the data differs: %v was there and %v came back", want, got)
	}
	return "equal: " + got.String(), nil
}

func (d *demo) next(kept bool) {
	fmt.Fprint(d.s.out, `
Try next:
  bin/keyframe serve --data ./data                 a server of your own; then, in another terminal:
  export AWS_SHARED_CREDENTIALS_FILE=$PWD/data/credentials AWS_ENDPOINT_URL=http://127.0.0.1:7411
  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
  aws elasticache create-serverless-cache --serverless-cache-name mine --engine valkey
  aws elasticache describe-serverless-caches
  bin/keyframe cache ls --data ./data
`)
	if kept {
		fmt.Fprintf(d.s.out, "\nKept: server at %s (pid %d), data in %s\n", d.api.URL, d.server.pid(), d.dir)
	}
}

// cleanUp removes everything that the demo made, also after a failure: caches, server, directory.
func (d *demo) cleanUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if d.server != nil {
		d.server.stop()
	}
	err := removeNodes(ctx, d.dir)
	return errors.Join(err, os.RemoveAll(d.dir))
}

// digestExport loads an exported object into an engine that knows nothing of us.
func (d *demo) digestExport(ctx context.Context, bucket, key string) (dataset.Digest, error) {
	dir := filepath.Join(d.dir, "stock")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return dataset.Digest{}, err
	}
	answer, err := d.api.S3(ctx, "GET", "/"+bucket+"/"+key)
	if err != nil {
		return dataset.Digest{}, err
	}
	defer answer.Body.Close()
	f, err := os.Create(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		return dataset.Digest{}, err
	}
	defer f.Close()
	if _, err := io.Copy(f, answer.Body); err != nil {
		return dataset.Digest{}, err
	}
	port, err := freePort()
	if err != nil {
		return dataset.Digest{}, err
	}
	stock, err := startChild(dir, "stock.log", "valkey-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "")
	if err != nil {
		return dataset.Digest{}, err
	}
	defer stock.stop()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := waitLoaded(ctx, address, stock); err != nil {
		return dataset.Digest{}, err
	}
	return dataset.DigestOf(ctx, dataset.At(address), time.Time{})
}

func (d *demo) snapshotARN(name string) string {
	return "arn:aws:elasticache:" + d.api.Region + ":" + demoAccount + ":serverlesscachesnapshot:" + name
}

const demoAccount = "123456789012"

// story prints the newest events of the snapshots.
func (d *demo) story(ctx context.Context) (string, error) {
	out, err := client.Call(ctx, d.api, ecapi.OpDescribeEvents, &ecapi.DescribeEventsInput{})
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%d events", len(out.Events))
	for i := len(out.Events) - 1; i >= 0; i-- {
		e := out.Events[i]
		text += fmt.Sprintf("\n      %s  %-16s %s", e.Date.Format("15:04:05.000"), *e.SourceIdentifier, *e.Message)
	}
	return text, nil
}
