package elasticache

import (
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

func ptr[T any](v T) *T { return &v }

// groupOut is a replication group as the API shows it, in every state.
func groupOut(d *resource.Deployment) *ecapi.ReplicationGroup {
	l := d.Layout
	arn, retention := d.ARN(), int32(d.SnapshotRetention)
	out := &ecapi.ReplicationGroup{
		ReplicationGroupId: &d.Name, Description: &d.Description, Status: ptr(groupStatus(d.Cache)), ARN: &arn,
		ReplicationGroupCreateTime: instant(d.CreatedAt), PendingModifiedValues: &ecapi.ReplicationGroupPendingModifiedValues{},
		AutomaticFailover: ptr(ecapi.AutomaticFailoverStatusDisabled), MultiAZ: ptr(ecapi.MultiAZStatusDisabled),
		SnapshotRetentionLimit: &retention, SnapshotWindow: shown(l.SnapshotWindow), ClusterEnabled: &l.ClusterMode, ClusterMode: ptr(ecapi.ClusterModeDisabled),
		CacheNodeType: &l.NodeType, Engine: ptr(string(d.Engine)), AuthTokenEnabled: ptr(len(l.AuthTokens) > 0), AuthTokenLastModifiedDate: instant(l.AuthTokenAt),
		TransitEncryptionEnabled: &d.TLS, AtRestEncryptionEnabled: &l.AtRestEncryption, KmsKeyId: shown(d.KMSKeyID),
		StorageEncryptionType: ptr(ecapi.StorageEncryptionTypeNone), UserGroupIds: l.UserGroups, DataTiering: ptr(ecapi.DataTieringStatusDisabled),
		AutoMinorVersionUpgrade: &l.AutoMinorUpgrade, NetworkType: ptr(ecapi.NetworkTypeIpv4), IpDiscovery: ptr(ecapi.IpDiscoveryIpv4),
		TransitEncryptionMode: transitMode(d.TLS),
	}
	if l.AutomaticFailover {
		out.AutomaticFailover = ptr(ecapi.AutomaticFailoverStatusEnabled)
	}
	if l.MultiAZ {
		out.MultiAZ = ptr(ecapi.MultiAZStatusEnabled)
	}
	switch {
	case d.KMSKeyID != "":
		out.StorageEncryptionType = ptr(ecapi.StorageEncryptionTypeSseKms)
	case l.AtRestEncryption:
		out.StorageEncryptionType = ptr(ecapi.StorageEncryptionTypeSseElasticache)
	}
	if l.ClusterMode {
		out.ClusterMode, out.ConfigurationEndpoint = ptr(ecapi.ClusterModeEnabled), endpointOut(entrance(d))
	} else if d.SnapshotRetention > 0 {
		out.SnapshottingClusterId = shown(l.SnapshottingNode)
	}
	for _, n := range d.Nodes {
		out.MemberClusters = append(out.MemberClusters, n.Name)
	}
	slices.Sort(out.MemberClusters)
	for _, name := range shardsOf(d) {
		out.NodeGroups = append(out.NodeGroups, nodeGroupOut(d, name))
	}
	return out
}

// groupStatus is a group's status in the words that clients know for groups.
func groupStatus(c *resource.Cache) string {
	switch c.Status {
	case resource.CacheRebooting:
		return string(resource.CacheModifying)
	case resource.CacheRestoreFailed:
		return string(resource.CacheCreateFailed)
	}
	return string(c.Status)
}

// shardsOf are the names of the shards that a cache has or is going to have, in order.
func shardsOf(d *resource.Deployment) (names []string) {
	for _, s := range d.Layout.Shards {
		names = append(names, s.Name)
	}
	for _, n := range d.Nodes {
		names = append(names, n.Shard)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func nodeGroupOut(d *resource.Deployment, name string) ecapi.NodeGroup {
	status := groupStatus(d.Cache)
	kept := slices.ContainsFunc(d.Layout.Shards, func(s resource.Shard) bool { return s.Name == name })
	nodes := d.Of(name)
	created := slices.ContainsFunc(nodes, func(n *resource.Node) bool { return n.Primary && n.Status == resource.NodeCreating })
	switch {
	case !kept:
		status = string(resource.CacheDeleting)
	case created && d.Status == resource.CacheModifying:
		status = string(resource.CacheCreating)
	case d.Status == resource.CacheSnapshotting:
		status = string(resource.CacheAvailable)
	}
	out := ecapi.NodeGroup{NodeGroupId: &name, Status: &status}
	if d.Layout.ClusterMode {
		out.Slots = shown(resource.FormatSlots(slotsOf(d, name)))
	} else {
		out.PrimaryEndpoint, out.ReaderEndpoint = endpointOut(d.Primary(name)), endpointOut(d.Reader(name))
	}
	for _, n := range nodes {
		m := ecapi.NodeGroupMember{CacheClusterId: &n.Name, CacheNodeId: &n.Number, PreferredAvailabilityZone: shown(n.Zone)}
		if !d.Layout.ClusterMode {
			m.ReadEndpoint, m.CurrentRole = endpointOut(n), ptr("replica")
			if n.Primary {
				m.CurrentRole = ptr("primary")
			}
		}
		out.NodeGroupMembers = append(out.NodeGroupMembers, m)
	}
	return out
}

// slotsOf are the slots that a shard has now; before it has any, those that it shall have.
func slotsOf(d *resource.Deployment, shard string) []resource.SlotRange {
	if p := d.Primary(shard); p != nil && d.Status == resource.CacheModifying && p.Status == resource.NodeCreating {
		return nil // they come later
	} else if p != nil && len(p.Slots) > 0 {
		return p.Slots
	}
	for _, s := range d.Layout.Shards {
		if s.Name == shard {
			return s.Slots
		}
	}
	return nil
}

// entrance is the node at which clients of a cluster begin: a primary that serves, else any node that does, else any that has an address.
func entrance(d *resource.Deployment) *resource.Node {
	serves := func(n *resource.Node) bool { return n.Status == resource.NodeAvailable && n.Address != "" }
	for _, fit := range []func(*resource.Node) bool{
		func(n *resource.Node) bool { return serves(n) && n.Primary }, serves, func(n *resource.Node) bool { return n.Address != "" },
	} {
		if i := slices.IndexFunc(d.Nodes, fit); i >= 0 {
			return d.Nodes[i]
		}
	}
	return nil
}

// endpointOut is where a node's clients connect; nothing before it is placed.
func endpointOut(n *resource.Node) *ecapi.Endpoint {
	if n == nil || n.Address == "" {
		return nil
	}
	port := int32(n.Port)
	return &ecapi.Endpoint{Address: &n.Address, Port: &port}
}

func transitMode(tls bool) *ecapi.TransitEncryptionMode {
	if !tls {
		return nil
	}
	return ptr(ecapi.TransitEncryptionModeRequired)
}

// memberOut is a cache cluster as the API shows it; its nodes only if they are asked for.
func memberOut(m *control.Member, nodes bool) *ecapi.CacheCluster {
	l := m.Layout
	retention := int32(m.SnapshotRetention)
	out := &ecapi.CacheCluster{
		CacheClusterId: &m.Name, ARN: ptr(resource.CacheARN(resource.CacheCluster, m.Scope, m.Name)), CacheNodeType: &l.NodeType, Engine: ptr(string(m.Engine)),
		EngineVersion: ptr(fullVersion(l.EngineVersion)), CacheClusterStatus: ptr(memberStatus(m)), CacheClusterCreateTime: instant(m.CreatedAt),
		NumCacheNodes: ptr(int32(1)), PreferredMaintenanceWindow: shown(l.MaintenanceWindow), PendingModifiedValues: &ecapi.PendingModifiedValues{},
		CacheParameterGroup:  &ecapi.CacheParameterGroupStatus{CacheParameterGroupName: &l.ParameterGroup, ParameterApplyStatus: ptr(string(l.ParameterStatus))},
		CacheSubnetGroupName: shown(l.SubnetGroup), AutoMinorVersionUpgrade: &l.AutoMinorUpgrade,
		SnapshotRetentionLimit: &retention, SnapshotWindow: shown(l.SnapshotWindow),
		AuthTokenEnabled: ptr(len(l.AuthTokens) > 0), AuthTokenLastModifiedDate: instant(l.AuthTokenAt), TransitEncryptionEnabled: &m.TLS,
		AtRestEncryptionEnabled: &l.AtRestEncryption, ReplicationGroupLogDeliveryEnabled: ptr(false),
		NetworkType: ptr(ecapi.NetworkTypeIpv4), IpDiscovery: ptr(ecapi.IpDiscoveryIpv4), TransitEncryptionMode: transitMode(m.TLS),
	}
	if len(m.Nodes) > 0 {
		out.CacheClusterCreateTime, out.PreferredAvailabilityZone = instant(m.Nodes[0].CreatedAt), shown(m.Nodes[0].Zone)
	}
	if m.Kind == resource.ReplicationGroup {
		out.ReplicationGroupId = &m.Deployment.Name
		if !l.ClusterMode && l.SnapshottingNode != m.Name {
			retention = 0 // daily snapshots are of one member
		}
	}
	if l.MemcachedNodes > 0 {
		out.NumCacheNodes = ptr(int32(l.MemcachedNodes))
		out.ConfigurationEndpoint = endpointOut(entrance(m.Deployment))
	}
	for _, n := range m.Nodes {
		if n.Zone != m.Nodes[0].Zone {
			out.PreferredAvailabilityZone = ptr("Multiple")
		}
		if l.ParameterStatus == resource.ParametersPendingReboot {
			out.CacheParameterGroup.CacheNodeIdsToReboot = append(out.CacheParameterGroup.CacheNodeIdsToReboot, n.Number)
		}
		if nodes {
			out.CacheNodes = append(out.CacheNodes, cacheNodeOut(m, n))
		}
	}
	if p := l.Pending; p != nil {
		out.PendingModifiedValues = &ecapi.PendingModifiedValues{CacheNodeType: shown(p.NodeType), CacheNodeIdsToRemove: p.RemoveNodes}
		if p.EngineVersion != "" {
			out.PendingModifiedValues.EngineVersion = ptr(fullVersion(p.EngineVersion))
		}
		if p.Nodes > 0 {
			out.PendingModifiedValues.NumCacheNodes = ptr(int32(p.Nodes))
		}
	}
	if l.Topic != "" {
		out.NotificationConfiguration = &ecapi.NotificationConfiguration{TopicArn: &l.Topic, TopicStatus: &l.TopicStatus}
	}
	for _, id := range m.SecurityGroupIDs {
		out.SecurityGroups = append(out.SecurityGroups, ecapi.SecurityGroupMembership{SecurityGroupId: &id, Status: ptr("active")})
	}
	return out
}

func cacheNodeOut(m *control.Member, n *resource.Node) ecapi.CacheNode {
	status := string(n.Status)
	if n.Status == resource.NodeAvailable && m.Status == resource.CacheDeleting {
		status = string(resource.NodeDeleting)
	}
	return ecapi.CacheNode{CacheNodeId: &n.Number, CacheNodeStatus: &status, CacheNodeCreateTime: instant(n.CreatedAt), Endpoint: endpointOut(n),
		ParameterGroupStatus: ptr(string(m.Layout.ParameterStatus)), CustomerAvailabilityZone: shown(n.Zone)}
}

// memberStatus is a cache cluster's status: that of the cache, except for a member of a group that comes or goes by itself. The replicas
// of a group whose primary was retained go, too: they are members of the cache cluster that it became.
func memberStatus(m *control.Member) string {
	if m.Kind == resource.ReplicationGroup || m.Name != m.Deployment.Name {
		n := m.Nodes[0]
		switch {
		case n.Status == resource.NodeCreating || n.Status == resource.NodeDeleting:
			if m.Status == resource.CacheModifying {
				return string(n.Status)
			}
		case m.Status == resource.CacheRebooting && n.Status != resource.NodeRebooting:
			return string(resource.CacheAvailable)
		}
	}
	return string(m.Status)
}

// fullVersion is a version with the patch number that the API shows: 7.1.0 for 7.1.
func fullVersion(v string) string {
	if strings.Count(v, ".") == 1 {
		return v + ".0"
	}
	return v
}
