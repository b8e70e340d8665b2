package e2e

import (
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

func (p *provider) findGroup(id string) *ectypes.ReplicationGroup {
	out, err := p.ec.DescribeReplicationGroups(p.ctx, &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &id})
	if _, there := found[*ectypes.ReplicationGroupNotFoundFault](p, out, err); !there {
		return nil
	}
	return single(p, out.ReplicationGroups)
}

func (p *provider) waitGroup(id, target string, pending ...string) {
	p.wait("replication group "+id, pending, target, func() (string, bool) {
		g := p.findGroup(id)
		if g == nil {
			return "", false
		}
		return *g.Status, true
	})
}

func (p *provider) groupAvailable(id string) {
	p.waitGroup(id, "available", "creating", "modifying", "snapshotting")
}

// membersAvailable waits as the provider does after a change of the number of clusters: for all members, found in the list of all clusters.
func (p *provider) membersAvailable(id string) {
	p.wait("the members of "+id, []string{"creating", "deleting", "modifying", "snapshotting"}, "available", func() (string, bool) {
		g, status, there := p.findGroup(id), "available", false
		for pages := elasticache.NewDescribeCacheClustersPaginator(p.ec, &elasticache.DescribeCacheClustersInput{}); pages.HasMorePages(); {
			for _, c := range must[*elasticache.DescribeCacheClustersOutput](p)(pages.NextPage(p.ctx)).CacheClusters {
				if slices.Contains(g.MemberClusters, *c.CacheClusterId) {
					there = true
					if status == "available" {
						status = *c.CacheClusterStatus
					}
				}
			}
		}
		return status, there
	})
}

func (p *provider) replicationGroup() res {
	return res{
		tags: p.cacheTags, tag: p.cacheTag, create: p.createGroup, read: p.readGroup, update: p.updateGroup,
		bare:  []string{"kms_key_id", "user_group_ids", "snapshot_retention_limit", "log_delivery_configuration", "data_tiering_enabled", "multi_az_enabled", "automatic_failover_enabled", "global_replication_group_id"},
		fixed: []string{"arn", "replication_group_id", "port", "cluster_enabled"},
		remove: func(id string, finally *string) {
			until(p.t, "the deletion of replication group "+id, func() (bool, error) {
				out, err := p.ec.DeleteReplicationGroup(p.ctx, &elasticache.DeleteReplicationGroupInput{ReplicationGroupId: &id, FinalSnapshotIdentifier: finally})
				_, ready := found[*ectypes.InvalidReplicationGroupStateFault](p, out, ignore[*ectypes.ReplicationGroupNotFoundFault](err))
				return ready, nil
			})
			p.waitGroup(id, "", "creating", "available", "deleting")
		},
	}
}

