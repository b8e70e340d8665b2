package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// change is what a modification needs beyond new records.
type change struct {
	at        time.Time
	asked     int  // fields that were given
	configure bool // users, parameters or tokens of running nodes
	promote   *resource.Node
	heavy     resource.Pending // what interrupts service
	replicas  *int
	shards    *int
}

// ModifyDeployment accepts the command. What concerns records alone is done when it returns; users and parameters follow soon,
// while the cache stays available; for anything else the cache is modifying until its nodes have followed.
func (c *Control) ModifyDeployment(ctx context.Context, in ModifyDeployment) (d *resource.Deployment, err error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if d, err = modifiable(tx, in.Scope, in.Kind, in.Name); err != nil {
			return err
		}
		ch := &change{at: c.now()}
		for _, step := range []func(*metastore.Tx, *resource.Deployment, *change) error{
			in.changeRecords, in.changeSnapshots, in.changeFailover, in.changeAccess, in.changeNodes,
		} {
			if err := step(tx, d, ch); err != nil {
				return err
			}
		}
		if err := c.changeEngine(tx, &in, d, ch); err != nil {
			return err
		}
		if ch.asked == 0 {
			if in.Kind == resource.MemoryDBCluster {
				return resource.Errorf(resource.NoOperation, resource.TypeCluster, d.Name, "No modifications were requested")
			}
			return conflicting("No modifications were requested")
		}
		return c.carryOut(tx, d, ch, in.Immediately || in.Kind == resource.MemoryDBCluster)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// modifiable finds a cache on which nothing else is going on. A member of a group is changed with its group.
func modifiable(tx *metastore.Tx, scope resource.Scope, kind resource.Kind, name string) (*resource.Deployment, error) {
	d, err := deploymentNamed(tx, scope, kind, name)
	if is(err, resource.NotFound) && kind == resource.CacheCluster {
		if m, err := memberNamed(tx, scope, name); err == nil {
			return nil, conflicting("Cache cluster %s is a member of the replication group %s, and is modified with it.", m.Name, m.Deployment.Name)
		}
	}
	if err != nil {
		return nil, err
	}
	return d, idle(tx, d.Cache)
}

// check refuses values that can never be right.
func (in *ModifyDeployment) check() error {
	if in.Description != nil {
		if err := checkDescription(*in.Description); err != nil {
			return err
		}
	}
	if err := checkNetwork(in.SecurityGroups, nil, ""); err != nil {
		return err
	}
	if in.SnapshotRetention != nil {
		if err := checkSchedule(*in.SnapshotRetention, ""); err != nil {
			return err
		}
	}
	if in.Topic != nil {
		if err := checkTopic(named(in.Kind, "NotificationTopicArn", "SnsTopicArn"), *in.Topic); err != nil {
			return err
		}
	}
	if s := in.TopicStatus; s != nil && !strings.EqualFold(*s, "active") && !strings.EqualFold(*s, "inactive") {
		param := named(in.Kind, "NotificationTopicStatus", "SnsTopicStatus")
		return invalid(param, "%s must be active or inactive; %q was given.", param, clip(*s))
	}
	if err := checkZones(in.Scope, in.NewZones...); err != nil {
		return err
	}
	if in.NumShards != nil && (*in.NumShards < 1 || *in.NumShards > mostShards) {
		return tooManyShards(in.Kind, *in.NumShards)
	}
	return checkReplicas(in.Kind, in.Replicas)
}

// given notes that a field was given.
func given[T any](ch *change, p *T) bool {
	if p != nil {
		ch.asked++
	}
	return p != nil
}

// changeRecords changes what is kept and shown.
func (in *ModifyDeployment) changeRecords(_ *metastore.Tx, d *resource.Deployment, ch *change) (err error) {
	l := d.Layout
	if given(ch, in.Description) {
		d.Description = *in.Description
	}
	if len(in.SecurityGroups) > 0 {
		ch.asked++
		d.SecurityGroupIDs = in.SecurityGroups
	}
	if given(ch, in.AutoMinorUpgrade) {
		l.AutoMinorUpgrade = *in.AutoMinorUpgrade
	}
	if given(ch, in.Topic) {
		if l.Topic = *in.Topic; l.Topic == "" {
			l.TopicStatus = ""
		} else if l.TopicStatus == "" {
			l.TopicStatus = "active"
		}
	}
	if given(ch, in.TopicStatus) && l.Topic != "" {
		l.TopicStatus = strings.ToLower(*in.TopicStatus)
	}
	if given(ch, in.ClusterMode) && *in.ClusterMode != l.ClusterMode {
		return conflicting("The cluster mode of %s cannot be changed in place: a node either has cluster mode or has not. Restore a snapshot of it into a group with cluster mode.", d.Name)
	}
	return nil
}

// changeSnapshots changes windows and retention.
func (in *ModifyDeployment) changeSnapshots(tx *metastore.Tx, d *resource.Deployment, ch *change) (err error) {
	l := d.Layout
	memcached := d.Engine == resource.Memcached
	if memcached && (in.SnapshotWindow != nil && *in.SnapshotWindow != "" || in.SnapshotRetention != nil && *in.SnapshotRetention > 0) {
		return conflicting("Memcached clusters have no snapshots: SnapshotRetentionLimit and SnapshotWindow are not for them.")
	}
	maintenance, snapshot := l.MaintenanceWindow, l.SnapshotWindow
	if given(ch, in.MaintenanceWindow) {
		maintenance = *in.MaintenanceWindow
	}
	if given(ch, in.SnapshotWindow) {
		snapshot = *in.SnapshotWindow
	}
	if l.MaintenanceWindow, l.SnapshotWindow, err = windows(d.Kind, d.ID, maintenance, snapshot); err != nil {
		return err
	}
	if memcached {
		l.SnapshotWindow = ""
	}
	if given(ch, in.SnapshottingNode) {
		name := oldName(*in.SnapshottingNode)
		switch n := d.Member(name); {
		case l.ClusterMode:
			return conflicting("Cannot set snapshotting cluster for cluster mode enabled replication group")
		case n == nil || n.Status == resource.NodeDeleting:
			return resource.Errorf(resource.NotFound, resource.TypeCluster, name, "Cache cluster %s not found in replication group %s.", clip(name), d.Name)
		}
		l.SnapshottingNode = name
	}
	if !given(ch, in.SnapshotRetention) {
		return nil
	}
	turnedOn := d.SnapshotRetention == 0 && *in.SnapshotRetention > 0
	if turnedOn && d.Kind == resource.ReplicationGroup && !l.ClusterMode && in.SnapshottingNode == nil {
		return conflicting("Must specify both SnapshotRetentionLimit and SnapshottingClusterId to turn on snapshots")
	}
	if d.SnapshotRetention == *in.SnapshotRetention {
		return nil
	}
	d.SnapshotRetention = *in.SnapshotRetention
	return keepFor(tx, d.Cache)
}

// changeFailover changes who takes over, and makes a member the primary.
func (in *ModifyDeployment) changeFailover(_ *metastore.Tx, d *resource.Deployment, ch *change) error {
	l := d.Layout
	if given(ch, in.Failover) {
		l.AutomaticFailover = *in.Failover
	}
	if given(ch, in.MultiZone) {
		l.MultiAZ = *in.MultiZone
		if err := in.checkZoneMode(d); err != nil {
			return err
		}
	}
	if d.Kind == resource.ReplicationGroup && (in.Failover != nil || in.MultiZone != nil) {
		if l.ClusterMode && !l.AutomaticFailover {
			return conflicting("Automatic failover cannot be turned off in cluster mode.")
		}
		if err := checkFailover(l); err != nil {
			return err
		}
	}
	if !given(ch, in.Primary) {
		return nil
	}
	name := oldName(*in.Primary)
	n := d.Member(name)
	switch {
	case l.ClusterMode:
		return conflicting("PrimaryClusterId is not for groups with cluster mode; TestFailover changes the primary of a node group.")
	case n == nil:
		return resource.Errorf(resource.NotFound, resource.TypeCluster, name, "Cache cluster %s not found in replication group %s.", clip(name), d.Name)
	case n.Primary:
		return nil
	case l.AutomaticFailover:
		return conflicting("Automatic failover must be turned off before %s can be made the primary of %s.", name, d.Name)
	}
	ch.promote = n
	return nil
}

// checkZoneMode checks AZMode of a cache cluster against its nodes as they are and as they shall be.
func (in *ModifyDeployment) checkZoneMode(d *resource.Deployment) error {
	if d.Kind != resource.CacheCluster {
		return nil
	}
	nodes, apart := len(d.Nodes), false
	if in.Nodes != nil {
		nodes = *in.Nodes
	}
	for _, n := range d.Nodes {
		apart = apart || n.Zone != d.Nodes[0].Zone && !slices.Contains(in.RemoveNodes, n.Number)
	}
	switch {
	case d.Layout.MultiAZ && nodes < 2:
		return conflicting("AZMode cross-az needs at least two nodes.")
	case !d.Layout.MultiAZ && apart:
		return conflicting("AZMode single-az does not go together with the nodes of %s, which are in several availability zones.", d.Name)
	}
	return nil
}

// changeAccess changes tokens and user groups.
func (in *ModifyDeployment) changeAccess(tx *metastore.Tx, d *resource.Deployment, ch *change) error {
	l := d.Layout
	groups := slices.Clone(l.UserGroups)
	if in.RemoveUserGroups {
		ch.asked++
		groups = nil
	}
	for _, g := range in.UserGroupsRemove {
		ch.asked++
		i := slices.Index(groups, oldName(g))
		if i < 0 && !in.RemoveUserGroups {
			return resource.Errorf(resource.NotFound, resource.TypeUserGroup, g, "User group %s is not one of %s.", clip(g), d.Name)
		}
		if i >= 0 {
			groups = slices.Delete(groups, i, i+1)
		}
	}
	for _, g := range in.UserGroupsAdd {
		ch.asked++
		if !slices.Contains(groups, oldName(g)) {
			groups = append(groups, oldName(g))
		}
	}
	if given(ch, in.ACL) {
		groups = []string{oldName(*in.ACL)}
	}
	if !slices.Equal(groups, l.UserGroups) {
		if err := checkUserGroups(tx, d.Scope, d.Kind.Service(), groups, d.Engine); err != nil {
			return err
		}
		if err := accessNeedsTLS(d.Cache, groups); err != nil {
			return err
		}
		l.UserGroups, ch.configure = groups, true
	}
	if in.AuthToken == nil && in.AuthStrategy == "" {
		return nil
	}
	ch.asked++
	if !d.TLS {
		return conflicting("The AUTH token modification is only supported when encryption-in-transit is enabled.")
	}
	ch.configure = true
	return rotateToken(l, in.AuthStrategy, in.AuthToken, ch.at)
}

// accessNeedsTLS refuses users with passwords on plain connections, as AWS does.
func accessNeedsTLS(cache *resource.Cache, groups []string) error {
	switch {
	case cache.TLS || len(groups) == 0:
		return nil
	case cache.Kind == resource.ReplicationGroup:
		return conflicting("User group based access control requires encryption-in-transit to be enabled on the replication group.")
	case groups[0] != openAccess:
		return conflicting("A cluster without TLS can only have the ACL %s.", openAccess)
	}
	return nil
}

// changeNodes notes a new number of nodes, replicas or shards.
func (in *ModifyDeployment) changeNodes(_ *metastore.Tx, d *resource.Deployment, ch *change) error {
	if given(ch, in.Replicas) {
		ch.replicas = in.Replicas
	}
	if given(ch, in.NumShards) {
		ch.shards = in.NumShards
	}
	if !given(ch, in.Nodes) {
		if len(in.RemoveNodes) > 0 || len(in.NewZones) > 0 {
			return conflicting("CacheNodeIdsToRemove and NewAvailabilityZones need NumCacheNodes.")
		}
		return nil
	}
	have := len(d.Nodes)
	switch n := *in.Nodes; {
	case n == have && len(in.RemoveNodes) == 0 && len(in.NewZones) == 0:
		if p := d.Layout.Pending; p != nil {
			p.Nodes, p.RemoveNodes, p.NewZones = 0, nil, nil // back to what is
		}
		return nil
	case d.Engine != resource.Memcached:
		return invalid("NumCacheNodes", "NumCacheNodes should be 1 if engine is %s; %d was given.", d.Engine, n)
	case n < 1 || n > mostMemcachedNodes:
		return invalid("NumCacheNodes", "NumCacheNodes must be between 1 and %d; %d was given.", mostMemcachedNodes, n)
	case len(in.RemoveNodes) != max(have-n, 0):
		return conflicting("NumCacheNodes is %d of %d nodes, so that %d CacheNodeIdsToRemove are needed; %d were given.", n, have, max(have-n, 0), len(in.RemoveNodes))
	case len(in.NewZones) > 0 && len(in.NewZones) != n-have:
		return conflicting("%d nodes are added and %d NewAvailabilityZones were given.", max(n-have, 0), len(in.NewZones))
	}
	for i, number := range in.RemoveNodes {
		if !slices.ContainsFunc(d.Nodes, func(n *resource.Node) bool { return n.Number == number }) || slices.Contains(in.RemoveNodes[:i], number) {
			return invalid("CacheNodeIdsToRemove", "Cache cluster %s has no node %q, or it is given more than once.", d.Name, clip(number))
		}
	}
	ch.heavy.Nodes, ch.heavy.RemoveNodes, ch.heavy.NewZones = *in.Nodes, in.RemoveNodes, in.NewZones
	return nil
}

// changeEngine checks engine, version, node type and parameter group, which hang together.
func (c *Control) changeEngine(tx *metastore.Tx, in *ModifyDeployment, d *resource.Deployment, ch *change) error {
	l := d.Layout
	if given(ch, in.NodeType) {
		t, err := engine.NodeTypeOf(d.Kind.Service(), *in.NodeType)
		if err != nil {
			return err
		}
		if t.Name != l.NodeType {
			ch.heavy.NodeType = t.Name
		} else if l.Pending != nil {
			l.Pending.NodeType = "" // back to what is
		}
	}
	family, version := d.Engine, l.EngineVersion
	if given(ch, in.Engine) {
		if family = resource.Engine(strings.ToLower(*in.Engine)); family != d.Engine {
			version = ""
		}
	}
	if given(ch, in.EngineVersion) {
		version = *in.EngineVersion
	}
	given(ch, in.ParameterGroup)
	if in.Engine == nil && in.EngineVersion == nil && in.ParameterGroup == nil {
		return nil
	}
	choice, err := c.engines.Resolve(family, version)
	if err != nil {
		return err
	}
	changes := choice.Engine != d.Engine || choice.Version != l.EngineVersion
	if changes {
		if err := upgradeable(noun(d.Kind)+" "+d.Name+" of", d.Engine, l.EngineVersion, choice.Engine, choice.Version); err != nil {
			return err
		}
		ch.heavy.Engine, ch.heavy.EngineVersion = choice.Engine, choice.Version
	} else if l.Pending != nil && (in.Engine != nil || in.EngineVersion != nil) {
		l.Pending.Engine, l.Pending.EngineVersion, l.Pending.ParameterGroup = "", "", ""
	}
	name := l.ParameterGroup
	if in.ParameterGroup != nil {
		name = *in.ParameterGroup
	} else if engine.IsDefaultGroup(name) {
		return nil // the default group of the new family comes with the engine
	}
	g, err := c.parameterGroup(tx, d.Scope, d.Kind.Service(), name, engine.FamilyOf(d.Kind.Service(), choice.Offer))
	if err != nil {
		return err
	}
	switch {
	case engine.ClusterModeOf(g) != l.ClusterMode:
		return conflicting("Cluster mode should be %s in parameter group, but found it is %s.", onOff(l.ClusterMode), onOff(engine.ClusterModeOf(g)))
	case changes:
		ch.heavy.ParameterGroup = g.Name
	case g.Name != l.ParameterGroup:
		if err := sameAtCreation(tx, d.Cache, g); err != nil {
			return err
		}
		l.ParameterGroup, l.ParameterStatus, ch.configure = g.Name, resource.ParametersApplying, true
	}
	return nil
}
