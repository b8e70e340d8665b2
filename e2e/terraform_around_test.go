package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	mdbtypes "github.com/aws/aws-sdk-go-v2/service/memorydb/types"
)

const byTerraform = "Managed by Terraform"

func (p *provider) cacheSubnetGroup() res {
	return res{
		tags: p.cacheTags, tag: p.cacheTag, fixed: []string{"arn", "name"},
		create: func(in args) string {
			must[*elasticache.CreateCacheSubnetGroupOutput](p)(p.ec.CreateCacheSubnetGroup(p.ctx, &elasticache.CreateCacheSubnetGroupInput{
				CacheSubnetGroupName: in.str("name"), CacheSubnetGroupDescription: in.str("description"), SubnetIds: in.list("subnet_ids"), Tags: in.cacheTags()}))
			return strings.ToLower(*in.str("name"))
		},
		read: func(id string, _ args) args {
			out, err := p.ec.DescribeCacheSubnetGroups(p.ctx, &elasticache.DescribeCacheSubnetGroupsInput{CacheSubnetGroupName: &id})
			if _, there := found[*ectypes.CacheSubnetGroupNotFoundFault](p, out, err); !there {
				return nil
			}
			g := single(p, out.CacheSubnetGroups)
			var subnets []string
			for _, s := range g.Subnets {
				subnets = append(subnets, *s.SubnetIdentifier)
			}
			return args{"arn": *g.ARN, "name": *g.CacheSubnetGroupName, "description": *g.CacheSubnetGroupDescription, "subnet_ids": set(subnets), "vpc_id": aws.ToString(g.VpcId)}
		},
		update: func(id string, _, now args) {
			must[*elasticache.ModifyCacheSubnetGroupOutput](p)(p.ec.ModifyCacheSubnetGroup(p.ctx, &elasticache.ModifyCacheSubnetGroupInput{
				CacheSubnetGroupName: &id, CacheSubnetGroupDescription: now.str("description"), SubnetIds: now.list("subnet_ids")}))
		},
		remove: func(id string, _ *string) {
			out, err := p.ec.DeleteCacheSubnetGroup(p.ctx, &elasticache.DeleteCacheSubnetGroupInput{CacheSubnetGroupName: &id})
			found[*ectypes.CacheSubnetGroupNotFoundFault](p, out, err)
		},
	}
}

func (p *provider) cacheSubnetGroups() {
	p.life(p.cacheSubnetGroup(), args{"name": "tf-nets", "description": byTerraform, "subnet_ids": []string{"subnet-0a", "subnet-0b"}},
		args{"description": "two more", "tags": map[string]string{"team": "web", "own": "1"}}, args{"subnet_ids": []string{"subnet-0b", "subnet-0c"}, "tags": map[string]string(nil)})
}

func (p *provider) subnetGroups() {
	r := res{
		tags: p.clusterTags, tag: p.clusterTag, fixed: []string{"arn", "name", "vpc_id"},
		create: func(in args) string {
			must[*memorydb.CreateSubnetGroupOutput](p)(p.mdb.CreateSubnetGroup(p.ctx, &memorydb.CreateSubnetGroupInput{
				SubnetGroupName: in.str("name"), Description: in.str("description"), SubnetIds: in.list("subnet_ids"), Tags: in.clusterTags()}))
			return *in.str("name")
		},
		read: func(id string, _ args) args {
			out, err := p.mdb.DescribeSubnetGroups(p.ctx, &memorydb.DescribeSubnetGroupsInput{SubnetGroupName: &id})
			if _, there := found[*mdbtypes.SubnetGroupNotFoundFault](p, out, err); !there {
				return nil
			}
			g := single(p, out.SubnetGroups)
			var subnets []string
			for _, s := range g.Subnets {
				subnets = append(subnets, *s.Identifier)
			}
			return args{"arn": *g.ARN, "name": *g.Name, "description": *g.Description, "subnet_ids": set(subnets), "vpc_id": aws.ToString(g.VpcId)}
		},
		update: func(id string, _, now args) {
			must[*memorydb.UpdateSubnetGroupOutput](p)(p.mdb.UpdateSubnetGroup(p.ctx, &memorydb.UpdateSubnetGroupInput{
				SubnetGroupName: &id, Description: now.str("description"), SubnetIds: now.list("subnet_ids")}))
		},
		remove: func(id string, _ *string) {
			out, err := p.mdb.DeleteSubnetGroup(p.ctx, &memorydb.DeleteSubnetGroupInput{SubnetGroupName: &id})
			found[*mdbtypes.SubnetGroupNotFoundFault](p, out, err)
		},
	}
	p.life(r, args{"name": "tf-nets", "description": byTerraform, "subnet_ids": []string{"subnet-0a", "subnet-0b"}},
		args{"description": "two more", "tags": map[string]string{"team": "web", "own": "1"}}, args{"subnet_ids": []string{"subnet-0b", "subnet-0c"}, "tags": map[string]string(nil)})
}