func (p *provider) createGroup(in args) string {
	failover, _ := in["automatic_failover_enabled"].(bool)
	req := &elasticache.CreateReplicationGroupInput{ReplicationGroupId: in.str("replication_group_id"), ReplicationGroupDescription: in.str("description"), CacheNodeType: in.str("node_type"), Engine: in.str("engine"),
		AutomaticFailoverEnabled: &failover, AtRestEncryptionEnabled: in.flag("at_rest_encryption_enabled"), TransitEncryptionEnabled: in.flag("transit_encryption_enabled"),
		AuthToken: in.str("auth_token"), AutoMinorVersionUpgrade: in.flag("auto_minor_version_upgrade"), EngineVersion: in.str("engine_version"), KmsKeyId: in.str("kms_key_id"),
		PreferredMaintenanceWindow: in.str("maintenance_window"), MultiAZEnabled: in.yes("multi_az_enabled"), NotificationTopicArn: in.str("notification_topic_arn"), NumCacheClusters: in.num("num_cache_clusters"),
		NumNodeGroups: in.num("num_node_groups"), CacheParameterGroupName: in.str("parameter_group_name"), Port: in.num("port"), PreferredCacheClusterAZs: in.list("preferred_cache_cluster_azs"),
		CacheSubnetGroupName: in.str("subnet_group_name"), SecurityGroupIds: in.list("security_group_ids"), SnapshotRetentionLimit: in.num("snapshot_retention_limit"), SnapshotWindow: in.str("snapshot_window"),
		UserGroupIds: in.list("user_group_ids"), SnapshotName: in.str("snapshot_name"), ClusterMode: ectypes.ClusterMode(aws.ToString(in.str("cluster_mode"))), IpDiscovery: ectypes.IpDiscovery(aws.ToString(in.str("ip_discovery"))),
		NetworkType: ectypes.NetworkType(aws.ToString(in.str("network_type"))), TransitEncryptionMode: ectypes.TransitEncryptionMode(aws.ToString(in.str("transit_encryption_mode"))), Tags: in.cacheTags()}
	for _, line := range in.list("node_group_configuration") { // name, slots and zones
		part := strings.Fields(line)
		req.NodeGroupConfiguration = append(req.NodeGroupConfiguration, ectypes.NodeGroupConfiguration{NodeGroupId: &part[0], Slots: &part[1], PrimaryAvailabilityZone: &part[2],
			ReplicaAvailabilityZones: part[3:], ReplicaCount: aws.Int32(int32(len(part) - 3))})
	}
	if v, given := in["replicas_per_node_group"].(int); given { // zero counts
		req.ReplicasPerNodeGroup = aws.Int32(int32(v))
	}
	id := *must[*elasticache.CreateReplicationGroupOutput](p)(p.ec.CreateReplicationGroup(p.ctx, req)).ReplicationGroup.ReplicationGroupId
	p.groupAvailable(id)
	return id
}

func (p *provider) readGroup(id string, _ args) args {
	g := p.findGroup(id)
	if g == nil || *g.Status == "deleting" {
		return nil
	}
	state := args{"arn": *g.ARN, "replication_group_id": *g.ReplicationGroupId, "description": *g.Description, "kms_key_id": aws.ToString(g.KmsKeyId), "num_cache_clusters": len(g.MemberClusters),
		"member_clusters": set(g.MemberClusters), "num_node_groups": len(g.NodeGroups), "replicas_per_node_group": len(g.NodeGroups[0].NodeGroupMembers) - 1, "cluster_enabled": aws.ToBool(g.ClusterEnabled),
		"cluster_mode": string(g.ClusterMode), "data_tiering_enabled": g.DataTiering == ectypes.DataTieringStatusEnabled, "ip_discovery": string(g.IpDiscovery), "network_type": string(g.NetworkType),
		"snapshot_window": aws.ToString(g.SnapshotWindow), "snapshot_retention_limit": int(aws.ToInt32(g.SnapshotRetentionLimit)), "user_group_ids": set(g.UserGroupIds), "log_delivery_configuration": len(g.LogDeliveryConfigurations),
		"automatic_failover_enabled": slices.Contains([]ectypes.AutomaticFailoverStatus{"enabled", "enabling"}, g.AutomaticFailover), "multi_az_enabled": g.MultiAZ == ectypes.MultiAZStatusEnabled}
	first := g.NodeGroups[0]
	if e := g.ConfigurationEndpoint; e != nil {
		state["port"], state["configuration_endpoint_address"] = int(*e.Port), *e.Address
	} else {
		state["port"], state["primary_endpoint_address"], state["reader_endpoint_address"] = int(*first.PrimaryEndpoint.Port), *first.PrimaryEndpoint.Address, *first.ReaderEndpoint.Address
	}
	var shards []string
	for _, n := range g.NodeGroups {
		zones := []string{*n.NodeGroupId, aws.ToString(n.Slots)}
		for _, m := range n.NodeGroupMembers {
			zones = append(zones, aws.ToString(m.PreferredAvailabilityZone))
		}
		shards = append(shards, strings.Join(zones, " "))
	}
	state["node_group_configuration"] = set(shards)
	c := p.findCluster(*first.NodeGroupMembers[0].CacheClusterId, aws.Bool(true))
	fromCluster(state, c)
	state["at_rest_encryption_enabled"], state["transit_encryption_enabled"] = aws.ToBool(c.AtRestEncryptionEnabled), aws.ToBool(c.TransitEncryptionEnabled)
	state["transit_encryption_mode"] = string(c.TransitEncryptionMode)
	if c.AuthTokenEnabled != nil && !*c.AuthTokenEnabled {
		state["auth_token"] = nil
	}
	return state
}

