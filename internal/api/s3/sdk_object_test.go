package s3_test

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// withBucket is a server with alice's client and her bucket "bkt".
func withBucket(t testing.TB) (*server, *awss3.Client) {
	t.Helper()
	s := newServer(t)
	c := s.client(alice, "us-east-1")
	if err := createBucket(t, c, "bkt", ""); err != nil {
		t.Fatal(err)
	}
	return s, c
}

var bkt = aws.String("bkt")

func TestObjectsThroughTheSDK(t *testing.T) {
	t.Parallel()
	s, c := withBucket(t)
	ctx := t.Context()
	key := aws.String("dir with space/ключ//x+y%")
	body := string(randomBytes(300_000))
	sum := md5.Sum([]byte(body))
	for _, a := range []types.ChecksumAlgorithm{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		out := must(c.PutObject(ctx, &awss3.PutObjectInput{
			Bucket: bkt, Key: key, Body: strings.NewReader(body), ChecksumAlgorithm: a, ContentType: aws.String("text/x-test"),
			CacheControl: aws.String("no-cache"), Metadata: map[string]string{"Who": "me"}, ContentMD5: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		}))(t)
		if *out.ETag != fmt.Sprintf(`"%x"`, sum) || out.ChecksumType != types.ChecksumTypeFullObject {
			t.Errorf("%s: put says %s, %s", a, *out.ETag, out.ChecksumType)
		}
		// The SDK verifies the checksum that it gets.
		get := must(c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bkt, Key: key, ChecksumMode: types.ChecksumModeEnabled}))(t)
		if readAll(t, get.Body) != body || *get.ContentType != "text/x-test" || *get.CacheControl != "no-cache" || get.Metadata["who"] != "me" {
			t.Errorf("%s: got %+v", a, get)
		}
		if a == "SHA256" && get.ChecksumSHA256 == nil || a == "CRC64NVME" && get.ChecksumCRC64NVME == nil {
			t.Errorf("%s: the checksum was not kept", a)
		}
	}
	head := must(c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: bkt, Key: key}))(t)
	if *head.ContentLength != int64(len(body)) || head.LastModified.IsZero() {
		t.Errorf("head: %+v", head)
	}
	_, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: bkt, Key: aws.String("absent")})
	wantCode(t, err, "NotFound", 404)
	_, err = c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bkt, Key: aws.String("absent")})
	wantCode(t, err, "NoSuchKey", 404)
	_, err = s.client(bob, "us-east-1").GetObject(ctx, &awss3.GetObjectInput{Bucket: bkt, Key: key})
	wantCode(t, err, "AccessDenied", 403)
	_, err = c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bkt, Key: key, Body: strings.NewReader("x"), ContentMD5: aws.String("AAAAAAAAAAAAAAAAAAAAAA==")})
	wantCode(t, err, "BadDigest", 400)
	_, err = c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bkt, Key: key, Body: strings.NewReader("x"), ChecksumCRC32: aws.String("AAAAAA==")})
	wantCode(t, err, "BadDigest", 400)
	_, err = c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bkt, Key: aws.String(strings.Repeat("k", 1025)), Body: strings.NewReader("x")})
	wantCode(t, err, "KeyTooLongError", 400)
	_, err = c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bkt, Key: key, Body: strings.NewReader("x"), ServerSideEncryption: types.ServerSideEncryptionAwsKms})
	wantCode(t, err, "NotImplemented", 501)
	_, err = c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bkt, Key: key, Body: strings.NewReader("x"), Metadata: map[string]string{"a": strings.Repeat("x", 2048)}})
	wantCode(t, err, "MetadataTooLarge", 400)
	if get := must(c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bkt, Key: key}))(t); readAll(t, get.Body) != body {
		t.Error("a refused put changed the object")
	}
	empty := putString(t, c, "bkt", "empty", "")
	if *empty.ETag != `"d41d8cd98f00b204e9800998ecf8427e"` {
		t.Errorf("the empty object has %s", *empty.ETag)
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	_, c := withBucket(t)
	putString(t, c, "bkt", "k", "0123456789")
	for spec, want := range map[string]string{
		"bytes=0-3": "0123", "bytes=4-": "456789", "bytes=-3": "789", "bytes=9-100": "9", "bytes=-100": "0123456789",
		"bytes=5-4": "0123456789", "bytes=0-1,3-4": "0123456789", "lines=1-2": "0123456789",
	} {
		get := must(c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: bkt, Key: aws.String("k"), Range: &spec}))(t)
		if got := readAll(t, get.Body); got != want {
			t.Errorf("%s: %q, want %q (%s)", spec, got, want, aws.ToString(get.ContentRange))
		}
	}
	for _, spec := range []string{"bytes=10-", "bytes=-0"} {
		_, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: bkt, Key: aws.String("k"), Range: &spec})
		wantCode(t, err, "InvalidRange", 416)
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	_, c := withBucket(t)
	ctx := t.Context()
	etag := putString(t, c, "bkt", "k", "v").ETag
	past, future := aws.Time(time.Now().Add(-time.Hour)), aws.Time(time.Now().Add(time.Hour))
	get := func(in awss3.GetObjectInput) error {
		in.Bucket, in.Key = bkt, aws.String("k")
		out, err := c.GetObject(ctx, &in)
		if err == nil {
			out.Body.Close()
		}
		return err
	}
	for name, in := range map[string]awss3.GetObjectInput{
		"match": {IfMatch: etag}, "none": {IfNoneMatch: aws.String(`"x"`)}, "since": {IfModifiedSince: past}, "unmodified": {IfUnmodifiedSince: future},
		"etag outweighs time": {IfMatch: etag, IfUnmodifiedSince: past},
	} {
		if err := get(in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantCode(t, get(awss3.GetObjectInput{IfMatch: aws.String(`"x"`)}), "PreconditionFailed", 412)
	wantCode(t, get(awss3.GetObjectInput{IfUnmodifiedSince: past}), "PreconditionFailed", 412)
	wantCode(t, get(awss3.GetObjectInput{IfNoneMatch: etag}), "NotModified", 304)
	wantCode(t, get(awss3.GetObjectInput{IfModifiedSince: future}), "NotModified", 304)

	put := func(in awss3.PutObjectInput) error {
		in.Bucket, in.Key, in.Body = bkt, aws.String("k"), strings.NewReader("new")
		_, err := c.PutObject(ctx, &in)
		return err
	}
	wantCode(t, put(awss3.PutObjectInput{IfNoneMatch: aws.String("*")}), "PreconditionFailed", 412)
	wantCode(t, put(awss3.PutObjectInput{IfMatch: aws.String(`"x"`)}), "PreconditionFailed", 412)
	if err := put(awss3.PutObjectInput{IfMatch: etag}); err != nil {
		t.Error(err)
	}
}

func TestOfTwoClientsOneWins(t *testing.T) {
	t.Parallel()
	_, c := withBucket(t)
	for round := range 10 {
		var wg sync.WaitGroup
		results := make([]error, 4)
		for i := range results {
			wg.Go(func() {
				_, results[i] = c.PutObject(t.Context(), &awss3.PutObjectInput{
					Bucket: bkt, Key: aws.String(fmt.Sprint("k", round)), Body: strings.NewReader(fmt.Sprint(i)), IfNoneMatch: aws.String("*"),
				})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			var api smithy.APIError
			if err == nil {
				won++
			} else if !errors.As(err, &api) || api.ErrorCode() != "PreconditionFailed" {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d clients won", won)
		}
	}
}

func TestCopies(t *testing.T) {
	t.Parallel()
	s, c := withBucket(t)
	ctx := t.Context()
	must(c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bkt, Key: aws.String("a b+c"), Body: strings.NewReader("data"), Metadata: map[string]string{"m": "1"}}))(t)
	out := must(c.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: bkt, Key: aws.String("copy"), CopySource: aws.String("/bkt/a%20b%2Bc")}))(t)
	if *out.CopyObjectResult.ETag != `"8d777f385d3dfec8815d20f7496026dc"` || out.CopyObjectResult.ChecksumCRC32 == nil {
		t.Errorf("%+v", out.CopyObjectResult)
	}
	get := must(c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bkt, Key: aws.String("copy")}))(t)
	if readAll(t, get.Body) != "data" || get.Metadata["m"] != "1" {
		t.Errorf("%+v", get)
	}
	self := &awss3.CopyObjectInput{Bucket: bkt, Key: aws.String("copy"), CopySource: aws.String("bkt/copy")}
	_, err := c.CopyObject(ctx, self)
	wantCode(t, err, "InvalidRequest", 400)
	self.MetadataDirective, self.Metadata = types.MetadataDirectiveReplace, map[string]string{"m": "2"}
	must(c.CopyObject(ctx, self))(t)
	if h := must(c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: bkt, Key: aws.String("copy")}))(t); h.Metadata["m"] != "2" {
		t.Errorf("%+v", h.Metadata)
	}
	_, err = c.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: bkt, Key: aws.String("x"), CopySource: aws.String("bkt/absent")})
	wantCode(t, err, "NoSuchKey", 404)
	_, err = c.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: bkt, Key: aws.String("x"), CopySource: aws.String("bkt/copy"), CopySourceIfMatch: aws.String(`"no"`)})
	wantCode(t, err, "PreconditionFailed", 412)
	thief := s.client(bob, "us-east-1")
	if err := createBucket(t, thief, "bobs", ""); err != nil {
		t.Fatal(err)
	}
	_, err = thief.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: aws.String("bobs"), Key: aws.String("x"), CopySource: aws.String("bkt/copy")})
	wantCode(t, err, "AccessDenied", 403)
}

