package cli

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/api/client"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/dataset"
)

// second is the second act: several shards, cut at one instant while writes go on, and restored into more shards.
func (d *demo) second(ctx context.Context) error {
	fmt.Fprint(d.s.out, "\nSecond act: three shards, one instant, five shards.\n\n")
	var source, target dataset.Cluster
	var before dataset.Digest
	spec := dataset.Sized(d.size, 2)
	return d.steps([]step{
		{"Create the replication group ledger: 3 shards, 1 replica each", func() (text string, err error) {
			source, text, err = d.createGroup(ctx, "ledger", 3, ecapi.CreateReplicationGroupInput{ReplicasPerNodeGroup: ptr(int32(1))})
			return text, err
		}},
		{"Fill it with every type of key", func() (string, error) {
			stats, err := source.Fill(ctx, spec)
			return fmt.Sprintf("%d keys, %s", stats.Keys, bytes(stats.Bytes)), err
		}},
		{"Digest what is in it", func() (text string, err error) {
			before, err = source.Digest(ctx, time.Time{})
			return before.String(), err
		}},
		{"Snapshot it while pairs of counters are written across shards", func() (string, error) {
			return d.snapshotUnderWrites(ctx, source, "ledger", "ledger-1")
		}},
		{"Restore ledger-1 into 5 shards: the group ledger-5", func() (text string, err error) {
			target, text, err = d.createGroup(ctx, "ledger-5", 5, ecapi.CreateReplicationGroupInput{SnapshotName: ptr("ledger-1"), ReplicasPerNodeGroup: ptr(int32(0))})
			return text, err
		}},
		{"Check the pairs: first = second or one ahead, at every instant", func() (string, error) {
			pairs, err := target.Audit(ctx)
			if err == nil && pairs != 6 {
				err = fmt.Errorf("%d pairs came back of 6", pairs)
			}
			return fmt.Sprintf("%d pairs show one instant", pairs), err
		}},
		{"Compare: the rest against the digest of step " + strconv.Itoa(d.step+3), func() (string, error) {
			if err := target.DropLedger(ctx); err != nil {
				return "", err
			}
			got, err := target.Digest(ctx, time.Time{})
			if err != nil {
				return "", err
			}
			return equal(before, got)
		}},
	})
}

// createGroup makes a replication group in cluster mode and returns its primaries when it is available.
func (d *demo) createGroup(ctx context.Context, name string, shards int32, in ecapi.CreateReplicationGroupInput) (dataset.Cluster, string, error) {
	in.ReplicationGroupId, in.ReplicationGroupDescription, in.NumNodeGroups = &name, ptr("of the demo"), &shards
	in.Engine, in.CacheNodeType = ptr("valkey"), ptr("cache.t4g.small")
	if _, err := client.Call(ctx, d.api, ecapi.OpCreateReplicationGroup, &in); err != nil {
		return nil, "", err
	}
	var at string
	err := poll(ctx, d.server, func() (bool, error) {
		out, err := client.Call(ctx, d.api, ecapi.OpDescribeReplicationGroups, &ecapi.DescribeReplicationGroupsInput{ReplicationGroupId: &name})
		if err != nil {
			return false, err
		}
		switch g := out.ReplicationGroups[0]; *g.Status {
		case "available":
			at = net.JoinHostPort(*g.ConfigurationEndpoint.Address, strconv.Itoa(int(*g.ConfigurationEndpoint.Port)))
			return true, nil
		case "creating":
			return false, nil
		default:
			return false, fmt.Errorf("the group is %s", *g.Status)
		}
	})
	if err != nil {
		return nil, "", err
	}
	cluster, err := dataset.ClusterAt(ctx, dataset.At(at))
	if err == nil && len(cluster) != int(shards) {
		err = fmt.Errorf("the cluster has %d primaries", len(cluster))
	}
	return cluster, "available at " + at, err
}

// snapshotUnderWrites takes a snapshot of a group while a ledger is written, from before its begin until after its end.
func (d *demo) snapshotUnderWrites(ctx context.Context, source dataset.Cluster, group, name string) (string, error) {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	started, ended := make(chan struct{}), make(chan error, 1)
	var entries int64
	go func() {
		var err error
		entries, err = source.Write(writing, started)
		ended <- err
	}()
	select {
	case <-started:
	case err := <-ended:
		return "", err
	}
	if _, err := client.Call(ctx, d.api, ecapi.OpCreateSnapshot, &ecapi.CreateSnapshotInput{ReplicationGroupId: &group, SnapshotName: &name}); err != nil {
		return "", err
	}
	err := poll(ctx, d.server, func() (bool, error) {
		out, err := client.Call(ctx, d.api, ecapi.OpDescribeSnapshots, &ecapi.DescribeSnapshotsInput{SnapshotName: &name})
		if err != nil {
			return false, err
		}
		switch s := out.Snapshots[0]; *s.SnapshotStatus {
		case "available":
			return true, nil
		case "creating":
			return false, nil
		default:
			return false, fmt.Errorf("the snapshot is %s", *s.SnapshotStatus)
		}
	})
	stop()
	if werr := <-ended; err == nil {
		err = werr
	}
	return fmt.Sprintf("available; %d entries written", entries), err
}

func ptr[T any](v T) *T { return &v }
