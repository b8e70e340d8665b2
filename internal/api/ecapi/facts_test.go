package ecapi_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/wire"
)

// aws-sdk-go-v2 reads one element, botocore the other; each skips what it does not know.
func TestPendingLogDeliveryHasBothNames(t *testing.T) {
	t.Parallel()
	kind := ecapi.LogTypeSlowLog
	pending := []ecapi.PendingLogDeliveryConfiguration{{LogType: &kind}}
	for _, c := range []struct {
		op  *wire.Operation
		out any
	}{
		{ecapi.OpModifyCacheCluster.Operation, &ecapi.ModifyCacheClusterOutput{CacheCluster: &ecapi.CacheCluster{
			PendingModifiedValues: &ecapi.PendingModifiedValues{LogDeliveryConfigurations: pending}}}},
		{ecapi.OpModifyReplicationGroup.Operation, &ecapi.ModifyReplicationGroupOutput{ReplicationGroup: &ecapi.ReplicationGroup{
			PendingModifiedValues: &ecapi.ReplicationGroupPendingModifiedValues{LogDeliveryConfigurations: pending}}}},
	} {
		doc, err := wire.EncodeXML(c.op, "id", c.out)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"LogDeliveryConfigurations", "PendingLogDeliveryConfiguration"} {
			if want := "<" + name + "><member><LogType>slow-log</LogType></member></" + name + ">"; !strings.Contains(string(doc), want) {
				t.Errorf("%s: no %s in\n%s", c.op.Name, want, doc)
			}
		}
	}
}

// What the overlay says reaches the decoder.
func TestOverlay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ query, want string }{
		{"Action=CopySnapshot&SourceSnapshotName=a&TargetSnapshotName=b&TargetBucket=", ""},
		{"Action=CopySnapshot&SourceSnapshotName=a&TargetSnapshotName=", "The parameter TargetSnapshotName must be provided and must not be blank."},
		{"Action=DescribeSnapshots&MaxRecords=19&Marker=", "The parameter MaxRecords must be from 20 to 50."},
		{"Action=CreateSnapshot&SnapshotName=a&Tags.Tag.1.Value=v", "The parameter Tags.Tag.1.Key must be provided and must not be blank."},
		{"Action=CreateServerlessCache&ServerlessCacheName=a&Engine=valkey&SnapshotRetentionLimit=36", "The parameter SnapshotRetentionLimit must be from 0 to 35."},
		{"Action=CreateServerlessCache&ServerlessCacheName=a&Engine=valkey&ConnectionType=carrier-pigeon", "The parameter ConnectionType must be one of vpc, public."},
		{"Action=StartMigration&ServerlessCacheName=a", ""},
	} {
		values, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		in, _, err := wire.Decode(ecapi.Service.Operation(values.Get("Action")), values, nil)
		if got := errText(err); got != c.want {
			t.Errorf("%s: %q, want %q", c.query, got, c.want)
		}
		if copied, ok := in.(*ecapi.CopySnapshotInput); ok && copied.TargetBucket != nil {
			t.Error("an empty TargetBucket is a bucket")
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The codes that differ from the shape's name, and the statuses that surprise (a sample of each kind).
func TestFaultTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  *wire.Fault
		code   string
		status int
	}{
		{ecapi.CacheClusterNotFoundFault, "CacheClusterNotFound", 404},
		{ecapi.ReplicationGroupNotFoundFault, "ReplicationGroupNotFoundFault", 404},
		{ecapi.CacheSubnetGroupNotFoundFault, "CacheSubnetGroupNotFoundFault", 400},
		{ecapi.ServerlessCacheNotFoundFault, "ServerlessCacheNotFoundFault", 404},
		{ecapi.InvalidCredentialsException, "InvalidCredentialsException", 408},
		{ecapi.ReservedCacheNodeAlreadyExistsFault, "ReservedCacheNodeAlreadyExists", 404},
		{ecapi.CacheSecurityGroupQuotaExceededFault, "QuotaExceeded.CacheSecurityGroup", 400},
		{ecapi.InvalidParameterValueException, "InvalidParameterValue", 400},
		{ecapi.SnapshotAlreadyExistsFault, "SnapshotAlreadyExistsFault", 400},
	} {
		if c.fault.Code != c.code || c.fault.Status != c.status || !c.fault.Sender {
			t.Errorf("%s: %+v", c.fault.Shape, *c.fault)
		}
	}
	if n := len(ecapi.Service.Operations); n != 77 { // 75 of the model and two of the overlay
		t.Errorf("%d operations", n)
	}
}