func TestPresigned(t *testing.T) {
	t.Parallel()
	_, c := withBucket(t)
	p := awss3.NewPresignClient(c)
	put := must(p.PresignPutObject(t.Context(), &awss3.PutObjectInput{Bucket: bkt, Key: aws.String("a/k")}))(t)
	req := must(http.NewRequest(put.Method, put.URL, strings.NewReader("signed")))(t)
	res := must(http.DefaultClient.Do(req))(t)
	if body := readAll(t, res.Body); res.StatusCode != 200 {
		t.Fatalf("put: %d %s", res.StatusCode, body)
	}
	get := must(p.PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: bkt, Key: aws.String("a/k"), ResponseContentType: aws.String("text/plain")}))(t)
	res = must(http.Get(get.URL))(t)
	if body := readAll(t, res.Body); body != "signed" || res.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("get: %s %v", body, res.Header)
	}
	res = must(http.Get(strings.Replace(get.URL, "a/k", "a/j", 1)))(t)
	if body := readAll(t, res.Body); res.StatusCode != 403 || !strings.Contains(body, "<Code>SignatureDoesNotMatch</Code>") {
		t.Errorf("another key: %d %s", res.StatusCode, body)
	}
}

// A client that dies in the middle of a body leaves nothing.
func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	_, c := withBucket(t)
	put := must(awss3.NewPresignClient(c).PresignPutObject(t.Context(), &awss3.PutObjectInput{Bucket: bkt, Key: aws.String("k")}))(t)
	req := must(http.NewRequest("PUT", put.URL, io.MultiReader(strings.NewReader("only the head"), failing{})))(t)
	req.ContentLength = 1 << 20
	if res, err := http.DefaultClient.Do(req); err == nil {
		res.Body.Close()
		t.Errorf("answered with %d", res.StatusCode)
	}
	_, err := c.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: bkt, Key: aws.String("k")})
	wantCode(t, err, "NotFound", 404)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the client dies") }
