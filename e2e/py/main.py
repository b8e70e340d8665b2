"""botocore's waiters and paginators over caches of nodes, as any program with boto3 uses them: nothing here knows Keyframe.

boto3 finds endpoint, region and credentials in AWS_ENDPOINT_URL, AWS_REGION and AWS_SHARED_CREDENTIALS_FILE. A waiter that sees a state
on which it gives up raises, and ends the program.
"""
import threading

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

cache, memory = boto3.client("elasticache"), boto3.client("memorydb")
tick = threading.Event()
FAST = {"Delay": 1, "MaxAttempts": 150}


def wait(what, **who):
    cache.get_waiter(what).wait(WaiterConfig=FAST, **who)


def clusters():
    """A cache cluster: created, modified, rebooted, snapshotted, and deleted with a last snapshot."""
    who = {"CacheClusterId": "single"}
    cache.create_cache_cluster(Engine="valkey", CacheNodeType="cache.t4g.micro", NumCacheNodes=1, **who)
    wait("cache_cluster_available", **who)
    cache.modify_cache_cluster(CacheNodeType="cache.t4g.small", ApplyImmediately=True, **who)
    wait("cache_cluster_available", **who)
    cache.create_snapshot(SnapshotName="single-1", **who)
    wait("cache_cluster_available", **who)
    cache.reboot_cache_cluster(CacheNodeIdsToReboot=["0001"], **who)
    wait("cache_cluster_available", **who)
    cache.delete_cache_cluster(FinalSnapshotIdentifier="single-final", **who)
    wait("cache_cluster_deleted", **who)


def groups():
    """A replication group in cluster mode: created, modified, scaled, snapshotted, and deleted with a last snapshot."""
    who, member = {"ReplicationGroupId": "many"}, {"CacheClusterId": "many-0001-001"}
    cache.create_replication_group(ReplicationGroupDescription="d", Engine="valkey", CacheNodeType="cache.t4g.micro", NumNodeGroups=2,
                                   ReplicasPerNodeGroup=0, AutomaticFailoverEnabled=True, **who)
    wait("replication_group_available", **who)
    wait("cache_cluster_available", **member)
    cache.modify_replication_group(ReplicationGroupDescription="e", CacheNodeType="cache.t4g.small", ApplyImmediately=True, **who)
    wait("replication_group_available", **who)
    cache.increase_replica_count(NewReplicaCount=1, ApplyImmediately=True, **who)
    wait("replication_group_available", **who)
    wait("cache_cluster_available", **member)
    cache.create_snapshot(SnapshotName="many-1", **who)
    wait("replication_group_available", **who)
    wait("cache_cluster_available", **member)
    ended = cache.delete_replication_group(FinalSnapshotIdentifier="many-final", **who)["ReplicationGroup"]
    assert ended["Status"] == "deleting", ended
    wait("cache_cluster_deleted", **member)
    wait("replication_group_deleted", **who)


def members():
    """Replicas that go one by one, and then with their group, whose primary stays."""
    who = {"ReplicationGroupId": "pair"}
    cache.create_replication_group(ReplicationGroupDescription="d", Engine="valkey", CacheNodeType="cache.t4g.micro", NumCacheClusters=4, **who)
    wait("replication_group_available", **who)
    cache.decrease_replica_count(NewReplicaCount=2, ApplyImmediately=True, **who)
    wait("cache_cluster_deleted", CacheClusterId="pair-004")
    wait("replication_group_available", **who)
    cache.delete_cache_cluster(CacheClusterId="pair-003")
    wait("cache_cluster_deleted", CacheClusterId="pair-003")
    wait("replication_group_available", **who)
    cache.delete_replication_group(RetainPrimaryCluster=True, **who)
    wait("replication_group_deleted", **who)
    wait("cache_cluster_deleted", CacheClusterId="pair-002")
    wait("cache_cluster_available", CacheClusterId="pair-001")


def stores():
    """A MemoryDB cluster, for which botocore has no waiter: its states are followed by hand."""
    def follow(*passing):
        while True:
            try:
                status = memory.describe_clusters(ClusterName="store")["Clusters"][0]["Status"]
            except memory.exceptions.ClusterNotFoundFault:
                return "gone"
            if status not in passing:
                return status
            tick.wait(0.2)
    memory.create_cluster(ClusterName="store", NodeType="db.t4g.small", ACLName="open-access", NumReplicasPerShard=0, TLSEnabled=False)
    assert (got := follow("creating")) == "available", got
    memory.create_snapshot(ClusterName="store", SnapshotName="store-1")
    assert (got := follow("snapshotting")) == "available", got
    memory.update_cluster(ClusterName="store", Description="d")
    assert (got := follow("updating")) == "available", got
    memory.delete_cluster(ClusterName="store", FinalSnapshotName="store-final")
    assert (got := follow("deleting")) == "gone", got


