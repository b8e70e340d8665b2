package control

import (
	"cmp"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// plan is a new cache of nodes as it shall be: the request, completed from the snapshot that is restored and from AWS's defaults.
type plan struct {
	CreateDeployment
	source *source

	from   *resource.Cache  // the source of the snapshot; nil without one
	layout *resource.Layout // of from; an empty one when that had no nodes of its own
	choice engine.Choice
	cache  *resource.Cache
	nodes  []*resource.Node
}

// settle completes the plan from what exists. It can be repeated.
func (p *plan) settle(tx *metastore.Tx, c *Control) error {
	if err := p.source.find(tx, p.Scope); err != nil {
		return err
	}
	p.from, p.layout = nil, &resource.Layout{}
	if s := p.source.snapshot; s != nil {
		p.from = &s.Source
		if p.from.Layout != nil {
			p.layout = p.from.Layout
		}
	}
	if err := p.chooseEngine(c); err != nil {
		return err
	}
	l := &resource.Layout{EngineVersion: p.choice.Version, NodeType: cmp.Or(p.NodeType, p.layout.NodeType)}
	p.cache = &resource.Cache{
		ID: newID(), Kind: p.Kind, Scope: p.Scope, Name: p.Name, Status: resource.CacheCreating, Description: p.Description, CreatedAt: c.now(),
		Engine: p.choice.Engine, MajorEngineVersion: p.choice.Major, FullEngineVersion: p.choice.FullVersion,
		SecurityGroupIDs: p.SecurityGroups, NetworkType: "ipv4", TLS: p.transit(), RestoreFrom: p.source.origins(), Layout: l,
	}
	for _, step := range []func(*metastore.Tx, *Control) error{p.chooseNodeType, p.chooseGroups, p.chooseShards, p.chooseFailover, p.chooseRest} {
		if err := step(tx, c); err != nil {
			return err
		}
	}
	p.nodes = p.members()
	l.SnapshottingNode = snapshottingNode(resource.NewDeployment(p.cache, p.nodes))
	return nil
}

// snapshottingNode is the member that daily snapshots are taken from: a replica if there is one. In cluster mode all shards are captured.
func snapshottingNode(d *resource.Deployment) string {
	if d.Layout.ClusterMode || d.Engine == resource.Memcached {
		return ""
	}
	for _, n := range d.Nodes {
		if !n.Primary && n.Status != resource.NodeDeleting {
			return n.Name
		}
	}
	return d.Nodes[0].Name
}

// transit tells whether clients speak TLS. MemoryDB's clusters do unless they shall not.
func (p *plan) transit() bool {
	if p.TransitEncryption != nil {
		return *p.TransitEncryption
	}
	return p.Kind == resource.MemoryDBCluster
}

// chooseEngine resolves engine and version. Without either they come from the snapshot, and else AWS's default engine is redis.
func (p *plan) chooseEngine(c *Control) (err error) {
	family, version := resource.Engine(p.Engine), p.EngineVersion
	if family == "" && p.from != nil {
		family = p.from.Engine
	}
	if family == "" && p.Kind == resource.CacheCluster {
		return invalid("Engine", "The parameter Engine must be provided and must not be blank.")
	}
	family = cmp.Or(family, resource.Redis)
	if version == "" && p.from != nil && p.from.Engine == family {
		version = p.from.EngineVersion()
	}
	p.choice, err = c.engines.Resolve(family, version)
	if err == nil && family == resource.Memcached && !p.source.empty() {
		return conflicting("A memcached cluster cannot be restored from a snapshot.")
	}
	return err
}

func (p *plan) chooseNodeType(*metastore.Tx, *Control) error {
	l := p.cache.Layout
	if l.NodeType == "" {
		param := named(p.Kind, "CacheNodeType", "NodeType")
		return invalid(param, "The parameter %s must be provided and must not be blank.", param)
	}
	t, err := engine.NodeTypeOf(p.Kind.Service(), l.NodeType)
	l.NodeType = t.Name
	return err
}

// chooseGroups finds the parameter group, and with it whether the cache has cluster mode, and the subnet and user groups.
func (p *plan) chooseGroups(tx *metastore.Tx, c *Control) error {
	l, service := p.cache.Layout, p.Kind.Service()
	family := engine.FamilyOf(service, p.choice.Offer)
	wanted := p.wantsClusterMode()
	name := p.ParameterGroup
	if name == "" && p.layout.ParameterGroup != "" {
		// The snapshot's group, if it still exists and fits what is asked for.
		g, err := c.parameterGroup(tx, p.Scope, service, p.layout.ParameterGroup, family)
		if err == nil && engine.ClusterModeOf(g) == wanted {
			name = g.Name
		}
	}
	if name == "" {
		name = engine.DefaultGroup(family, wanted)
	}
	g, err := c.parameterGroup(tx, p.Scope, service, name, family)
	if err != nil {
		return err
	}
	l.ParameterGroup, l.ParameterStatus, l.ClusterMode = g.Name, resource.ParametersInSync, engine.ClusterModeOf(g)
	switch {
	case p.Kind == resource.CacheCluster && l.ClusterMode:
		return conflicting("Cluster mode should be disabled in parameter group, but found it is enabled.")
	case p.ClusterMode != nil && *p.ClusterMode != l.ClusterMode:
		return conflicting("ClusterMode and the parameter group %s do not go together: cluster mode is %s in it.", g.Name, onOff(l.ClusterMode))
	case p.shardsAsked() > 1 && !l.ClusterMode:
		return conflicting("Several node groups need cluster mode, and it is disabled in the parameter group %s.", g.Name)
	}
	if l.SubnetGroup, err = p.subnetGroup(tx); err != nil {
		return err
	}
	for _, g := range p.UserGroups {
		l.UserGroups = append(l.UserGroups, oldName(g))
	}
	return checkUserGroups(tx, p.Scope, service, l.UserGroups, p.cache.Engine)
}

func onOff(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}

// wantsClusterMode is what the request says of cluster mode without its parameter group.
func (p *plan) wantsClusterMode() bool {
	switch {
	case p.Kind == resource.MemoryDBCluster:
		return true
	case p.Kind == resource.CacheCluster:
		return false
	case p.ClusterMode != nil:
		return *p.ClusterMode
	}
	restored := p.from != nil && (p.from.Layout == nil || p.layout.ClusterMode) // a serverless cache has cluster mode
	return restored || p.shardsAsked() > 1 || len(p.Shards) > 0 && p.Shards[0].Slots != nil
}

// shardsAsked is the number of shards that the request names; 0 when it names none.
func (p *plan) shardsAsked() int {
	if p.NumShards != nil {
		return *p.NumShards
	}
	return len(p.Shards)
}

// subnetGroup is the one that is asked for, or the snapshot's while it exists, or the default one.
func (p *plan) subnetGroup(tx *metastore.Tx) (string, error) {
	const standard = "default"
	for _, name := range []string{p.SubnetGroup, p.layout.SubnetGroup} {
		name = oldName(name)
		if name == "" || name == standard {
			continue
		}
		_, err := tx.SubnetGroup(p.Scope, p.Kind.Service(), name)
		switch {
		case err == nil:
			return name, nil
		case !is(err, resource.NotFound):
			return "", err
		case p.SubnetGroup != "":
			return "", resource.Errorf(resource.NotFound, resource.TypeSubnetGroup, name, "%s %s not found.",
				named(p.Kind, "CacheSubnetGroup", "Subnet group"), clip(name))
		}
	}
	return standard, nil
}

// chooseFailover applies AWS's rules of automatic failover and of several zones.
func (p *plan) chooseFailover(*metastore.Tx, *Control) error {
	l := p.cache.Layout
	if p.Kind == resource.CacheCluster {
		return p.clusterZones()
	}
	replicas := l.Shards[0].Replicas
	for _, s := range l.Shards {
		replicas = min(replicas, s.Replicas)
	}
	if p.Kind == resource.MemoryDBCluster {
		l.AutomaticFailover, l.MultiAZ = true, replicas > 0
		return nil
	}
	switch {
	case p.Failover != nil:
		l.AutomaticFailover = *p.Failover
	case p.from != nil && p.from.Layout != nil:
		l.AutomaticFailover = l.ClusterMode || p.layout.AutomaticFailover && replicas > 0
	default:
		l.AutomaticFailover = l.ClusterMode
	}
	l.MultiAZ = p.MultiZone != nil && *p.MultiZone
	return checkFailover(l)
}

// checkFailover refuses a failover that could not happen, and zones without it.
func checkFailover(l *resource.Layout) error {
	replicas := l.Shards[0].Replicas
	for _, s := range l.Shards {
		replicas = min(replicas, s.Replicas)
	}
	switch {
	case l.ClusterMode && !l.AutomaticFailover:
		return conflicting("Redis with cluster mode enabled cannot be created with auto failover turned off.")
	case !l.ClusterMode && l.AutomaticFailover && replicas == 0:
		return conflicting("Automatic failover needs at least one replica: NumCacheClusters must be at least 2.")
	case l.MultiAZ && !l.AutomaticFailover:
		return conflicting("MultiAZEnabled needs AutomaticFailoverEnabled.")
	case l.MultiAZ && replicas == 0:
		return conflicting("MultiAZEnabled needs at least one replica in every node group.")
	}
	return nil
}

// clusterZones checks the zones of a cache cluster against AZMode.
func (p *plan) clusterZones() error {
	l := p.cache.Layout
	nodes := max(l.MemcachedNodes, 1)
	l.MultiAZ = p.MultiZone != nil && *p.MultiZone
	if len(p.Zones) > 0 && len(p.Zones) != nodes && !(len(p.Zones) == 1 && !l.MultiAZ) {
		return conflicting("%d PreferredAvailabilityZones are given for %d nodes.", len(p.Zones), nodes)
	}
	several := false
	for _, z := range p.Zones {
		several = several || z != p.Zones[0]
	}
	switch {
	case l.MultiAZ && nodes < 2:
		return conflicting("AZMode cross-az needs at least two nodes.")
	case several && p.MultiZone != nil && !l.MultiAZ:
		return conflicting("AZMode single-az does not go together with several PreferredAvailabilityZones.")
	}
	l.MultiAZ = l.MultiAZ || several
	return nil
}

// chooseRest settles port, windows, retention and what is kept and shown.
func (p *plan) chooseRest(_ *metastore.Tx, c *Control) (err error) {
	l, cache := p.cache.Layout, p.cache
	switch {
	case p.Port != nil:
		l.Port = *p.Port
	case p.layout.Port != 0:
		l.Port = p.layout.Port
	default:
		l.Port = engine.DefaultPort(cache.Engine)
	}
	if p.SnapshotRetention != nil {
		cache.SnapshotRetention = *p.SnapshotRetention
	} else if p.from != nil && p.from.Layout != nil {
		cache.SnapshotRetention = p.from.SnapshotRetention
	}
	if cache.Engine == resource.Memcached {
		if cache.SnapshotRetention > 0 || p.SnapshotWindow != "" {
			return conflicting("Memcached clusters have no snapshots: SnapshotRetentionLimit and SnapshotWindow are not for them.")
		}
		if p.AuthToken != "" {
			return conflicting("AuthToken is not available for memcached clusters, which know no authentication.")
		}
		if cache.TLS && older(l.EngineVersion, "1.6.12") {
			return conflicting("In-transit encryption is not supported for memcached %s. Use engine version 1.6.12 or higher.", l.EngineVersion)
		}
	}
	maintenance, snapshot := p.MaintenanceWindow, p.SnapshotWindow
	if p.layout.MaintenanceWindow != "" && maintenance == "" && snapshot == "" {
		maintenance, snapshot = p.layout.MaintenanceWindow, p.layout.SnapshotWindow
	}
	if l.MaintenanceWindow, l.SnapshotWindow, err = windows(p.Kind, cache.ID, maintenance, snapshot); err != nil {
		return err
	}
	if cache.Engine == resource.Memcached {
		l.SnapshotWindow = ""
	}
	l.AutoMinorUpgrade = p.AutoMinorUpgrade == nil || *p.AutoMinorUpgrade
	if p.AutoMinorUpgrade == nil && p.layout.NodeType != "" {
		l.AutoMinorUpgrade = p.layout.AutoMinorUpgrade
	}
	if l.Topic = cmp.Or(p.Topic, p.layout.Topic); l.Topic != "" {
		l.TopicStatus = "active"
	}
	l.DurableLog = p.Kind == resource.MemoryDBCluster
	switch {
	case p.Kind == resource.MemoryDBCluster:
		l.AtRestEncryption = true
	case p.AtRestEncryption != nil:
		l.AtRestEncryption = *p.AtRestEncryption
	default: // AWS's defaults
		l.AtRestEncryption = cache.Engine == resource.Valkey && p.Kind == resource.ReplicationGroup || p.KMSKeyID != ""
	}
	if err := accessNeedsTLS(cache, l.UserGroups); err != nil {
		return err
	}
	if p.AuthToken != "" {
		hash, err := hashToken("AuthToken", p.AuthToken)
		if err != nil {
			return err
		}
		l.AuthTokens, l.AuthTokenAt = []string{hash}, c.now()
	}
	return nil
}

// openAccess is the ACL that every account of MemoryDB has from the start.
const openAccess = "open-access"

// restoresFiles tells whether the data comes from RDB files, which do not say what they hold.
func (p *plan) restoresFiles() bool { return len(p.source.objects) > 0 }
