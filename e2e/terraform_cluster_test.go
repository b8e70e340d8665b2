package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

// tfVersion is an engine version as the provider keeps it: major and minor since Redis 6, all of it before and for memcached.
func tfVersion(engine, full string) string {
	parts := strings.Split(full, ".")
	if engine == "memcached" || parts[0] < "6" {
		return full
	}
	return strings.Join(parts[:2], ".")
}

// fromCluster are the attributes that clusters and groups have from a cache cluster.
func fromCluster(state args, c *ectypes.CacheCluster) {
	var security []string
	for _, g := range c.SecurityGroups {
		security = append(security, *g.SecurityGroupId)
	}
	for name, value := range map[string]any{"node_type": *c.CacheNodeType, "engine": *c.Engine, "engine_version": tfVersion(*c.Engine, *c.EngineVersion), "engine_version_actual": *c.EngineVersion,
		"auto_minor_version_upgrade": aws.ToBool(c.AutoMinorVersionUpgrade), "subnet_group_name": aws.ToString(c.CacheSubnetGroupName), "security_group_ids": set(security),
		"parameter_group_name": aws.ToString(c.CacheParameterGroup.CacheParameterGroupName), "maintenance_window": aws.ToString(c.PreferredMaintenanceWindow)} {
		state[name] = value
	}
}

func (p *provider) findCluster(id string, nodes *bool) *ectypes.CacheCluster {
	out, err := p.ec.DescribeCacheClusters(p.ctx, &elasticache.DescribeCacheClustersInput{CacheClusterId: &id, ShowCacheNodeInfo: nodes})
	if _, there := found[*ectypes.CacheClusterNotFoundFault](p, out, err); !there {
		return nil
	}
	return single(p, out.CacheClusters)
}

