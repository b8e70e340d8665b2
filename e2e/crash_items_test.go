package e2e

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

// lifeOfItems creates, captures, exports, restores, changes, loses and deletes caches of memcached.
func lifeOfItems(c *crashed) {
	c.through(c.create("sessions", "memcached"), "create-cache.recorded", "create-cache.started", "create-cache.ready")
	items := fillMem(c.t, dialMem(c.t, c.available("sessions"), nil), 200)
	c.want.items["sessions"] = items
	c.through(c.take("sessions", "m1"), "create-snapshot.begun", "create-snapshot.items-read", "create-snapshot.captured")
	c.bucket("exports")
	export := c.export("m1", "exports")
	delete(c.want.objects, "exports/m1-0001.rdb")
	c.want.objects["exports/m1-0001.items"] = true
	c.through(export, "export-snapshot.written", "export-snapshot.committed")

	c.want.items["restored"], c.want.items["from-file"] = items, items
	c.through(c.create("restored", "memcached", *c.snapshot("m1").ARN), "create-cache.items-inspected", "create-cache.items-begun", "create-cache.items-loaded")
	c.through(c.create("from-file", "memcached", "arn:aws:s3:::exports/m1-0001.items"), "create-cache.items-begun", "create-cache.fed", "create-cache.admitted")
	c.verify()

	c.through(c.modify(elasticache.ModifyServerlessCacheInput{ServerlessCacheName: aws.String("sessions"),
		CacheUsageLimits: &types.CacheUsageLimits{DataStorage: &types.DataStorage{Maximum: aws.Int32(2), Unit: types.DataStorageUnitGb}}}), "modify-cache.limited")
	c.want.items["from-file"] = map[string]memItem{} // it loses its only engine, and returns empty
	c.through(func() error { c.killEngine("from-file"); return nil }, "recover-node.counted", "recover-node.started", "recover-node.ready")
	delete(c.want.items, "sessions")
	c.through(c.deleteCache("sessions", "mfinal"), "delete-cache.begun", "create-snapshot.items-read", "delete-cache.removed")
	c.want.items["again"] = items
	c.through(c.create("again", "memcached", *c.snapshot("mfinal").ARN), "create-cache.items-loaded", "create-cache.fed")
	c.verify()
}
