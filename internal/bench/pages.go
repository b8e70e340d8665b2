package bench

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/api/client"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// Pages measures a signed page of 50 snapshots out of many against a signed GetCallerIdentity.
func Pages(ctx context.Context, w io.Writer, o Options, program string) (err error) {
	temp, err := os.MkdirTemp(o.Dir, "keyframe-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	data := filepath.Join(temp, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	few, many := resource.Scope{Account: iamAccount, Region: "eu-west-1"}, resource.Scope{Account: iamAccount, Region: region}
	if err := fillCatalogue(ctx, filepath.Join(data, "keyframe.db"), map[resource.Scope]int{few: 1000, many: 100_000}); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	b, err := boot(program, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	other := *b.api
	other.Region = few.Region
	var who, small, large Times
	for i := range 1000 {
		for _, side := range []struct {
			times *Times
			call  func() error
		}{
			{&who, func() error { _, err := client.Call(ctx, b.api, getCallerIdentity, &struct{}{}); return err }},
			{&small, func() error { return page(ctx, &other, i*41%950) }},
			{&large, func() error { return page(ctx, b.api, i*97%99_950) }},
		} {
			start := time.Now()
			if err := side.call(); err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			*side.times = append(*side.times, time.Since(start))
		}
	}
	fmt.Fprintf(w, "| signed call | median | p99 | p99 against GetCallerIdentity |\n|---|---|---|---|\n")
	for _, r := range []struct {
		name  string
		times Times
	}{{"GetCallerIdentity", who}, {"a page of 50 of 1,000 snapshots", small}, {"a page of 50 of 100,000 snapshots", large}} {
		fmt.Fprintf(w, "| %s | %.2f ms | %.2f ms | %.1f |\n", r.name, ms(r.times.Median()), ms(r.times.percentile(99)),
			ms(r.times.percentile(99))/ms(who.percentile(99)))
	}
	fmt.Fprintf(w, "\nMedian at 100,000 against 1,000: %.2f; promised: at most 2. p99 against GetCallerIdentity; promised: at most 10.\n",
		ms(large.Median())/ms(small.Median()))
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (t Times) percentile(p int) time.Duration {
	s := slices.Sorted(slices.Values(t))
	return s[(len(s)*p+99)/100-1]
}

// getCallerIdentity as a client sees it.
var getCallerIdentity = wire.NewOp[struct{}, struct {
	Account *string `wire:"Account"`
}](&wire.API{Name: "sts", Version: "2011-06-15", Protocol: wire.Query, Namespace: "https://sts.amazonaws.com/doc/2011-06-15/"},
	"GetCallerIdentity", "GetCallerIdentityResult")

// page asks for the 50 snapshots after the n-th.
func page(ctx context.Context, c *client.Client, n int) error {
	token := ecapi.DescribeServerlessCacheSnapshotsInput{}
	if n > 0 {
		t := base64.RawURLEncoding.EncodeToString([]byte("after:" + snapshotName(n-1))) // as the control plane makes them
		token.NextToken = &t
	}
	out, err := client.Call(ctx, c, ecapi.OpDescribeServerlessCacheSnapshots, &token)
	if err == nil && (len(out.ServerlessCacheSnapshots) != 50 || *out.ServerlessCacheSnapshots[0].ServerlessCacheSnapshotName != snapshotName(n)) {
		err = fmt.Errorf("the page after %d is not what it should be", n)
	}
	return err
}

func snapshotName(n int) string { return fmt.Sprintf("snapshot-%06d", n) }

// fillCatalogue writes snapshots straight into the catalogue of a server that does not run.
func fillCatalogue(ctx context.Context, path string, counts map[resource.Scope]int) error {
	db, err := metastore.Open(ctx, path)
	if err != nil {
		return err
	}
	defer db.Close()
	now := time.Now()
	for scope, count := range counts {
		for from := 0; from < count; from += 5000 {
			err := db.Update(ctx, func(tx *metastore.Tx) error {
				for i := from; i < min(from+5000, count); i++ {
					cache := resource.Cache{ID: metastore.NewID(now), Kind: resource.Serverless, Scope: scope, Name: "cache-" + strconv.Itoa(i%100),
						Engine: resource.Valkey, MajorEngineVersion: "8", FullEngineVersion: "8.0.1", CreatedAt: now}
					s := &resource.Snapshot{ID: metastore.NewID(now), Kind: resource.Serverless, Scope: scope, Name: snapshotName(i), Type: resource.Manual,
						Status: resource.SnapshotAvailable, Source: cache, RequestedAt: now, CreatedAt: now, CaptureID: metastore.NewID(now), Bytes: 1 << 20, Keys: 1000}
					if err := tx.InsertSnapshot(s); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
