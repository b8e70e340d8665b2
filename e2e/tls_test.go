package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/keyframe/keyframe/internal/dataset"
)

// Nodes on one address that other machines could reach, each on a port of the range, speaking TLS: captured and restored so.
func TestNodesOnOneAddressWithTLS(t *testing.T) {
	t.Parallel()
	const first, last = 21300, 21340
	s := serve(t, "--serverless-tls", "--node-address", "127.0.0.1", "--node-ports", "21300-21340")
	ctx := t.Context()
	connect := func(address string) dataset.Server {
		_, port, err := net.SplitHostPort(address)
		if n, nerr := strconv.Atoi(port); err != nil || nerr != nil || n < first || n > last {
			t.Fatalf("%s is not in the range of ports", address)
		}
		pem, err := os.ReadFile(filepath.Join(s.dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		return dataset.Server{Address: address, TLS: &tls.Config{RootCAs: pool}}
	}
	digest := func(server dataset.Server) dataset.Digest {
		d, err := dataset.DigestOf(ctx, server, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	source := connect(s.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("orders"), Engine: aws.String("redis")}))
	if _, err := dataset.Fill(ctx, source, dataset.Spec{Keys: 1000, Seed: 11}); err != nil {
		t.Fatal(err)
	}
	if _, err := dataset.DigestOf(ctx, dataset.At(source.Address), time.Time{}); err == nil {
		t.Error("the cache speaks plain TCP too")
	}
	if _, err := s.elasticache().CreateServerlessCacheSnapshot(ctx, &elasticache.CreateServerlessCacheSnapshotInput{
		ServerlessCacheName: aws.String("orders"), ServerlessCacheSnapshotName: aws.String("orders-1")}); err != nil {
		t.Fatal(err)
	}
	snap := s.settled("orders-1", "available")
	restored := connect(s.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("restored"), Engine: aws.String("redis"),
		SnapshotArnsToRestore: []string{*snap.ARN}}))
	if got, want := digest(restored), digest(source); got != want {
		t.Errorf("restored %v, want %v", got, want)
	}
}
