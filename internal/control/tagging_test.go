package control

import (
	"fmt"
	"testing"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// Every resource of both services can be tagged by its ARN, in any case, and what exists from the start only be asked.
func TestTagsOfEveryResource(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	p.standing(resource.CacheCluster, "c", 1, 0)
	p.standing(resource.MemoryDBCluster, "c", 1, 0)
	_, err := p.CreateSnapshot(ctx, CreateSnapshot{Scope: home, Space: nodeSpace, Cluster: "c", Name: "s"})
	p.must(err)
	_, err = p.CreateSnapshot(ctx, CreateSnapshot{Scope: home, Space: memorySpace, Cache: "c", Name: "s"})
	p.must(err)
	p.must(p.db.Update(ctx, func(tx *metastore.Tx) error {
		for _, service := range []string{"elasticache", "memorydb"} {
			for _, insert := range []func() error{
				func() error {
					return tx.InsertParameterGroup(&resource.ParameterGroup{Scope: home, Service: service, Name: "p", Family: "valkey8", CreatedAt: noon})
				},
				func() error {
					return tx.InsertSubnetGroup(&resource.SubnetGroup{Scope: home, Service: service, Name: "n", CreatedAt: noon})
				},
				func() error {
					return tx.InsertUser(&resource.User{Scope: home, Service: service, ID: "u", Name: "u", CreatedAt: noon})
				},
				func() error {
					return tx.InsertUserGroup(&resource.UserGroup{Scope: home, Service: service, Name: "g", CreatedAt: noon})
				},
			} {
				if err := insert(); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	const ec, mdb = "arn:aws:elasticache:us-east-1:123456789012:", "arn:aws:memorydb:us-east-1:123456789012:"
	for service, arns := range map[string][]string{
		"elasticache": {ec + "cluster:C", ec + "snapshot:s", ec + "parametergroup:p", ec + "subnetgroup:n", ec + "user:u", ec + "usergroup:g"},
		"memorydb":    {mdb + "cluster/C", mdb + "snapshot/s", mdb + "parametergroup/p", mdb + "subnetgroup/n", mdb + "user/u", mdb + "acl/g"},
	} {
		for i, arn := range arns {
			want := fmt.Sprint(i)
			_, err := p.AddTags(ctx, home, service, arn, []resource.Tag{{Key: "k", Value: want}, {Key: "gone"}})
			p.must(err)
			left, err := p.RemoveTags(ctx, home, service, arn, []string{"gone"})
			p.must(err)
			tags, err := p.Tags(ctx, home, service, arn)
			if p.must(err); len(tags) != 1 || tags[0].Value != want || len(left) != 1 {
				t.Errorf("%s has %v", arn, tags)
			}
		}
	}
	for service, arns := range map[string][]string{
		"elasticache": {ec + "parametergroup:default.valkey8", ec + "subnetgroup:default", ec + "user:default"},
		"memorydb":    {mdb + "parametergroup/default.memorydb-redis7", mdb + "subnetgroup/default", mdb + "user/default", mdb + "acl/open-access"},
	} {
		for _, arn := range arns {
			if tags, err := p.Tags(ctx, home, service, arn); len(tags) != 0 || err != nil {
				t.Errorf("%s has %v, %v", arn, tags, err)
			}
			_, err := p.AddTags(ctx, home, service, arn, []resource.Tag{{Key: "k"}})
			wantKind(t, err, resource.InvalidARN)
		}
	}
	for _, c := range []struct {
		service, arn string
		kind         resource.ErrorKind
		typ          resource.Type
	}{
		{"elasticache", mdb + "cluster/c", resource.InvalidARN, resource.TypeOther},
		{"memorydb", ec + "cluster:c", resource.InvalidARN, resource.TypeOther},
		{"elasticache", ec + "acl:g", resource.InvalidARN, resource.TypeOther},
		{"memorydb", mdb + "usergroup/g", resource.InvalidARN, resource.TypeOther},
		{"elasticache", ec + "cluster:none", resource.NotFound, resource.TypeCluster},
		{"elasticache", ec + "replicationgroup:c", resource.NotFound, resource.TypeReplicationGroup},
		{"elasticache", ec + "snapshot:none", resource.NotFound, resource.TypeNodeSnapshot},
		{"elasticache", ec + "serverlesscachesnapshot:s", resource.NotFound, resource.TypeSnapshot},
		{"elasticache", ec + "parametergroup:none", resource.NotFound, resource.TypeParameterGroup},
		{"elasticache", ec + "subnetgroup:none", resource.NotFound, resource.TypeSubnetGroup},
		{"elasticache", ec + "securitygroup:none", resource.NotFound, resource.TypeSecurityGroup},
		{"elasticache", ec + "reserved-instance:none", resource.NotFound, resource.TypeReservedNode},
		{"elasticache", ec + "usergroup:none", resource.NotFound, resource.TypeUserGroup},
		{"memorydb", mdb + "user/none", resource.NotFound, resource.TypeUser},
		{"memorydb", mdb + "acl/none", resource.NotFound, resource.TypeUserGroup},
		{"memorydb", mdb + "cluster/none", resource.NotFound, resource.TypeCluster},
	} {
		_, err := p.Tags(ctx, home, c.service, c.arn)
		wantError(t, err, c.kind, c.typ, "")
	}
}

// Changes of a group's tags reach its members, which keep their own besides; and all tags change or none.
func TestTagsOfAGroup(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	d := p.standing(resource.ReplicationGroup, "orders", 1, 1)
	const member = "arn:aws:elasticache:us-east-1:123456789012:cluster:orders-002"
	_, err := p.AddTags(ctx, home, "elasticache", member, []resource.Tag{{Key: "own", Value: "1"}, {Key: "team", Value: "member's"}})
	p.must(err)
	all, err := p.AddTags(ctx, home, "elasticache", d.ARN(), []resource.Tag{{Key: "team", Value: "a"}, {Key: "cost"}})
	if p.must(err); len(all) != 2 {
		t.Errorf("the group has %v", all)
	}
	want := func(want string) {
		t.Helper()
		tags, err := p.Tags(ctx, home, "elasticache", member)
		if p.must(err); fmt.Sprint(tags) != want {
			t.Errorf("the member has %v, want %s", tags, want)
		}
	}
	want("[{cost } {own 1} {team a}]")
	_, err = p.RemoveTags(ctx, home, "elasticache", d.ARN(), []string{"cost"})
	p.must(err)
	want("[{own 1} {team a}]")
	_, err = p.RemoveTags(ctx, home, "elasticache", d.ARN(), []string{"own"})
	wantKind(t, err, resource.TagNotFound) // the group does not have it
	_, err = p.RemoveTags(ctx, home, "elasticache", member, []string{"team"})
	p.must(err)
	_, err = p.RemoveTags(ctx, home, "elasticache", d.ARN(), []string{"team"})
	p.must(err) // which the member has no more
	want("[{own 1}]")
	var many []resource.Tag
	for i := range 50 {
		many = append(many, resource.Tag{Key: fmt.Sprint(i)})
	}
	_, err = p.AddTags(ctx, home, "elasticache", d.ARN(), many)
	wantKind(t, err, resource.TagQuota) // one too many for the member
	if tags, err := p.Tags(ctx, home, "elasticache", d.ARN()); len(tags) != 0 || err != nil {
		t.Errorf("the group has %v, %v", tags, err)
	}
	want("[{own 1}]")
}

// Each service has its own types of sources and names of parameters.
func TestEventsOfBothServices(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	group, cluster := p.standing(resource.ReplicationGroup, "orders", 1, 0), p.standing(resource.MemoryDBCluster, "orders", 1, 0)
	p.must(p.db.Update(ctx, func(tx *metastore.Tx) error {
		if err := tx.AppendEvent(group.Event(noon, "of the group")); err != nil {
			return err
		}
		return tx.AppendEvent(cluster.Event(noon, "of the cluster"))
	}))
	one, hundred := 1, 101
	for _, c := range []struct {
		in   DescribeEvents
		want string
	}{
		{DescribeEvents{Service: "elasticache"}, "of the group"},
		{DescribeEvents{Service: "elasticache", Type: "replication-group", Source: "Orders"}, "of the group"},
		{DescribeEvents{Service: "elasticache", Type: "cache-cluster", Source: "orders"}, ""},
		{DescribeEvents{Service: "memorydb", Type: "cluster", Source: "orders", Most: &one}, "of the cluster"},
		{DescribeEvents{Service: "memorydb", Type: "acl"}, ""},
	} {
		c.in.Scope = home
		events, _, err := p.DescribeEvents(ctx, c.in)
		p.must(err)
		got := ""
		for _, e := range events {
			got += e.Message
		}
		if got != c.want {
			t.Errorf("%+v tells %q, want %q", c.in, got, c.want)
		}
	}
	for _, c := range []struct {
		in      DescribeEvents
		kind    resource.ErrorKind
		message string
	}{
		{DescribeEvents{Service: "elasticache", Type: "cluster"}, resource.InvalidValue, ""},
		{DescribeEvents{Service: "memorydb", Type: "replication-group"}, resource.InvalidValue,
			`SourceType must be one of node, parameter-group, subnet-group, cluster, user, acl; "replication-group" was given.`},
		{DescribeEvents{Service: "memorydb", Source: "orders"}, resource.InvalidCombination, "SourceType must be given when SourceName is."},
		{DescribeEvents{Service: "elasticache", Most: &one}, resource.InvalidValue, "MaxRecords must be between 20 and 100; 1 was given."},
		{DescribeEvents{Service: "memorydb", Most: &hundred}, resource.InvalidValue, "MaxResults must be between 1 and 100; 101 was given."},
		{DescribeEvents{Service: "memorydb", Marker: "guess"}, resource.InvalidValue, "The NextToken is not one that this service gave out."},
	} {
		c.in.Scope = home
		_, _, err := p.DescribeEvents(ctx, c.in)
		wantKind(t, err, c.kind)
		if c.message != "" && err.Error() != c.message {
			t.Errorf("%q, want %q", err, c.message)
		}
	}
}
