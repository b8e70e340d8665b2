package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// paramGroup makes a parameter group of ElastiCache, or one of MemoryDB when the family is one.
func (p *plane) paramGroup(name, family string) *resource.ParameterGroup {
	p.t.Helper()
	g, err := p.CreateParameterGroup(context.Background(), CreateParameterGroup{Scope: home, Service: serviceOf(family), Name: name, Family: family, Description: "d"})
	p.must(err)
	return g
}

func serviceOf(family string) string {
	if strings.HasPrefix(family, "memorydb") {
		return "memorydb"
	}
	return "elasticache"
}

// uses records a cache of nodes that uses a parameter group and a subnet group.
func (p *plane) uses(kind resource.Kind, name, group, subnets string, status resource.CacheStatus) *resource.Cache {
	p.t.Helper()
	c := &resource.Cache{ID: newID(), Kind: kind, Scope: home, Name: name, Status: status, Engine: engine.Valkey, FullEngineVersion: "8.0.1",
		Layout: &resource.Layout{ParameterGroup: group, SubnetGroup: subnets, ParameterStatus: resource.ParametersInSync, NodeType: "cache.r5.large"}}
	if kind == resource.MemoryDBCluster {
		c.Layout.NodeType = "db.r6g.large"
	}
	p.must(p.db.Update(context.Background(), func(tx *metastore.Tx) error { return tx.InsertCache(c) }))
	return c
}

func (p *plane) values(group, source string) map[string]string {
	p.t.Helper()
	got := map[string]string{}
	page := Page{}
	for {
		out, err := p.DescribeParameters(context.Background(), DescribeParameters{Scope: home, Service: "elasticache", Group: group, Source: source, Page: page})
		p.must(err)
		for _, v := range out.List {
			if _, twice := got[v.Name]; twice {
				p.t.Fatalf("%s is listed twice", v.Name)
			}
			got[v.Name] = v.Value
		}
		if page.Token = out.Next; page.Token == "" {
			return got
		}
		twenty := 20
		page.Most = &twenty
	}
}

// wants checks an error's kind, and that its message says something.
func wants(t *testing.T, err error, kind resource.ErrorKind, typ resource.Type, says string) {
	t.Helper()
	e, ok := err.(*resource.Error)
	if !ok || e.Kind != kind || typ != "" && e.Type != typ || !strings.Contains(e.Message, says) {
		t.Errorf("%#v, not %v %s %q", err, kind, typ, says)
	}
}

func TestParameterGroupLife(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	g := p.paramGroup("Mine", "valkey8")
	if g.Name != "mine" || g.ARN() != "arn:aws:elasticache:us-east-1:123456789012:parametergroup:mine" {
		t.Errorf("%+v", g)
	}
	if user := p.values("MINE", "user"); len(user) != 0 {
		t.Errorf("a new group has %v", user)
	}
	_, err := p.ModifyParameters(ctx, home, "elasticache", "mine", []NameValue{{"maxmemory-policy", "allkeys-lru"}, {"timeout", "0"}})
	p.must(err)
	if user := p.values("mine", "user"); fmt.Sprint(user) != "map[maxmemory-policy:allkeys-lru timeout:0]" {
		t.Errorf("%v", user) // a default that a user sets is the user's
	}
	all, system := p.values("mine", ""), p.values("mine", "SYSTEM")
	if len(all) != len(system)+2 || all["maxmemory-policy"] != "allkeys-lru" || all["maxmemory-samples"] != "3" || len(p.values("mine", "engine-default")) != 0 {
		t.Errorf("%d parameters, %d of the system", len(all), len(system))
	}
	_, err = p.ResetParameters(ctx, home, "elasticache", "mine", false, []string{"timeout"})
	p.must(err)
	if user := p.values("mine", "user"); fmt.Sprint(user) != "map[maxmemory-policy:allkeys-lru]" {
		t.Errorf("%v", user)
	}
	_, err = p.ResetParameters(ctx, home, "elasticache", "mine", true, nil)
	p.must(err)
	if user := p.values("mine", "user"); len(user) != 0 {
		t.Errorf("%v", user)
	}
	_, err = p.DeleteParameterGroup(ctx, home, "elasticache", "mine")
	p.must(err)
	_, err = p.DeleteParameterGroup(ctx, home, "elasticache", "mine")
	wants(t, err, resource.NotFound, resource.TypeParameterGroup, "CacheParameterGroup not found: mine")
}

