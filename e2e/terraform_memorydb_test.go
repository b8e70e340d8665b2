package e2e

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	mdbtypes "github.com/aws/aws-sdk-go-v2/service/memorydb/types"
)

func (p *provider) findMemoryDB(id string) *mdbtypes.Cluster {
	out, err := p.mdb.DescribeClusters(p.ctx, &memorydb.DescribeClustersInput{ClusterName: &id, ShowShardDetails: aws.Bool(true)})
	if _, there := found[*mdbtypes.ClusterNotFoundFault](p, out, err); !there {
		return nil
	}
	return single(p, out.Clusters)
}

func (p *provider) cluster() res {
	wait := func(id, target string, pending ...string) {
		p.wait("cluster "+id, pending, target, func() (string, bool) {
			c := p.findMemoryDB(id)
			if c == nil {
				return "", false
			}
			return *c.Status, true
		})
	}
	available := func(id string) { wait(id, "available", "creating", "updating", "snapshotting") }
	return res{
		tags: p.clusterTags, tag: p.clusterTag, bare: []string{"kms_key_arn", "sns_topic_arn", "data_tiering", "snapshot_retention_limit"}, fixed: []string{"arn", "name", "cluster_endpoint", "port"},
		create: func(in args) string {
			req := &memorydb.CreateClusterInput{ClusterName: in.str("name"), ACLName: in.str("acl_name"), AutoMinorVersionUpgrade: in.flag("auto_minor_version_upgrade"), Description: in.str("description"),
				Engine: in.str("engine"), EngineVersion: in.str("engine_version"), KmsKeyId: in.str("kms_key_arn"), MaintenanceWindow: in.str("maintenance_window"), NodeType: in.str("node_type"),
				NumReplicasPerShard: aws.Int32(int32(in["num_replicas_per_shard"].(int))), NumShards: in.num("num_shards"), ParameterGroupName: in.str("parameter_group_name"), Port: in.num("port"),
				SecurityGroupIds: in.list("security_group_ids"), SnapshotRetentionLimit: in.num("snapshot_retention_limit"), SnapshotWindow: in.str("snapshot_window"), SnapshotName: in.str("snapshot_name"), SnsTopicArn: in.str("sns_topic_arn"),
				SubnetGroupName: in.str("subnet_group_name"), TLSEnabled: aws.Bool(in["tls_enabled"] == true), Tags: in.clusterTags()}
			must[*memorydb.CreateClusterOutput](p)(p.mdb.CreateCluster(p.ctx, req))
			available(*in.str("name"))
			return *in.str("name")
		},
		read: func(id string, _ args) args {
			c := p.findMemoryDB(id)
			if c == nil {
				return nil
			}
			var most int32
			var shards, security []string
			for _, s := range c.Shards {
				if *s.Status == "available" {
					most = max(most, aws.ToInt32(s.NumberOfNodes))
				}
				line := fmt.Sprint(*s.Name, *s.NumberOfNodes, *s.Slots)
				for _, n := range s.Nodes {
					line += fmt.Sprint(" ", *n.Name, *n.AvailabilityZone, n.CreateTime.Format(time.RFC3339), *n.Endpoint.Address, n.Endpoint.Port)
				}
				shards = append(shards, line)
			}
			if most == 0 {
				p.t.Fatalf("no available shards found in %+v", c.Shards)
			}
			for _, g := range c.SecurityGroups {
				security = append(security, *g.SecurityGroupId)
			}
			state := args{"arn": *c.ARN, "name": *c.Name, "acl_name": *c.ACLName, "auto_minor_version_upgrade": *c.AutoMinorVersionUpgrade, "data_tiering": c.DataTiering == mdbtypes.DataTieringStatusTrue,
				"description": aws.ToString(c.Description), "engine": *c.Engine, "engine_version": *c.EngineVersion, "engine_patch_version": *c.EnginePatchVersion, "kms_key_arn": aws.ToString(c.KmsKeyId),
				"maintenance_window": *c.MaintenanceWindow, "node_type": *c.NodeType, "num_replicas_per_shard": int(most - 1), "num_shards": int(*c.NumberOfShards), "parameter_group_name": *c.ParameterGroupName,
				"security_group_ids": set(security), "shards": set(shards), "snapshot_retention_limit": int(aws.ToInt32(c.SnapshotRetentionLimit)), "snapshot_window": aws.ToString(c.SnapshotWindow),
				"subnet_group_name": aws.ToString(c.SubnetGroupName), "tls_enabled": *c.TLSEnabled, "sns_topic_arn": ""}
			if e := c.ClusterEndpoint; e != nil {
				state["cluster_endpoint"], state["port"] = *e.Address, int(e.Port)
			}
			if aws.ToString(c.SnsTopicStatus) == "ACTIVE" {
				state["sns_topic_arn"] = *c.SnsTopicArn
			}
			return state
		},
		update: func(id string, was, now args) {
			in := &memorydb.UpdateClusterInput{ClusterName: &id, ACLName: given[string](was, now, "acl_name"), Description: given[string](was, now, "description"), Engine: given[string](was, now, "engine"),
				EngineVersion: given[string](was, now, "engine_version"), MaintenanceWindow: given[string](was, now, "maintenance_window"), NodeType: given[string](was, now, "node_type"),
				ParameterGroupName: given[string](was, now, "parameter_group_name"), SnapshotRetentionLimit: givenNum(was, now, "snapshot_retention_limit"), SnapshotWindow: given[string](was, now, "snapshot_window"),
				SnsTopicArn: given[string](was, now, "sns_topic_arn")}
			if n := givenNum(was, now, "num_replicas_per_shard"); n != nil {
				in.ReplicaConfiguration = &mdbtypes.ReplicaConfigurationRequest{ReplicaCount: *n}
			}
			if n := givenNum(was, now, "num_shards"); n != nil {
				in.ShardConfiguration = &mdbtypes.ShardConfigurationRequest{ShardCount: *n}
			}
			if differs(was, now, "security_group_ids") {
				in.SecurityGroupIds = now.list("security_group_ids")
			}
			if t := in.SnsTopicArn; t != nil {
				in.SnsTopicStatus = aws.String("ACTIVE")
				if *t == "" {
					in.SnsTopicStatus = aws.String("INACTIVE")
				}
			}
			must[*memorydb.UpdateClusterOutput](p)(p.mdb.UpdateCluster(p.ctx, in))
			available(id)
			if in.ParameterGroupName != nil {
				p.wait("parameter group of "+id, []string{"applying"}, "in-sync", func() (string, bool) { return *p.findMemoryDB(id).ParameterGroupStatus, true })
			}
			if in.SecurityGroupIds != nil {
				p.wait("security groups of "+id, []string{"modifying"}, "active", func() (string, bool) {
					for _, g := range p.findMemoryDB(id).SecurityGroups {
						if *g.Status != "active" {
							return "modifying", true
						}
					}
					return "active", true
				})
			}
		},
		remove: func(id string, finally *string) {
			out, err := p.mdb.DeleteCluster(p.ctx, &memorydb.DeleteClusterInput{ClusterName: &id, FinalSnapshotName: finally})
			if _, there := found[*mdbtypes.ClusterNotFoundFault](p, out, err); there {
				wait(id, "", "deleting")
			}
		},
	}
}

