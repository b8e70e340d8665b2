package s3_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func createBucket(t testing.TB, c *awss3.Client, name, constraint string) error {
	in := &awss3.CreateBucketInput{Bucket: &name}
	if constraint != "" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(constraint)}
	}
	_, err := c.CreateBucket(t.Context(), in)
	return err
}

func TestBucketsThroughTheSDK(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx := t.Context()
	c, other, eu := s.client(alice, "us-east-1"), s.client(bob, "us-east-1"), s.client(alice, "eu-west-1")
	name := aws.String("exports")
	for range 2 { // us-east-1 forgives the second time
		if err := createBucket(t, c, "exports", ""); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, createBucket(t, other, "exports", ""), "BucketAlreadyExists", 409)
	wantCode(t, createBucket(t, eu, "plain", ""), "IllegalLocationConstraintException", 400)
	wantCode(t, createBucket(t, eu, "plain", "us-west-2"), "IllegalLocationConstraintException", 400)
	wantCode(t, createBucket(t, c, "plain", "us-east-1"), "InvalidLocationConstraint", 400)
	wantCode(t, createBucket(t, c, "Not_A_Name", ""), "InvalidBucketName", 400)
	if err := createBucket(t, eu, "european", "eu-west-1"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, createBucket(t, eu, "european", "eu-west-1"), "BucketAlreadyOwnedByYou", 409)

	list := must(c.ListBuckets(ctx, &awss3.ListBucketsInput{}))(t)
	if len(list.Buckets) != 2 || *list.Buckets[0].Name != "european" || *list.Buckets[0].BucketRegion != "eu-west-1" || list.Buckets[1].CreationDate.IsZero() {
		t.Errorf("alice has %+v", list.Buckets)
	}
	one := must(c.ListBuckets(ctx, &awss3.ListBucketsInput{MaxBuckets: aws.Int32(1)}))(t)
	two := must(c.ListBuckets(ctx, &awss3.ListBucketsInput{MaxBuckets: aws.Int32(1), ContinuationToken: one.ContinuationToken}))(t)
	if len(one.Buckets) != 1 || len(two.Buckets) != 1 || *two.Buckets[0].Name != "exports" || two.ContinuationToken != nil {
		t.Errorf("pages %+v and %+v", one.Buckets, two.Buckets)
	}
	if l := must(other.ListBuckets(ctx, &awss3.ListBucketsInput{}))(t); len(l.Buckets) != 0 {
		t.Errorf("bob has %+v", l.Buckets)
	}

	head := must(c.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: aws.String("european")}))(t)
	if aws.ToString(head.BucketRegion) != "eu-west-1" {
		t.Errorf("region is %v", head.BucketRegion)
	}
	if l := must(c.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: name}))(t); l.LocationConstraint != "" {
		t.Errorf("us-east-1 is called %q", l.LocationConstraint)
	}
	if l := must(c.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: aws.String("european")}))(t); l.LocationConstraint != "eu-west-1" {
		t.Errorf("eu-west-1 is called %q", l.LocationConstraint)
	}
	if v := must(c.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: name}))(t); v.Status != "" {
		t.Errorf("versioning is %s", v.Status)
	}
	_, err := c.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: aws.String("absent")})
	wantCode(t, err, "NotFound", 404)
	_, err = other.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: name})
	wantCode(t, err, "Forbidden", 403)
	_, err = c.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: name, ExpectedBucketOwner: aws.String(bob)})
	wantCode(t, err, "Forbidden", 403)
	_, err = other.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: name})
	wantCode(t, err, "AccessDenied", 403)
	_, err = c.GetBucketAcl(ctx, &awss3.GetBucketAclInput{Bucket: name})
	wantCode(t, err, "NotImplemented", 501)
	_, err = c.GetBucketPolicy(ctx, &awss3.GetBucketPolicyInput{Bucket: name})
	wantCode(t, err, "NotImplemented", 501)

	putString(t, c, "exports", "k", "x")
	_, err = c.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: name})
	wantCode(t, err, "BucketNotEmpty", 409)
	must(c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: name, Key: aws.String("k")}))(t)
	must(c.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: name}))(t)
	_, err = c.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: name})
	wantCode(t, err, "NoSuchBucket", 404)
}

