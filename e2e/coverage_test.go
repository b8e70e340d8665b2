package e2e

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	mdbtypes "github.com/aws/aws-sdk-go-v2/service/memorydb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/keyframe/keyframe/internal/api/coverage"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	ecface "github.com/keyframe/keyframe/internal/api/elasticache"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	mdbface "github.com/keyframe/keyframe/internal/api/memorydb"
	"github.com/keyframe/keyframe/internal/api/wire"
)

// register notes what became of every call that the SDK's clients made.
type register struct {
	sync.Mutex
	served, refused map[string]bool // by service and operation
}

// watch is a step in the SDK's clients.
func (r *register) watch(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Register", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
		middleware.InitializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleInitialize(ctx, in)
		r.Lock()
		defer r.Unlock()
		call := awsmiddleware.GetServiceID(ctx) + " " + awsmiddleware.GetOperationName(ctx)
		if err == nil {
			r.served[call] = true
		} else if typed(err) != "" {
			r.refused[call] = true
		}
		return out, meta, err
	}), middleware.After)
}

// typed is the code of an error that the SDK has a type for, which it has for those that the operation declares.
func typed(err error) string {
	var generic *smithy.GenericAPIError
	var fault smithy.APIError
	if errors.As(err, &generic) || !errors.As(err, &fault) {
		return ""
	}
	return fault.ErrorCode()
}

// tour calls the operations of both services as a program with the SDK would.
type tour struct {
	*testing.T
	ctx context.Context
	s   *server
	ec  *elasticache.Client
	mdb *memorydb.Client
}

// Every operation that is served is called through the SDK, once with success and once with a fault that it declares. What the registry
// of calls lacks in the end fails the test, so an operation that is served from now on needs its call here.
func TestEveryServedOperation(t *testing.T) {
	t.Parallel()
	s := serve(t)
	seen := &register{served: map[string]bool{}, refused: map[string]bool{}}
	config := s.config("us-east-1")
	config.APIOptions = append(config.APIOptions, seen.watch)
	ec, mdb := elasticache.NewFromConfig(config), memorydb.NewFromConfig(config)
	t.Run("calls", func(t *testing.T) {
		for name, visit := range map[string]func(*tour){"sharded": (*tour).sharded, "replicated": (*tour).replicated, "memcached": (*tour).memcached, "serverless": (*tour).serverless,
			"memorydb": (*tour).memorydb, "around": (*tour).around, "around memorydb": (*tour).aroundMemoryDB, "unknown": (*tour).unknown, "unknown memorydb": (*tour).unknownMemoryDB} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				visit(&tour{t, t.Context(), s, ec, mdb})
			})
		}
	})
	for _, service := range []struct {
		id        string
		table     *wire.Service
		decisions []coverage.Op
	}{{elasticache.ServiceID, ecapi.Service, ecface.Decisions()}, {memorydb.ServiceID, mdbapi.Service, mdbface.Decisions()}} {
		for _, op := range service.decisions {
			call := service.id + " " + op.Name
			if op.Status != coverage.Served {
				continue
			}
			if !seen.served[call] {
				t.Errorf("%s is served, and no call succeeded here", call)
			}
			if len(service.table.Operation(op.Name).Faults) > 0 && !seen.refused[call] {
				t.Errorf("%s is served, and no call here failed with a fault that it declares", call)
			}
		}
	}
}

// does makes a call that should work.
func does[In, Out, Option any](u *tour, call func(context.Context, *In, ...Option) (*Out, error), in *In) *Out {
	u.Helper()
	out, err := call(u.ctx, in)
	if err != nil {
		u.Fatal(err)
	}
	return out
}

// refuses makes a call that should fail with a fault of this code, for which the SDK has a type.
func refuses[In, Out, Option any](u *tour, code string, call func(context.Context, *In, ...Option) (*Out, error), in *In) {
	u.Helper()
	if _, err := call(u.ctx, in); typed(err) != code || reflect.ValueOf(in).IsNil() {
		u.Errorf("%T: got %v, want a typed %s", in, err, code)
	}
}

func (u *tour) group(name string, state string) (g ectypes.ReplicationGroup) {
	u.Helper()
	until(u.T, "group "+name+" "+state, func() (bool, error) {
		out, err := u.ec.DescribeReplicationGroups(u.ctx, &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &name})
		if state == "gone" && typed(err) == "ReplicationGroupNotFoundFault" {
			return true, nil
		} else if err != nil {
			return false, err
		}
		g = out.ReplicationGroups[0]
		return *g.Status == state, nil
	})
	return g
}

func (u *tour) snapshot(name string) (snap ectypes.Snapshot) {
	u.Helper()
	until(u.T, "snapshot "+name, func() (bool, error) {
		out, err := u.ec.DescribeSnapshots(u.ctx, &elasticache.DescribeSnapshotsInput{SnapshotName: &name})
		if err != nil {
			return false, err
		}
		snap = out.Snapshots[0]
		if *snap.SnapshotStatus == "failed" {
			u.Fatalf("snapshot %s failed", name)
		}
		return *snap.SnapshotStatus == "available", nil
	})
	return snap
}

