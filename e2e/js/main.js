// The main job as any JavaScript program would do it: nothing here knows Keyframe. The SDK finds endpoint, region and
// credentials in AWS_ENDPOINT_URL, AWS_REGION and AWS_SHARED_CREDENTIALS_FILE.
import assert from 'node:assert/strict'
import {
  CopyServerlessCacheSnapshotCommand, CreateServerlessCacheCommand, CreateServerlessCacheSnapshotCommand, DeleteServerlessCacheCommand,
  DescribeServerlessCachesCommand, DescribeServerlessCacheSnapshotsCommand, ElastiCacheClient, ExportServerlessCacheSnapshotCommand,
  ListTagsForResourceCommand, paginateDescribeServerlessCacheSnapshots, ServerlessCacheNotFoundFault, ServerlessCacheSnapshotAlreadyExistsFault,
  ServerlessCacheSnapshotNotFoundFault
} from '@aws-sdk/client-elasticache'
import { CreateBucketCommand, GetObjectCommand, HeadObjectCommand, S3Client, paginateListObjectsV2, waitUntilObjectExists } from '@aws-sdk/client-s3'
import Redis from 'ioredis'

const elasticache = new ElastiCacheClient({})
const s3 = new S3Client({ forcePathStyle: true })

// settle polls until look returns something.
async function settle (what, look) {
  for (const deadline = Date.now() + 120_000; Date.now() < deadline;) {
    const found = await look()
    if (found) return found
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`${what} did not happen within two minutes`)
}

const cacheAvailable = name => settle(`cache ${name} available`, async () => {
  const { ServerlessCaches: [cache] } = await elasticache.send(new DescribeServerlessCachesCommand({ ServerlessCacheName: name }))
  assert.ok(['creating', 'available'].includes(cache.Status), `cache ${name} is ${cache.Status}`)
  return cache.Status === 'available' && cache
})

const snapshotAvailable = name => settle(`snapshot ${name} available`, async () => {
  const { ServerlessCacheSnapshots: [snapshot] } = await elasticache.send(new DescribeServerlessCacheSnapshotsCommand({ ServerlessCacheSnapshotName: name }))
  assert.ok(['creating', 'copying', 'restoring', 'available'].includes(snapshot.Status), `snapshot ${name} is ${snapshot.Status}`)
  return snapshot.Status === 'available' && snapshot
})

// contents reads everything in a cache, by key.
async function contents (endpoint) {
  const redis = new Redis(endpoint.Port, endpoint.Address)
  const all = {}
  for await (const keys of redis.scanStream({ count: 500 })) {
    for (const key of keys) {
      const type = await redis.type(key)
      all[key] = [type, await ({
        string: () => redis.get(key),
        hash: () => redis.hgetall(key),
        list: () => redis.lrange(key, 0, -1),
        set: async () => (await redis.smembers(key)).sort(),
        zset: () => redis.zrange(key, 0, -1, 'WITHSCORES'),
        stream: () => redis.xrange(key, '-', '+')
      })[type]()]
    }
  }
  redis.disconnect()
  return all
}

// fill writes keys of every type: half of them through a plain client, half through a cluster client.
async function fill (endpoint) {
  const plain = new Redis(endpoint.Port, endpoint.Address)
  const cluster = new Redis.Cluster([{ host: endpoint.Address, port: endpoint.Port }])
  for (const [name, redis] of Object.entries({ plain, cluster })) {
    for (let i = 0; i < 100; i++) {
      await redis.set(`${name}:string:${i}`, `value ${i} ü`)
    }
    await redis.hset(`${name}:hash`, Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`field${i}`, String(i)])))
    await redis.rpush(`${name}:list`, ...Array.from({ length: 50 }, (_, i) => `item${i}`))
    await redis.sadd(`${name}:set`, 'a', 'b', 'c')
    await redis.zadd(`${name}:zset`, 1, 'one', 2.5, 'more')
    await redis.xadd(`${name}:stream`, '1-1', 'field', 'value')
    await redis.set(`${name}:big`, 'x'.repeat(1 << 20))
  }
  assert.equal(await cluster.get('plain:string:7'), 'value 7 ü')
  plain.disconnect()
  cluster.disconnect()
}

const create = (name, more) => elasticache.send(new CreateServerlessCacheCommand({ ServerlessCacheName: name, Engine: 'valkey', ...more }))

