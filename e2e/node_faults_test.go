package e2e

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	mdbtypes "github.com/aws/aws-sdk-go-v2/service/memorydb/types"
)

// A cache of nodes takes twenty manual snapshots in a day. Those that were deleted count, and copies do not.
func TestTwentySnapshotsADay(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, m, ctx := s.elasticache(), memorydb.NewFromConfig(s.config("us-east-1")), t.Context()
	t.Run("elasticache", func(t *testing.T) {
		t.Parallel()
		id := aws.String("orders")
		ok[*elasticache.CreateCacheClusterOutput](t)(c.CreateCacheCluster(ctx, &elasticache.CreateCacheClusterInput{CacheClusterId: id, Engine: aws.String("valkey"), CacheNodeType: aws.String("cache.t4g.micro"), NumCacheNodes: aws.Int32(1)}))
		available := func() {
			t.Helper()
			until(t, "cluster available", func() (bool, error) {
				out, err := c.DescribeCacheClusters(ctx, &elasticache.DescribeCacheClustersInput{CacheClusterId: id})
				return err == nil && *out.CacheClusters[0].CacheClusterStatus == "available", err
			})
		}
		for i := range 20 {
			available()
			name := fmt.Sprint("orders-", i)
			ok[*elasticache.CreateSnapshotOutput](t)(c.CreateSnapshot(ctx, &elasticache.CreateSnapshotInput{CacheClusterId: id, SnapshotName: &name}))
		}
		available()
		ok[*elasticache.DeleteSnapshotOutput](t)(c.DeleteSnapshot(ctx, &elasticache.DeleteSnapshotInput{SnapshotName: aws.String("orders-0")}))
		_, err := c.CreateSnapshot(ctx, &elasticache.CreateSnapshotInput{CacheClusterId: id, SnapshotName: aws.String("orders-20")})
		wantFault[*ectypes.SnapshotQuotaExceededFault](t, err, 400, "The maximum number of manual snapshots for this", "taken within 24 hours has been reached")
		ok[*elasticache.CopySnapshotOutput](t)(c.CopySnapshot(ctx, &elasticache.CopySnapshotInput{SourceSnapshotName: aws.String("orders-1"), TargetSnapshotName: aws.String("copied")}))
	})
	t.Run("memorydb", func(t *testing.T) {
		t.Parallel()
		name := aws.String("ledger")
		ok[*memorydb.CreateClusterOutput](t)(m.CreateCluster(ctx, &memorydb.CreateClusterInput{ClusterName: name, NodeType: aws.String("db.t4g.small"), ACLName: aws.String("open-access"), NumReplicasPerShard: aws.Int32(0)}))
		available := func() {
			t.Helper()
			until(t, "cluster available", func() (bool, error) {
				out, err := m.DescribeClusters(ctx, &memorydb.DescribeClustersInput{ClusterName: name})
				return err == nil && *out.Clusters[0].Status == "available", err
			})
		}
		for i := range 20 {
			available()
			ok[*memorydb.CreateSnapshotOutput](t)(m.CreateSnapshot(ctx, &memorydb.CreateSnapshotInput{ClusterName: name, SnapshotName: aws.String(fmt.Sprint("ledger-", i))}))
		}
		available()
		ok[*memorydb.DeleteSnapshotOutput](t)(m.DeleteSnapshot(ctx, &memorydb.DeleteSnapshotInput{SnapshotName: aws.String("ledger-0")}))
		_, err := m.CreateSnapshot(ctx, &memorydb.CreateSnapshotInput{ClusterName: name, SnapshotName: aws.String("ledger-20")})
		wantFault[*mdbtypes.SnapshotQuotaExceededFault](t, err, 400, "The maximum number of manual snapshots for this", "taken within 24 hours has been reached")
		ok[*memorydb.CopySnapshotOutput](t)(m.CopySnapshot(ctx, &memorydb.CopySnapshotInput{SourceSnapshotName: aws.String("ledger-1"), TargetSnapshotName: aws.String("copied")}))
	})
}

// wiretap keeps the last answer that passed, as it came over the wire.
type wiretap struct {
	sync.Mutex
	status int
	header http.Header
	body   []byte
}

func (w *wiretap) Do(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	w.Lock()
	defer w.Unlock()
	w.status, w.header, w.body = answer.StatusCode, answer.Header, body
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, err
}

// Errors have the form of each protocol: for clients that look at bytes.
func TestFormOfErrors(t *testing.T) {
	t.Parallel()
	s := serve(t)
	tap := &wiretap{}
	config := s.config("us-east-1")
	config.HTTPClient = tap
	_, err := elasticache.NewFromConfig(config).DescribeReplicationGroups(t.Context(), &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: aws.String("a<b>&c")})
	wantFault[*ectypes.ReplicationGroupNotFoundFault](t, err, 404, "a<b>&c")
	var query struct {
		XMLName xml.Name `xml:"http://elasticache.amazonaws.com/doc/2015-02-02/ ErrorResponse"`
		Error   struct{ Type, Code, Message string }
		// RequestId stands beside Error, not inside it.
		RequestId string
	}
	if err := xml.Unmarshal(tap.body, &query); err != nil || query.Error.Type != "Sender" || query.Error.Code != "ReplicationGroupNotFoundFault" || query.RequestId == "" ||
		query.RequestId != tap.header.Get("X-Amzn-Requestid") || tap.header.Get("Content-Type") != "text/xml" {
		t.Errorf("%+v, %v: %v\n%s", query, err, tap.header, tap.body)
	}
	_, err = memorydb.NewFromConfig(config).DescribeClusters(t.Context(), &memorydb.DescribeClustersInput{ClusterName: aws.String(`a"b`)})
	wantFault[*mdbtypes.ClusterNotFoundFault](t, err, 400, `a"b`)
	var fault map[string]string
	if err := json.Unmarshal(tap.body, &fault); err != nil || len(fault) != 2 || fault["__type"] != "ClusterNotFoundFault" || fault["message"] == "" ||
		tap.header.Get("X-Amzn-Errortype") != "ClusterNotFoundFault" || tap.header.Get("Content-Type") != "application/x-amz-json-1.1" || tap.header.Get("X-Amzn-Requestid") == "" {
		t.Errorf("%v, %v: %v\n%s", fault, err, tap.header, tap.body)
	}
}