func TestParameterGroupRefusals(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	p.paramGroup("mine", "redis7")
	create := func(name, family, description string) error {
		_, err := p.CreateParameterGroup(ctx, CreateParameterGroup{Scope: home, Service: "elasticache", Name: name, Family: family, Description: description})
		return err
	}
	wants(t, create("MINE", "valkey8", "d"), resource.AlreadyExists, resource.TypeParameterGroup, "mine already exists")
	wants(t, create("default.valkey8", "valkey8", "d"), resource.InvalidValue, "", "not a valid identifier")
	wants(t, create("other", "valkey6", "d"), resource.InvalidValue, "", "valkey6 is not a valid parameter group family")
	wants(t, create("other", "memorydb_redis7", "d"), resource.InvalidValue, "", "family")
	wants(t, create("other", "valkey8", ""), resource.InvalidValue, "", "Description")

	change := func(group string, changes ...NameValue) error {
		_, err := p.ModifyParameters(ctx, home, "elasticache", group, changes)
		return err
	}
	wants(t, change("mine", NameValue{"reserved-memory", "0"}), resource.InvalidValue, "", "Parameter reserved-memory doesn't exist")
	wants(t, change("mine", NameValue{"appendonly", "yes"}), resource.InvalidValue, "", "The parameter appendonly cannot be modified.")
	wants(t, change("mine", NameValue{"maxmemory-policy", "lru"}), resource.InvalidValue, "", "Invalid parameter value: lru for: maxmemory-policy allowed values are: volatile-lru")
	wants(t, change("mine", NameValue{"timeout", "20"}, NameValue{"timeout", "21"}), resource.InvalidCombination, "", "more than once")
	wants(t, change("mine"), resource.InvalidValue, "", "ParameterNameValues")
	wants(t, change("mine", slices.Repeat([]NameValue{{"timeout", "20"}}, 21)...), resource.InvalidCombination, "", "Cannot modify more than 20 parameters in a single request")
	wants(t, change("default.redis7", NameValue{"timeout", "20"}), resource.InvalidValue, "", "Cannot modify a default parameter group.")
	wants(t, change("theirs", NameValue{"timeout", "20"}), resource.NotFound, resource.TypeParameterGroup, "theirs")
	wants(t, change("mine", NameValue{"timeout", "20"}, NameValue{"timeout-x", "20"}), resource.InvalidValue, "", "timeout-x")
	if user := p.values("mine", "user"); len(user) != 0 {
		t.Errorf("a refused request left %v", user)
	}
	reset := func(group string, all bool, names ...string) error {
		_, err := p.ResetParameters(ctx, home, "elasticache", group, all, names)
		return err
	}
	wants(t, reset("mine", true, "timeout"), resource.InvalidCombination, "", "not both")
	wants(t, reset("mine", false), resource.InvalidCombination, "", "must be named")
	wants(t, reset("mine", false, "reserved-memory"), resource.InvalidValue, "", "Parameter reserved-memory doesn't exist")
	wants(t, reset("default.redis7.cluster.on", true), resource.InvalidValue, "", "Cannot reset a default parameter group.")
	_, err := p.DeleteParameterGroup(ctx, home, "elasticache", "default.redis7")
	wants(t, err, resource.InvalidValue, "", "Cannot delete a default parameter group.")
	_, err = p.DescribeParameters(ctx, DescribeParameters{Scope: home, Service: "elasticache", Group: "mine", Source: "engine"})
	wants(t, err, resource.InvalidValue, "", "Source")
	_, err = p.EngineDefaults(ctx, "elasticache", "redis8", Page{})
	wants(t, err, resource.InvalidValue, "", "redis8")
}