await create('orders', { Tags: [{ Key: 'team', Value: 'blue' }] })
const { Endpoint: endpoint } = await cacheAvailable('orders')
await fill(endpoint)
const before = await contents(endpoint)
assert.equal(Object.keys(before).length, 212)

const { ServerlessCacheSnapshot: made } = await elasticache.send(new CreateServerlessCacheSnapshotCommand({ ServerlessCacheName: 'orders', ServerlessCacheSnapshotName: 'orders-1' }))
assert.equal(made.Status, 'creating')
assert.equal(made.CreateTime, undefined)
const taken = await snapshotAvailable('orders-1')
assert.ok(taken.CreateTime instanceof Date && Math.abs(Date.now() - taken.CreateTime) < 600_000)
assert.ok(Number(taken.BytesUsedForCache) > 2 << 20)
await assert.rejects(elasticache.send(new CreateServerlessCacheSnapshotCommand({ ServerlessCacheName: 'orders', ServerlessCacheSnapshotName: 'orders-1' })),
  err => err instanceof ServerlessCacheSnapshotAlreadyExistsFault && err.$metadata.httpStatusCode === 400 && err.$metadata.requestId !== undefined)
await assert.rejects(elasticache.send(new ExportServerlessCacheSnapshotCommand({ ServerlessCacheSnapshotName: 'nothing', S3BucketName: 'exports' })),
  err => err instanceof ServerlessCacheSnapshotNotFoundFault && err.$metadata.httpStatusCode === 404)

const late = new Redis(endpoint.Port, endpoint.Address)
await late.set('plain:string:1', 'written after the snapshot')
await late.del('cluster:hash')
late.disconnect()

await elasticache.send(new CopyServerlessCacheSnapshotCommand({ SourceServerlessCacheSnapshotName: 'orders-1', TargetServerlessCacheSnapshotName: 'orders-2' }))
const copy = await snapshotAvailable('orders-2')
assert.deepEqual((await elasticache.send(new ListTagsForResourceCommand({ ResourceName: copy.ARN }))).TagList, [{ Key: 'team', Value: 'blue' }])

const names = []
for await (const page of paginateDescribeServerlessCacheSnapshots({ client: elasticache, pageSize: 1 }, {})) {
  names.push(...page.ServerlessCacheSnapshots.map(s => s.ServerlessCacheSnapshotName))
}
assert.deepEqual(names, ['orders-1', 'orders-2'])

await s3.send(new CreateBucketCommand({ Bucket: 'exports' }))
await assert.rejects(elasticache.send(new ExportServerlessCacheSnapshotCommand({ ServerlessCacheSnapshotName: 'orders-2', S3BucketName: 'elsewhere' })),
  { message: 'The S3 bucket elsewhere does not exist.' })
await elasticache.send(new ExportServerlessCacheSnapshotCommand({ ServerlessCacheSnapshotName: 'orders-2', S3BucketName: 'exports' }))
const file = { Bucket: 'exports', Key: 'orders-2-0001.rdb' }
await waitUntilObjectExists({ client: s3, maxWaitTime: 120, minDelay: 1, maxDelay: 2 }, file)
const { ContentLength: size } = await s3.send(new HeadObjectCommand(file))
const bytes = await (await s3.send(new GetObjectCommand(file))).Body.transformToByteArray()
assert.equal(bytes.length, size)
assert.equal(Buffer.from(bytes.subarray(0, 5)).toString(), 'REDIS')
const keys = []
for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: 'exports' })) {
  keys.push(...page.Contents.map(o => o.Key))
}
assert.deepEqual(keys, [file.Key])
await snapshotAvailable('orders-2')

await create('restored', { SnapshotArnsToRestore: [copy.ARN] })
await create('from-file', { SnapshotArnsToRestore: [`arn:aws:s3:::${file.Bucket}/${file.Key}`] })
for (const name of ['restored', 'from-file']) {
  const { Endpoint } = await cacheAvailable(name)
  assert.deepEqual(await contents(Endpoint), before, name)
}

await elasticache.send(new DeleteServerlessCacheCommand({ ServerlessCacheName: 'orders', FinalSnapshotName: 'orders-final' }))
await settle('the end of the cache', () => elasticache.send(new DescribeServerlessCachesCommand({ ServerlessCacheName: 'orders' })).then(() => false, err => {
  assert.ok(err instanceof ServerlessCacheNotFoundFault, err)
  return true
}))
await snapshotAvailable('orders-final')
console.log(`${names.length + 1} snapshots, ${keys.length} file and 2 restored caches of ${Object.keys(before).length} keys`)
