package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/api/client"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/app"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
	"github.com/keyframe/keyframe/internal/config"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/resource"
)

// start runs this binary as a server and waits until it is ready.
func (d *demo) start(ctx context.Context) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	data := filepath.Join(d.dir, "data")
	listen := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if d.server, err = startChild(d.dir, "server.log", self, "serve", "--data", data, "--listen", listen, "--log-format", "text",
		"--access-key-id", "", "--secret-access-key", "", "--account", demoAccount); err != nil {
		return "", err
	}
	d.api = &client.Client{URL: "http://" + listen, Region: "us-east-1"}
	err = poll(ctx, d.server, func() (bool, error) {
		answer, err := http.Get(d.api.URL + "/healthz") //nolint:noctx // the loop ends with the context
		if err != nil {
			return false, nil // not listening yet
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		return "", err
	}
	directory, err := iam.Open(iam.Options{Path: filepath.Join(data, "credentials")})
	if err != nil {
		return "", err
	}
	who, secret := directory.Default()
	d.api.Credentials = sigv4.Credentials{AccessKeyID: who.AccessKeyID, Secret: secret}
	return "at " + d.api.URL, nil
}

// createCache makes a cache and waits until it is available; it returns the endpoint.
func (d *demo) createCache(ctx context.Context, name string, from []string) (string, error) {
	family, major := "valkey", "8"
	if _, err := client.Call(ctx, d.api, ecapi.OpCreateServerlessCache, &ecapi.CreateServerlessCacheInput{
		ServerlessCacheName: &name, Engine: &family, MajorEngineVersion: &major, SnapshotArnsToRestore: from,
	}); err != nil {
		return "", err
	}
	var endpoint string
	return endpoint, poll(ctx, d.server, func() (bool, error) {
		out, err := client.Call(ctx, d.api, ecapi.OpDescribeServerlessCaches, &ecapi.DescribeServerlessCachesInput{ServerlessCacheName: &name})
		if err != nil {
			return false, err
		}
		switch c := out.ServerlessCaches[0]; *c.Status {
		case "available":
			endpoint = net.JoinHostPort(*c.Endpoint.Address, strconv.Itoa(int(*c.Endpoint.Port)))
			return true, nil
		case "creating":
			return false, nil
		default:
			return false, fmt.Errorf("the cache is %s", *c.Status)
		}
	})
}

func (d *demo) createSnapshot(ctx context.Context, cache, name string) (string, error) {
	if _, err := client.Call(ctx, d.api, ecapi.OpCreateServerlessCacheSnapshot, &ecapi.CreateServerlessCacheSnapshotInput{
		ServerlessCacheName: &cache, ServerlessCacheSnapshotName: &name,
	}); err != nil {
		return "", err
	}
	return d.snapshotAvailable(ctx, name)
}

func (d *demo) copySnapshot(ctx context.Context, source, name, key string) (string, error) {
	if _, err := client.Call(ctx, d.api, ecapi.OpCopyServerlessCacheSnapshot, &ecapi.CopyServerlessCacheSnapshotInput{
		SourceServerlessCacheSnapshotName: &source, TargetServerlessCacheSnapshotName: &name, KmsKeyId: &key,
	}); err != nil {
		return "", err
	}
	return d.snapshotAvailable(ctx, name)
}

// snapshotAvailable waits until a snapshot is there and nobody uses it.
func (d *demo) snapshotAvailable(ctx context.Context, name string) (string, error) {
	var size int64
	err := poll(ctx, d.server, func() (bool, error) {
		out, err := client.Call(ctx, d.api, ecapi.OpDescribeServerlessCacheSnapshots, &ecapi.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: &name})
		if err != nil {
			return false, err
		}
		s := out.ServerlessCacheSnapshots[0]
		switch *s.Status {
		case "available":
			size, err = strconv.ParseInt(*s.BytesUsedForCache, 10, 64)
			return true, err
		case "creating", "copying", "restoring":
			return false, nil
		}
		return false, fmt.Errorf("the snapshot is %s", *s.Status)
	})
	return "available, " + bytes(size), err
}