// A change reaches every cache that uses the group, and no other.
func TestParameterChangesReachCaches(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	p.paramGroup("mine", "valkey8")
	users := []*resource.Cache{p.uses(resource.CacheCluster, "a", "mine", "default", resource.CacheAvailable),
		p.uses(resource.ReplicationGroup, "b", "mine", "default", resource.CacheCreating)}
	p.uses(resource.ReplicationGroup, "c", "mine", "default", resource.CacheDeleting)
	p.uses(resource.ReplicationGroup, "d", "default.valkey8", "default", resource.CacheAvailable)
	p.uses(resource.MemoryDBCluster, "e", "mine", "default", resource.CacheAvailable)
	for range 2 { // the second time nothing changes
		_, err := p.ModifyParameters(ctx, home, "elasticache", "mine", []NameValue{{"timeout", "60"}})
		p.must(err)
	}
	var subjects []string
	for _, j := range p.jobs(resource.TaskConfigureCache) {
		subjects = append(subjects, j.Subject)
	}
	slices.Sort(subjects)
	if !slices.Equal(subjects, []string{users[0].ID, users[1].ID}) {
		t.Errorf("jobs for %v", subjects)
	}
	p.must(p.db.View(ctx, func(tx *metastore.Tx) error {
		for _, u := range users {
			c, err := tx.CacheByID(u.ID)
			if err != nil || c.Layout.ParameterStatus != resource.ParametersApplying || c.Status != u.Status {
				t.Errorf("%+v, %v", c, err)
			}
		}
		return nil
	}))
	_, err := p.ModifyParameters(ctx, home, "elasticache", "mine", []NameValue{{"cluster-enabled", "yes"}})
	wants(t, err, resource.InvalidState, resource.TypeParameterGroup, "fixed when a cache is created")
	_, err = p.ResetParameters(ctx, home, "elasticache", "mine", false, []string{"databases"})
	p.must(err) // it is at its default
	_, err = p.DeleteParameterGroup(ctx, home, "elasticache", "mine")
	wants(t, err, resource.InvalidState, resource.TypeParameterGroup, "still members of this parameter group mine")
}

func TestClusterModeComesFromTheGroup(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	p.paramGroup("mine", "valkey8")
	_, err := p.ModifyParameters(ctx, home, "elasticache", "mine", []NameValue{{"cluster-enabled", "yes"}})
	p.must(err)
	p.must(p.db.View(ctx, func(tx *metastore.Tx) error {
		for name, on := range map[string]bool{"mine": true, "default.valkey8": false, "default.valkey8.cluster.on": true, "": false} {
			g, err := p.parameterGroup(tx, home, "elasticache", name, "valkey8")
			if err != nil || engine.ClusterModeOf(g) != on {
				t.Errorf("%q: %+v, %v", name, g, err)
			}
		}
		_, err := p.parameterGroup(tx, home, "elasticache", "mine", "redis7")
		wants(t, err, resource.InvalidCombination, "", "Expected a parameter group of family redis7 but found one of family valkey8")
		_, err = p.parameterGroup(tx, home, "elasticache", "default.redis5.0.6", "redis5.0")
		wants(t, err, resource.NotFound, resource.TypeParameterGroup, "CacheParameterGroup not found: default.redis5.0.6")
		g, err := p.parameterGroup(tx, home, "memorydb", "", "memorydb_redis7")
		if err != nil || g.Name != "default.memorydb-redis7" || !engine.ClusterModeOf(g) {
			t.Errorf("%+v, %v", g, err)
		}
		return nil
	}))
	if v := p.values("default.valkey8.cluster.on", "system"); v["cluster-enabled"] != "yes" {
		t.Errorf("cluster-enabled is %q", v["cluster-enabled"])
	}
}

