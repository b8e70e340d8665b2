package control

import (
	"fmt"
	"testing"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

const arnHead = "arn:aws:elasticache:us-east-1:123456789012:"

// What a serverless cache is filled from: one snapshot of either kind, or files.
func TestSourcesOfServerlessCaches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		arns    []string
		space   string
		name    string
		objects int
	}{
		{nil, "", "", 0},
		{[]string{arnHead + "serverlesscachesnapshot:S"}, serverlessSpace, "s", 0},
		{[]string{arnHead + "snapshot:automatic.orders-2026-03-28-13-00"}, nodeSpace, "automatic.orders-2026-03-28-13-00", 0},
		{[]string{"arn:aws:s3:::exports/a b/c-0001.rdb"}, "", "", 1},
		{[]string{"arn:aws:s3:::exports/1", "arn:aws:s3:::exports/2"}, "", "", 2},
	} {
		s, err := parseSource(home, c.arns)
		if err != nil || s.space != c.space || s.name != c.name || len(s.objects) != c.objects || s.empty() != (c.arns == nil) {
			t.Errorf("%q: %+v, %v", c.arns, s, err)
		}
	}
	for _, arns := range [][]string{
		{"no ARN"}, {arnHead + "cluster:c"}, {"arn:aws:memorydb:us-east-1:123456789012:snapshot/s"}, {"arn:aws:elasticache:eu-west-1:123456789012:snapshot:s"},
		{"arn:aws:elasticache:us-east-1:999999999999:snapshot:s"}, {arnHead + "snapshot:a", arnHead + "snapshot:b"}, {"arn:aws:s3:::exports/1", arnHead + "snapshot:b"},
		{"arn:aws:s3:::exports/1", "arn:aws:s3:::exports/1"}, {"arn:aws:s3:::exports"}, {"arn:aws:s3:::exports/"}, {"arn:aws:s3:::exports/a,b"}, {"arn:aws-cn:s3:::exports/a"},
		make([]string, mostFiles+1),
	} {
		_, err := parseSource(home, arns)
		wantKind(t, err, resource.InvalidValue)
	}
}

// A cache of nodes has one source at most, and a cache cluster one file.
func TestSourcesOfDeployments(t *testing.T) {
	t.Parallel()
	file := func(n int) (arns []string) {
		for k := range n {
			arns = append(arns, fmt.Sprintf("arn:aws:s3:::exports/b-%04d.rdb", k+1))
		}
		return arns
	}
	for _, c := range []struct {
		in   CreateDeployment
		kind resource.ErrorKind // 0: accepted
	}{
		{CreateDeployment{}, 0},
		{CreateDeployment{SnapshotName: "S"}, 0},
		{CreateDeployment{ServerlessSnapshotName: "S"}, 0},
		{CreateDeployment{SnapshotArns: file(3)}, 0},
		{CreateDeployment{Kind: resource.CacheCluster, SnapshotArns: file(1)}, 0},
		{CreateDeployment{Kind: resource.CacheCluster, SnapshotArns: file(2)}, resource.InvalidValue},
		{CreateDeployment{SnapshotName: "s", SnapshotArns: file(1)}, resource.InvalidCombination},
		{CreateDeployment{SnapshotName: "s", ServerlessSnapshotName: "s"}, resource.InvalidCombination},
		{CreateDeployment{SnapshotName: "s", PrimaryCluster: "c"}, resource.InvalidCombination},
		{CreateDeployment{SnapshotArns: file(1), JoinGroup: "g"}, resource.InvalidCombination},
		{CreateDeployment{SnapshotArns: []string{arnHead + "snapshot:s"}}, resource.InvalidValue},
		{CreateDeployment{PrimaryCluster: "c"}, 0},
	} {
		c.in.Scope = home
		if c.in.Kind == "" {
			c.in.Kind = resource.ReplicationGroup
		}
		s, err := deploymentSource(&c.in)
		if c.kind != 0 {
			wantKind(t, err, c.kind)
		} else if err != nil || s.name != oldName(c.in.SnapshotName+c.in.ServerlessSnapshotName) || len(s.objects) != len(c.in.SnapshotArns) {
			t.Errorf("%+v: %+v, %v", c.in, s, err)
		}
	}
}