// sharded is the life of a group in cluster mode: two shards with a replica each, three shards, a failover, snapshots, the end.
func (u *tour) sharded() {
	id := aws.String("shards")
	create := &elasticache.CreateReplicationGroupInput{ReplicationGroupId: id, ReplicationGroupDescription: aws.String("d"), Engine: aws.String("valkey"),
		CacheNodeType: aws.String("cache.t4g.micro"), NumNodeGroups: aws.Int32(2), ReplicasPerNodeGroup: aws.Int32(1), AutomaticFailoverEnabled: aws.Bool(true)}
	made := does(u, u.ec.CreateReplicationGroup, create)
	refuses(u, "ReplicationGroupAlreadyExists", u.ec.CreateReplicationGroup, create)
	snapshot := &elasticache.CreateSnapshotInput{ReplicationGroupId: id, SnapshotName: aws.String("shards-1")}
	refuses(u, "InvalidReplicationGroupState", u.ec.CreateSnapshot, snapshot)
	refuses(u, "InvalidReplicationGroupState", u.ec.TestFailover, &elasticache.TestFailoverInput{ReplicationGroupId: id, NodeGroupId: aws.String("0001")})
	u.group(*id, "available")

	if got := does(u, u.ec.CreateSnapshot, snapshot).Snapshot; *got.SnapshotStatus != "creating" || len(got.NodeSnapshots) != 2 || aws.ToString(got.NodeSnapshots[0].CacheSize) != "" || got.NodeSnapshots[0].SnapshotCreateTime != nil {
		u.Errorf("a snapshot in the making: %+v", got)
	}
	refuses(u, "SnapshotAlreadyExistsFault", u.ec.CreateSnapshot, snapshot)
	if got := u.snapshot("shards-1"); got.NodeSnapshots[0].SnapshotCreateTime == nil || !strings.HasSuffix(*got.NodeSnapshots[0].CacheSize, " MB") {
		u.Errorf("a snapshot: %+v", got)
	}
	does(u, u.ec.CopySnapshot, &elasticache.CopySnapshotInput{SourceSnapshotName: aws.String("shards-1"), TargetSnapshotName: aws.String("shards-2"), TargetBucket: aws.String("")})
	refuses(u, "SnapshotAlreadyExistsFault", u.ec.CopySnapshot, &elasticache.CopySnapshotInput{SourceSnapshotName: aws.String("shards-1"), TargetSnapshotName: aws.String("shards-2")})
	u.snapshot("shards-2")
	does(u, u.ec.DeleteSnapshot, &elasticache.DeleteSnapshotInput{SnapshotName: aws.String("shards-2")})

	u.group(*id, "available")
	refuses(u, "InvalidParameterValue", u.ec.ModifyReplicationGroupShardConfiguration, &elasticache.ModifyReplicationGroupShardConfigurationInput{ReplicationGroupId: id, NodeGroupCount: aws.Int32(0), ApplyImmediately: aws.Bool(true)})
	does(u, u.ec.ModifyReplicationGroupShardConfiguration, &elasticache.ModifyReplicationGroupShardConfigurationInput{ReplicationGroupId: id, NodeGroupCount: aws.Int32(3), ApplyImmediately: aws.Bool(true)})
	refuses(u, "InvalidReplicationGroupState", u.ec.DeleteReplicationGroup, &elasticache.DeleteReplicationGroupInput{ReplicationGroupId: id})
	if got := u.group(*id, "available"); len(got.NodeGroups) != 3 {
		u.Errorf("%d shards", len(got.NodeGroups))
	}
	refuses(u, "NodeGroupNotFoundFault", u.ec.TestFailover, &elasticache.TestFailoverInput{ReplicationGroupId: id, NodeGroupId: aws.String("0009")})
	does(u, u.ec.TestFailover, &elasticache.TestFailoverInput{ReplicationGroupId: id, NodeGroupId: aws.String("0001")})
	u.group(*id, "available")
	does(u, u.ec.ListAllowedNodeTypeModifications, &elasticache.ListAllowedNodeTypeModificationsInput{ReplicationGroupId: id})
	does(u, u.ec.AddTagsToResource, &elasticache.AddTagsToResourceInput{ResourceName: made.ReplicationGroup.ARN, Tags: []ectypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	if got := does(u, u.ec.ListTagsForResource, &elasticache.ListTagsForResourceInput{ResourceName: made.ReplicationGroup.ARN}).TagList; len(got) != 1 {
		u.Errorf("tags %v", got)
	}
	does(u, u.ec.RemoveTagsFromResource, &elasticache.RemoveTagsFromResourceInput{ResourceName: made.ReplicationGroup.ARN, TagKeys: []string{"k"}})
	refuses(u, "TagNotFound", u.ec.RemoveTagsFromResource, &elasticache.RemoveTagsFromResourceInput{ResourceName: made.ReplicationGroup.ARN, TagKeys: []string{"k"}})
	refuses(u, "SnapshotAlreadyExistsFault", u.ec.DeleteReplicationGroup, &elasticache.DeleteReplicationGroupInput{ReplicationGroupId: id, FinalSnapshotIdentifier: aws.String("shards-1")})
	does(u, u.ec.DeleteReplicationGroup, &elasticache.DeleteReplicationGroupInput{ReplicationGroupId: id, FinalSnapshotIdentifier: aws.String("shards-final")})
	u.group(*id, "gone")
	if got := u.snapshot("shards-final"); len(got.NodeSnapshots) != 3 {
		u.Errorf("the final snapshot has %d shards", len(got.NodeSnapshots))
	}
}

// replicated is a group without cluster mode that gains a replica and loses it again.
func (u *tour) replicated() {
	id := aws.String("copies")
	does(u, u.ec.CreateReplicationGroup, &elasticache.CreateReplicationGroupInput{ReplicationGroupId: id, ReplicationGroupDescription: aws.String("d"), Engine: aws.String("redis"), CacheNodeType: aws.String("cache.t4g.micro")})
	u.group(*id, "available")
	does(u, u.ec.ModifyReplicationGroup, &elasticache.ModifyReplicationGroupInput{ReplicationGroupId: id, ReplicationGroupDescription: aws.String("e"), ApplyImmediately: aws.Bool(true)})
	u.group(*id, "available")
	refuses(u, "InvalidParameterCombination", u.ec.ModifyReplicationGroup, &elasticache.ModifyReplicationGroupInput{ReplicationGroupId: id})
	does(u, u.ec.IncreaseReplicaCount, &elasticache.IncreaseReplicaCountInput{ReplicationGroupId: id, NewReplicaCount: aws.Int32(1), ApplyImmediately: aws.Bool(true)})
	refuses(u, "InvalidReplicationGroupState", u.ec.DecreaseReplicaCount, &elasticache.DecreaseReplicaCountInput{ReplicationGroupId: id, NewReplicaCount: aws.Int32(0), ApplyImmediately: aws.Bool(true)})
	if got := u.group(*id, "available"); len(got.MemberClusters) != 2 {
		u.Errorf("members %v", got.MemberClusters)
	}
	refuses(u, "InvalidParameterValue", u.ec.IncreaseReplicaCount, &elasticache.IncreaseReplicaCountInput{ReplicationGroupId: id, NewReplicaCount: aws.Int32(9), ApplyImmediately: aws.Bool(true)})
	does(u, u.ec.DecreaseReplicaCount, &elasticache.DecreaseReplicaCountInput{ReplicationGroupId: id, NewReplicaCount: aws.Int32(0), ApplyImmediately: aws.Bool(true)})
	if got := u.group(*id, "available"); len(got.MemberClusters) != 1 {
		u.Errorf("members %v", got.MemberClusters)
	}
	refuses(u, "InvalidCacheClusterState", u.ec.DeleteCacheCluster, &elasticache.DeleteCacheClusterInput{CacheClusterId: aws.String("copies-001")})
}

// memcached is a cluster of two nodes that has everything but snapshots.
func (u *tour) memcached() {
	id := aws.String("sessions")
	create := &elasticache.CreateCacheClusterInput{CacheClusterId: id, Engine: aws.String("memcached"), CacheNodeType: aws.String("cache.t4g.micro"), NumCacheNodes: aws.Int32(2)}
	does(u, u.ec.CreateCacheCluster, create)
	refuses(u, "CacheClusterAlreadyExists", u.ec.CreateCacheCluster, create)
	available := func() {
		u.Helper()
		until(u.T, "cluster available", func() (bool, error) {
			out, err := u.ec.DescribeCacheClusters(u.ctx, &elasticache.DescribeCacheClustersInput{CacheClusterId: id})
			return err == nil && *out.CacheClusters[0].CacheClusterStatus == "available", err
		})
	}
	refuses(u, "InvalidCacheClusterState", u.ec.RebootCacheCluster, &elasticache.RebootCacheClusterInput{CacheClusterId: id, CacheNodeIdsToReboot: []string{"0001"}})
	available()
	refuses(u, "SnapshotFeatureNotSupportedFault", u.ec.CreateSnapshot, &elasticache.CreateSnapshotInput{CacheClusterId: id, SnapshotName: aws.String("none")})
	refuses(u, "SnapshotFeatureNotSupportedFault", u.ec.DeleteCacheCluster, &elasticache.DeleteCacheClusterInput{CacheClusterId: id, FinalSnapshotIdentifier: aws.String("none")})
	refuses(u, "InvalidParameterCombination", u.ec.ModifyCacheCluster, &elasticache.ModifyCacheClusterInput{CacheClusterId: id, NumCacheNodes: aws.Int32(1), ApplyImmediately: aws.Bool(true)})
	does(u, u.ec.ModifyCacheCluster, &elasticache.ModifyCacheClusterInput{CacheClusterId: id, NumCacheNodes: aws.Int32(1), CacheNodeIdsToRemove: []string{"0001"}, ApplyImmediately: aws.Bool(true)})
	available()
	does(u, u.ec.RebootCacheCluster, &elasticache.RebootCacheClusterInput{CacheClusterId: id, CacheNodeIdsToReboot: []string{"0002"}})
	available()
	does(u, u.ec.DeleteCacheCluster, &elasticache.DeleteCacheClusterInput{CacheClusterId: id})
}

func (u *tour) serverless() {
	name, snap := aws.String("orders"), aws.String("orders-1")
	create := &elasticache.CreateServerlessCacheInput{ServerlessCacheName: name, Engine: aws.String("valkey")}
	does(u, u.ec.CreateServerlessCache, create)
	refuses(u, "ServerlessCacheAlreadyExistsFault", u.ec.CreateServerlessCache, create)
	refuses(u, "InvalidServerlessCacheStateFault", u.ec.DeleteServerlessCache, &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: name})
	u.s.available(*name)
	does(u, u.ec.ModifyServerlessCache, &elasticache.ModifyServerlessCacheInput{ServerlessCacheName: name, Description: aws.String("d")})
	u.s.available(*name)
	does(u, u.ec.CreateServerlessCacheSnapshot, &elasticache.CreateServerlessCacheSnapshotInput{ServerlessCacheName: name, ServerlessCacheSnapshotName: snap})
	u.s.settled(*snap, "available")
	does(u, u.ec.CopyServerlessCacheSnapshot, &elasticache.CopyServerlessCacheSnapshotInput{SourceServerlessCacheSnapshotName: snap, TargetServerlessCacheSnapshotName: aws.String("orders-2")})
	refuses(u, "ServerlessCacheSnapshotAlreadyExistsFault", u.ec.CopyServerlessCacheSnapshot, &elasticache.CopyServerlessCacheSnapshotInput{SourceServerlessCacheSnapshotName: snap, TargetServerlessCacheSnapshotName: aws.String("orders-2")})
	refuses(u, "InvalidParameterValue", u.ec.ExportServerlessCacheSnapshot, &elasticache.ExportServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: snap, S3BucketName: aws.String("nowhere")})
	u.s.as("default", "us-east-1").newBucket(u.T, "tour")
	does(u, u.ec.ExportServerlessCacheSnapshot, &elasticache.ExportServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: snap, S3BucketName: aws.String("tour")})
	u.s.settled("orders-2", "available")
	does(u, u.ec.DeleteServerlessCacheSnapshot, &elasticache.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: aws.String("orders-2")})
	u.s.settled(*snap, "available")
	does(u, u.ec.DescribeServerlessCaches, &elasticache.DescribeServerlessCachesInput{ServerlessCacheName: name})
	does(u, u.ec.DescribeServerlessCacheSnapshots, &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheName: name})
	does(u, u.ec.DeleteServerlessCache, &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: name})
}