func (p *provider) snapshot() res {
	find := func(id string) *mdbtypes.Snapshot {
		out, err := p.mdb.DescribeSnapshots(p.ctx, &memorydb.DescribeSnapshotsInput{SnapshotName: &id})
		if _, there := found[*mdbtypes.SnapshotNotFoundFault](p, out, err); !there {
			return nil
		}
		return single(p, out.Snapshots)
	}
	wait := func(id, target string, pending ...string) {
		p.wait("snapshot "+id, pending, target, func() (string, bool) {
			s := find(id)
			if s == nil {
				return "", false
			}
			return *s.Status, true
		})
	}
	return res{
		tags: p.clusterTags, tag: p.clusterTag, bare: []string{"kms_key_arn"}, fixed: []string{"arn", "name", "source", "cluster_configuration"},
		create: func(in args) string {
			must[*memorydb.CreateSnapshotOutput](p)(p.mdb.CreateSnapshot(p.ctx, &memorydb.CreateSnapshotInput{ClusterName: in.str("cluster_name"), SnapshotName: in.str("name"), KmsKeyId: in.str("kms_key_arn"), Tags: in.clusterTags()}))
			wait(*in.str("name"), "available", "creating")
			return *in.str("name")
		},
		read: func(id string, _ args) args {
			s := find(id)
			if s == nil {
				return nil
			}
			c := s.ClusterConfiguration
			return args{"arn": *s.ARN, "name": *s.Name, "cluster_name": *c.Name, "kms_key_arn": aws.ToString(s.KmsKeyId), "source": *s.Source, "cluster_configuration": args{"description": aws.ToString(c.Description),
				"engine": *c.Engine, "engine_version": *c.EngineVersion, "maintenance_window": *c.MaintenanceWindow, "node_type": *c.NodeType, "num_shards": int(*c.NumShards), "parameter_group_name": *c.ParameterGroupName,
				"port": int(*c.Port), "snapshot_retention_limit": int(*c.SnapshotRetentionLimit), "snapshot_window": *c.SnapshotWindow, "subnet_group_name": aws.ToString(c.SubnetGroupName),
				"topic_arn": aws.ToString(c.TopicArn), "vpc_id": aws.ToString(c.VpcId)}}
		},
		remove: func(id string, _ *string) {
			out, err := p.mdb.DeleteSnapshot(p.ctx, &memorydb.DeleteSnapshotInput{SnapshotName: &id})
			if _, there := found[*mdbtypes.SnapshotNotFoundFault](p, out, err); there {
				wait(id, "", "deleting")
			}
		},
	}
}