func (p *provider) cacheCluster() res {
	wait := func(id, target string, pending ...string) {
		p.wait("cache cluster "+id, pending, target, func() (string, bool) {
			c := p.findCluster(id, nil)
			if c == nil {
				return "", false
			}
			return *c.CacheClusterStatus, true
		})
	}
	available := func(id string) {
		wait(id, "available", "creating", "modifying", "snapshotting", "rebooting cluster nodes")
	}
	return res{
		tags: p.cacheTags, tag: p.cacheTag, bare: []string{"notification_topic_arn", "snapshot_retention_limit", "replication_group_id", "preferred_outpost_arn", "log_delivery_configuration"},
		fixed: []string{"arn", "cluster_id", "port", "configuration_endpoint", "availability_zone"},
		create: func(in args) string {
			req := &elasticache.CreateCacheClusterInput{CacheClusterId: in.str("cluster_id"), Engine: in.str("engine"), EngineVersion: in.str("engine_version"), CacheNodeType: in.str("node_type"), SnapshotName: in.str("snapshot_name"),
				NumCacheNodes: in.num("num_cache_nodes"), Port: in.num("port"), CacheSubnetGroupName: in.str("subnet_group_name"), CacheParameterGroupName: in.str("parameter_group_name"),
				SnapshotRetentionLimit: in.num("snapshot_retention_limit"), SnapshotWindow: in.str("snapshot_window"),
				PreferredMaintenanceWindow: in.str("maintenance_window"), NotificationTopicArn: in.str("notification_topic_arn"), TransitEncryptionEnabled: in.yes("transit_encryption_enabled"),
				PreferredAvailabilityZone: in.str("availability_zone"), PreferredAvailabilityZones: in.list("preferred_availability_zones"), AutoMinorVersionUpgrade: in.flag("auto_minor_version_upgrade"),
				AZMode: ectypes.AZMode(aws.ToString(in.str("az_mode"))), IpDiscovery: ectypes.IpDiscovery(aws.ToString(in.str("ip_discovery"))),
				NetworkType: ectypes.NetworkType(aws.ToString(in.str("network_type"))), Tags: in.cacheTags()}
			if req.ReplicationGroupId = in.str("replication_group_id"); req.ReplicationGroupId == nil {
				req.SecurityGroupIds = append([]string{}, in.list("security_group_ids")...)
			}
			id := strings.ToLower(*must[*elasticache.CreateCacheClusterOutput](p)(p.ec.CreateCacheCluster(p.ctx, req)).CacheCluster.CacheClusterId)
			available(id)
			return id
		},
		read: func(id string, _ args) args {
			c := p.findCluster(id, aws.Bool(true))
			if c == nil {
				return nil
			}
			state := args{"arn": *c.ARN, "cluster_id": *c.CacheClusterId, "snapshot_window": aws.ToString(c.SnapshotWindow), "snapshot_retention_limit": int(aws.ToInt32(c.SnapshotRetentionLimit)),
				"num_cache_nodes": int(*c.NumCacheNodes), "replication_group_id": aws.ToString(c.ReplicationGroupId), "availability_zone": aws.ToString(c.PreferredAvailabilityZone), "az_mode": "single-az",
				"ip_discovery": string(c.IpDiscovery), "network_type": string(c.NetworkType), "preferred_outpost_arn": aws.ToString(c.PreferredOutpostArn),
				"transit_encryption_enabled": aws.ToBool(c.TransitEncryptionEnabled), "log_delivery_configuration": len(c.LogDeliveryConfigurations), "notification_topic_arn": ""}
			fromCluster(state, c)
			if e := c.ConfigurationEndpoint; e != nil {
				state["port"], state["configuration_endpoint"], state["cluster_address"] = int(*e.Port), fmt.Sprintf("%s:%d", *e.Address, *e.Port), *e.Address
			} else if len(c.CacheNodes) > 0 {
				state["port"] = int(*c.CacheNodes[0].Endpoint.Port)
			}
			if n := c.NotificationConfiguration; n != nil && aws.ToString(n.TopicStatus) == "active" {
				state["notification_topic_arn"] = *n.TopicArn
			}
			if state["availability_zone"] == "Multiple" {
				state["az_mode"] = "cross-az"
			}
			slices.SortFunc(c.CacheNodes, func(a, b ectypes.CacheNode) int { return cmp.Compare(*a.CacheNodeId, *b.CacheNodeId) })
			nodes := []string{}
			for _, n := range c.CacheNodes { // the provider ends on a node that lacks one of these
				nodes = append(nodes, fmt.Sprint(*n.CacheNodeId, *n.Endpoint.Address, *n.Endpoint.Port, *n.CustomerAvailabilityZone))
			}
			state["cache_nodes"] = nodes
			return state
		},
		update: func(id string, was, now args) {
			in := &elasticache.ModifyCacheClusterInput{CacheClusterId: &id, ApplyImmediately: aws.Bool(now["apply_immediately"] == true), CacheParameterGroupName: given[string](was, now, "parameter_group_name"),
				PreferredMaintenanceWindow: given[string](was, now, "maintenance_window"), NotificationTopicArn: given[string](was, now, "notification_topic_arn"), Engine: given[string](was, now, "engine"),
				EngineVersion: given[string](was, now, "engine_version"), AutoMinorVersionUpgrade: given[bool](was, now, "auto_minor_version_upgrade"), SnapshotWindow: given[string](was, now, "snapshot_window"),
				CacheNodeType: given[string](was, now, "node_type"), SnapshotRetentionLimit: givenNum(was, now, "snapshot_retention_limit"), NumCacheNodes: givenNum(was, now, "num_cache_nodes"),
				AZMode: ectypes.AZMode(aws.ToString(given[string](was, now, "az_mode")))}
			if t := in.NotificationTopicArn; t != nil && *t == "" {
				in.NotificationTopicStatus = aws.String("inactive")
			}
			if differs(was, now, "security_group_ids") {
				in.SecurityGroupIds = now.list("security_group_ids")
			}
			if n := in.NumCacheNodes; n != nil {
				old := was["num_cache_nodes"].(int)
				for i := old; i > int(*n); i-- {
					in.CacheNodeIdsToRemove = append(in.CacheNodeIdsToRemove, fmt.Sprintf("%04d", i))
				}
				if zones := now.list("preferred_availability_zones"); len(zones) > old {
					in.NewAvailabilityZones = zones[old:]
				}
			}
			must[*elasticache.ModifyCacheClusterOutput](p)(p.ec.ModifyCacheCluster(p.ctx, in))
			available(id)
		},
		remove: func(id string, finally *string) {
			until(p.t, "the deletion of cache cluster "+id, func() (bool, error) {
				out, err := p.ec.DeleteCacheCluster(p.ctx, &elasticache.DeleteCacheClusterInput{CacheClusterId: &id, FinalSnapshotIdentifier: finally})
				if _, ready := found[*ectypes.InvalidCacheClusterStateFault](p, out, ignore[*ectypes.CacheClusterNotFoundFault](err)); !ready {
					return false, nil // tried again
				}
				return true, nil
			})
			wait(id, "", "creating", "available", "modifying", "deleting", "incompatible-network", "restore-failed", "snapshotting")
		},
	}
}

