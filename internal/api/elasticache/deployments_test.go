package elasticache

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// group is a replication group as the control plane keeps it: shards of a primary and a replica each, placed or not.
func group(clusterMode, placed bool, shards int) *resource.Deployment {
	c := &resource.Cache{ID: "id", Kind: resource.ReplicationGroup, Scope: resource.Scope{Account: "123456789012", Region: "us-east-1"}, Name: "g", Description: "d",
		Status: resource.CacheCreating, CreatedAt: noon, Engine: "valkey", NetworkType: "ipv4", SnapshotRetention: 3, SecurityGroupIDs: []string{"sg-1", "sg-2"}, TLS: true,
		Layout: &resource.Layout{NodeType: "cache.t3.micro", EngineVersion: "8.0", Port: 6379, ClusterMode: clusterMode, AutomaticFailover: true, ParameterGroup: "default.valkey8",
			ParameterStatus: resource.ParametersInSync, SubnetGroup: "default", MaintenanceWindow: "sun:05:00-sun:06:00", SnapshotWindow: "03:00-04:00", SnapshottingNode: "g-002",
			Topic: "arn:aws:sns:us-east-1:123456789012:news", TopicStatus: "active", AuthTokens: []string{"hash"}, AuthTokenAt: noon}}
	if clusterMode {
		c.Layout.SnapshottingNode = ""
	}
	var nodes []*resource.Node
	for i, r := range resource.EqualSlots(shards) {
		s := resource.Shard{Name: fmt.Sprintf("%04d", i+1), Slots: []resource.SlotRange{r}, Replicas: 1}
		c.Layout.Shards = append(c.Layout.Shards, s)
		for k := range 2 {
			n := &resource.Node{ID: fmt.Sprintf("%d-%d", i, k), CacheID: "id", Shard: s.Name, Primary: k == 0, Port: 6379, Slots: s.Slots,
				Name: fmt.Sprintf("g-%03d", k+1), Number: "0001", Zone: "us-east-1" + "ab"[k:k+1], Status: resource.NodeCreating, CreatedAt: noon}
			if clusterMode {
				n.Name = fmt.Sprintf("g-%s-%03d", s.Name, k+1)
			}
			if placed {
				n.Address, n.Status = fmt.Sprintf("127.42.%d.%d", i, k), resource.NodeAvailable
			}
			nodes = append(nodes, n)
		}
	}
	if placed {
		c.Status = resource.CacheAvailable
	}
	return resource.NewDeployment(c, nodes)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A group that is being created shows all its members, and where clients connect only once that is known.
func TestGroupsShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d    *resource.Deployment
		want []string
		not  []string
	}{
		"creating": {group(false, false, 1), []string{`"Status":"creating"`, `"MemberClusters":["g-001","g-002"]`, `"ClusterEnabled":false`, `"ClusterMode":"disabled"`,
			`"SnapshottingClusterId":"g-002"`, `"AutomaticFailover":"enabled"`, `"MultiAZ":"disabled"`, `"AuthTokenEnabled":true`, `"TransitEncryptionMode":"required"`,
			`"StorageEncryptionType":"none"`, `"CurrentRole":"primary"`, `"CurrentRole":"replica"`, `"DataTiering":"disabled"`}, []string{`"Address"`, `"Slots":"`}},
		"placed": {group(false, true, 1), []string{`"PrimaryEndpoint":{"Address":"127.42.0.0","Port":6379}`, `"ReaderEndpoint":{"Address":"127.42.0.1","Port":6379}`,
			`"ReadEndpoint":{"Address":"127.42.0.1","Port":6379}`}, []string{`"ConfigurationEndpoint":{`}},
		"cluster mode": {group(true, true, 2), []string{`"ConfigurationEndpoint":{"Address":"127.42.0.0","Port":6379}`, `"Slots":"0-8191"`, `"Slots":"8192-16383"`, `"ClusterEnabled":true`,
			`"MemberClusters":["g-0001-001","g-0001-002","g-0002-001","g-0002-002"]`}, []string{`"PrimaryEndpoint":{`, `"CurrentRole":"`, `"ReadEndpoint":{`, `"SnapshottingClusterId":"`}},
	} {
		text := asJSON(t, groupOut(c.d))
		for _, w := range c.want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %s in %s", name, w, text)
			}
		}
		for _, n := range c.not {
			if strings.Contains(text, n) {
				t.Errorf("%s: %s in %s", name, n, text)
			}
		}
	}
}