func (p *provider) clustersAndSnapshots() {
	user := p.make(p.user(), args{"user_name": "tf-member", "access_string": "on ~* &* +@all", "authentication_type": "password", "authentication_passwords": []string{password}})
	other := p.make(p.user(), args{"user_name": "tf-other", "access_string": "on ~* &* +@all", "authentication_type": "password", "authentication_passwords": []string{password}})
	acl := p.make(p.acl(), args{"name": "tf-members", "user_names": []string{user.id}})
	parameters := p.make(p.parameterGroup(), args{"name": "tf-members", "family": "memorydb_redis7", "description": byTerraform, "parameter": map[string]string{"maxmemory-policy": "allkeys-lru"}})
	cluster := p.make(p.cluster(), args{"name": "tf-cluster", "acl_name": "open-access", "node_type": "db.t4g.small", "engine": "redis", "engine_version": "7.0", "num_shards": 1, "num_replicas_per_shard": 0,
		"tls_enabled": true, "description": byTerraform, "port": 6403, "security_group_ids": []string{"sg-0a"}, "auto_minor_version_upgrade": false, "sns_topic_arn": topic, "kms_key_arn": p.key,
		"tags": map[string]string{"own": "1"}})
	cluster.apply(
		args{"description": "updated", "maintenance_window": "thu:09:00-thu:10:00", "snapshot_window": "04:00-05:00", "snapshot_retention_limit": 2, "sns_topic_arn": topic2},
		args{"acl_name": acl.id, "parameter_group_name": parameters.id, "security_group_ids": []string{"sg-0b"}})
	acl.apply(args{"user_names": []string{user.id, other.id}}) // and the engines take it
	other.apply(args{"access_string": "on ~app:* &* +@read"})
	parameters.apply(args{"parameter": map[string]string{"maxmemory-policy": "noeviction", "timeout": "30"}})
	cluster.apply(args{"num_shards": 2}, args{"num_shards": 1, "tags": map[string]string{"own": "2"}}, args{"num_replicas_per_shard": 1},
		args{"num_replicas_per_shard": 0, "sns_topic_arn": "", "snapshot_retention_limit": 0}, args{"node_type": "db.t4g.medium", "acl_name": "open-access"},
		args{"engine_version": "7.1", "parameter_group_name": "default.memorydb-redis7"})
	p.life(p.snapshot(), args{"name": "tf-snapshot", "cluster_name": cluster.id, "kms_key_arn": p.key, "tags": map[string]string{"own": "1"}}, args{"tags": map[string]string{"own": "2"}})
	cluster.end("tf-final")
	p.life(p.cluster(), args{"name": "tf-restored", "snapshot_name": "tf-final", "acl_name": "open-access", "node_type": "db.t4g.small", "num_shards": 2, "num_replicas_per_shard": 0})
	acl.end("")
	other.end("")
	user.end("")
	parameters.end("")
}
