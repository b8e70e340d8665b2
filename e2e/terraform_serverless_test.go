package e2e

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

func (p *provider) serverlessCache() res {
	find := func(id string) *ectypes.ServerlessCache {
		out, err := p.ec.DescribeServerlessCaches(p.ctx, &elasticache.DescribeServerlessCachesInput{ServerlessCacheName: &id})
		if _, there := found[*ectypes.ServerlessCacheNotFoundFault](p, out, err); !there {
			return nil
		}
		return single(p, out.ServerlessCaches)
	}
	wait := func(id, target string) {
		p.wait("serverless cache "+id, []string{"creating", "deleting", "modifying"}, target, func() (string, bool) {
			c := find(id)
			if c == nil {
				return "", false
			}
			return *c.Status, true
		})
	}
	limits := func(a args) *ectypes.CacheUsageLimits {
		max, min, ecpu := a.num("data_storage_maximum"), a.num("data_storage_minimum"), a.num("ecpu_per_second_maximum")
		if max == nil && ecpu == nil {
			return nil
		}
		out := &ectypes.CacheUsageLimits{}
		if max != nil {
			out.DataStorage = &ectypes.DataStorage{Maximum: max, Minimum: min, Unit: ectypes.DataStorageUnitGb}
		}
		if ecpu != nil {
			out.ECPUPerSecond = &ectypes.ECPUPerSecond{Maximum: ecpu}
		}
		return out
	}
	return res{
		tags: p.cacheTags, tag: p.cacheTag, bare: []string{"usage_limits", "data_storage_maximum", "data_storage_minimum", "ecpu_per_second", "kms_key_id", "user_group_id"},
		fixed: []string{"arn", "name", "endpoint", "reader_endpoint", "create_time", "full_engine_version", "subnet_ids", "status", "kms_key_id"},
		create: func(in args) string {
			req := &elasticache.CreateServerlessCacheInput{ServerlessCacheName: in.str("name"), Engine: in.str("engine"), Description: in.str("description"), MajorEngineVersion: in.str("major_engine_version"),
				DailySnapshotTime: in.str("daily_snapshot_time"), SnapshotRetentionLimit: in.num("snapshot_retention_limit"), SecurityGroupIds: in.list("security_group_ids"), SubnetIds: in.list("subnet_ids"),
				UserGroupId: in.str("user_group_id"), KmsKeyId: in.str("kms_key_id"), CacheUsageLimits: limits(in), SnapshotArnsToRestore: in.list("snapshot_arns_to_restore"), Tags: in.cacheTags()}
			must[*elasticache.CreateServerlessCacheOutput](p)(p.ec.CreateServerlessCache(p.ctx, req))
			wait(*in.str("name"), "available")
			return *in.str("name")
		},
		read: func(id string, _ args) args {
			c := find(id)
			if c == nil {
				return nil
			}
			state := args{"arn": *c.ARN, "name": *c.ServerlessCacheName, "engine": *c.Engine, "description": aws.ToString(c.Description), "major_engine_version": *c.MajorEngineVersion,
				"full_engine_version": *c.FullEngineVersion, "daily_snapshot_time": aws.ToString(c.DailySnapshotTime), "snapshot_retention_limit": int(aws.ToInt32(c.SnapshotRetentionLimit)),
				"security_group_ids": set(c.SecurityGroupIds), "subnet_ids": set(c.SubnetIds), "user_group_id": aws.ToString(c.UserGroupId), "kms_key_id": aws.ToString(c.KmsKeyId), "status": *c.Status,
				"create_time": c.CreateTime.Format(time.RFC3339), "endpoint": fmt.Sprint(*c.Endpoint.Address, *c.Endpoint.Port), "usage_limits": c.CacheUsageLimits != nil}
			if e := c.ReaderEndpoint; e != nil {
				state["reader_endpoint"] = fmt.Sprint(*e.Address, *e.Port)
			}
			if l := c.CacheUsageLimits; l != nil {
				if d := l.DataStorage; d != nil {
					state["data_storage_maximum"], state["data_storage_minimum"] = int(aws.ToInt32(d.Maximum)), int(aws.ToInt32(d.Minimum))
				}
				if e := l.ECPUPerSecond; e != nil {
					state["ecpu_per_second"], state["ecpu_per_second_maximum"] = true, int(aws.ToInt32(e.Maximum))
				}
			}
			return state
		},
		// Older providers send the whole plan, in which what is not configured is as it was read; newer ones make one call for each field that changes.
		update: func(id string, was, now args) {
			plan := maps.Clone(was)
			maps.Copy(plan, now)
			var calls []*elasticache.ModifyServerlessCacheInput
			for _, names := range [][]string{{"description"}, {"daily_snapshot_time"}, {"snapshot_retention_limit"}, {"data_storage_maximum", "data_storage_minimum", "ecpu_per_second_maximum"},
				{"security_group_ids"}, {"user_group_id"}, {"engine", "major_engine_version"}} {
				if !slices.ContainsFunc(names, func(name string) bool { return differs(was, now, name) }) {
					continue
				}
				in, planned := &elasticache.ModifyServerlessCacheInput{ServerlessCacheName: &id}, args{}
				for _, name := range names {
					planned[name] = plan[name]
				}
				in.Description, in.DailySnapshotTime, in.SecurityGroupIds = planned.str("description"), planned.str("daily_snapshot_time"), planned.list("security_group_ids")
				in.SnapshotRetentionLimit = givenNum(was, planned, "snapshot_retention_limit")
				in.Engine, in.MajorEngineVersion = given[string](was, planned, "engine"), planned.str("major_engine_version")
				if in.UserGroupId = planned.str("user_group_id"); in.UserGroupId == nil && names[0] == "user_group_id" {
					in.RemoveUserGroup = aws.Bool(true)
				}
				if in.CacheUsageLimits = limits(planned); in.CacheUsageLimits == nil && names[0] == "data_storage_maximum" { // zeros take limits away
					in.CacheUsageLimits = &ectypes.CacheUsageLimits{DataStorage: &ectypes.DataStorage{Maximum: aws.Int32(0), Minimum: aws.Int32(0), Unit: ectypes.DataStorageUnitGb},
						ECPUPerSecond: &ectypes.ECPUPerSecond{Maximum: aws.Int32(0), Minimum: aws.Int32(0)}}
				}
				calls = append(calls, in)
			}
			if len(calls) == 1 && calls[0].RemoveUserGroup == nil && limits(plan) != nil {
				calls[0] = &elasticache.ModifyServerlessCacheInput{ServerlessCacheName: &id, Description: plan.str("description"), Engine: plan.str("engine"), MajorEngineVersion: plan.str("major_engine_version"),
					DailySnapshotTime: plan.str("daily_snapshot_time"), SnapshotRetentionLimit: aws.Int32(int32(plan["snapshot_retention_limit"].(int))), SecurityGroupIds: plan.list("security_group_ids"),
					UserGroupId: plan.str("user_group_id"), CacheUsageLimits: limits(plan)}
			}
			for _, in := range calls {
				must[*elasticache.ModifyServerlessCacheOutput](p)(p.ec.ModifyServerlessCache(p.ctx, in))
				wait(id, "available")
			}
		},
		remove: func(id string, _ *string) {
			out, err := p.ec.DeleteServerlessCache(p.ctx, &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: &id})
			if _, there := found[*ectypes.ServerlessCacheNotFoundFault](p, out, err); there {
				wait(id, "")
			}
		},
	}
}

