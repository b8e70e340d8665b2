package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	mdbtypes "github.com/aws/aws-sdk-go-v2/service/memorydb/types"
	"github.com/aws/smithy-go"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

// fails checks the code of a refusal, and what its message says.
func fails(t *testing.T, err error, code, says string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), says) {
		t.Errorf("%v, not %s: %s", err, code, says)
	}
}

// A cache parameter group from its creation to its end, with the calls that the Terraform provider makes.
func TestCacheParameterGroups(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := s.elasticache(), t.Context()
	name := aws.String("cache-params")
	made, err := c.CreateCacheParameterGroup(ctx, &elasticache.CreateCacheParameterGroupInput{CacheParameterGroupName: aws.String("Cache-Params"),
		CacheParameterGroupFamily: aws.String("redis7"), Description: aws.String("Managed by Terraform"), Tags: []ectypes.Tag{{Key: aws.String("team"), Value: aws.String("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	g := made.CacheParameterGroup
	if *g.CacheParameterGroupName != *name || *g.CacheParameterGroupFamily != "redis7" || *g.IsGlobal || *g.ARN != "arn:aws:elasticache:us-east-1:123456789012:parametergroup:cache-params" {
		t.Errorf("%+v", *g)
	}
	wanted := map[string]string{"maxmemory-policy": "allkeys-lru", "cluster-enabled": "yes", "activedefrag": "yes", "appendonly": ""}
	modify := func(values map[string]string) error {
		in := &elasticache.ModifyCacheParameterGroupInput{CacheParameterGroupName: name}
		for k, v := range values {
			in.ParameterNameValues = append(in.ParameterNameValues, ectypes.ParameterNameValue{ParameterName: &k, ParameterValue: &v})
		}
		_, err := c.ModifyCacheParameterGroup(ctx, in)
		return err
	}
	fails(t, modify(wanted), "InvalidParameterValue", "The parameter appendonly cannot be modified.")
	delete(wanted, "appendonly")
	if err := modify(wanted); err != nil {
		t.Fatal(err)
	}
	user := func() map[string]string {
		t.Helper()
		got := map[string]string{}
		pages := elasticache.NewDescribeCacheParametersPaginator(c, &elasticache.DescribeCacheParametersInput{CacheParameterGroupName: name, Source: aws.String("user")})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Parameters {
				got[*p.ParameterName] = aws.ToString(p.ParameterValue)
				if *p.Source != "user" || p.ChangeType == "" || p.DataType == nil || p.IsModifiable == nil {
					t.Errorf("%+v", p)
				}
			}
		}
		return got
	}
	if got := user(); fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("%v", got)
	}
	many := map[string]string{}
	for i := range 21 {
		many[fmt.Sprint("p", i)] = "1"
	}
	fails(t, modify(many), "InvalidParameterCombination", "Cannot modify more than 20 parameters in a single request")
	reset := func(name string, values ...string) error {
		in := &elasticache.ResetCacheParameterGroupInput{CacheParameterGroupName: &name}
		for _, v := range values {
			in.ParameterNameValues = append(in.ParameterNameValues, ectypes.ParameterNameValue{ParameterName: &v, ParameterValue: aws.String("0")})
		}
		_, err := c.ResetCacheParameterGroup(ctx, in)
		return err
	}
	fails(t, reset(*name, "reserved-memory"), "InvalidParameterValue", "Parameter reserved-memory doesn't exist")
	if err := reset(*name, "activedefrag"); err != nil {
		t.Error(err)
	}
	delete(wanted, "activedefrag")
	if got := user(); fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("%v", got)
	}
	fails(t, reset("default.redis7", "timeout"), "InvalidParameterValue", "default parameter group")
	_, err = c.CreateCacheParameterGroup(ctx, &elasticache.CreateCacheParameterGroupInput{CacheParameterGroupName: name, CacheParameterGroupFamily: aws.String("redis7"), Description: aws.String("d")})
	fails(t, err, "CacheParameterGroupAlreadyExists", "cache-params")

	tags, err := c.ListTagsForResource(ctx, &elasticache.ListTagsForResourceInput{ResourceName: g.ARN})
	if err != nil || len(tags.TagList) != 1 || *tags.TagList[0].Key != "team" {
		t.Errorf("%+v, %v", tags, err)
	}
	if _, err := c.AddTagsToResource(ctx, &elasticache.AddTagsToResourceInput{ResourceName: aws.String("arn:aws:elasticache:us-east-1:123456789012:parametergroup:default.redis7"),
		Tags: []ectypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}); err == nil {
		t.Error("a default parameter group takes tags")
	}
	if _, err := c.DeleteCacheParameterGroup(ctx, &elasticache.DeleteCacheParameterGroupInput{CacheParameterGroupName: name}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DescribeCacheParameterGroups(ctx, &elasticache.DescribeCacheParameterGroupsInput{CacheParameterGroupName: name})
	fails(t, err, "CacheParameterGroupNotFound", "CacheParameterGroup not found: cache-params")
}

func TestEngineDefaultParameters(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := s.elasticache(), t.Context()
	for family, name := range map[string]string{"valkey8": "maxmemory", "redis5.0": "maxmemory", "memcached1.6": "max_cache_memory"} {
		seen, types := 0, 0
		pages := elasticache.NewDescribeEngineDefaultParametersPaginator(c, &elasticache.DescribeEngineDefaultParametersInput{CacheParameterGroupFamily: &family, MaxRecords: aws.Int32(20)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			seen += len(page.EngineDefaults.Parameters)
			for _, p := range page.EngineDefaults.CacheNodeTypeSpecificParameters {
				if *p.ParameterName == name && len(p.CacheNodeTypeSpecificValues) > 50 {
					types++
				}
			}
		}
		if seen < 30 || types != 1 {
			t.Errorf("%s: %d parameters, %s %d times", family, seen, name, types)
		}
	}
	_, err := c.DescribeEngineDefaultParameters(ctx, &elasticache.DescribeEngineDefaultParametersInput{CacheParameterGroupFamily: aws.String("redis9")})
	fails(t, err, "InvalidParameterValue", "redis9")
}

// A MemoryDB parameter group. Terraform compares it with the default group, whose name it guesses from the family.
func TestParameterGroupsOfMemoryDB(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := memorydb.NewFromConfig(s.config("us-east-1")), t.Context()
	name := aws.String("params")
	made, err := c.CreateParameterGroup(ctx, &memorydb.CreateParameterGroupInput{ParameterGroupName: name, Family: aws.String("memorydb_redis7"), Tags: []mdbtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	if err != nil || *made.ParameterGroup.ARN != "arn:aws:memorydb:us-east-1:123456789012:parametergroup/params" {
		t.Fatalf("%+v, %v", made, err)
	}
	_, err = c.UpdateParameterGroup(ctx, &memorydb.UpdateParameterGroupInput{ParameterGroupName: name, ParameterNameValues: []mdbtypes.ParameterNameValue{
		{ParameterName: aws.String("active-defrag-cycle-max"), ParameterValue: aws.String("70")}, {ParameterName: aws.String("active-defrag-cycle-min"), ParameterValue: aws.String("10")}}})
	if err != nil {
		t.Fatal(err)
	}
	values := func(group string) map[string]string {
		t.Helper()
		got := map[string]string{}
		pages := memorydb.NewDescribeParametersPaginator(c, &memorydb.DescribeParametersInput{ParameterGroupName: &group})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Parameters {
				got[*p.Name] = aws.ToString(p.Value)
			}
		}
		return got
	}
	differ := func() (names []string) {
		defaults := values("default." + strings.ReplaceAll("memorydb_redis7", "_", "-"))
		for n, v := range values("params") {
			if defaults[n] != v {
				names = append(names, n+"="+v)
			}
		}
		slices.Sort(names)
		return names
	}
	if got := differ(); !slices.Equal(got, []string{"active-defrag-cycle-max=70", "active-defrag-cycle-min=10"}) {
		t.Errorf("%v", got)
	}
	if _, err := c.ResetParameterGroup(ctx, &memorydb.ResetParameterGroupInput{ParameterGroupName: name, ParameterNames: []string{"active-defrag-cycle-min"}}); err != nil {
		t.Error(err)
	}
	if got := differ(); !slices.Equal(got, []string{"active-defrag-cycle-max=70"}) {
		t.Errorf("%v", got)
	}
	_, err = c.UpdateParameterGroup(ctx, &memorydb.UpdateParameterGroupInput{ParameterGroupName: name, ParameterNameValues: []mdbtypes.ParameterNameValue{
		{ParameterName: aws.String("reserved-memory-percent"), ParameterValue: aws.String("10")}}})
	fails(t, err, "InvalidParameterValueException", "Parameter reserved-memory-percent doesn't exist")
	gone, err := c.DeleteParameterGroup(ctx, &memorydb.DeleteParameterGroupInput{ParameterGroupName: name})
	if err != nil || *gone.ParameterGroup.Name != "params" {
		t.Fatalf("%+v, %v", gone, err)
	}
	_, err = c.DescribeParameterGroups(ctx, &memorydb.DescribeParameterGroupsInput{ParameterGroupName: name})
	fails(t, err, "ParameterGroupNotFoundFault", "params")

	versions, err := c.DescribeEngineVersions(ctx, &memorydb.DescribeEngineVersionsInput{Engine: aws.String("valkey"), DefaultOnly: true})
	if err != nil || len(versions.EngineVersions) != 1 || !strings.HasPrefix(*versions.EngineVersions[0].ParameterGroupFamily, "memorydb_valkey") || *versions.EngineVersions[0].EnginePatchVersion == "" {
		t.Errorf("%+v, %v", versions, err)
	}
}

func TestSubnetGroupsOfBothServices(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, m, ctx := s.elasticache(), memorydb.NewFromConfig(s.config("us-east-1")), t.Context()
	made, err := c.CreateCacheSubnetGroup(ctx, &elasticache.CreateCacheSubnetGroupInput{CacheSubnetGroupName: aws.String("Nets"), CacheSubnetGroupDescription: aws.String("Managed by Terraform"),
		SubnetIds: []string{"subnet-0a1b2c3d", "subnet-4e5f6a7b"}, Tags: []ectypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	if err != nil {
		t.Fatal(err)
	}
	g := made.CacheSubnetGroup
	if *g.CacheSubnetGroupName != "nets" || !strings.HasPrefix(*g.VpcId, "vpc-") || len(g.Subnets) != 2 || *g.Subnets[0].SubnetIdentifier != "subnet-0a1b2c3d" ||
		!strings.HasPrefix(*g.Subnets[0].SubnetAvailabilityZone.Name, "us-east-1") || !slices.Equal(g.SupportedNetworkTypes, []ectypes.NetworkType{"ipv4"}) {
		t.Errorf("%+v", *g)
	}
	changed, err := c.ModifyCacheSubnetGroup(ctx, &elasticache.ModifyCacheSubnetGroupInput{CacheSubnetGroupName: aws.String("nets"), SubnetIds: []string{"subnet-4e5f6a7b"}})
	if err != nil || len(changed.CacheSubnetGroup.Subnets) != 1 || *changed.CacheSubnetGroup.CacheSubnetGroupDescription != "Managed by Terraform" {
		t.Errorf("%+v, %v", changed, err)
	}
	_, err = c.ModifyCacheSubnetGroup(ctx, &elasticache.ModifyCacheSubnetGroupInput{CacheSubnetGroupName: aws.String("nets"), SubnetIds: []string{"net-1"}})
	fails(t, err, "InvalidSubnet", "net-1")
	if _, err := c.DeleteCacheSubnetGroup(ctx, &elasticache.DeleteCacheSubnetGroupInput{CacheSubnetGroupName: aws.String("nets")}); err != nil {
		t.Error(err)
	}
	_, err = c.DescribeCacheSubnetGroups(ctx, &elasticache.DescribeCacheSubnetGroupsInput{CacheSubnetGroupName: aws.String("nets")})
	fails(t, err, "CacheSubnetGroupNotFoundFault", "nets")

	if _, err := m.CreateSubnetGroup(ctx, &memorydb.CreateSubnetGroupInput{SubnetGroupName: aws.String("nets"), SubnetIds: []string{"subnet-0a1b2c3d"}}); err != nil {
		t.Fatal(err)
	}
	list, err := m.DescribeSubnetGroups(ctx, &memorydb.DescribeSubnetGroupsInput{})
	if err != nil || len(list.SubnetGroups) != 2 || *list.SubnetGroups[1].ARN != "arn:aws:memorydb:us-east-1:123456789012:subnetgroup/nets" {
		t.Errorf("%+v, %v", list, err)
	}
	updated, err := m.UpdateSubnetGroup(ctx, &memorydb.UpdateSubnetGroupInput{SubnetGroupName: aws.String("nets"), Description: aws.String("x")})
	if err != nil || *updated.SubnetGroup.Description != "x" || len(updated.SubnetGroup.Subnets) != 1 {
		t.Errorf("%+v, %v", updated, err)
	}
	if _, err := m.DeleteSubnetGroup(ctx, &memorydb.DeleteSubnetGroupInput{SubnetGroupName: aws.String("nets")}); err != nil {
		t.Error(err)
	}
	_, err = m.DeleteSubnetGroup(ctx, &memorydb.DeleteSubnetGroupInput{SubnetGroupName: aws.String("nets")})
	fails(t, err, "SubnetGroupNotFoundFault", "nets")
}

// What one's own machines never have is an empty list, and a named one does not exist.
func TestEmptyByNature(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, m, ctx := s.elasticache(), memorydb.NewFromConfig(s.config("us-east-1")), t.Context()
	updates, err := c.DescribeServiceUpdates(ctx, &elasticache.DescribeServiceUpdatesInput{ServiceUpdateStatus: []ectypes.ServiceUpdateStatus{"available"}})
	if err != nil || len(updates.ServiceUpdates) != 0 {
		t.Errorf("%+v, %v", updates, err)
	}
	_, err = c.DescribeServiceUpdates(ctx, &elasticache.DescribeServiceUpdatesInput{ServiceUpdateName: aws.String("u")})
	fails(t, err, "ServiceUpdateNotFoundFault", "u")
	_, err = c.BatchApplyUpdateAction(ctx, &elasticache.BatchApplyUpdateActionInput{ServiceUpdateName: aws.String("u"), CacheClusterIds: []string{"a"}})
	fails(t, err, "ServiceUpdateNotFoundFault", "u")
	_, err = c.BatchStopUpdateAction(ctx, &elasticache.BatchStopUpdateActionInput{ServiceUpdateName: aws.String("u")})
	fails(t, err, "ServiceUpdateNotFoundFault", "u")
	if out, err := c.DescribeUpdateActions(ctx, &elasticache.DescribeUpdateActionsInput{ServiceUpdateName: aws.String("u")}); err != nil || len(out.UpdateActions) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := c.DescribeReservedCacheNodes(ctx, &elasticache.DescribeReservedCacheNodesInput{CacheNodeType: aws.String("cache.r6g.large")}); err != nil || len(out.ReservedCacheNodes) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = c.DescribeReservedCacheNodes(ctx, &elasticache.DescribeReservedCacheNodesInput{ReservedCacheNodeId: aws.String("r")})
	fails(t, err, "ReservedCacheNodeNotFound", "r")
	_, err = c.DescribeReservedCacheNodesOfferings(ctx, &elasticache.DescribeReservedCacheNodesOfferingsInput{ReservedCacheNodesOfferingId: aws.String("o")})
	fails(t, err, "ReservedCacheNodesOfferingNotFound", "o")
	_, err = c.DescribeReservedCacheNodesOfferings(ctx, &elasticache.DescribeReservedCacheNodesOfferingsInput{Duration: aws.String("2")})
	fails(t, err, "InvalidParameterValue", "Duration")
	_, err = c.DescribeGlobalReplicationGroups(ctx, &elasticache.DescribeGlobalReplicationGroupsInput{GlobalReplicationGroupId: aws.String("g")})
	fails(t, err, "GlobalReplicationGroupNotFoundFault", "g")
	_, err = c.DescribeCacheSecurityGroups(ctx, &elasticache.DescribeCacheSecurityGroupsInput{CacheSecurityGroupName: aws.String("g")})
	fails(t, err, "CacheSecurityGroupNotFound", "g")
	_, err = c.PurchaseReservedCacheNodesOffering(ctx, &elasticache.PurchaseReservedCacheNodesOfferingInput{ReservedCacheNodesOfferingId: aws.String("o")})
	fails(t, err, "UnsupportedOperation", "nothing to reserve")

	if out, err := m.DescribeServiceUpdates(ctx, &memorydb.DescribeServiceUpdatesInput{ServiceUpdateName: aws.String("u")}); err != nil || len(out.ServiceUpdates) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := m.DescribeReservedNodes(ctx, &memorydb.DescribeReservedNodesInput{OfferingType: aws.String("No Upfront")}); err != nil || len(out.ReservedNodes) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = m.DescribeReservedNodesOfferings(ctx, &memorydb.DescribeReservedNodesOfferingsInput{ReservedNodesOfferingId: aws.String("o")})
	fails(t, err, "ReservedNodesOfferingNotFoundFault", "o")
	_, err = m.DescribeMultiRegionClusters(ctx, &memorydb.DescribeMultiRegionClustersInput{MultiRegionClusterName: aws.String("c")})
	fails(t, err, "MultiRegionClusterNotFoundFault", "c")
	_, err = m.ListAllowedMultiRegionClusterUpdates(ctx, &memorydb.ListAllowedMultiRegionClusterUpdatesInput{MultiRegionClusterName: aws.String("c")})
	fails(t, err, "MultiRegionClusterNotFoundFault", "c")
	_, err = m.DescribeMultiRegionParameters(ctx, &memorydb.DescribeMultiRegionParametersInput{MultiRegionParameterGroupName: aws.String("p")})
	fails(t, err, "MultiRegionParameterGroupNotFoundFault", "p")
	if out, err := m.DescribeMultiRegionParameterGroups(ctx, &memorydb.DescribeMultiRegionParameterGroupsInput{}); err != nil || len(out.MultiRegionParameterGroups) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

// Parameters and the node type's memory reach the engine when it starts, and while it runs.
func TestParametersReachEngines(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := s.elasticache(), t.Context()
	name := aws.String("cache-params")
	if _, err := c.CreateCacheParameterGroup(ctx, &elasticache.CreateCacheParameterGroupInput{CacheParameterGroupName: name,
		CacheParameterGroupFamily: aws.String("valkey8"), Description: aws.String("d")}); err != nil {
		t.Fatal(err)
	}
	modify := func(values ...string) {
		t.Helper()
		in := &elasticache.ModifyCacheParameterGroupInput{CacheParameterGroupName: name}
		for i := 0; i < len(values); i += 2 {
			in.ParameterNameValues = append(in.ParameterNameValues, ectypes.ParameterNameValue{ParameterName: &values[i], ParameterValue: &values[i+1]})
		}
		if _, err := c.ModifyCacheParameterGroup(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	modify("maxmemory-policy", "allkeys-lru")
	id := aws.String("one")
	if _, err := c.CreateCacheCluster(ctx, &elasticache.CreateCacheClusterInput{CacheClusterId: id, Engine: aws.String("valkey"), CacheNodeType: aws.String("cache.t3.micro"),
		NumCacheNodes: aws.Int32(1), CacheParameterGroupName: name}); err != nil {
		t.Fatal(err)
	}
	_, err := c.DeleteCacheParameterGroup(ctx, &elasticache.DeleteCacheParameterGroupInput{CacheParameterGroupName: name})
	fails(t, err, "InvalidCacheParameterGroupState", "one")
	var cluster ectypes.CacheCluster
	settled := func() {
		t.Helper()
		until(t, "cache cluster available and its parameters in sync", func() (bool, error) {
			out, err := c.DescribeCacheClusters(ctx, &elasticache.DescribeCacheClustersInput{CacheClusterId: id, ShowCacheNodeInfo: aws.Bool(true)})
			if err != nil {
				return false, err
			}
			cluster = out.CacheClusters[0]
			return *cluster.CacheClusterStatus == "available" && *cluster.CacheParameterGroup.ParameterApplyStatus == "in-sync", nil
		})
	}
	settled()
	memory := func() string {
		t.Helper()
		e := cluster.CacheNodes[0].Endpoint
		conn, err := resp.Dial(ctx, fmt.Sprintf("%s:%d", *e.Address, *e.Port), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		v, err := conn.Do(ctx, "INFO", "memory")
		if err != nil {
			t.Fatal(err)
		}
		text, err := v.Text()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if info := memory(); !strings.Contains(info, "maxmemory:402653175\r\n") || !strings.Contains(info, "maxmemory_policy:allkeys-lru\r\n") {
		t.Errorf("a new node has %s", info)
	}
	modify("maxmemory-policy", "noeviction", "reserved-memory-percent", "50")
	settled()
	if info := memory(); !strings.Contains(info, "maxmemory:268435450\r\n") || !strings.Contains(info, "maxmemory_policy:noeviction\r\n") {
		t.Errorf("after a change the node has %s", info)
	}
	types, err := c.ListAllowedNodeTypeModifications(ctx, &elasticache.ListAllowedNodeTypeModificationsInput{CacheClusterId: id})
	if err != nil || !slices.Contains(types.ScaleUpModifications, "cache.t3.small") || len(types.ScaleDownModifications) != 0 {
		t.Errorf("%+v, %v", types, err)
	}
}

// memcached takes a change of its parameters when it is rebooted, and until then the cluster says so.
func TestParametersReachMemcached(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := s.elasticache(), t.Context()
	name, id := aws.String("cache-params"), aws.String("mem")
	if _, err := c.CreateCacheParameterGroup(ctx, &elasticache.CreateCacheParameterGroupInput{CacheParameterGroupName: name,
		CacheParameterGroupFamily: aws.String("memcached1.6"), Description: aws.String("d")}); err != nil {
		t.Fatal(err)
	}
	modify := func(parameter, value string) {
		t.Helper()
		if _, err := c.ModifyCacheParameterGroup(ctx, &elasticache.ModifyCacheParameterGroupInput{CacheParameterGroupName: name,
			ParameterNameValues: []ectypes.ParameterNameValue{{ParameterName: &parameter, ParameterValue: &value}}}); err != nil {
			t.Fatal(err)
		}
	}
	modify("max_item_size", "2097152")
	if _, err := c.CreateCacheCluster(ctx, &elasticache.CreateCacheClusterInput{CacheClusterId: id, Engine: aws.String("memcached"), CacheNodeType: aws.String("cache.t3.micro"),
		NumCacheNodes: aws.Int32(1), CacheParameterGroupName: name}); err != nil {
		t.Fatal(err)
	}
	var cluster ectypes.CacheCluster
	settled := func(status string) {
		t.Helper()
		until(t, "cache cluster available and its parameters "+status, func() (bool, error) {
			out, err := c.DescribeCacheClusters(ctx, &elasticache.DescribeCacheClustersInput{CacheClusterId: id, ShowCacheNodeInfo: aws.Bool(true)})
			if err != nil {
				return false, err
			}
			cluster = out.CacheClusters[0]
			return *cluster.CacheClusterStatus == "available" && *cluster.CacheParameterGroup.ParameterApplyStatus == status, nil
		})
	}
	setting := func(wanted string) {
		t.Helper()
		e := cluster.CacheNodes[0].Endpoint
		conn, err := net.Dial("tcp", net.JoinHostPort(*e.Address, fmt.Sprint(*e.Port)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "stats settings\r\nquit\r\n"); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(text), wanted+"\r\n") {
			t.Errorf("no %s in %s, %v", wanted, text, err)
		}
	}
	settled("in-sync")
	setting("STAT item_size_max 2097152")
	setting("STAT maxbytes 432013312") // 512 MB, less 100 for connections
	modify("max_item_size", "4194304")
	settled("pending-reboot")
	setting("STAT item_size_max 2097152")
	if _, err := c.RebootCacheCluster(ctx, &elasticache.RebootCacheClusterInput{CacheClusterId: id, CacheNodeIdsToReboot: []string{"0001"}}); err != nil {
		t.Fatal(err)
	}
	settled("in-sync")
	setting("STAT item_size_max 4194304")
}