// Every status is one of those that clients wait with: an unknown one makes them give up.
func TestStatusesThatClientsKnow(t *testing.T) {
	t.Parallel()
	groups := "creating available modifying deleting create-failed snapshotting"
	clusters := "available creating deleted deleting incompatible-network modifying rebooting cluster nodes restore-failed snapshotting create-failed"
	for _, s := range []resource.CacheStatus{resource.CacheCreating, resource.CacheAvailable, resource.CacheModifying, resource.CacheDeleting, resource.CacheCreateFailed,
		resource.CacheSnapshotting, resource.CacheRebooting, resource.CacheRestoreFailed} {
		d := group(true, true, 2)
		d.Status = s
		if got := *groupOut(d).Status; !strings.Contains(groups, got) {
			t.Errorf("a group that is %s shows %s", s, got)
		}
		if got := *memberOut(control.MemberOf(d, "g-0001-001"), true).CacheClusterStatus; !strings.Contains(clusters, got) {
			t.Errorf("a member of a group that is %s shows %s", s, got)
		}
	}
}

// While a group is reshaped, what comes and goes says so, and the rest follows the group.
func TestShardsThatComeAndGo(t *testing.T) {
	t.Parallel()
	d := group(true, true, 3)
	d.Status = resource.CacheModifying
	d.Layout.Shards = d.Layout.Shards[:2] // the third goes
	for _, n := range d.Of("0003") {
		n.Status = resource.NodeDeleting
	}
	for _, n := range d.Of("0002") { // the second comes
		n.Status, n.Address = resource.NodeCreating, ""
	}
	out := groupOut(d)
	for i, want := range []string{"modifying", "creating", "deleting"} {
		if got := out.NodeGroups[i]; *got.Status != want || (i == 1) != (got.Slots == nil) {
			t.Errorf("node group %d is shown as %s", i, asJSON(t, got))
		}
		name := fmt.Sprintf("g-%04d-001", i+1)
		if got := memberOut(control.MemberOf(d, name), true); *got.CacheClusterStatus != want || *got.CacheNodes[0].CacheNodeStatus == "modifying" {
			t.Errorf("member %s is shown as %s", name, asJSON(t, got))
		}
	}
}

