package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/keyframe/keyframe/internal/api/wire/wiretest"
	"github.com/keyframe/keyframe/internal/engine/resp"
)

// client is one profile of the server's credentials file in one region, as the SDKs' own chain reads it.
type client struct {
	*elasticache.Client
	s3     *s3.Client
	server *server
}

// as makes clients for a profile and a region. The configuration comes from the credentials file alone.
func (s *server) as(profile, region string) *client {
	s.t.Helper()
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithSharedCredentialsFiles([]string{filepath.Join(s.dir, "credentials")}),
		config.WithSharedConfigFiles(nil), config.WithSharedConfigProfile(profile), config.WithRegion(region), config.WithBaseEndpoint(s.url),
		config.WithRetryMaxAttempts(1))
	if err != nil {
		s.t.Fatal(err)
	}
	cfg.HTTPClient = wiretest.HTTPClient()
	return &client{elasticache.NewFromConfig(cfg), s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }), s}
}

// addAccount gives the server a second profile, of an account of its own, and starts it again.
func (s *server) addAccount(profile, account string) {
	s.t.Helper()
	s.stop()
	f, err := os.OpenFile(filepath.Join(s.dir, "credentials"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "\n[%s]\naws_access_key_id = AKIA%s\naws_secret_access_key = secret-of-%s\naws_account_id = %s\n", profile, account, account, account); err != nil {
		s.t.Fatal(err)
	}
	s.start()
}

// said is what every modelled fault can do.
type said interface {
	error
	ErrorMessage() string
}

// wantFault checks that err is the typed error T of the SDK, with this HTTP status, and that its message has all these parts.
func wantFault[T said](t *testing.T, err error, status int, parts ...string) {
	t.Helper()
	var fault T
	if !errors.As(err, &fault) {
		t.Errorf("got %v, want a %T", err, fault)
		return
	}
	wantAnswer(t, err, status, fault.ErrorMessage(), parts)
}

// wantCode is wantFault for faults that the SDK has no type for.
func wantCode(t *testing.T, err error, status int, code string, parts ...string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("got %v, want the code %s", err, code)
		return
	}
	wantAnswer(t, err, status, api.ErrorMessage(), parts)
}

func wantAnswer(t *testing.T, err error, status int, message string, parts []string) {
	t.Helper()
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() != status {
		t.Errorf("%v: want status %d", err, status)
	}
	for _, part := range parts {
		if !strings.Contains(message, part) {
			t.Errorf("the message %q lacks %q", message, part)
		}
	}
}

// ok fails the test at once if something that should work does not.
func ok[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (c *client) newCache(name string, change ...func(*elasticache.CreateServerlessCacheInput)) (*elasticache.CreateServerlessCacheOutput, error) {
	in := &elasticache.CreateServerlessCacheInput{ServerlessCacheName: &name, Engine: aws.String("valkey")}
	for _, f := range change {
		f(in)
	}
	return c.CreateServerlessCache(context.Background(), in)
}

// from makes a new cache a restore.
func from(arns ...string) func(*elasticache.CreateServerlessCacheInput) {
	return func(in *elasticache.CreateServerlessCacheInput) { in.SnapshotArnsToRestore = arns }
}

func (c *client) cache(name string) (*types.ServerlessCache, error) {
	out, err := c.DescribeServerlessCaches(context.Background(), &elasticache.DescribeServerlessCachesInput{ServerlessCacheName: &name})
	if err != nil {
		return nil, err
	}
	return &out.ServerlessCaches[0], nil
}

// status waits until a cache is in one of some states and returns it.
func (c *client) status(t *testing.T, name string, states ...string) (cache *types.ServerlessCache) {
	t.Helper()
	until(t, fmt.Sprintf("cache %s %v", name, states), func() (done bool, err error) {
		if cache, err = c.cache(name); err != nil {
			return false, err
		}
		return slices.Contains(states, *cache.Status), nil
	})
	return cache
}

func address(cache *types.ServerlessCache) string {
	return net.JoinHostPort(*cache.Endpoint.Address, strconv.Itoa(int(*cache.Endpoint.Port)))
}

// gone waits until a cache does not exist any more.
func (c *client) gone(t *testing.T, name string) {
	t.Helper()
	until(t, "the end of cache "+name, func() (bool, error) {
		_, err := c.cache(name)
		var fault *types.ServerlessCacheNotFoundFault
		if errors.As(err, &fault) {
			return true, nil
		}
		return false, err
	})
}

func (c *client) snapshot(name string) (*types.ServerlessCacheSnapshot, error) {
	out, err := c.DescribeServerlessCacheSnapshots(context.Background(), &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: &name})
	if err != nil {
		return nil, err
	}
	return &out.ServerlessCacheSnapshots[0], nil
}

// snapshotIn waits until a snapshot is in one of some states.
func (c *client) snapshotIn(t *testing.T, name string, states ...string) (s *types.ServerlessCacheSnapshot) {
	t.Helper()
	until(t, fmt.Sprintf("snapshot %s %v", name, states), func() (done bool, err error) {
		if s, err = c.snapshot(name); err != nil {
			return false, err
		}
		return slices.Contains(states, *s.Status), nil
	})
	return s
}