func (p *provider) serverlessCaches() {
	user := p.make(p.cacheUser(), args{"user_id": "tf-less", "user_name": "default", "engine": "REDIS", "access_string": "on ~* +@all", "passwords": []string{password}})
	users := p.make(p.cacheUserGroup(), args{"user_group_id": "tf-less-users", "engine": "REDIS", "user_ids": []string{user.id}})
	p.life(p.serverlessCache(), args{"name": "tf-plain", "engine": "valkey"}, args{"description": "described"}, args{"snapshot_retention_limit": 1}, args{"usage_limits": true, "data_storage_maximum": 10},
		args{"description": "again", "snapshot_retention_limit": 2, "security_group_ids": []string{"sg-0a"}, "ecpu_per_second": true, "ecpu_per_second_maximum": 5000},
		args{"usage_limits": false, "data_storage_maximum": 0, "ecpu_per_second": false, "ecpu_per_second_maximum": 0}, args{"tags": map[string]string{"own": "1"}})
	p.life(p.serverlessCache(), args{"name": "tf-full", "engine": "redis", "major_engine_version": "7", "description": "all", "daily_snapshot_time": "09:00", "snapshot_retention_limit": 2,
		"security_group_ids": []string{"sg-0a"}, "subnet_ids": []string{"subnet-0a", "subnet-0b"}, "usage_limits": true, "data_storage_maximum": 10, "ecpu_per_second": true, "ecpu_per_second_maximum": 5000,
		"user_group_id": users.id, "kms_key_id": p.key, "tags": map[string]string{"own": "1"}},
		args{"data_storage_maximum": 20, "data_storage_minimum": 2}, args{"ecpu_per_second_maximum": 6000}, args{"daily_snapshot_time": "10:00"}, args{"snapshot_retention_limit": 3},
		args{"security_group_ids": []string{"sg-0b"}}, args{"description": "nearly all", "tags": map[string]string{}})
	p.life(p.serverlessCache(), args{"name": "tf-items", "engine": "memcached", "major_engine_version": "1.6", "snapshot_retention_limit": 1, "usage_limits": true, "data_storage_maximum": 1},
		args{"data_storage_maximum": 2}, args{"description": "described"}, args{"tags": map[string]string{"own": "1"}})
	cache := p.make(p.serverlessCache(), args{"name": "tf-moves", "engine": "redis", "description": "to valkey", "user_group_id": users.id})
	cache.fixed = []string{"arn", "name", "endpoint", "reader_endpoint", "create_time"}
	cache.apply(args{"engine": "valkey"}, args{"major_engine_version": "8"})
	users.apply(args{"engine": "valkey"})
	user.apply(args{"engine": "valkey"})
	cache.apply(args{"user_group_id": ""})
	cache.end("")
	users.end("")
	user.end("")
}