// ignore drops an error of one type.
func ignore[E error](err error) error {
	if isA[E](err) {
		return nil
	}
	return err
}

const topic, topic2 = "arn:aws:sns:us-east-1:123456789012:caches", "arn:aws:sns:us-east-1:123456789012:others"

func (p *provider) cacheClusters() {
	nets := p.make(p.cacheSubnetGroup(), args{"name": "tf-cluster-nets", "description": byTerraform, "subnet_ids": []string{"subnet-0a"}})
	group := p.make(p.cacheParameterGroup(), args{"name": "tf-cluster", "family": "redis7", "description": byTerraform, "parameter": map[string]string{"maxmemory-policy": "allkeys-lru"}})
	cluster := p.make(p.cacheCluster(), args{"cluster_id": "tf-redis", "engine": "redis", "engine_version": "7.0", "node_type": "cache.t3.small", "num_cache_nodes": 1, "port": 6400, "parameter_group_name": "default.redis7",
		"subnet_group_name": nets.id, "security_group_ids": []string{"sg-0a"}, "availability_zone": "us-east-1a", "tags": map[string]string{"own": "1"}})
	cluster.apply(
		args{"snapshot_retention_limit": 3, "snapshot_window": "05:00-06:00", "maintenance_window": "tue:06:30-tue:07:30", "notification_topic_arn": topic, "auto_minor_version_upgrade": false},
		args{"apply_immediately": true, "node_type": "cache.t3.medium", "security_group_ids": []string{"sg-0b", "sg-0c"}, "notification_topic_arn": topic2},
		args{"parameter_group_name": group.id, "tags": map[string]string{}})
	group.apply(args{"parameter": map[string]string{"maxmemory-policy": "noeviction", "timeout": "30"}}) // and the node takes it
	cluster.apply(args{"engine_version": "7.1", "snapshot_retention_limit": 0, "notification_topic_arn": ""}, args{"engine": "valkey", "engine_version": "8.0", "parameter_group_name": "default.valkey8"})
	cluster.end("tf-redis-final")
	p.life(p.cacheCluster(), args{"cluster_id": "tf-restored", "engine": "valkey", "node_type": "cache.t3.small", "num_cache_nodes": 1, "snapshot_name": "tf-redis-final"})
	group.end("")
	nets.end("")
}

func (p *provider) memcachedClusters() {
	r := p.cacheCluster()
	r.fixed = []string{"arn", "cluster_id", "port", "configuration_endpoint"}
	p.life(r, args{"cluster_id": "tf-memcached", "engine": "memcached", "engine_version": "1.6.22", "node_type": "cache.t3.small", "num_cache_nodes": 2, "az_mode": "cross-az", "apply_immediately": true,
		"preferred_availability_zones": []string{"us-east-1a", "us-east-1b"}, "port": 11300, "transit_encryption_enabled": true, "maintenance_window": "sun:05:00-sun:06:00"},
		args{"num_cache_nodes": 3, "preferred_availability_zones": []string{"us-east-1a", "us-east-1b", "us-east-1b"}},
		args{"num_cache_nodes": 1, "az_mode": "single-az", "preferred_availability_zones": []string{"us-east-1a"}}, args{"parameter_group_name": "default.memcached1.6", "maintenance_window": "mon:05:00-mon:06:00"})
}