func TestDescribeParameterGroups(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	for i := range 25 {
		p.paramGroup(fmt.Sprintf("g%02d", i), "valkey8")
	}
	p.paramGroup("other", "memorydb_redis7")
	twenty := 20
	var names []string
	page := Page{Most: &twenty}
	for {
		groups, next, err := p.DescribeParameterGroups(ctx, home, "elasticache", "", page)
		p.must(err)
		for _, g := range groups {
			names = append(names, g.Name)
			if g.Account == "" {
				t.Errorf("%s has no scope", g.Name)
			}
		}
		if page.Token = next; next == "" {
			break
		}
	}
	if want := 25 + len(engine.DefaultGroups("elasticache")); len(names) != want || !slices.IsSorted(names) || !slices.Contains(names, "default.memcached1.6") {
		t.Errorf("%d groups, not %d: %v", len(names), want, names)
	}
	if _, _, err := p.DescribeParameterGroups(ctx, resource.Scope{Account: "210987654321", Region: "us-east-1"}, "elasticache", "g00", Page{}); !is(err, resource.NotFound) {
		t.Errorf("another account's group: %v", err)
	}
	one := 1
	_, _, err := p.DescribeParameterGroups(ctx, home, "elasticache", "", Page{Most: &one})
	wants(t, err, resource.InvalidValue, "", "MaxRecords")
	if groups, next, err := p.DescribeParameterGroups(ctx, home, "memorydb", "", Page{Most: &one}); err != nil || len(groups) != 1 || next == "" {
		t.Errorf("%v %q %v", groups, next, err)
	}
}