// memorydb is a cluster of one shard and a replica.
func (u *tour) memorydb() {
	name := aws.String("ledger")
	create := &memorydb.CreateClusterInput{ClusterName: name, NodeType: aws.String("db.t4g.small"), ACLName: aws.String("open-access"), TLSEnabled: aws.Bool(false)}
	made := does(u, u.mdb.CreateCluster, create)
	refuses(u, "ClusterAlreadyExistsFault", u.mdb.CreateCluster, create)
	refuses(u, "InvalidClusterStateFault", u.mdb.CreateSnapshot, &memorydb.CreateSnapshotInput{ClusterName: name, SnapshotName: aws.String("ledger-0")})
	available := func() {
		u.Helper()
		until(u.T, "cluster available", func() (bool, error) {
			out, err := u.mdb.DescribeClusters(u.ctx, &memorydb.DescribeClustersInput{ClusterName: name})
			return err == nil && *out.Clusters[0].Status == "available", err
		})
	}
	settled := func(name string) {
		u.Helper()
		until(u.T, "snapshot "+name, func() (bool, error) {
			out, err := u.mdb.DescribeSnapshots(u.ctx, &memorydb.DescribeSnapshotsInput{SnapshotName: &name})
			return err == nil && *out.Snapshots[0].Status == "available", err
		})
	}
	available()
	does(u, u.mdb.UpdateCluster, &memorydb.UpdateClusterInput{ClusterName: name, Description: aws.String("d")})
	available()
	refuses(u, "ACLNotFoundFault", u.mdb.UpdateCluster, &memorydb.UpdateClusterInput{ClusterName: name, ACLName: aws.String("nobody")})
	refuses(u, "ShardNotFoundFault", u.mdb.FailoverShard, &memorydb.FailoverShardInput{ClusterName: name, ShardName: aws.String("0007")})
	does(u, u.mdb.FailoverShard, &memorydb.FailoverShardInput{ClusterName: name, ShardName: aws.String("0001")})
	available()
	if got := does(u, u.mdb.BatchUpdateCluster, &memorydb.BatchUpdateClusterInput{ClusterNames: []string{*name, "nothing"}}); len(got.ProcessedClusters) != 1 || len(got.UnprocessedClusters) != 1 {
		u.Errorf("%+v", got)
	}
	does(u, u.mdb.ListAllowedNodeTypeUpdates, &memorydb.ListAllowedNodeTypeUpdatesInput{ClusterName: name})
	does(u, u.mdb.CreateSnapshot, &memorydb.CreateSnapshotInput{ClusterName: name, SnapshotName: aws.String("ledger-1")})
	settled("ledger-1")
	copied := &memorydb.CopySnapshotInput{SourceSnapshotName: aws.String("ledger-1"), TargetSnapshotName: aws.String("ledger-2")}
	does(u, u.mdb.CopySnapshot, copied)
	refuses(u, "SnapshotAlreadyExistsFault", u.mdb.CopySnapshot, copied)
	settled("ledger-2")
	does(u, u.mdb.DeleteSnapshot, &memorydb.DeleteSnapshotInput{SnapshotName: aws.String("ledger-2")})
	available()
	does(u, u.mdb.TagResource, &memorydb.TagResourceInput{ResourceArn: made.Cluster.ARN, Tags: []mdbtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	if got := does(u, u.mdb.ListTags, &memorydb.ListTagsInput{ResourceArn: made.Cluster.ARN}).TagList; len(got) != 1 {
		u.Errorf("tags %v", got)
	}
	does(u, u.mdb.UntagResource, &memorydb.UntagResourceInput{ResourceArn: made.Cluster.ARN, TagKeys: []string{"k"}})
	refuses(u, "TagNotFoundFault", u.mdb.UntagResource, &memorydb.UntagResourceInput{ResourceArn: made.Cluster.ARN, TagKeys: []string{"k"}})
	refuses(u, "SnapshotAlreadyExistsFault", u.mdb.DeleteCluster, &memorydb.DeleteClusterInput{ClusterName: name, FinalSnapshotName: aws.String("ledger-1")})
	does(u, u.mdb.DeleteCluster, &memorydb.DeleteClusterInput{ClusterName: name, FinalSnapshotName: aws.String("ledger-final")})
	refuses(u, "InvalidClusterStateFault", u.mdb.DeleteCluster, &memorydb.DeleteClusterInput{ClusterName: name})
	settled("ledger-final")
}

// around are the things of ElastiCache that caches need around them.
func (u *tour) around() {
	params, nets, subnets := aws.String("params"), aws.String("nets"), []string{"subnet-0a1b2c3d"}
	value := []ectypes.ParameterNameValue{{ParameterName: aws.String("timeout"), ParameterValue: aws.String("30")}}
	create := &elasticache.CreateCacheParameterGroupInput{CacheParameterGroupName: params, CacheParameterGroupFamily: aws.String("valkey8"), Description: aws.String("d")}
	does(u, u.ec.CreateCacheParameterGroup, create)
	refuses(u, "CacheParameterGroupAlreadyExists", u.ec.CreateCacheParameterGroup, create)
	does(u, u.ec.DescribeCacheParameterGroups, &elasticache.DescribeCacheParameterGroupsInput{})
	does(u, u.ec.DescribeCacheParameters, &elasticache.DescribeCacheParametersInput{CacheParameterGroupName: params})
	does(u, u.ec.DescribeEngineDefaultParameters, &elasticache.DescribeEngineDefaultParametersInput{CacheParameterGroupFamily: aws.String("valkey8")})
	does(u, u.ec.DescribeCacheEngineVersions, &elasticache.DescribeCacheEngineVersionsInput{})
	does(u, u.ec.ModifyCacheParameterGroup, &elasticache.ModifyCacheParameterGroupInput{CacheParameterGroupName: params, ParameterNameValues: value})
	does(u, u.ec.ResetCacheParameterGroup, &elasticache.ResetCacheParameterGroupInput{CacheParameterGroupName: params, ResetAllParameters: aws.Bool(true)})
	does(u, u.ec.DeleteCacheParameterGroup, &elasticache.DeleteCacheParameterGroupInput{CacheParameterGroupName: params})

	subnetGroup := &elasticache.CreateCacheSubnetGroupInput{CacheSubnetGroupName: nets, CacheSubnetGroupDescription: aws.String("d"), SubnetIds: subnets}
	does(u, u.ec.CreateCacheSubnetGroup, subnetGroup)
	refuses(u, "CacheSubnetGroupAlreadyExists", u.ec.CreateCacheSubnetGroup, subnetGroup)
	does(u, u.ec.DescribeCacheSubnetGroups, &elasticache.DescribeCacheSubnetGroupsInput{CacheSubnetGroupName: nets})
	does(u, u.ec.ModifyCacheSubnetGroup, &elasticache.ModifyCacheSubnetGroupInput{CacheSubnetGroupName: nets, CacheSubnetGroupDescription: aws.String("e")})
	does(u, u.ec.DeleteCacheSubnetGroup, &elasticache.DeleteCacheSubnetGroupInput{CacheSubnetGroupName: nets})

	for _, id := range []string{"first", "second"} {
		user := &elasticache.CreateUserInput{UserId: &id, UserName: aws.String(strings.Replace(id, "first", "default", 1)), Engine: aws.String("redis"), AccessString: aws.String("on ~* +@all"), NoPasswordRequired: aws.Bool(true)}
		does(u, u.ec.CreateUser, user)
		refuses(u, "UserAlreadyExists", u.ec.CreateUser, user)
	}
	does(u, u.ec.DescribeUsers, &elasticache.DescribeUsersInput{UserId: aws.String("first")})
	does(u, u.ec.ModifyUser, &elasticache.ModifyUserInput{UserId: aws.String("second"), AccessString: aws.String("on ~a* +@read")})
	refuses(u, "DefaultUserRequired", u.ec.CreateUserGroup, &elasticache.CreateUserGroupInput{UserGroupId: aws.String("team"), Engine: aws.String("redis"), UserIds: []string{"second"}})
	does(u, u.ec.CreateUserGroup, &elasticache.CreateUserGroupInput{UserGroupId: aws.String("team"), Engine: aws.String("redis"), UserIds: []string{"first"}})
	until(u.T, "users and their group active", func() (bool, error) {
		groups, err := u.ec.DescribeUserGroups(u.ctx, &elasticache.DescribeUserGroupsInput{UserGroupId: aws.String("team")})
		if err != nil {
			return false, err
		}
		users, err := u.ec.DescribeUsers(u.ctx, &elasticache.DescribeUsersInput{UserId: aws.String("second")})
		return err == nil && *groups.UserGroups[0].Status == "active" && *users.Users[0].Status == "active", err
	})
	does(u, u.ec.ModifyUserGroup, &elasticache.ModifyUserGroupInput{UserGroupId: aws.String("team"), UserIdsToAdd: []string{"second"}})
	until(u.T, "the group active", func() (bool, error) {
		groups, err := u.ec.DescribeUserGroups(u.ctx, &elasticache.DescribeUserGroupsInput{UserGroupId: aws.String("team")})
		return err == nil && *groups.UserGroups[0].Status == "active", err
	})
	does(u, u.ec.DeleteUserGroup, &elasticache.DeleteUserGroupInput{UserGroupId: aws.String("team")})
	does(u, u.ec.DeleteUser, &elasticache.DeleteUserInput{UserId: aws.String("second")})
	does(u, u.ec.DescribeEvents, &elasticache.DescribeEventsInput{})
}

func (u *tour) aroundMemoryDB() {
	params, nets := aws.String("mdb-params"), aws.String("mdb-nets")
	create := &memorydb.CreateParameterGroupInput{ParameterGroupName: params, Family: aws.String("memorydb_valkey7")}
	does(u, u.mdb.CreateParameterGroup, create)
	refuses(u, "ParameterGroupAlreadyExistsFault", u.mdb.CreateParameterGroup, create)
	does(u, u.mdb.DescribeParameterGroups, &memorydb.DescribeParameterGroupsInput{ParameterGroupName: params})
	does(u, u.mdb.DescribeParameters, &memorydb.DescribeParametersInput{ParameterGroupName: params})
	does(u, u.mdb.DescribeEngineVersions, &memorydb.DescribeEngineVersionsInput{})
	does(u, u.mdb.UpdateParameterGroup, &memorydb.UpdateParameterGroupInput{ParameterGroupName: params,
		ParameterNameValues: []mdbtypes.ParameterNameValue{{ParameterName: aws.String("timeout"), ParameterValue: aws.String("30")}}})
	does(u, u.mdb.ResetParameterGroup, &memorydb.ResetParameterGroupInput{ParameterGroupName: params, AllParameters: true})
	does(u, u.mdb.DeleteParameterGroup, &memorydb.DeleteParameterGroupInput{ParameterGroupName: params})

	subnetGroup := &memorydb.CreateSubnetGroupInput{SubnetGroupName: nets, SubnetIds: []string{"subnet-0a1b2c3d"}}
	does(u, u.mdb.CreateSubnetGroup, subnetGroup)
	refuses(u, "SubnetGroupAlreadyExistsFault", u.mdb.CreateSubnetGroup, subnetGroup)
	does(u, u.mdb.DescribeSubnetGroups, &memorydb.DescribeSubnetGroupsInput{})
	does(u, u.mdb.UpdateSubnetGroup, &memorydb.UpdateSubnetGroupInput{SubnetGroupName: nets, Description: aws.String("d")})
	does(u, u.mdb.DeleteSubnetGroup, &memorydb.DeleteSubnetGroupInput{SubnetGroupName: nets})

	mode := &mdbtypes.AuthenticationMode{Type: mdbtypes.InputAuthenticationTypePassword, Passwords: []string{password}}
	user := &memorydb.CreateUserInput{UserName: aws.String("writer"), AuthenticationMode: mode, AccessString: aws.String("on ~* &* +@all")}
	does(u, u.mdb.CreateUser, user)
	refuses(u, "UserAlreadyExistsFault", u.mdb.CreateUser, user)
	does(u, u.mdb.DescribeUsers, &memorydb.DescribeUsersInput{})
	does(u, u.mdb.UpdateUser, &memorydb.UpdateUserInput{UserName: aws.String("writer"), AccessString: aws.String("on ~a* &* +@read")})
	acl := &memorydb.CreateACLInput{ACLName: aws.String("writers")}
	does(u, u.mdb.CreateACL, acl)
	refuses(u, "ACLAlreadyExistsFault", u.mdb.CreateACL, acl)
	active := func() {
		u.Helper()
		until(u.T, "the ACL and its user active", func() (bool, error) {
			acls, err := u.mdb.DescribeACLs(u.ctx, &memorydb.DescribeACLsInput{ACLName: aws.String("writers")})
			if err != nil {
				return false, err
			}
			users, err := u.mdb.DescribeUsers(u.ctx, &memorydb.DescribeUsersInput{UserName: aws.String("writer")})
			return err == nil && *acls.ACLs[0].Status == "active" && *users.Users[0].Status == "active", err
		})
	}
	active()
	does(u, u.mdb.UpdateACL, &memorydb.UpdateACLInput{ACLName: aws.String("writers"), UserNamesToAdd: []string{"writer"}})
	active()
	does(u, u.mdb.DeleteACL, &memorydb.DeleteACLInput{ACLName: aws.String("writers")})
	does(u, u.mdb.DeleteUser, &memorydb.DeleteUserInput{UserName: aws.String("writer")})
	does(u, u.mdb.DescribeEvents, &memorydb.DescribeEventsInput{})
}

// unknown names of every kind are refused with the fault that the operation declares for them.
func (u *tour) unknown() {
	none, yes := aws.String("nothing"), aws.Bool(true)
	const group, cluster, snap, cache, cacheSnap = "ReplicationGroupNotFoundFault", "CacheClusterNotFound", "SnapshotNotFoundFault", "ServerlessCacheNotFoundFault", "ServerlessCacheSnapshotNotFoundFault"
	refuses(u, group, u.ec.DescribeReplicationGroups, &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: none})
	refuses(u, group, u.ec.ModifyReplicationGroup, &elasticache.ModifyReplicationGroupInput{ReplicationGroupId: none, ReplicationGroupDescription: none})
	refuses(u, group, u.ec.DeleteReplicationGroup, &elasticache.DeleteReplicationGroupInput{ReplicationGroupId: none})
	refuses(u, group, u.ec.IncreaseReplicaCount, &elasticache.IncreaseReplicaCountInput{ReplicationGroupId: none, NewReplicaCount: aws.Int32(1), ApplyImmediately: yes})
	refuses(u, group, u.ec.DecreaseReplicaCount, &elasticache.DecreaseReplicaCountInput{ReplicationGroupId: none, NewReplicaCount: aws.Int32(1), ApplyImmediately: yes})
	refuses(u, group, u.ec.ModifyReplicationGroupShardConfiguration, &elasticache.ModifyReplicationGroupShardConfigurationInput{ReplicationGroupId: none, NodeGroupCount: aws.Int32(2), ApplyImmediately: yes})
	refuses(u, group, u.ec.TestFailover, &elasticache.TestFailoverInput{ReplicationGroupId: none, NodeGroupId: aws.String("0001")})
	refuses(u, group, u.ec.ListAllowedNodeTypeModifications, &elasticache.ListAllowedNodeTypeModificationsInput{ReplicationGroupId: none})
	refuses(u, group, u.ec.CreateSnapshot, &elasticache.CreateSnapshotInput{ReplicationGroupId: none, SnapshotName: none})
	refuses(u, group, u.ec.CreateCacheCluster, &elasticache.CreateCacheClusterInput{CacheClusterId: aws.String("a"), ReplicationGroupId: none})
	refuses(u, cluster, u.ec.DescribeCacheClusters, &elasticache.DescribeCacheClustersInput{CacheClusterId: none})
	refuses(u, cluster, u.ec.ModifyCacheCluster, &elasticache.ModifyCacheClusterInput{CacheClusterId: none, EngineVersion: aws.String("8.0")})
	refuses(u, cluster, u.ec.DeleteCacheCluster, &elasticache.DeleteCacheClusterInput{CacheClusterId: none})
	refuses(u, cluster, u.ec.RebootCacheCluster, &elasticache.RebootCacheClusterInput{CacheClusterId: none, CacheNodeIdsToReboot: []string{"0001"}})
	refuses(u, cluster, u.ec.ListAllowedNodeTypeModifications, &elasticache.ListAllowedNodeTypeModificationsInput{CacheClusterId: none})
	refuses(u, cluster, u.ec.CreateSnapshot, &elasticache.CreateSnapshotInput{CacheClusterId: none, SnapshotName: none})
	refuses(u, cluster, u.ec.CreateReplicationGroup, &elasticache.CreateReplicationGroupInput{ReplicationGroupId: none, ReplicationGroupDescription: none, PrimaryClusterId: none})
	refuses(u, snap, u.ec.DescribeSnapshots, &elasticache.DescribeSnapshotsInput{SnapshotName: none})
	refuses(u, snap, u.ec.CopySnapshot, &elasticache.CopySnapshotInput{SourceSnapshotName: none, TargetSnapshotName: aws.String("b")})
	refuses(u, snap, u.ec.CopySnapshot, &elasticache.CopySnapshotInput{SourceSnapshotName: none, TargetSnapshotName: aws.String("b"), TargetBucket: aws.String("nowhere")})
	refuses(u, snap, u.ec.DeleteSnapshot, &elasticache.DeleteSnapshotInput{SnapshotName: none})
	refuses(u, cache, u.ec.DescribeServerlessCaches, &elasticache.DescribeServerlessCachesInput{ServerlessCacheName: none})
	refuses(u, cache, u.ec.ModifyServerlessCache, &elasticache.ModifyServerlessCacheInput{ServerlessCacheName: none, Description: none})
	refuses(u, cache, u.ec.DeleteServerlessCache, &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: none})
	refuses(u, cache, u.ec.CreateServerlessCacheSnapshot, &elasticache.CreateServerlessCacheSnapshotInput{ServerlessCacheName: none, ServerlessCacheSnapshotName: none})
	refuses(u, cacheSnap, u.ec.DescribeServerlessCacheSnapshots, &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: none})
	refuses(u, cacheSnap, u.ec.CopyServerlessCacheSnapshot, &elasticache.CopyServerlessCacheSnapshotInput{SourceServerlessCacheSnapshotName: none, TargetServerlessCacheSnapshotName: aws.String("b")})
	refuses(u, cacheSnap, u.ec.DeleteServerlessCacheSnapshot, &elasticache.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: none})
	refuses(u, cacheSnap, u.ec.ExportServerlessCacheSnapshot, &elasticache.ExportServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: none, S3BucketName: none})

	const params, nets = "CacheParameterGroupNotFound", "CacheSubnetGroupNotFoundFault"
	value := []ectypes.ParameterNameValue{{ParameterName: aws.String("timeout"), ParameterValue: aws.String("30")}}
	small := aws.String("cache.t4g.micro")
	refuses(u, params, u.ec.DescribeCacheParameterGroups, &elasticache.DescribeCacheParameterGroupsInput{CacheParameterGroupName: none})
	refuses(u, params, u.ec.DescribeCacheParameters, &elasticache.DescribeCacheParametersInput{CacheParameterGroupName: none})
	refuses(u, params, u.ec.ModifyCacheParameterGroup, &elasticache.ModifyCacheParameterGroupInput{CacheParameterGroupName: none, ParameterNameValues: value})
	refuses(u, params, u.ec.ResetCacheParameterGroup, &elasticache.ResetCacheParameterGroupInput{CacheParameterGroupName: none, ResetAllParameters: yes})
	refuses(u, params, u.ec.DeleteCacheParameterGroup, &elasticache.DeleteCacheParameterGroupInput{CacheParameterGroupName: none})
	refuses(u, params, u.ec.CreateCacheCluster, &elasticache.CreateCacheClusterInput{CacheClusterId: aws.String("a"), Engine: aws.String("valkey"), CacheNodeType: small, NumCacheNodes: aws.Int32(1), CacheParameterGroupName: none})
	refuses(u, params, u.ec.CreateReplicationGroup, &elasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("a"), ReplicationGroupDescription: none, CacheNodeType: small, Engine: aws.String("valkey"), CacheParameterGroupName: none})
	refuses(u, "InvalidParameterValue", u.ec.DescribeEngineDefaultParameters, &elasticache.DescribeEngineDefaultParametersInput{CacheParameterGroupFamily: none})
	refuses(u, nets, u.ec.DescribeCacheSubnetGroups, &elasticache.DescribeCacheSubnetGroupsInput{CacheSubnetGroupName: none})
	refuses(u, nets, u.ec.ModifyCacheSubnetGroup, &elasticache.ModifyCacheSubnetGroupInput{CacheSubnetGroupName: none})
	refuses(u, nets, u.ec.DeleteCacheSubnetGroup, &elasticache.DeleteCacheSubnetGroupInput{CacheSubnetGroupName: none})
	refuses(u, nets, u.ec.CreateCacheCluster, &elasticache.CreateCacheClusterInput{CacheClusterId: aws.String("a"), Engine: aws.String("valkey"), CacheNodeType: small, NumCacheNodes: aws.Int32(1), CacheSubnetGroupName: none})
	const user, users = "UserNotFound", "UserGroupNotFound"
	refuses(u, user, u.ec.DescribeUsers, &elasticache.DescribeUsersInput{UserId: none})
	refuses(u, user, u.ec.ModifyUser, &elasticache.ModifyUserInput{UserId: none, AccessString: aws.String("on ~* +@all")})
	refuses(u, user, u.ec.DeleteUser, &elasticache.DeleteUserInput{UserId: none})
	refuses(u, user, u.ec.CreateUserGroup, &elasticache.CreateUserGroupInput{UserGroupId: none, Engine: aws.String("redis"), UserIds: []string{"nobody"}})
	refuses(u, users, u.ec.DescribeUserGroups, &elasticache.DescribeUserGroupsInput{UserGroupId: none})
	refuses(u, users, u.ec.ModifyUserGroup, &elasticache.ModifyUserGroupInput{UserGroupId: none, UserIdsToAdd: []string{"nobody"}})
	refuses(u, users, u.ec.DeleteUserGroup, &elasticache.DeleteUserGroupInput{UserGroupId: none})
	refuses(u, users, u.ec.CreateReplicationGroup, &elasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("a"), ReplicationGroupDescription: none, CacheNodeType: small, Engine: aws.String("valkey"),
		TransitEncryptionEnabled: yes, UserGroupIds: []string{"nobody"}})
	refuses(u, "InvalidParameterValue", u.ec.DescribeEvents, &elasticache.DescribeEventsInput{SourceType: "moon"})

	for kind, code := range map[string]string{"cluster": cluster, "replicationgroup": group, "snapshot": snap, "serverlesscache": cache, "serverlesscachesnapshot": cacheSnap,
		"parametergroup": params, "subnetgroup": nets, "user": user, "usergroup": users} {
		arn := aws.String("arn:aws:elasticache:us-east-1:123456789012:" + kind + ":nothing")
		refuses(u, code, u.ec.ListTagsForResource, &elasticache.ListTagsForResourceInput{ResourceName: arn})
		refuses(u, code, u.ec.AddTagsToResource, &elasticache.AddTagsToResourceInput{ResourceName: arn, Tags: []ectypes.Tag{{Key: none, Value: none}}})
		refuses(u, code, u.ec.RemoveTagsFromResource, &elasticache.RemoveTagsFromResourceInput{ResourceName: arn, TagKeys: []string{"k"}})
	}
}