// updateGroup changes what differs, in the provider's order: shards, more replicas, settings, the token, fewer replicas; the group is available between.
func (p *provider) updateGroup(id string, was, now args) {
	step := func(change func()) {
		p.groupAvailable(id)
		change()
		p.groupAvailable(id)
	}
	if differs(was, now, "num_node_groups") {
		step(func() { p.reshardGroup(id, now["num_node_groups"].(int)) })
	}
	if n := givenNum(was, now, "replicas_per_node_group"); n != nil {
		step(func() { p.replicas(id, *n, int(*n) > was["replicas_per_node_group"].(int)) })
	}
	clusters := givenNum(was, now, "num_cache_clusters")
	more := clusters != nil && int(*clusters) > was["num_cache_clusters"].(int)
	if more {
		step(func() { p.replicas(id, *clusters-1, true); p.membersAvailable(id) })
	}
	in := &elasticache.ModifyReplicationGroupInput{ReplicationGroupId: &id, ApplyImmediately: aws.Bool(now["apply_immediately"] == true), AutoMinorVersionUpgrade: given[bool](was, now, "auto_minor_version_upgrade"),
		AutomaticFailoverEnabled: given[bool](was, now, "automatic_failover_enabled"), ReplicationGroupDescription: given[string](was, now, "description"), EngineVersion: given[string](was, now, "engine_version"),
		PreferredMaintenanceWindow: given[string](was, now, "maintenance_window"), MultiAZEnabled: given[bool](was, now, "multi_az_enabled"), CacheNodeType: given[string](was, now, "node_type"),
		NotificationTopicArn: given[string](was, now, "notification_topic_arn"), CacheParameterGroupName: given[string](was, now, "parameter_group_name"), SnapshotRetentionLimit: givenNum(was, now, "snapshot_retention_limit"),
		SnapshotWindow: given[string](was, now, "snapshot_window"), TransitEncryptionEnabled: given[bool](was, now, "transit_encryption_enabled"),
		TransitEncryptionMode: ectypes.TransitEncryptionMode(aws.ToString(given[string](was, now, "transit_encryption_mode"))), IpDiscovery: ectypes.IpDiscovery(aws.ToString(given[string](was, now, "ip_discovery")))}
	if in.EngineVersion != nil {
		in.Engine = now.str("engine")
	}
	if in.SnapshotRetentionLimit != nil && was["snapshot_retention_limit"] == 0 {
		in.SnapshottingClusterId = aws.String(id + "-001")
	}
	if differs(was, now, "security_group_ids") {
		in.SecurityGroupIds = now.list("security_group_ids")
	}
	in.UserGroupIdsToAdd, in.UserGroupIdsToRemove = apart(was, now, "user_group_ids")
	if len(in.UserGroupIdsToAdd) > 0 && now["auth_token_update_strategy"] == "DELETE" {
		in.AuthTokenUpdateStrategy = ectypes.AuthTokenUpdateStrategyTypeDelete
	}
	modify := func(in *elasticache.ModifyReplicationGroupInput) {
		_, err := p.ec.ModifyReplicationGroup(p.ctx, in)
		if isA[*ectypes.InvalidParameterCombinationException](err) && strings.Contains(err.Error(), "No modifications were requested") {
			return
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	if !onlyNames(in) {
		step(func() { modify(in) })
	}
	if strategy := aws.ToString(now.str("auth_token_update_strategy")); strategy != "DELETE" && (differs(was, now, "auth_token") || differs(was, now, "auth_token_update_strategy")) {
		step(func() {
			modify(&elasticache.ModifyReplicationGroupInput{ReplicationGroupId: &id, ApplyImmediately: aws.Bool(true), AuthToken: now.str("auth_token"), AuthTokenUpdateStrategy: ectypes.AuthTokenUpdateStrategyType(strategy)})
		})
	}
	if clusters != nil && !more {
		step(func() { p.replicas(id, *clusters-1, false); p.membersAvailable(id) })
	}
}

// onlyNames tells whether a request asks for nothing.
func onlyNames(in *elasticache.ModifyReplicationGroupInput) bool {
	blank := elasticache.ModifyReplicationGroupInput{ReplicationGroupId: in.ReplicationGroupId, ApplyImmediately: in.ApplyImmediately}
	return reflect.DeepEqual(*in, blank)
}

// reshardGroup names the last shards when there shall be fewer.
func (p *provider) reshardGroup(id string, count int) {
	in := &elasticache.ModifyReplicationGroupShardConfigurationInput{ReplicationGroupId: &id, ApplyImmediately: aws.Bool(true), NodeGroupCount: aws.Int32(int32(count))}
	var names []string
	for _, g := range p.findGroup(id).NodeGroups {
		names = append(names, *g.NodeGroupId)
	}
	slices.Sort(names)
	for i := len(names); i > count; i-- {
		in.NodeGroupsToRemove = append(in.NodeGroupsToRemove, names[i-1])
	}
	must[*elasticache.ModifyReplicationGroupShardConfigurationOutput](p)(p.ec.ModifyReplicationGroupShardConfiguration(p.ctx, in))
	p.groupAvailable(id)
}

func (p *provider) replicas(id string, count int32, more bool) {
	if more {
		must[*elasticache.IncreaseReplicaCountOutput](p)(p.ec.IncreaseReplicaCount(p.ctx, &elasticache.IncreaseReplicaCountInput{ReplicationGroupId: &id, ApplyImmediately: aws.Bool(true), NewReplicaCount: &count}))
	} else {
		must[*elasticache.DecreaseReplicaCountOutput](p)(p.ec.DecreaseReplicaCount(p.ctx, &elasticache.DecreaseReplicaCountInput{ReplicationGroupId: &id, ApplyImmediately: aws.Bool(true), NewReplicaCount: &count}))
	}
}

func (p *provider) replicationGroups() {
	parameters := p.make(p.cacheParameterGroup(), args{"name": "tf-group", "family": "redis7", "description": byTerraform, "parameter": map[string]string{"maxmemory-policy": "allkeys-lru"}})
	group := p.make(p.replicationGroup(), args{"replication_group_id": "tf-group", "description": "one and a replica", "engine": "redis", "engine_version": "7.0", "node_type": "cache.t3.small", "num_cache_clusters": 2,
		"automatic_failover_enabled": true, "multi_az_enabled": true, "port": 6401, "preferred_cache_cluster_azs": []string{"us-east-1a", "us-east-1b"}, "parameter_group_name": "default.redis7",
		"security_group_ids": []string{"sg-0a"}, "ip_discovery": "ipv4", "network_type": "ipv4", "tags": map[string]string{"own": "1"}})
	group.apply(
		args{"description": "two", "snapshot_retention_limit": 2, "snapshot_window": "03:00-04:30", "maintenance_window": "wed:06:30-wed:07:30", "notification_topic_arn": topic, "auto_minor_version_upgrade": false,
			"tags": map[string]string{"own": "2"}},
		args{"apply_immediately": true, "node_type": "cache.t3.medium", "security_group_ids": []string{"sg-0b"}, "parameter_group_name": parameters.id})
	parameters.apply(args{"parameter": map[string]string{"maxmemory-policy": "noeviction", "timeout": "30"}}) // and the nodes take it
	group.apply(args{"num_cache_clusters": 3}, args{"num_cache_clusters": 2, "snapshot_retention_limit": 0, "description": "fewer"}, args{"engine_version": "7.1"},
		args{"engine": "valkey", "engine_version": "8.0", "parameter_group_name": "default.valkey8"}, args{"multi_az_enabled": false, "automatic_failover_enabled": false}, args{"num_cache_clusters": 1})
	member := p.cacheCluster()
	member.bare = nil // it shows what its group has
	p.life(member, args{"cluster_id": "tf-member", "replication_group_id": group.id}, args{"tags": map[string]string{"own": "1"}})
	group.end("tf-group-final")
	p.life(p.replicationGroup(), args{"replication_group_id": "tf-restored", "description": byTerraform, "engine": "valkey", "engine_version": "8.0", "node_type": "cache.t3.small", "snapshot_name": "tf-group-final",
		"automatic_failover_enabled": true, "node_group_configuration": []string{"0001 0-5000 us-east-1b", "0002 5001-16383 us-east-1a"}})
	p.life(p.serverlessCache(), args{"name": "tf-restored", "engine": "valkey", "snapshot_arns_to_restore": []string{"arn:aws:elasticache:us-east-1:123456789012:snapshot:tf-group-final"}})
	p.life(p.replicationGroup(), args{"replication_group_id": "tf-bare", "description": byTerraform, "engine": "redis", "node_type": "cache.t3.small", "maintenance_window": "tue:06:30-tue:07:30", "snapshot_window": "01:00-02:00"},
		args{"snapshot_retention_limit": 1}, args{"num_cache_clusters": 2, "automatic_failover_enabled": true})
	parameters.end("")
}

func (p *provider) encryptedGroups() {
	user := p.make(p.cacheUser(), args{"user_id": "tf-enc", "user_name": "default", "engine": "REDIS", "access_string": "on ~* +@all", "passwords": []string{password}})
	other := p.make(p.cacheUser(), args{"user_id": "tf-enc-app", "user_name": "app", "engine": "REDIS", "access_string": "on ~* +@all", "passwords": []string{password}})
	users := p.make(p.cacheUserGroup(), args{"user_group_id": "tf-enc-users", "engine": "REDIS", "user_ids": []string{user.id}})
	group := p.make(p.replicationGroup(), args{"replication_group_id": "tf-encrypted", "description": byTerraform, "engine": "valkey", "engine_version": "8.0", "node_type": "cache.t4g.small", "num_cache_clusters": 1,
		"transit_encryption_enabled": true, "transit_encryption_mode": "required", "at_rest_encryption_enabled": true, "kms_key_id": p.key, "auth_token": password, "apply_immediately": true})
	group.apply(args{"auth_token": password2, "auth_token_update_strategy": "ROTATE"}, args{"auth_token_update_strategy": "SET"}, args{"auth_token": password3},
		args{"auth_token": nil, "auth_token_update_strategy": "DELETE", "user_group_ids": []string{users.id}})
	users.apply(args{"user_ids": []string{user.id, other.id}}) // and the engines take them
	other.apply(args{"access_string": "on ~app:* +@read", "passwords": []string{password2}})
	group.apply(args{"description": "with users"}, args{"user_group_ids": []string(nil)})
	group.end("")
	users.end("")
	other.end("")
	user.end("")
}

func (p *provider) shardedGroups() {
	r := p.replicationGroup()
	r.fixed = []string{"arn", "replication_group_id", "port", "cluster_enabled", "configuration_endpoint_address"}
	p.life(r, args{"replication_group_id": "tf-shards", "description": byTerraform, "engine": "valkey", "engine_version": "8.0", "node_type": "cache.t4g.small", "num_node_groups": 2, "replicas_per_node_group": 0,
		"automatic_failover_enabled": true, "parameter_group_name": "default.valkey8.cluster.on", "apply_immediately": true, "snapshot_retention_limit": 1},
		args{"num_node_groups": 3}, args{"num_node_groups": 1, "snapshot_retention_limit": 2, "description": "one shard"}, args{"replicas_per_node_group": 1}, args{"replicas_per_node_group": 0, "node_type": "cache.t4g.medium"})
}
