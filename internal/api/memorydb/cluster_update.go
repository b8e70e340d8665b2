package memorydb

import (
	"cmp"
	"context"
	"errors"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

func (h handler) updateCluster(ctx context.Context, c *gateway.Call, in *mdbapi.UpdateClusterInput) (*mdbapi.UpdateClusterOutput, error) {
	if err := refuse(nil, nil, in.IpDiscovery); err != nil {
		return nil, err
	}
	m := control.ModifyDeployment{
		Scope: c.Scope, Kind: resource.MemoryDBCluster, Name: text(in.ClusterName), Immediately: true, Description: in.Description,
		Engine: in.Engine, EngineVersion: in.EngineVersion, NodeType: in.NodeType, ParameterGroup: in.ParameterGroupName,
		SecurityGroups: in.SecurityGroupIds, MaintenanceWindow: in.MaintenanceWindow, SnapshotWindow: in.SnapshotWindow,
		SnapshotRetention: number(in.SnapshotRetentionLimit), Topic: in.SnsTopicArn, TopicStatus: in.SnsTopicStatus, ACL: in.ACLName,
	}
	if in.ShardConfiguration != nil {
		m.NumShards = number(in.ShardConfiguration.ShardCount)
	}
	if in.ReplicaConfiguration != nil {
		m.Replicas = cmp.Or(number(in.ReplicaConfiguration.ReplicaCount), new(int)) // SDKs do not send a zero
	}
	d, err := h.control.ModifyDeployment(ctx, m)
	if err != nil {
		return nil, err
	}
	return &mdbapi.UpdateClusterOutput{Cluster: clusterOut(d, false)}, nil
}

func (h handler) failoverShard(ctx context.Context, c *gateway.Call, in *mdbapi.FailoverShardInput) (*mdbapi.FailoverShardOutput, error) {
	d, err := h.control.FailoverShard(ctx, control.FailoverShard{Scope: c.Scope, Kind: resource.MemoryDBCluster, Name: text(in.ClusterName), Shard: text(in.ShardName)})
	if err != nil {
		return nil, err
	}
	return &mdbapi.FailoverShardOutput{Cluster: clusterOut(d, false)}, nil
}

// batchUpdate applies a service update to clusters. None is ever released: a named one does not exist, and without one there is nothing
// to do to the clusters that do.
func (h handler) batchUpdate(ctx context.Context, c *gateway.Call, in *mdbapi.BatchUpdateClusterInput) (*mdbapi.BatchUpdateClusterOutput, error) {
	if in.ServiceUpdate != nil && text(in.ServiceUpdate.ServiceUpdateNameToApply) != "" {
		name := text(in.ServiceUpdate.ServiceUpdateNameToApply)
		return nil, resource.Errorf(resource.NotFound, resource.TypeServiceUpdate, name, "Service update %.100q not found.", name)
	}
	out := &mdbapi.BatchUpdateClusterOutput{ProcessedClusters: []mdbapi.Cluster{}, UnprocessedClusters: []mdbapi.UnprocessedCluster{}}
	for _, name := range in.ClusterNames {
		all, _, err := h.control.DescribeDeployments(ctx, control.DescribeDeployments{Scope: c.Scope, Kind: resource.MemoryDBCluster, Name: cmp.Or(name, " ")}) // no name is nobody's, not everybody's
		var e *resource.Error
		switch {
		case err == nil:
			out.ProcessedClusters = append(out.ProcessedClusters, *clusterOut(all[0], false))
		case errors.As(err, &e) && e.Kind == resource.NotFound:
			out.UnprocessedClusters = append(out.UnprocessedClusters, mdbapi.UnprocessedCluster{ClusterName: ptr(name),
				ErrorType: ptr(mdbapi.ClusterNotFoundFault.Code), ErrorMessage: ptr(e.Error())})
		default:
			return nil, err
		}
	}
	return out, nil
}