func (d *demo) deleteSnapshot(ctx context.Context, name string) error {
	// The copy was made of it a moment ago: it is free when it is available again.
	if _, err := d.snapshotAvailable(ctx, name); err != nil {
		return err
	}
	if _, err := client.Call(ctx, d.api, ecapi.OpDeleteServerlessCacheSnapshot, &ecapi.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: &name}); err != nil {
		return err
	}
	return poll(ctx, d.server, func() (bool, error) {
		out, err := client.Call(ctx, d.api, ecapi.OpDescribeServerlessCacheSnapshots, &ecapi.DescribeServerlessCacheSnapshotsInput{})
		if err != nil {
			return false, err
		}
		for _, s := range out.ServerlessCacheSnapshots {
			if *s.ServerlessCacheSnapshotName == name {
				return false, nil
			}
		}
		return true, nil
	})
}

func (d *demo) export(ctx context.Context, name, bucket string) (string, error) {
	answer, err := d.api.S3(ctx, http.MethodPut, "/"+bucket)
	if err != nil {
		return "", err
	}
	answer.Body.Close()
	if _, err := client.Call(ctx, d.api, ecapi.OpExportServerlessCacheSnapshot, &ecapi.ExportServerlessCacheSnapshotInput{
		ServerlessCacheSnapshotName: &name, S3BucketName: &bucket,
	}); err != nil {
		return "", err
	}
	if _, err := d.snapshotAvailable(ctx, name); err != nil {
		return "", err
	}
	key := resource.ExportKey(name, 1)
	answer, err = d.api.S3(ctx, http.MethodHead, "/"+bucket+"/"+key)
	if err != nil {
		return "", err
	}
	answer.Body.Close()
	return fmt.Sprintf("s3://%s/%s, %s", bucket, key, bytes(answer.ContentLength)), nil
}

// createKey does what keyframe key create does beside a running server.
func (d *demo) createKey(alias string) (string, error) {
	c := config.Default()
	c.Data = filepath.Join(d.dir, "data")
	keys, err := onRing(c, d.api.Region, nil, func(ring *kms.Local, scope resource.Scope, _ []string) ([]kms.Key, error) {
		return one(ring.Create(scope, alias, "of the demo"))
	})
	if err != nil {
		return "", err
	}
	return keys[0].ARN(), nil
}

// verify does what keyframe snapshot verify does beside a running server.
func (d *demo) verify(ctx context.Context, name string) (text string, err error) {
	c := config.Default()
	c.Data = filepath.Join(d.dir, "data")
	return text, withStores(ctx, c, func(stores *app.Stores) error {
		x, err := named(ctx, stores, name)
		if err != nil {
			return err
		}
		report, err := stores.Snapshots.Verify(ctx, x.ID, nil)
		if err == nil {
			text = fmt.Sprintf("good: %d keys, %s in %d parts", report.Keys, bytes(report.PlainBytes), report.Parts)
		}
		return err
	})
}

// removeNodes ends the engines of a data directory whose server has stopped.
func removeNodes(ctx context.Context, dir string) error {
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(data); err != nil {
		return nil // the server never came so far
	}
	engines, err := supervisor.New(supervisor.Options{Dir: data, Grace: 2 * time.Second})
	if err != nil {
		return err
	}
	defer engines.Close()
	for _, n := range engines.Nodes() {
		if err := engines.Remove(ctx, n.ID); err != nil {
			return err
		}
	}
	return nil
}

// waitLoaded waits until an engine has loaded its file.
func waitLoaded(ctx context.Context, address string, c *child) error {
	return poll(ctx, c, func() (bool, error) {
		conn, err := resp.Dial(ctx, address, nil)
		if err != nil {
			return false, nil // not listening yet
		}
		defer conn.Close()
		_, err = conn.Do(ctx, "PING")
		return err == nil, nil
	})
}