func TestGroupQuota(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	p.must(p.db.Update(ctx, func(tx *metastore.Tx) error {
		for i := range mostGroups {
			if err := tx.InsertParameterGroup(&resource.ParameterGroup{Scope: home, Service: "elasticache", Name: fmt.Sprint("g", i), Family: "valkey8"}); err != nil {
				return err
			}
			if err := tx.InsertSubnetGroup(&resource.SubnetGroup{Scope: home, Service: "elasticache", Name: fmt.Sprint("g", i)}); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err := p.CreateParameterGroup(ctx, CreateParameterGroup{Scope: home, Service: "elasticache", Name: "one-more", Family: "valkey8", Description: "d"})
	wants(t, err, resource.QuotaExceeded, resource.TypeParameterGroup, "300")
	_, err = p.CreateSubnetGroup(ctx, SubnetGroupChange{Scope: home, Service: "elasticache", Name: "one-more", SubnetIDs: []string{"subnet-1"}})
	wants(t, err, resource.QuotaExceeded, resource.TypeSubnetGroup, "300")
	p.paramGroup("mine", "memorydb_redis7") // the other service has a quota of its own
}

func TestSubnetGroups(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	words := "first"
	in := SubnetGroupChange{Scope: home, Service: "elasticache", Name: "Mine", Description: &words, SubnetIDs: []string{"subnet-0a1b", "subnet-2c3d"}}
	g, err := p.CreateSubnetGroup(ctx, in)
	p.must(err)
	if g.Name != "mine" || g.ARN() != "arn:aws:elasticache:us-east-1:123456789012:subnetgroup:mine" {
		t.Errorf("%+v", g)
	}
	if z := SubnetZone(home, "subnet-0a1b"); z != SubnetZone(home, "subnet-0a1b") || !strings.HasPrefix(z, "us-east-1") || len(z) != 10 {
		t.Errorf("zone %s", z)
	}
	_, err = p.CreateSubnetGroup(ctx, in)
	wants(t, err, resource.AlreadyExists, resource.TypeSubnetGroup, "mine")
	in.Name, in.SubnetIDs = "other", []string{"subnet-1", "vpc-2", "subnet-1"}
	_, err = p.CreateSubnetGroup(ctx, in)
	wants(t, err, resource.InvalidValue, resource.TypeSubnet, "[vpc-2, subnet-1] are invalid")
	in.SubnetIDs = nil
	for i := range 21 {
		in.SubnetIDs = append(in.SubnetIDs, fmt.Sprintf("subnet-%d", i))
	}
	_, err = p.CreateSubnetGroup(ctx, in)
	wants(t, err, resource.QuotaExceeded, resource.TypeSubnet, "20")
	_, err = p.ModifySubnetGroup(ctx, SubnetGroupChange{Scope: home, Service: "elasticache", Name: "mine", SubnetIDs: []string{"subnet-9"}})
	p.must(err)
	groups, _, err := p.DescribeSubnetGroups(ctx, home, "elasticache", "", Page{})
	if err != nil || len(groups) != 2 || groups[0].Name != "default" || len(groups[0].SubnetIDs) != 3 || groups[1].Description != "first" || !slices.Equal(groups[1].SubnetIDs, []string{"subnet-9"}) {
		t.Errorf("%+v, %v", groups, err)
	}
	for i, id := range groups[0].SubnetIDs {
		if SubnetZone(home, id) != zone(home, i) {
			t.Errorf("default subnet %d is in %s", i, SubnetZone(home, id))
		}
	}
	p.uses(resource.CacheCluster, "a", "default.valkey8", "mine", resource.CacheAvailable)
	_, err = p.DeleteSubnetGroup(ctx, home, "elasticache", "mine")
	wants(t, err, resource.InvalidState, resource.TypeSubnetGroup, "in use by a")
	_, err = p.DeleteSubnetGroup(ctx, home, "elasticache", "default")
	wants(t, err, resource.InvalidValue, "", "default")
	_, err = p.DeleteSubnetGroup(ctx, home, "memorydb", "mine")
	wants(t, err, resource.NotFound, resource.TypeSubnetGroup, "mine")
}

func TestNodeTypesFor(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	p.uses(resource.ReplicationGroup, "grp", "default.valkey8", "default", resource.CacheAvailable)
	p.uses(resource.MemoryDBCluster, "mem", "default.memorydb-valkey8", "default", resource.CacheAvailable)
	one := p.uses(resource.CacheCluster, "one", "default.valkey8", "default", resource.CacheAvailable)
	p.must(p.db.Update(ctx, func(tx *metastore.Tx) error {
		return tx.InsertNode(one, &resource.Node{ID: newID(), CacheID: one.ID, Name: "one", Number: "0001"})
	}))
	for _, in := range []NodeTypesFor{{Group: "GRP"}, {Cluster: "one"}} {
		in.Scope = home
		up, down, err := p.NodeTypesFor(ctx, in)
		if err != nil || !slices.Contains(up, "cache.r7g.xlarge") || !slices.Contains(down, "cache.t3.micro") {
			t.Errorf("%+v: %v %v %v", in, up, down, err)
		}
	}
	up, down, err := p.NodeTypesFor(ctx, NodeTypesFor{Scope: home, MemDB: "mem"})
	if err != nil || !slices.Contains(up, "db.r7g.large") || !slices.Equal(down, []string{"db.t4g.medium", "db.t4g.small"}) {
		t.Errorf("%v %v %v", up, down, err)
	}
	for _, c := range []struct {
		in   NodeTypesFor
		kind resource.ErrorKind
		typ  resource.Type
	}{
		{NodeTypesFor{}, resource.InvalidCombination, ""}, {NodeTypesFor{Cluster: "one", Group: "grp"}, resource.InvalidCombination, ""},
		{NodeTypesFor{Cluster: "none"}, resource.NotFound, resource.TypeCluster}, {NodeTypesFor{Group: "none"}, resource.NotFound, resource.TypeReplicationGroup},
		{NodeTypesFor{MemDB: "none"}, resource.NotFound, resource.TypeCluster},
	} {
		c.in.Scope = home
		_, _, err := p.NodeTypesFor(ctx, c.in)
		wants(t, err, c.kind, c.typ, "")
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	most, later, sooner := 20, noon.AddDate(0, 0, 1), noon
	p.must(p.Nothing(ctx, Nothing{Service: "elasticache", Type: resource.TypeReservedNode, NodeType: "cache.r5.large", Duration: "1", Offering: "all upfront",
		Engine: "valkey", From: &sooner, To: &later, Page: Page{Most: &most}}))
	for _, c := range []struct {
		in   Nothing
		kind resource.ErrorKind
	}{
		{Nothing{Service: "elasticache", Type: resource.TypeServiceUpdate, Name: "u"}, resource.NotFound},
		{Nothing{Service: "elasticache", NodeType: "db.r6g.large"}, resource.InvalidValue},
		{Nothing{Service: "memorydb", Duration: "2"}, resource.InvalidValue},
		{Nothing{Service: "memorydb", Offering: "Cheap"}, resource.InvalidValue},
		{Nothing{Service: "elasticache", Engine: "oracle"}, resource.InvalidValue},
		{Nothing{Service: "elasticache", From: &later, To: &sooner}, resource.InvalidCombination},
		{Nothing{Service: "elasticache", Page: Page{Token: "guess"}}, resource.InvalidValue},
	} {
		wants(t, p.Nothing(ctx, c.in), c.kind, c.in.Type, "")
	}
}

func TestVersionsOfServices(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	list := func(in DescribeVersions) (names []string) {
		offers, _, err := p.DescribeVersions(ctx, in)
		p.must(err)
		for _, o := range offers {
			names = append(names, string(o.Engine)+o.Version+" "+o.Family)
		}
		return names
	}
	if got := list(DescribeVersions{Service: "memorydb", DefaultOnly: true}); !slices.Equal(got, []string{"redis7.1 memorydb_redis7", "valkey8.1 memorydb_valkey8"}) {
		t.Errorf("%v", got)
	}
	if got := list(DescribeVersions{Service: "memorydb", Family: "memorydb_valkey7"}); !slices.Equal(got, []string{"valkey7.2 memorydb_valkey7"}) {
		t.Errorf("%v", got)
	}
	if got := list(DescribeVersions{Service: "memorydb", Engine: "memcached"}); got != nil {
		t.Errorf("%v", got)
	}
	one := 1
	var paged []string
	in := DescribeVersions{Service: "memorydb", Most: &one}
	for {
		offers, next, err := p.DescribeVersions(ctx, in)
		p.must(err)
		for _, o := range offers {
			paged = append(paged, string(o.Engine)+o.Version+" "+o.Family)
		}
		if in.Marker = next; next == "" {
			break
		}
	}
	if all := list(DescribeVersions{Service: "memorydb"}); !slices.Equal(paged, all) || len(all) != 5 {
		t.Errorf("%v, not %v", paged, all)
	}
}

// A cache keeps what was fixed when it was created, and a group that waits for its maintenance window is in use.
func TestWhatIsFixedAtCreation(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), newPlane(t)
	p.paramGroup("many", "valkey8")
	p.paramGroup("other", "valkey8")
	_, err := p.ModifyParameters(ctx, home, "elasticache", "many", []NameValue{{"databases", "32"}})
	p.must(err)
	c := p.uses(resource.CacheCluster, "a", "default.valkey8", "default", resource.CacheAvailable)
	p.must(p.db.Update(ctx, func(tx *metastore.Tx) error {
		for name, refused := range map[string]bool{"many": true, "other": false} {
			g, err := findParameterGroup(tx, home, "elasticache", name)
			p.must(err)
			if err := sameAtCreation(tx, c, g); (err != nil) != refused || refused && !strings.Contains(err.Error(), "databases") {
				t.Errorf("%s: %v", name, err)
			}
		}
		c.Layout.Pending = &resource.Pending{ParameterGroup: "other"}
		return tx.UpdateCache(c)
	}))
	_, err = p.DeleteParameterGroup(ctx, home, "elasticache", "other")
	wants(t, err, resource.InvalidState, resource.TypeParameterGroup, "a uses it")
}
