package target

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

// startVersity runs an independent S3 server and makes a target of it, with a bucket "exports".
func startVersity(t *testing.T) (Target, *foreign) {
	t.Helper()
	return connect(t, kftest.S3(t))
}

func connect(t *testing.T, srv kftest.S3Server) (Target, *foreign) {
	t.Helper()
	to, err := Foreign(t.Context(), Options{
		Endpoint: srv.Endpoint, Region: srv.Region, AccessKeyID: srv.AccessKeyID, SecretAccessKey: resource.Secret(srv.SecretAccessKey), PathStyle: true,
		PartSize: minPartSize,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := to.store.(*foreign)
	if _, err := f.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("exports")}); err != nil {
		t.Fatal(err)
	}
	return to, f
}

func uploadsOf(t *testing.T, f *foreign) int {
	t.Helper()
	out, err := f.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String("exports")})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Uploads)
}

func TestForeign(t *testing.T) {
	t.Parallel()
	to, f := startVersity(t)
	// Nothing, less than a part, exactly two parts, more parts than are in flight.
	contract(t, to, []int{0, 1, 2 * minPartSize, 5*minPartSize + 1})
	if n := uploadsOf(t, f); n != 0 {
		t.Errorf("%d uploads were left", n)
	}
}

func TestForeignProbe(t *testing.T) {
	t.Parallel()
	to, f := startVersity(t)
	ctx := t.Context()
	if err := to.Probe(ctx, "elasticache", alice, "us-east-1", "exports", "k"); err != nil {
		t.Errorf("a fine bucket: %v", err)
	}
	wantRefusal(t, to.Probe(ctx, "elasticache", alice, "us-east-1", "absent", "k"), "The S3 bucket absent does not exist.")
	if err := write(t, to, "k", "", []byte("x")); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, to.Probe(ctx, "elasticache", alice, "us-east-1", "exports", "k"), "The S3 bucket exports already contains an object with key k.")
	if n := uploadsOf(t, f); n != 0 {
		t.Errorf("probing left %d uploads", n)
	}
	wrong, err := Foreign(ctx, Options{Endpoint: *f.client.Options().BaseEndpoint, Region: "us-east-1", AccessKeyID: "AKIATEST", SecretAccessKey: "wrong", PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, wrong.Probe(ctx, "elasticache", alice, "us-east-1", "exports", "k"), "ElastiCache has not been granted READ permissions exports on the S3 Bucket.")
	wantRefusal(t, wrong.Probe(ctx, "memorydb", alice, "us-east-1", "exports", "k"), "MemoryDB has not been granted READ permissions exports on the S3 Bucket.")
	_, _, err = wrong.Open(ctx, alice, "exports", "k")
	wantErr(t, err, ErrDenied)
}

func TestLeftoversAreAborted(t *testing.T) {
	t.Parallel()
	to, f := startVersity(t)
	ctx := t.Context()
	for _, key := range []string{"k", "k", "kk"} { // as killed writers leave them
		if _, err := f.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("exports"), Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.AbortLeftovers(ctx, alice, "exports", "k"); err != nil {
		t.Fatal(err)
	}
	if n := uploadsOf(t, f); n != 1 {
		t.Errorf("%d uploads are left, want that of the other key", n)
	}
}

// cutting breaks the first answer to a GET of an object after some bytes.
type cutting struct {
	http.RoundTripper
	cut bool
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && !c.cut {
		c.cut = true
		res.Body = &cutBody{res.Body, 100_000}
	}
	return res, err
}

type cutBody struct {
	inner interface {
		Read([]byte) (int, error)
		Close() error
	}
	left int
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, fmt.Errorf("connection reset by the test")
	}
	n, err := b.inner.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func (b *cutBody) Close() error { return b.inner.Close() }

func TestReadingOutlivesABrokenConnection(t *testing.T) {
	t.Parallel()
	to, f := startVersity(t)
	data := randomBytes(1 << 20)
	if err := write(t, to, "k", "", data); err != nil {
		t.Fatal(err)
	}
	opts := f.client.Options()
	net := &cutting{RoundTripper: http.DefaultTransport}
	opts.HTTPClient = &http.Client{Transport: net}
	shaky := Target{&foreign{s3.New(opts), f.o}}
	r, _, err := shaky.Open(t.Context(), alice, "exports", "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 0, len(data))
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			if err.Error() != "EOF" {
				t.Error(err)
			}
			break
		}
	}
	if string(got) != string(data) || !net.cut {
		t.Errorf("%d bytes came of %d; cut: %v", len(got), len(data), net.cut)
	}
}

// lossy drops the answer to what commits, after the server has acted.
type lossy struct{ http.RoundTripper }

func (l lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(r)
	commits := r.Method == http.MethodPut && !r.URL.Query().Has("partNumber") || r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
	if err == nil && commits {
		res.Body.Close()
		return nil, fmt.Errorf("connection reset by the test")
	}
	return res, err
}

func TestACommitWhoseAnswerIsLostSucceeds(t *testing.T) {
	t.Parallel()
	to, f := startVersity(t)
	opts := f.client.Options()
	opts.HTTPClient = &http.Client{Transport: lossy{http.DefaultTransport}}
	opts.Retryer = aws.NopRetryer{}
	shaky := Target{&foreign{s3.New(opts), f.o}}
	for key, size := range map[string]int{"small": 10, "large": minPartSize + 1} {
		if err := write(t, shaky, key, "job", randomBytes(size)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if info, err := to.Stat(t.Context(), alice, "exports", key); err != nil || info.Size != int64(size) {
			t.Errorf("%s: %+v, %v", key, info, err)
		}
	}
}

func TestForeignOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Endpoint: ""}, {Endpoint: "localhost:9000"}, {Endpoint: "ftp://x"}, {Endpoint: "http://"}, {Endpoint: "http://x", PartSize: 1}} {
		if _, err := Foreign(context.Background(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