// parameters are the two sides of a change of a parameter group, in batches of twenty.
func parameters(was, now args) (reset, modify [][]string) {
	old, wanted := was["parameter"].(map[string]string), now["parameter"].(map[string]string)
	var gone, changed []string
	for name := range old {
		if _, kept := wanted[name]; !kept {
			gone = append(gone, name)
		}
	}
	for name, value := range wanted {
		if v, had := old[name]; !had || v != value {
			changed = append(changed, name)
		}
	}
	return slices.Collect(slices.Chunk(gone, 20)), slices.Collect(slices.Chunk(changed, 20))
}

// many are parameters that differ from their defaults, more than one batch takes.
func many(beyond map[string]string) map[string]string {
	all := map[string]string{"activedefrag": "yes", "active-defrag-cycle-max": "70", "active-defrag-cycle-min": "6", "active-defrag-ignore-bytes": "104857601",
		"active-defrag-max-scan-fields": "1001", "active-defrag-threshold-lower": "11", "active-defrag-threshold-upper": "99", "latency-tracking": "yes", "lazyfree-lazy-eviction": "yes",
		"lfu-decay-time": "2", "lfu-log-factor": "11", "maxmemory-policy": "allkeys-lru", "maxmemory-samples": "4", "notify-keyspace-events": "Ex", "set-max-intset-entries": "513",
		"slowlog-log-slower-than": "10001", "slowlog-max-len": "129", "stream-node-max-bytes": "4097", "stream-node-max-entries": "101", "tcp-keepalive": "301", "timeout": "30",
		"tracking-table-max-keys": "1000001", "zset-max-listpack-entries": "129", "list-compress-depth": "0"} // the last is the default
	maps.Copy(all, beyond)
	return all
}

func (p *provider) cacheParameterGroup() res {
	values := func(names []string, from args) (out []ectypes.ParameterNameValue) {
		for _, name := range names {
			out = append(out, ectypes.ParameterNameValue{ParameterName: &name, ParameterValue: aws.String(from["parameter"].(map[string]string)[name])})
		}
		return out
	}
	update := func(id string, was, now args) {
		reset, modify := parameters(was, now)
		for _, names := range reset {
			must[*elasticache.ResetCacheParameterGroupOutput](p)(p.ec.ResetCacheParameterGroup(p.ctx, &elasticache.ResetCacheParameterGroupInput{CacheParameterGroupName: &id, ParameterNameValues: values(names, was)}))
		}
		for _, names := range modify {
			must[*elasticache.ModifyCacheParameterGroupOutput](p)(p.ec.ModifyCacheParameterGroup(p.ctx, &elasticache.ModifyCacheParameterGroupInput{CacheParameterGroupName: &id, ParameterNameValues: values(names, now)}))
		}
	}
	return res{
		tags: p.cacheTags, tag: p.cacheTag, update: update, bare: []string{"parameter"}, fixed: []string{"arn", "name", "family"},
		create: func(in args) string {
			out := must[*elasticache.CreateCacheParameterGroupOutput](p)(p.ec.CreateCacheParameterGroup(p.ctx, &elasticache.CreateCacheParameterGroupInput{
				CacheParameterGroupName: in.str("name"), CacheParameterGroupFamily: in.str("family"), Description: in.str("description"), Tags: in.cacheTags()}))
			update(*out.CacheParameterGroup.CacheParameterGroupName, args{"parameter": map[string]string{}}, in)
			return *out.CacheParameterGroup.CacheParameterGroupName
		},
		read: func(id string, _ args) args {
			out, err := p.ec.DescribeCacheParameterGroups(p.ctx, &elasticache.DescribeCacheParameterGroupsInput{CacheParameterGroupName: &id})
			if _, there := found[*ectypes.CacheParameterGroupNotFoundFault](p, out, err); !there {
				return nil
			}
			g, values := single(p, out.CacheParameterGroups), map[string]string{}
			// The provider reads one page.
			page := must[*elasticache.DescribeCacheParametersOutput](p)(p.ec.DescribeCacheParameters(p.ctx, &elasticache.DescribeCacheParametersInput{CacheParameterGroupName: &id, Source: aws.String("user")}))
			for _, v := range page.Parameters {
				if v.ParameterValue != nil {
					values[strings.ToLower(*v.ParameterName)] = *v.ParameterValue
				}
			}
			return args{"arn": *g.ARN, "name": *g.CacheParameterGroupName, "family": *g.CacheParameterGroupFamily, "description": *g.Description, "parameter": values}
		},
		remove: func(id string, _ *string) {
			out, err := p.ec.DeleteCacheParameterGroup(p.ctx, &elasticache.DeleteCacheParameterGroupInput{CacheParameterGroupName: &id})
			found[*ectypes.CacheParameterGroupNotFoundFault](p, out, err)
		},
	}
}