func putString(t testing.TB, c *awss3.Client, bucket, key, data string) *awss3.PutObjectOutput {
	t.Helper()
	return must(c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(data)}))(t)
}

func TestListingThroughTheSDK(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx := t.Context()
	c := s.client(alice, "us-east-1")
	if err := createBucket(t, c, "bkt", ""); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"a", "a/1", "a/2", "b c+d&<é", "z/\x01", "zz"} {
		putString(t, c, "bkt", k, "data")
	}
	url := types.EncodingTypeUrl
	var keys []string
	pages := awss3.NewListObjectsV2Paginator(c, &awss3.ListObjectsV2Input{Bucket: aws.String("bkt"), MaxKeys: aws.Int32(2), EncodingType: url})
	for pages.HasMorePages() {
		page := must(pages.NextPage(ctx))(t)
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
			if *o.Size != 4 || o.LastModified.IsZero() || *o.ETag == "" {
				t.Errorf("%+v", o)
			}
		}
	}
	if got := fmt.Sprintf("%q", keys); got != `["a" "a/1" "a/2" "b%20c%2Bd%26%3C%C3%A9" "z/%01" "zz"]` {
		t.Errorf("listed %s", got)
	}
	v2 := must(c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("bkt"), Delimiter: aws.String("/"), StartAfter: aws.String("a"), FetchOwner: aws.Bool(true)}))(t)
	if len(v2.CommonPrefixes) != 2 || *v2.CommonPrefixes[0].Prefix != "a/" || len(v2.Contents) != 2 || *v2.KeyCount != 4 || v2.Contents[0].Owner == nil {
		t.Errorf("%+v %+v", v2.CommonPrefixes, v2.Contents)
	}
	if *v2.Contents[0].Key != "b c+d&<é" {
		t.Errorf("key is %q", *v2.Contents[0].Key)
	}
	v1 := must(c.ListObjects(ctx, &awss3.ListObjectsInput{Bucket: aws.String("bkt"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(2)}))(t)
	if !*v1.IsTruncated || aws.ToString(v1.NextMarker) != "a/" || len(v1.Contents) != 1 || len(v1.CommonPrefixes) != 1 {
		t.Errorf("first page %+v", v1)
	}
	v1 = must(c.ListObjects(ctx, &awss3.ListObjectsInput{Bucket: aws.String("bkt"), Delimiter: aws.String("/"), Marker: v1.NextMarker}))(t)
	if *v1.IsTruncated || len(v1.Contents) != 2 || len(v1.CommonPrefixes) != 1 || v1.Contents[0].Owner == nil {
		t.Errorf("second page %+v", v1)
	}
	_, err := c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("bkt"), ContinuationToken: aws.String("%%%")})
	wantCode(t, err, "InvalidArgument", 400)
	_, err = c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("bkt"), MaxKeys: aws.Int32(-1)})
	wantCode(t, err, "InvalidArgument", 400)

	objects := []types.ObjectIdentifier{{Key: aws.String("a/1")}, {Key: aws.String("absent")}, {Key: aws.String("zz"), VersionId: aws.String("7")}}
	del := must(c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: aws.String("bkt"), Delete: &types.Delete{Objects: objects}}))(t)
	if len(del.Deleted) != 2 || len(del.Errors) != 1 || *del.Errors[0].Code != "NotImplemented" {
		t.Errorf("deleted %+v, failed %+v", del.Deleted, del.Errors)
	}
	quiet := must(c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: aws.String("bkt"), Delete: &types.Delete{Objects: objects[:1], Quiet: aws.Bool(true)}}))(t)
	if len(quiet.Deleted) != 0 || len(quiet.Errors) != 0 {
		t.Errorf("quiet: %+v", quiet)
	}
}