def pages(client, operation, key, size, least, **arguments):
    """All results of an operation, page by page: none is on two pages, no page is too long, and there are as many as without pages."""
    paginator, seen, count = client.get_paginator(operation), [], 0
    for page in paginator.paginate(PaginationConfig={"PageSize": size}, **arguments):
        items = page
        for part in key.split("."):
            items = items[part]
        assert len(items) <= size, (operation, len(items))
        seen += [repr(sorted(item.items(), key=str)) for item in items]
        count += 1
    whole = paginator.paginate(**arguments).build_full_result()
    for part in key.split("."):
        whole = whole[part]
    assert len(seen) == len(set(seen)) == len(whole) >= least, (operation, len(seen), len(set(seen)), len(whole), least)
    assert count >= -(-least // size), (operation, count)


def paginators():
    for i in range(21):
        name = f"page-{i:02}"
        cache.create_cache_parameter_group(CacheParameterGroupName=name, CacheParameterGroupFamily="valkey8", Description="d")
        cache.create_cache_subnet_group(CacheSubnetGroupName=name, CacheSubnetGroupDescription="d", SubnetIds=["subnet-0a1b2c3d"])
        cache.create_user(UserId=name, UserName="default", Engine="redis", AccessString="on ~* +@all", NoPasswordRequired=True)
        cache.create_user_group(UserGroupId=name, Engine="redis", UserIds=[name])
        cache.copy_snapshot(SourceSnapshotName="single-final", TargetSnapshotName=name)
    for i in range(3):
        memory.create_parameter_group(ParameterGroupName=f"page-{i}", Family="memorydb_valkey7")
        memory.create_subnet_group(SubnetGroupName=f"page-{i}", SubnetIds=["subnet-0a1b2c3d"])
        memory.create_user(UserName=f"page-{i}", AccessString="on ~* &* +@all", AuthenticationMode={"Type": "password", "Passwords": ["a-long-password-0"]})
        memory.create_acl(ACLName=f"page-{i}")
        memory.copy_snapshot(SourceSnapshotName="store-final", TargetSnapshotName=f"page-{i}")
    while any(s["SnapshotStatus"] != "available" for s in cache.get_paginator("describe_snapshots").paginate().build_full_result()["Snapshots"]) or \
            any(s["Status"] != "available" for s in memory.describe_snapshots()["Snapshots"]):
        tick.wait(0.2)  # a copy that ends adds an event, and the pages below shall not shift
    least = {"describe_cache_parameter_groups": 22, "describe_cache_subnet_groups": 21, "describe_users": 22, "describe_user_groups": 21, "describe_snapshots": 25,
             "describe_events": 21, "describe_cache_engine_versions": 3, "describe_cache_parameters": 50, "describe_engine_default_parameters": 50}
    arguments = {"describe_cache_parameters": {"CacheParameterGroupName": "page-00"}, "describe_engine_default_parameters": {"CacheParameterGroupFamily": "valkey8"}}
    every(cache, 20, least, arguments)
    least = {"describe_acls": 4, "describe_users": 4, "describe_parameter_groups": 4, "describe_parameters": 20, "describe_subnet_groups": 3, "describe_snapshots": 5,
             "describe_engine_versions": 2, "describe_events": 3}
    every(memory, 2, least, {"describe_parameters": {"ParameterGroupName": "page-0"}})


def every(client, size, least, arguments):
    """Runs every paginator that botocore has for a service. Those that are not in least have nothing to show here."""
    for name in client.meta.service_model.operation_names:
        operation = xform_name(name)
        if not client.can_paginate(operation):
            continue
        keys = client.get_paginator(operation).result_keys
        try:
            pages(client, operation, keys[0].expression, size, least.get(operation, 0), **arguments.get(operation, {}))
        except ClientError as refused:
            raise AssertionError(f"{operation}: {refused}") from refused


failures = []


def guarded(story):
    try:
        story()
    except Exception as e:  # reported below, where it ends the program
        failures.append((story.__name__, e))


threads = [threading.Thread(target=guarded, args=(story,)) for story in (clusters, groups, members, stores)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if failures:
    raise SystemExit("\n".join(f"{name}: {e!r}" for name, e in failures))
paginators()
print("every waiter and every paginator came to its end")