// snapshotGone waits until a snapshot does not exist any more.
func (c *client) snapshotGone(t *testing.T, name string) {
	t.Helper()
	until(t, "the end of snapshot "+name, func() (bool, error) {
		_, err := c.snapshot(name)
		var fault *types.ServerlessCacheSnapshotNotFoundFault
		if errors.As(err, &fault) {
			return true, nil
		}
		return false, err
	})
}

func (c *client) newSnapshot(cache, name string, change ...func(*elasticache.CreateServerlessCacheSnapshotInput)) (*types.ServerlessCacheSnapshot, error) {
	in := &elasticache.CreateServerlessCacheSnapshotInput{ServerlessCacheName: &cache, ServerlessCacheSnapshotName: &name}
	for _, f := range change {
		f(in)
	}
	out, err := c.CreateServerlessCacheSnapshot(context.Background(), in)
	if err != nil {
		return nil, err
	}
	return out.ServerlessCacheSnapshot, nil
}

// take makes a snapshot and waits until it is available.
func (c *client) take(t *testing.T, cache, name string, change ...func(*elasticache.CreateServerlessCacheSnapshotInput)) *types.ServerlessCacheSnapshot {
	t.Helper()
	ok[*types.ServerlessCacheSnapshot](t)(c.newSnapshot(cache, name, change...))
	s := c.snapshotIn(t, name, "available", "failed")
	if *s.Status != "available" {
		t.Fatalf("snapshot %s failed: %v", name, c.events(t, "serverless-cache-snapshot", name))
	}
	return s
}

func (c *client) copy(source, target string, change ...func(*elasticache.CopyServerlessCacheSnapshotInput)) (*types.ServerlessCacheSnapshot, error) {
	in := &elasticache.CopyServerlessCacheSnapshotInput{SourceServerlessCacheSnapshotName: &source, TargetServerlessCacheSnapshotName: &target}
	for _, f := range change {
		f(in)
	}
	out, err := c.CopyServerlessCacheSnapshot(context.Background(), in)
	if err != nil {
		return nil, err
	}
	return out.ServerlessCacheSnapshot, nil
}

func (c *client) export(snapshot, bucket string) (*types.ServerlessCacheSnapshot, error) {
	out, err := c.ExportServerlessCacheSnapshot(context.Background(), &elasticache.ExportServerlessCacheSnapshotInput{
		ServerlessCacheSnapshotName: &snapshot, S3BucketName: &bucket})
	if err != nil {
		return nil, err
	}
	return out.ServerlessCacheSnapshot, nil
}

func (c *client) deleteSnapshot(name string) (*types.ServerlessCacheSnapshot, error) {
	out, err := c.DeleteServerlessCacheSnapshot(context.Background(), &elasticache.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: &name})
	if err != nil {
		return nil, err
	}
	return out.ServerlessCacheSnapshot, nil
}

func (c *client) newBucket(t *testing.T, name string) {
	t.Helper()
	ok[*s3.CreateBucketOutput](t)(c.s3.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &name}))
}

func (c *client) putObject(t *testing.T, bucket, key string, body []byte) {
	t.Helper()
	ok[*s3.PutObjectOutput](t)(c.s3.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(string(body))}))
}

// events are the messages about one source, oldest first.
func (c *client) events(t *testing.T, sourceType, source string) (messages []string) {
	t.Helper()
	out := ok[*elasticache.DescribeEventsOutput](t)(c.DescribeEvents(context.Background(), &elasticache.DescribeEventsInput{
		SourceType: types.SourceType(sourceType), SourceIdentifier: &source}))
	for _, e := range out.Events {
		messages = append(messages, *e.Message)
	}
	slices.Reverse(messages)
	return messages
}

func wantEvent(t *testing.T, events []string, parts ...string) {
	t.Helper()
	for _, e := range events {
		missing := slices.IndexFunc(parts, func(p string) bool { return !strings.Contains(e, p) })
		if missing < 0 {
			return
		}
	}
	t.Errorf("no event says %q: %q", parts, events)
}

// do runs one command on an engine.
func do(t *testing.T, address string, command ...string) string {
	t.Helper()
	conn := ok[*resp.Conn](t)(resp.Dial(t.Context(), address, nil))
	defer conn.Close()
	v := ok[resp.Value](t)(conn.Do(t.Context(), command...))
	if v.Kind == resp.ErrorKind {
		t.Fatalf("%v: %v", command, v.Err)
	}
	return v.Str
}

// maxMemory asks an engine for its data limit in bytes.
func maxMemory(t *testing.T, address string) int64 {
	t.Helper()
	conn := ok[*resp.Conn](t)(resp.Dial(t.Context(), address, nil))
	defer conn.Close()
	info := ok[map[string]string](t)(conn.Info(t.Context(), "memory"))
	return ok[int64](t)(strconv.ParseInt(info["maxmemory"], 10, 64))
}

// enginePIDs finds the engine processes of a server by their working directories.
func (s *server) enginePIDs(t *testing.T) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range all {
		at, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(at, s.dir+"/nodes/") {
			continue // gone, or not an engine of ours
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}