func (p *provider) cacheParameterGroups() {
	r := p.cacheParameterGroup()
	p.life(r, args{"name": "tf-redis", "family": "redis7", "description": byTerraform, "parameter": many(nil), "tags": map[string]string{"own": "1"}},
		args{"parameter": many(map[string]string{"timeout": "31", "cluster-enabled": "yes"})}, args{"parameter": map[string]string{"timeout": "31"}}, args{"parameter": map[string]string{}})
	p.life(r, args{"name": "tf-memcached", "family": "memcached1.6", "description": byTerraform, "parameter": map[string]string{"max_item_size": "2097152"}}, args{"parameter": map[string]string{"chunk_size": "96"}})
}

func (p *provider) parameterGroup() res {
	update := func(id string, was, now args) {
		reset, modify := parameters(was, now)
		for _, names := range reset {
			must[*memorydb.ResetParameterGroupOutput](p)(p.mdb.ResetParameterGroup(p.ctx, &memorydb.ResetParameterGroupInput{ParameterGroupName: &id, ParameterNames: names}))
		}
		for _, names := range modify {
			in := &memorydb.UpdateParameterGroupInput{ParameterGroupName: &id}
			for _, name := range names {
				in.ParameterNameValues = append(in.ParameterNameValues, mdbtypes.ParameterNameValue{ParameterName: &name, ParameterValue: aws.String(now["parameter"].(map[string]string)[name])})
			}
			must[*memorydb.UpdateParameterGroupOutput](p)(p.mdb.UpdateParameterGroup(p.ctx, in))
		}
	}
	values := func(group string) map[string]string {
		all := map[string]string{}
		for pages := memorydb.NewDescribeParametersPaginator(p.mdb, &memorydb.DescribeParametersInput{ParameterGroupName: &group}); pages.HasMorePages(); {
			for _, v := range must[*memorydb.DescribeParametersOutput](p)(pages.NextPage(p.ctx)).Parameters {
				all[*v.Name] = aws.ToString(v.Value)
			}
		}
		return all
	}
	return res{
		tags: p.clusterTags, tag: p.clusterTag, update: update, bare: []string{"parameter"}, fixed: []string{"arn", "name", "family"},
		create: func(in args) string {
			out := must[*memorydb.CreateParameterGroupOutput](p)(p.mdb.CreateParameterGroup(p.ctx, &memorydb.CreateParameterGroupInput{
				ParameterGroupName: in.str("name"), Family: in.str("family"), Description: in.str("description"), Tags: in.clusterTags()}))
			update(*out.ParameterGroup.Name, args{"parameter": map[string]string{}}, in)
			return *in.str("name")
		},
		// There is no telling a user's parameters from others: the provider compares with the family's default group, whose name it guesses.
		read: func(id string, known args) args {
			out, err := p.mdb.DescribeParameterGroups(p.ctx, &memorydb.DescribeParameterGroupsInput{ParameterGroupName: &id})
			if _, there := found[*mdbtypes.ParameterGroupNotFoundFault](p, out, err); !there {
				return nil
			}
			g, mine := single(p, out.ParameterGroups), map[string]string{}
			usual := values("default." + strings.ReplaceAll(*g.Family, "_", "-"))
			set, _ := known["parameter"].(map[string]string)
			for name, value := range values(id) {
				if _, named := set[name]; named || value != usual[name] {
					mine[name] = value
				}
			}
			return args{"arn": *g.ARN, "name": *g.Name, "family": *g.Family, "description": *g.Description, "parameter": mine}
		},
		remove: func(id string, _ *string) {
			out, err := p.mdb.DeleteParameterGroup(p.ctx, &memorydb.DeleteParameterGroupInput{ParameterGroupName: &id})
			found[*mdbtypes.ParameterGroupNotFoundFault](p, out, err)
		},
	}
}

func (p *provider) parameterGroups() {
	for i, family := range []string{"memorydb_redis7", "memorydb_valkey7", "memorydb_redis6"} {
		p.life(p.parameterGroup(), args{"name": fmt.Sprint("tf-params-", i), "family": family, "description": byTerraform, "parameter": map[string]string{"activedefrag": "yes", "timeout": "30"}},
			args{"parameter": map[string]string{"active-defrag-cycle-max": "70", "timeout": "31"}, "tags": map[string]string{"own": "1"}}, args{"parameter": map[string]string{}})
	}
}
