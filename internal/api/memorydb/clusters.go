package memorydb

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// clusterRoutes serves clusters.
func (h handler) clusterRoutes(f *gateway.API) {
	gateway.Route(f, mdbapi.OpCreateCluster, createClusterNeeds, h.createCluster)
	gateway.Route(f, mdbapi.OpDescribeClusters, func(c *gateway.Call, in *mdbapi.DescribeClustersInput) []policy.Need {
		return need(c, "DescribeClusters", "cluster", in.ClusterName)
	}, h.describeClusters)
	gateway.Route(f, mdbapi.OpDeleteCluster, func(c *gateway.Call, in *mdbapi.DeleteClusterInput) []policy.Need {
		needs := need(c, "DeleteCluster", "cluster", in.ClusterName)
		if text(in.FinalSnapshotName) != "" {
			needs = append(needs, need(c, "CreateSnapshot", "snapshot", in.FinalSnapshotName)...)
		}
		return needs
	}, h.deleteCluster)
	gateway.Route(f, mdbapi.OpUpdateCluster, func(c *gateway.Call, in *mdbapi.UpdateClusterInput) []policy.Need {
		needs := need(c, "UpdateCluster", "cluster", in.ClusterName)
		if text(in.ACLName) != "" {
			needs = append(needs, need(c, "UpdateCluster", "acl", in.ACLName)...)
		}
		if text(in.ParameterGroupName) != "" {
			needs = append(needs, need(c, "UpdateCluster", "parametergroup", in.ParameterGroupName)...)
		}
		return needs
	}, h.updateCluster)
	gateway.Route(f, mdbapi.OpFailoverShard, func(c *gateway.Call, in *mdbapi.FailoverShardInput) []policy.Need {
		return need(c, "FailoverShard", "cluster", in.ClusterName)
	}, h.failoverShard)
	gateway.Route(f, mdbapi.OpBatchUpdateCluster, func(c *gateway.Call, in *mdbapi.BatchUpdateClusterInput) []policy.Need {
		var needs []policy.Need
		for _, name := range in.ClusterNames {
			needs = append(needs, need(c, "BatchUpdateCluster", "cluster", &name)...)
		}
		return append(needs, need(c, "BatchUpdateCluster", "cluster", nil)[:max(0, 1-len(needs))]...)
	}, h.batchUpdate)
}

// createClusterNeeds asks for all that a new cluster touches.
func createClusterNeeds(c *gateway.Call, in *mdbapi.CreateClusterInput) []policy.Need {
	needs := tagged(c, "CreateCluster", "cluster", in.ClusterName, in.Tags)
	for _, n := range []struct {
		typ  string
		name *string
	}{{"acl", in.ACLName}, {"parametergroup", in.ParameterGroupName}, {"subnetgroup", in.SubnetGroupName}, {"snapshot", in.SnapshotName}} {
		if text(n.name) != "" {
			needs = append(needs, need(c, "CreateCluster", n.typ, n.name)...)
		}
	}
	for _, arn := range in.SnapshotArns {
		if a, ok := resource.ParseARN(arn); ok && a.Service == "s3" {
			needs = append(needs, policy.Need{Action: "s3:GetObject", Resource: arn})
		}
	}
	return needs
}

func (h handler) createCluster(ctx context.Context, c *gateway.Call, in *mdbapi.CreateClusterInput) (*mdbapi.CreateClusterOutput, error) {
	if err := refuse(in.MultiRegionClusterName, in.DataTiering, in.IpDiscovery); err != nil {
		return nil, err
	}
	tls := true // as the API documents it
	if in.TLSEnabled != nil {
		tls = *in.TLSEnabled
	}
	d, err := h.control.CreateDeployment(ctx, control.CreateDeployment{
		Scope: c.Scope, Kind: resource.MemoryDBCluster, Name: text(in.ClusterName), Description: text(in.Description),
		Engine: text(in.Engine), EngineVersion: text(in.EngineVersion), NodeType: text(in.NodeType), Port: number(in.Port),
		ParameterGroup: text(in.ParameterGroupName), SubnetGroup: text(in.SubnetGroupName), SecurityGroups: in.SecurityGroupIds,
		NetworkType: enum(in.NetworkType), NumShards: number(in.NumShards), Replicas: number(in.NumReplicasPerShard),
		SnapshotName: text(in.SnapshotName), SnapshotArns: in.SnapshotArns, MaintenanceWindow: text(in.MaintenanceWindow),
		SnapshotWindow: text(in.SnapshotWindow), SnapshotRetention: number(in.SnapshotRetentionLimit), AutoMinorUpgrade: in.AutoMinorVersionUpgrade,
		Topic: text(in.SnsTopicArn), TransitEncryption: &tls, KMSKeyID: text(in.KmsKeyId), UserGroups: []string{text(in.ACLName)}, Tags: tagsIn(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &mdbapi.CreateClusterOutput{Cluster: clusterOut(d, false)}, nil
}

// refuse says no to what a server on one's own machines cannot do.
func refuse(multiRegion *string, tiering *bool, discovery *mdbapi.IpDiscovery) error {
	switch {
	case text(multiRegion) != "":
		return resource.Errorf(resource.InvalidValue, resource.TypeParameter, "MultiRegionClusterName",
			"MultiRegionClusterName is not available: a multi-Region cluster spans regions, and a server is one place.")
	case tiering != nil && *tiering:
		return resource.Errorf(resource.InvalidValue, resource.TypeParameter, "DataTiering",
			"DataTiering is not available: stock engines keep all data in memory.")
	case discovery != nil && *discovery != mdbapi.IpDiscoveryIpv4:
		return resource.Errorf(resource.InvalidValue, resource.TypeParameter, "IpDiscovery",
			"IpDiscovery %s is not available: Keyframe's nodes listen on IPv4 addresses.", *discovery)
	}
	return nil
}

func (h handler) describeClusters(ctx context.Context, c *gateway.Call, in *mdbapi.DescribeClustersInput) (*mdbapi.DescribeClustersOutput, error) {
	all, next, err := h.control.DescribeDeployments(ctx, control.DescribeDeployments{Scope: c.Scope, Kind: resource.MemoryDBCluster,
		Name: text(in.ClusterName), Page: control.Page{Most: number(in.MaxResults), Token: text(in.NextToken)}})
	if err != nil {
		return nil, err
	}
	out := &mdbapi.DescribeClustersOutput{NextToken: shown(next), Clusters: make([]mdbapi.Cluster, len(all))}
	for i, d := range all {
		out.Clusters[i] = *clusterOut(d, in.ShowShardDetails != nil && *in.ShowShardDetails)
	}
	return out, nil
}

func (h handler) deleteCluster(ctx context.Context, c *gateway.Call, in *mdbapi.DeleteClusterInput) (*mdbapi.DeleteClusterOutput, error) {
	if err := refuse(in.MultiRegionClusterName, nil, nil); err != nil {
		return nil, err
	}
	d, err := h.control.DeleteDeployment(ctx, control.DeleteDeployment{Scope: c.Scope, Kind: resource.MemoryDBCluster, Name: text(in.ClusterName),
		FinalSnapshot: text(in.FinalSnapshotName)})
	if err != nil {
		return nil, err
	}
	return &mdbapi.DeleteClusterOutput{Cluster: clusterOut(d, false)}, nil
}
