package control

import (
	"context"
	"strings"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// mostSnapshots bounds a page of snapshots. AWS documents it for ElastiCache; MemoryDB, of which it does not, may ask for more.
const mostSnapshots = 50

// DescribeSnapshots says which snapshots are asked for. Empty fields were not given.
type DescribeSnapshots struct {
	Scope   resource.Scope
	Space   string // of the snapshots, as Kind.SnapshotSpace says
	Name    string
	Cache   string // name of the serverless cache or MemoryDB cluster
	Cluster string // of ElastiCache: of the cache cluster or member
	Group   string // of ElastiCache: of the replication group
	Type    string // manual or user, automated or system; empty for both
	Page    Page
}

// DescribeSnapshots lists snapshots by name. A filter by a cache that is gone still finds its snapshots; a serverless cache or cache
// cluster that neither exists nor has any is not found, which for other sources the APIs have no fault for.
func (c *Control) DescribeSnapshots(ctx context.Context, in DescribeSnapshots) (snapshots []*resource.Snapshot, next string, err error) {
	after, most, err := in.page()
	if err != nil {
		return nil, "", err
	}
	filter := metastore.SnapshotFilter{Scope: in.Scope, Space: in.Space, CacheName: oldName(in.Cache), AfterName: after, Limit: most + 1}
	if in.Group != "" {
		filter.CacheName, filter.Kind = oldName(in.Group), resource.ReplicationGroup
	}
	filter.Member = oldName(in.Cluster)
	if filter.Type, err = in.typ(); err != nil {
		return nil, "", err
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		if in.Name != "" {
			return namedSnapshot(tx, in, filter, &snapshots)
		}
		if snapshots, err = tx.Snapshots(filter); err != nil || len(snapshots) > 0 || after != "" {
			return err
		}
		return in.known(tx, filter)
	})
	if err != nil {
		return nil, "", err
	}
	if len(snapshots) > most {
		snapshots = snapshots[:most]
		next = token(snapshots[most-1].Name)
	}
	return snapshots, next, nil
}

// page checks which page is asked for, under the names that the API has for it.
func (in *DescribeSnapshots) page() (after string, most int, err error) {
	if in.Space != resource.CacheCluster.SnapshotSpace() {
		most = mostSnapshots
		if in.Space != serverlessSpace {
			most = mostCaches
		}
		return in.Page.start(most)
	}
	if most = mostSnapshots; in.Page.Most != nil {
		most = *in.Page.Most
	}
	if most < 20 || most > mostSnapshots {
		return "", 0, invalid("MaxRecords", "MaxRecords must be between 20 and %d; %d was given.", mostSnapshots, most)
	}
	if after, _, err = (Page{Token: in.Page.Token}).start(mostSnapshots); err != nil {
		return "", 0, invalid("Marker", "The Marker is not one that this service gave out.")
	}
	return after, most, nil
}

// typ is the type of snapshot that is asked for. The APIs say system and user in requests, automated and manual in answers.
func (in *DescribeSnapshots) typ() (resource.SnapshotType, error) {
	switch strings.ToLower(in.Type) {
	case "":
		return "", nil
	case "manual", "user":
		return resource.Manual, nil
	case "automated", "system":
		return resource.Automated, nil
	}
	param, words := "SnapshotSource", "system or user"
	switch in.Space {
	case serverlessSpace:
		param, words = "SnapshotType", "manual or automated"
	case resource.MemoryDBCluster.SnapshotSpace():
		param = "Source"
	}
	return "", invalid(param, "%s must be %s; %q was given.", param, words, clip(in.Type))
}

// known refuses the name of a serverless cache or cache cluster that neither exists nor has left a snapshot of any type.
func (in *DescribeSnapshots) known(tx *metastore.Tx, f metastore.SnapshotFilter) (err error) {
	kind, name := resource.Serverless, in.Cache
	switch {
	case in.Space == serverlessSpace && in.Cache != "":
		_, err = tx.CacheByName(f.Scope, kind, f.CacheName)
	case in.Cluster != "":
		kind, name = resource.CacheCluster, in.Cluster
		if _, err = tx.CacheByName(f.Scope, kind, f.Member); is(err, resource.NotFound) {
			_, err = tx.NodeByName(f.Scope, kind.Service(), f.Member)
		}
	}
	if !is(err, resource.NotFound) {
		return err
	}
	f.Type, f.Limit, f.Kind = "", 1, ""
	if f.Member != "" {
		f.CacheName = ""
	}
	if left, err := tx.Snapshots(f); err != nil || len(left) > 0 {
		return err
	}
	return noCache(err, kind, name)
}

// namedSnapshot finds the one snapshot that is named, if the other filters let it pass.
func namedSnapshot(tx *metastore.Tx, in DescribeSnapshots, f metastore.SnapshotFilter, out *[]*resource.Snapshot) error {
	s, err := tx.SnapshotByName(in.Scope, f.Space, oldName(in.Name))
	if err != nil {
		return noSnapshot(err, f.Space, in.Name)
	}
	if (f.CacheName == "" || s.Source.Name == f.CacheName) && (f.Kind == "" || s.Kind == f.Kind) &&
		(f.Member == "" || s.Member() == f.Member) && (f.Type == "" || s.Type == f.Type) {
		*out = []*resource.Snapshot{s}
	}
	return nil
}
