package resource

import "strings"

// ARN is a parsed Amazon Resource Name. ElastiCache separates type and name by a colon, MemoryDB by a slash;
// an S3 object has neither region nor account, and its name is bucket/key.
type ARN struct {
	Partition, Service, Region, Account string
	Type, Name                          string
}

// ParseARN reads an ARN. It reports false for a string that is not one.
func ParseARN(s string) (ARN, bool) {
	part := strings.SplitN(s, ":", 6)
	if len(part) != 6 || part[0] != "arn" || part[1] == "" || part[2] == "" || part[5] == "" {
		return ARN{}, false
	}
	a := ARN{Partition: part[1], Service: part[2], Region: part[3], Account: part[4]}
	sep := ":"
	switch a.Service {
	case "s3":
		a.Name = part[5]
		return a, true
	case "memorydb", "kms", "iam":
		sep = "/"
	}
	typ, name, ok := strings.Cut(part[5], sep)
	if !ok || typ == "" || name == "" {
		return ARN{}, false
	}
	a.Type, a.Name = typ, name
	return a, true
}

// String is the ARN as AWS writes it.
func (a ARN) String() string {
	head := "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":"
	switch a.Service {
	case "s3":
		return head + a.Name
	case "memorydb", "kms", "iam":
		return head + a.Type + "/" + a.Name
	}
	return head + a.Type + ":" + a.Name
}

// Partition is the AWS partition that a region lies in.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

var cacheTypes = map[Kind]string{
	Serverless: "serverlesscache", CacheCluster: "cluster", ReplicationGroup: "replicationgroup", MemoryDBCluster: "cluster",
}

// CacheARN is the ARN of a cache.
func CacheARN(k Kind, s Scope, name string) string {
	return ARN{Partition(s.Region), k.Service(), s.Region, s.Account, cacheTypes[k], name}.String()
}

// SnapshotARN is the ARN of a snapshot that was taken from a cache of kind k.
func SnapshotARN(k Kind, s Scope, name string) string {
	typ := "snapshot"
	if k == Serverless {
		typ = "serverlesscachesnapshot"
	}
	return ARN{Partition(s.Region), k.Service(), s.Region, s.Account, typ, name}.String()
}

// ARN is the parameter group's Amazon Resource Name.
func (g *ParameterGroup) ARN() string {
	return ARN{Partition(g.Region), g.Service, g.Region, g.Account, "parametergroup", g.Name}.String()
}

// ARN is the subnet group's Amazon Resource Name.
func (g *SubnetGroup) ARN() string {
	return ARN{Partition(g.Region), g.Service, g.Region, g.Account, "subnetgroup", g.Name}.String()
}