// What a snapshot cannot be restored into is refused before anything starts.
func TestSnapshotsThatDoNotFit(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	p.standing(resource.ReplicationGroup, "sharded", 2, 0)
	p.standing(resource.ReplicationGroup, "plain", 1, 0)
	for name, of := range map[string]string{"sharded": "sharded", "plain": "plain", "many": "plain", "broken": "plain"} {
		_, err := p.CreateSnapshot(ctx, CreateSnapshot{Scope: home, Space: nodeSpace, Group: of, Name: name})
		p.must(err)
		p.finish(resource.SnapshotAvailable)
		p.must(p.db.Update(ctx, func(tx *metastore.Tx) error {
			s, err := tx.SnapshotByName(home, nodeSpace, name)
			if err != nil {
				return err
			}
			switch name {
			case "many":
				s.Databases = 4
			case "broken":
				s.Status = resource.SnapshotFailed
			}
			if err := tx.UpdateSnapshot(s); err != nil {
				return err
			}
			cache, err := tx.CacheByID(s.Source.ID)
			if err != nil {
				return err
			}
			cache.Status = resource.CacheAvailable
			return tx.UpdateCache(cache)
		}))
	}
	p.running("less")
	p.taken("less", "less")
	into := func(engine resource.Engine, version string, clusterMode bool) *resource.Cache {
		return &resource.Cache{Scope: home, Kind: resource.ReplicationGroup, Engine: engine, Layout: &resource.Layout{EngineVersion: version, ClusterMode: clusterMode}}
	}
	for _, c := range []struct {
		in      CreateDeployment
		cache   *resource.Cache
		kind    resource.ErrorKind // 0: it fits
		message string
	}{
		{CreateDeployment{SnapshotName: "sharded"}, into("valkey", "8.0", true), 0, ""},
		{CreateDeployment{SnapshotName: "plain"}, into("valkey", "8.1", true), 0, ""},
		{CreateDeployment{SnapshotName: "many"}, into("valkey", "8.0", false), 0, ""},
		{CreateDeployment{ServerlessSnapshotName: "less"}, into("valkey", "8.0", true), 0, ""},
		{CreateDeployment{SnapshotName: "sharded"}, into("valkey", "8.0", false), resource.InvalidCombination,
			"Snapshot sharded was taken with cluster mode enabled and cannot be restored into a cluster mode disabled cache."},
		{CreateDeployment{ServerlessSnapshotName: "less"}, into("valkey", "8.0", false), resource.InvalidCombination, ""},
		{CreateDeployment{SnapshotName: "many"}, into("valkey", "8.0", true), resource.InvalidCombination,
			"Snapshot many has keys in other databases than 0 and cannot be restored into a cluster mode enabled cache, which has no other."},
		{CreateDeployment{SnapshotName: "plain"}, into("valkey", "7.2", false), resource.InvalidCombination, ""},
		{CreateDeployment{SnapshotName: "plain"}, into("redis", "7.1", false), resource.InvalidCombination, ""},
		{CreateDeployment{SnapshotName: "plain"}, into("memcached", "1.6.17", false), resource.InvalidCombination, ""},
		{CreateDeployment{SnapshotName: "none"}, into("valkey", "8.0", true), resource.InvalidValue, "Snapshot none not found."},
		{CreateDeployment{SnapshotName: "broken"}, into("valkey", "8.0", true), resource.InvalidValue, "Snapshot broken is not in the available state; it is failed."},
		{CreateDeployment{ServerlessSnapshotName: "plain"}, into("valkey", "8.0", true), resource.InvalidValue, "Serverless cache snapshot plain not found."},
	} {
		c.in.Scope, c.in.Kind = home, resource.ReplicationGroup
		s, err := deploymentSource(&c.in)
		p.must(err)
		err = p.db.View(ctx, func(tx *metastore.Tx) error {
			if err := s.find(tx, home); err != nil {
				return err
			}
			return s.fits(c.cache)
		})
		if c.kind == 0 {
			p.must(err)
			p.must(s.usable(ctx, p.Control))
			continue
		}
		wantKind(t, err, c.kind)
		if c.message != "" && err.Error() != c.message {
			t.Errorf("%q, want %q", err, c.message)
		}
	}
}

// A serverless cache is filled from a group's snapshot, which is kept meanwhile.
func TestServerlessCacheFromNodes(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.standing(resource.ReplicationGroup, "sharded", 3, 0)
	_, err := p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: nodeSpace, Group: "sharded", Name: "s"})
	p.must(err)
	p.finish(resource.SnapshotAvailable)
	_, err = p.CreateCache(t.Context(), CreateCache{Scope: home, Name: "less", Engine: "valkey", SnapshotArns: []string{arnHead + "snapshot:s"}})
	p.must(err)
	all, _, err := p.DescribeSnapshots(t.Context(), DescribeSnapshots{Scope: home, Space: nodeSpace, Name: "s"})
	if p.must(err); all[0].Status != resource.SnapshotRestoring {
		t.Errorf("the snapshot is %s", all[0].Status)
	}
	_, err = p.DeleteSnapshot(t.Context(), home, nodeSpace, "s")
	wantKind(t, err, resource.InvalidState)
}