func (u *tour) unknownMemoryDB() {
	none := aws.String("nothing")
	const cluster, snap, params, nets, user, acl = "ClusterNotFoundFault", "SnapshotNotFoundFault", "ParameterGroupNotFoundFault", "SubnetGroupNotFoundFault", "UserNotFoundFault", "ACLNotFoundFault"
	refuses(u, cluster, u.mdb.DescribeClusters, &memorydb.DescribeClustersInput{ClusterName: none})
	refuses(u, cluster, u.mdb.UpdateCluster, &memorydb.UpdateClusterInput{ClusterName: none, Description: none})
	refuses(u, cluster, u.mdb.DeleteCluster, &memorydb.DeleteClusterInput{ClusterName: none})
	refuses(u, cluster, u.mdb.FailoverShard, &memorydb.FailoverShardInput{ClusterName: none, ShardName: aws.String("0001")})
	refuses(u, cluster, u.mdb.ListAllowedNodeTypeUpdates, &memorydb.ListAllowedNodeTypeUpdatesInput{ClusterName: none})
	refuses(u, cluster, u.mdb.CreateSnapshot, &memorydb.CreateSnapshotInput{ClusterName: none, SnapshotName: none})
	refuses(u, snap, u.mdb.CopySnapshot, &memorydb.CopySnapshotInput{SourceSnapshotName: none, TargetSnapshotName: aws.String("b")})
	refuses(u, snap, u.mdb.DeleteSnapshot, &memorydb.DeleteSnapshotInput{SnapshotName: none})
	refuses(u, snap, u.mdb.DescribeSnapshots, &memorydb.DescribeSnapshotsInput{SnapshotName: none})
	refuses(u, "ServiceUpdateNotFoundFault", u.mdb.BatchUpdateCluster, &memorydb.BatchUpdateClusterInput{ClusterNames: []string{"a"}, ServiceUpdate: &mdbtypes.ServiceUpdateRequest{ServiceUpdateNameToApply: none}})
	create := func(change func(*memorydb.CreateClusterInput)) *memorydb.CreateClusterInput {
		in := &memorydb.CreateClusterInput{ClusterName: aws.String("a"), NodeType: aws.String("db.t4g.small"), ACLName: aws.String("open-access")}
		change(in)
		return in
	}
	refuses(u, acl, u.mdb.CreateCluster, create(func(in *memorydb.CreateClusterInput) { in.ACLName = none }))
	refuses(u, params, u.mdb.CreateCluster, create(func(in *memorydb.CreateClusterInput) { in.ParameterGroupName = none }))
	refuses(u, nets, u.mdb.CreateCluster, create(func(in *memorydb.CreateClusterInput) { in.SubnetGroupName = none }))
	refuses(u, "InvalidParameterValueException", u.mdb.CreateCluster, create(func(in *memorydb.CreateClusterInput) { in.SnapshotName = none }))

	refuses(u, params, u.mdb.DescribeParameterGroups, &memorydb.DescribeParameterGroupsInput{ParameterGroupName: none})
	refuses(u, params, u.mdb.DescribeParameters, &memorydb.DescribeParametersInput{ParameterGroupName: none})
	refuses(u, params, u.mdb.UpdateParameterGroup, &memorydb.UpdateParameterGroupInput{ParameterGroupName: none,
		ParameterNameValues: []mdbtypes.ParameterNameValue{{ParameterName: aws.String("timeout"), ParameterValue: aws.String("30")}}})
	refuses(u, params, u.mdb.ResetParameterGroup, &memorydb.ResetParameterGroupInput{ParameterGroupName: none, AllParameters: true})
	refuses(u, params, u.mdb.DeleteParameterGroup, &memorydb.DeleteParameterGroupInput{ParameterGroupName: none})
	refuses(u, nets, u.mdb.DescribeSubnetGroups, &memorydb.DescribeSubnetGroupsInput{SubnetGroupName: none})
	refuses(u, nets, u.mdb.UpdateSubnetGroup, &memorydb.UpdateSubnetGroupInput{SubnetGroupName: none})
	refuses(u, nets, u.mdb.DeleteSubnetGroup, &memorydb.DeleteSubnetGroupInput{SubnetGroupName: none})
	refuses(u, user, u.mdb.DescribeUsers, &memorydb.DescribeUsersInput{UserName: none})
	refuses(u, user, u.mdb.UpdateUser, &memorydb.UpdateUserInput{UserName: none, AccessString: aws.String("on ~* &* +@all")})
	refuses(u, user, u.mdb.DeleteUser, &memorydb.DeleteUserInput{UserName: none})
	refuses(u, user, u.mdb.CreateACL, &memorydb.CreateACLInput{ACLName: aws.String("a"), UserNames: []string{"nobody"}})
	refuses(u, acl, u.mdb.DescribeACLs, &memorydb.DescribeACLsInput{ACLName: none})
	refuses(u, acl, u.mdb.UpdateACL, &memorydb.UpdateACLInput{ACLName: none, UserNamesToAdd: []string{"nobody"}})
	refuses(u, acl, u.mdb.DeleteACL, &memorydb.DeleteACLInput{ACLName: none})
	refuses(u, "InvalidParameterValueException", u.mdb.DescribeEvents, &memorydb.DescribeEventsInput{SourceType: "moon"})
	refuses(u, "InvalidParameterValueException", u.mdb.DescribeEngineVersions, &memorydb.DescribeEngineVersionsInput{NextToken: none})
	kinds := []string{"cluster", cluster, "snapshot", snap, "parametergroup", params, "subnetgroup", nets, "user", user, "acl", acl}
	for pair := range slices.Chunk(kinds, 2) {
		arn := aws.String("arn:aws:memorydb:us-east-1:123456789012:" + pair[0] + "/nothing")
		refuses(u, pair[1], u.mdb.ListTags, &memorydb.ListTagsInput{ResourceArn: arn})
		refuses(u, pair[1], u.mdb.TagResource, &memorydb.TagResourceInput{ResourceArn: arn, Tags: []mdbtypes.Tag{{Key: none, Value: none}}})
		refuses(u, pair[1], u.mdb.UntagResource, &memorydb.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"k"}})
	}
}
