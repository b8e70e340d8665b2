package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/blob/blobtest"
	"github.com/keyframe/keyframe/internal/kftest"
)

// open makes a bucket on the endpoint. The chunk is the smallest that S3 allows, so that objects of some MiB are multipart.
func open(t *testing.T, endpoint, name, key, secret, prefix string) *Bucket {
	t.Helper()
	b, err := Open(t.Context(), Options{Bucket: name, Prefix: prefix, Endpoint: endpoint, PathStyle: true,
		AccessKeyID: key, SecretAccessKey: Secret(secret)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	b.chunk = 5 << 20
	return b
}

func fake(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(gofakes3.New(s3mem.New(), gofakes3.WithTimeSkewLimit(0)).Server())
	t.Cleanup(srv.Close)
	return srv.URL
}

// The in-process server is gofakes3: the real protocol over the real client, not real S3.
func TestSuite(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Bucket { return open(t, fake(t), "bucket", "AK", "SK", "some/prefix/") })
}

// TestGateway runs the suite against a server that other people wrote.
func TestGateway(t *testing.T) {
	t.Parallel()
	srv := kftest.S3(t)
	t.Run("suite", func(t *testing.T) {
		n := 0
		names := make(chan string, 100)
		for range cap(names) {
			names <- fmt.Sprintf("bucket%d", n)
			n++
		}
		blobtest.Run(t, func(t *testing.T) blob.Bucket {
			return open(t, srv.Endpoint, <-names, srv.AccessKeyID, srv.SecretAccessKey, "pre/")
		})
	})
}

func TestProbe(t *testing.T) {
	t.Parallel()
	b := open(t, fake(t), "bucket", "AK", "SK", "")
	if err := b.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	none := New(b.client, "no-such-bucket", "")
	if err := none.Probe(t.Context()); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("%v, want ErrNotFound", err)
	}
	err := blob.Put(t.Context(), none, "k", []byte("x"), blob.CreateOptions{})
	if err == nil || errors.Is(err, blob.ErrExists) || errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("put into a bucket that is not there: %v", err)
	}
}

// proxy forwards to a server and lets the test break requests.
type proxy struct {
	break_ func(*http.Request) bool
}

func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.break_(r) {
		return nil, errors.New("broken wire")
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestUploadFailureIsCleaned(t *testing.T) {
	t.Parallel()
	url := fake(t)
	good := open(t, url, "bucket", "AK", "SK", "")
	p := &proxy{break_: func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "2" }}
	b, err := Open(t.Context(), Options{Bucket: "bucket", Endpoint: url, PathStyle: true, AccessKeyID: "AK", SecretAccessKey: "SK",
		HTTPClient: &http.Client{Transport: p}})
	if err != nil {
		t.Fatal(err)
	}
	b = New(awss3.New(b.client.Options(), func(o *awss3.Options) { o.RetryMaxAttempts = 1; o.Retryer = aws.NopRetryer{} }), "bucket", "")
	b.chunk = 5 << 20
	w, err := b.Create(t.Context(), "k", blob.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, werr := io.Copy(w, strings.NewReader(strings.Repeat("x", 16<<20)))
	if cerr := w.Commit(); cerr == nil {
		t.Fatalf("commit succeeded without part 2 (write: %v)", werr)
	}
	out, err := good.client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: aws.String("bucket")})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Uploads) != 0 {
		t.Fatalf("%d uploads dangle", len(out.Uploads))
	}
	if _, err := good.Stat(context.Background(), "k"); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("%v, want ErrNotFound", err)
	}
}

// A request that failed may still read its part, which must not be filled with other data.
func TestBufferOfAFailedPartIsNotFilledAgain(t *testing.T) {
	t.Parallel()
	broken := true
	b, err := Open(t.Context(), Options{Bucket: "bucket", Endpoint: fake(t), PathStyle: true, AccessKeyID: "AK", SecretAccessKey: "SK",
		HTTPClient: &http.Client{Transport: &proxy{break_: func(r *http.Request) bool { return broken && r.URL.Query().Has("partNumber") }}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Fatal(err)
	}
	b = New(awss3.New(b.client.Options(), func(o *awss3.Options) { o.Retryer = aws.NopRetryer{} }), "bucket", "")
	b.chunk = 5 << 20
	for _, broken = range []bool{true, false} {
		made, err := b.Create(t.Context(), "k", blob.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w := made.(*writer)
		io.Copy(w, strings.NewReader(strings.Repeat("x", b.chunk+1))) //nolint:errcheck // the writer remembers
		w.wg.Wait()
		if kept := len(w.free) + cap(w.buf)/b.chunk; (kept == 0) != broken || (w.err() != nil) != broken {
			t.Errorf("broken %t: %d buffers are used again, %v", broken, kept, w.err())
		}
		w.Abort()
	}
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	if s := fmt.Sprintf("%v %+v %#v %s", Secret("hush"), Options{SecretAccessKey: "hush"}, Options{SecretAccessKey: "hush"}, Secret("hush")); strings.Contains(s, "hush") {
		t.Fatal(s)
	}
}
