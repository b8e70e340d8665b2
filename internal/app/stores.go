package app

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/blob/disk"
	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/config"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// Stores are what holds state under the data directory. The command line opens them beside a running server.
type Stores struct {
	DB        *metastore.DB
	Keys      kms.Provider
	Snapshots *snapstore.Store

	bucket *disk.Bucket
}

// OpenStores opens the stores for a server.
func OpenStores(ctx context.Context, c config.Config) (*Stores, error) {
	return openStores(ctx, c, metastore.Open)
}

// OpenStoresReadOnly opens them for looking, while a server may be at work on them.
func OpenStoresReadOnly(ctx context.Context, c config.Config) (*Stores, error) {
	return openStores(ctx, c, metastore.OpenReadOnly)
}

func openStores(ctx context.Context, c config.Config, open func(context.Context, string) (*metastore.DB, error)) (s *Stores, err error) {
	s = &Stores{}
	defer func(opened *Stores) { // s is nil by then
		if err != nil {
			opened.Close()
		}
	}(s)
	if s.DB, err = open(ctx, filepath.Join(c.Data, "keyframe.db")); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	if s.Keys, err = OpenKeys(ctx, c); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if s.bucket, err = disk.Open(filepath.Join(c.Data, "store")); err != nil {
		return nil, err
	}
	s.Snapshots = snapstore.New(s.bucket, s.Keys, snapstore.Options{})
	return s, nil
}

// Close closes what is open.
func (s *Stores) Close() {
	if s.bucket != nil {
		s.bucket.Close()
	}
	if s.DB != nil {
		s.DB.Close()
	}
}

// exportTarget is where exports go: the built-in buckets, or the S3 endpoint of the configuration.
func exportTarget(ctx context.Context, c config.Config, box *buckets.Service) (target.Target, error) {
	if c.Export.Endpoint == "" {
		return target.BuiltIn(box), nil
	}
	return target.Foreign(ctx, target.Options{Endpoint: c.Export.Endpoint, Region: c.Export.Region, AccessKeyID: c.Export.AccessKeyID,
		SecretAccessKey: c.Export.SecretAccessKey, PathStyle: c.Export.PathStyle})
}
