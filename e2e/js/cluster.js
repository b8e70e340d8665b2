// Cluster clients as any JavaScript program would use them: ioredis through the configuration endpoint of a replication group of three
// shards, across a failover, and the SDK of MemoryDB. Nothing here knows Keyframe.
import assert from 'node:assert/strict'
import {
  CreateReplicationGroupCommand, DeleteReplicationGroupCommand, DescribeReplicationGroupsCommand, ElastiCacheClient, ReplicationGroupNotFoundFault, TestFailoverCommand,
  paginateDescribeSnapshots, waitUntilReplicationGroupAvailable, waitUntilReplicationGroupDeleted
} from '@aws-sdk/client-elasticache'
import {
  ClusterNotFoundFault, CreateClusterCommand, CreateSnapshotCommand, DeleteClusterCommand, DescribeClustersCommand, DescribeSnapshotsCommand, MemoryDBClient,
  SnapshotAlreadyExistsFault, paginateDescribeParameters
} from '@aws-sdk/client-memorydb'
import Redis from 'ioredis'

const elasticache = new ElastiCacheClient({})
const memorydb = new MemoryDBClient({})
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

async function settle (what, look) {
  for (const deadline = Date.now() + 120_000; Date.now() < deadline; await pause(50)) {
    const found = await look()
    if (found) return found
  }
  throw new Error(`${what} did not happen within two minutes`)
}

const group = async () => (await elasticache.send(new DescribeReplicationGroupsCommand({ ReplicationGroupId: 'orders' }))).ReplicationGroups[0]
// owner is the node that the cluster takes for the primary of slot 0; as on AWS, descriptions of groups in cluster mode show no roles.
const owner = async redis => (await redis.cluster('SLOTS')).find(([first]) => first === 0)[2][2]
const waiting = { client: elasticache, minDelay: 1, maxDelay: 2, maxWaitTime: 120 }

async function failover () {
  await elasticache.send(new CreateReplicationGroupCommand({
    ReplicationGroupId: 'orders', ReplicationGroupDescription: 'd', Engine: 'valkey', CacheNodeType: 'cache.t4g.micro', NumNodeGroups: 3, ReplicasPerNodeGroup: 1, Port: 6380
  }))
  await waitUntilReplicationGroupAvailable(waiting, { ReplicationGroupId: 'orders' })
  const { ConfigurationEndpoint: entrance, NodeGroups: shards } = await group()
  assert.equal(entrance.Port, 6380)
  assert.equal(shards.length, 3)
  const redis = new Redis.Cluster([{ host: entrance.Address, port: entrance.Port }])
  for (let i = 0; i < 300; i++) await redis.set(`key:${i}`, String(i))
  assert.equal(redis.nodes('master').length, 3)
  const spread = await Promise.all(redis.nodes('master').map(node => node.dbsize()))
  assert.ok(spread.every(n => n > 50) && spread.reduce((a, b) => a + b) === 300, `keys per shard: ${spread}`)

  const old = await owner(redis)
  await elasticache.send(new TestFailoverCommand({ ReplicationGroupId: 'orders', NodeGroupId: shards[0].NodeGroupId }))
  // The client writes all the while; every write is answered, after retries of the client's own.
  let last = 0
  await settle('the failover', async () => {
    for (let i = 0; i < 300; i += 7) await redis.set(`key:${i}`, `${i} round ${last}`)
    last++
    return (await group()).Status === 'available' && await owner(redis) !== old
  })
  for (let i = 0; i < 300; i += 7) await redis.set(`key:${i}`, `${i} after it`)
  for (let i = 0; i < 300; i++) {
    const value = await redis.get(`key:${i}`)
    assert.equal(value, i % 7 ? String(i) : `${i} after it`)
  }
  redis.disconnect()
  await elasticache.send(new DeleteReplicationGroupCommand({ ReplicationGroupId: 'orders', FinalSnapshotIdentifier: 'orders-final' }))
  await waitUntilReplicationGroupDeleted(waiting, { ReplicationGroupId: 'orders' })
  await assert.rejects(group(), err => err instanceof ReplicationGroupNotFoundFault && err.$metadata.httpStatusCode === 404)
  const names = []
  for await (const page of paginateDescribeSnapshots({ client: elasticache, pageSize: 20 }, { ReplicationGroupId: 'orders', ShowNodeGroupConfig: true })) {
    names.push(...page.Snapshots.map(s => `${s.SnapshotName} of ${s.NodeSnapshots.length}`))
  }
  assert.deepEqual(names, ['orders-final of 3'])
}

async function ledger () {
  const ClusterName = 'ledger'
  await memorydb.send(new CreateClusterCommand({ ClusterName, NodeType: 'db.t4g.small', ACLName: 'open-access', TLSEnabled: false, NumReplicasPerShard: 0 }))
  const cluster = await settle('the cluster', async () => {
    const { Clusters: [c] } = await memorydb.send(new DescribeClustersCommand({ ClusterName, ShowShardDetails: true }))
    assert.ok(['creating', 'available'].includes(c.Status), c.Status)
    return c.Status === 'available' && c
  })
  assert.equal(cluster.Shards[0].Slots, '0-16383')
  const redis = new Redis.Cluster([{ host: cluster.ClusterEndpoint.Address, port: cluster.ClusterEndpoint.Port }])
  await redis.set('greeting', 'hello')
  redis.disconnect()
  const snapshot = new CreateSnapshotCommand({ ClusterName, SnapshotName: 'ledger-1' })
  assert.equal((await memorydb.send(snapshot)).Snapshot.Status, 'creating')
  await assert.rejects(memorydb.send(snapshot), err => err instanceof SnapshotAlreadyExistsFault && err.$metadata.httpStatusCode === 400)
  const taken = await settle('the snapshot', async () => {
    const { Snapshots: [s] } = await memorydb.send(new DescribeSnapshotsCommand({ SnapshotName: 'ledger-1', ShowDetail: true }))
    return s.Status === 'available' && s
  })
  assert.ok(taken.ClusterConfiguration.Shards[0].SnapshotCreationTime instanceof Date)
  let parameters = 0
  for await (const page of paginateDescribeParameters({ client: memorydb, pageSize: 7 }, { ParameterGroupName: cluster.ParameterGroupName })) parameters += page.Parameters.length
  assert.ok(parameters > 20)
  await settle('the cluster', async () => (await memorydb.send(new DescribeClustersCommand({ ClusterName }))).Clusters[0].Status === 'available')
  await memorydb.send(new DeleteClusterCommand({ ClusterName, FinalSnapshotName: 'ledger-final' }))
  await settle('the end of the cluster', () => memorydb.send(new DescribeClustersCommand({ ClusterName })).then(({ Clusters: [c] }) => {
    assert.equal(c.Status, 'deleting')
    return false
  }, err => {
    assert.ok(err instanceof ClusterNotFoundFault, err)
    return true
  }))
}

await Promise.all([failover(), ledger()])
console.log('a failover and a cluster of MemoryDB')