// A group whose primary is retained becomes a cache cluster; a waiter for the end of its replicas gives up when it sees them modifying.
func TestReplicasOfRetainedPrimary(t *testing.T) {
	t.Parallel()
	d := group(false, true, 1)
	d.Kind, d.Name, d.Status = resource.CacheCluster, "g-001", resource.CacheModifying
	d.Nodes[1].Status = resource.NodeDeleting
	for name, want := range map[string]string{"g-001": "modifying", "g-002": "deleting"} {
		if got := *memberOut(control.MemberOf(d, name), true).CacheClusterStatus; got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
}

func TestMembersShown(t *testing.T) {
	t.Parallel()
	d := group(false, true, 1)
	out := memberOut(control.MemberOf(d, "g-002"), true)
	text := asJSON(t, out)
	for _, w := range []string{`"CacheClusterId":"g-002"`, `"ReplicationGroupId":"g"`, `"EngineVersion":"8.0.0"`, `"NumCacheNodes":1`, `"PreferredAvailabilityZone":"us-east-1b"`,
		`"ARN":"arn:aws:elasticache:us-east-1:123456789012:cluster:g-002"`, `"SnapshotRetentionLimit":3`, `"TopicStatus":"active"`, `"SecurityGroupId":"sg-1"`, `"SecurityGroupId":"sg-2"`,
		`"CacheParameterGroupName":"default.valkey8"`, `"ParameterApplyStatus":"in-sync"`, `"CacheSubnetGroupName":"default"`, `"Endpoint":{"Address":"127.42.0.1","Port":6379}`} {
		if !strings.Contains(text, w) {
			t.Errorf("no %s in %s", w, text)
		}
	}
	if other := memberOut(control.MemberOf(d, "g-001"), false); *other.SnapshotRetentionLimit != 0 || other.CacheNodes != nil {
		t.Errorf("the member that is not captured is shown as %s", asJSON(t, other))
	}
	if control.MemberOf(d, "g-003") != nil {
		t.Error("a member that is not there is found")
	}

	d.Kind, d.Name, d.Engine = resource.CacheCluster, "m", resource.Memcached
	d.Layout.MemcachedNodes, d.Layout.EngineVersion, d.Layout.ParameterStatus = 2, "1.6.17", resource.ParametersPendingReboot
	d.Layout.Pending = &resource.Pending{EngineVersion: "1.6.22", Nodes: 1, RemoveNodes: []string{"0002"}, NodeType: "cache.m5.large"}
	for i, n := range d.Nodes {
		n.Name, n.Number, n.Primary = "m", fmt.Sprintf("%04d", i+1), true
	}
	text = asJSON(t, memberOut(control.MemberOf(d, "m"), true))
	for _, w := range []string{`"NumCacheNodes":2`, `"PreferredAvailabilityZone":"Multiple"`, `"ConfigurationEndpoint":{"Address":"127.42.0.0","Port":6379}`, `"EngineVersion":"1.6.17"`,
		`"CacheNodeIdsToReboot":["0001","0002"]`, `"PendingModifiedValues":{"NumCacheNodes":1,"CacheNodeIdsToRemove":["0002"],"EngineVersion":"1.6.22","CacheNodeType":"cache.m5.large"`} {
		if !strings.Contains(text, w) {
			t.Errorf("no %s in %s", w, text)
		}
	}
}

// What has no meaning on one's own machines is refused with a reason, and the values that mean that it is off are not.
func TestParametersWithoutMeaning(t *testing.T) {
	t.Parallel()
	c := &gateway.Call{Scope: resource.Scope{Account: "123456789012", Region: "us-east-1"}}
	groups := map[string]ecapi.CreateReplicationGroupInput{
		"": {DataTieringEnabled: ptr(false), NetworkType: ptr(ecapi.NetworkTypeIpv4), IpDiscovery: ptr(ecapi.IpDiscoveryIpv4), GlobalReplicationGroupId: ptr(""),
			LogDeliveryConfigurations: []ecapi.LogDeliveryConfigurationRequest{{Enabled: ptr(false)}}, Durability: ptr(ecapi.DurabilityDefault), ClusterMode: ptr(ecapi.ClusterModeEnabled),
			TransitEncryptionEnabled: ptr(true), TransitEncryptionMode: ptr(ecapi.TransitEncryptionModeRequired), NumCacheClusters: ptr(int32(3))},
		"DataTieringEnabled":              {DataTieringEnabled: ptr(true)},
		"IpDiscovery":                     {IpDiscovery: ptr(ecapi.IpDiscoveryIpv6)},
		"GlobalReplicationGroupId":        {GlobalReplicationGroupId: ptr("x")},
		"LogDeliveryConfigurations":       {LogDeliveryConfigurations: []ecapi.LogDeliveryConfigurationRequest{{}}},
		"Durability":                      {Durability: ptr(ecapi.DurabilitySync)},
		"ClusterMode compatible":          {ClusterMode: ptr(ecapi.ClusterModeCompatible)},
		"TransitEncryptionMode preferred": {TransitEncryptionMode: ptr(ecapi.TransitEncryptionModePreferred)},
		"CacheSecurityGroupNames":         {CacheSecurityGroupNames: []string{"x"}},
		"PrimaryOutpostArn":               {NodeGroupConfiguration: []ecapi.NodeGroupConfiguration{{PrimaryOutpostArn: ptr("x")}}},
		"TransitEncryptionMode needs":     {TransitEncryptionMode: ptr(ecapi.TransitEncryptionModeRequired)},
		"NodeGroupConfiguration":          {NodeGroupConfiguration: []ecapi.NodeGroupConfiguration{{Slots: ptr("0-99999")}}},
		"NumCacheClusters must":           {NumCacheClusters: ptr(int32(7))},
		"NumCacheClusters is":             {NumCacheClusters: ptr(int32(2)), NumNodeGroups: ptr(int32(2))},
		"NumCacheClusters and":            {NumCacheClusters: ptr(int32(2)), ReplicasPerNodeGroup: ptr(int32(2))},
	}
	for want, in := range groups {
		out, err := groupIn(c, &in)
		switch {
		case want == "" && (err != nil || *out.Replicas != 2 || !*out.ClusterMode):
			t.Errorf("refused with %v, or read as %+v", err, out)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%s: %v", want, err)
		}
	}
	for want, in := range map[string]ecapi.CreateCacheClusterInput{
		"": {PreferredAvailabilityZone: ptr("us-east-1b"), AZMode: ptr(ecapi.AZModeSingleAz), AuthToken: ptr(wire.Secret("t"))}, "OutpostMode": {OutpostMode: ptr(ecapi.OutpostModeSingleOutpost)},
		"PreferredOutpostArn ": {PreferredOutpostArn: ptr("x")}, "PreferredOutpostArns": {PreferredOutpostArns: []string{"x"}}, "IpDiscovery": {IpDiscovery: ptr(ecapi.IpDiscoveryIpv6)},
		"PreferredAvailabilityZone and": {PreferredAvailabilityZone: ptr("a"), PreferredAvailabilityZones: []string{"b"}},
	} {
		out, err := clusterIn(c, &in)
		switch {
		case want == "" && (err != nil || out.Zones[0] != "us-east-1b" || *out.MultiZone || out.AuthToken != "t"):
			t.Errorf("refused with %v, or read as %+v", err, out)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%s: %v", want, err)
		}
	}
}
