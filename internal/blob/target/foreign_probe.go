package target

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func (f *foreign) look(ctx context.Context, account, region, bucket, key string) (obstacle, error) {
	at := func(*s3.Options) {}
	if f.o.Endpoint == AWS {
		have, err := f.regionOf(ctx, bucket)
		if err == ErrNoBucket {
			return noBucket, nil
		}
		if err != nil {
			return clear, err
		}
		if have != region {
			return wrongRegion, nil
		}
		at = func(o *s3.Options) { o.Region = region }
	}
	switch _, err := f.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket}, at); {
	case err == nil:
	case status(err) == http.StatusNotFound:
		return noBucket, nil
	case status(err) == http.StatusBadRequest: // not a name that a bucket can have
		return noBucket, nil
	case denied(err):
		return noRead, nil
	default:
		return clear, err
	}
	if f.o.Endpoint == AWS {
		_, err := f.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket, ExpectedBucketOwner: &account}, at)
		if denied(err) {
			return wrongOwner, nil
		}
		if err != nil {
			return clear, err
		}
	}
	return f.lookInside(ctx, at, bucket, key)
}

func denied(err error) bool {
	return status(err) == http.StatusForbidden || status(err) == http.StatusUnauthorized
}

// lookInside tries what an export needs.
func (f *foreign) lookInside(ctx context.Context, at func(*s3.Options), bucket, key string) (obstacle, error) {
	_, err := f.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &key, MaxKeys: aws.Int32(1)}, at)
	if denied(err) {
		return noRead, nil
	}
	if err != nil {
		return clear, err
	}
	// An upload that is begun and dropped needs the permission to write, and nobody ever sees an object.
	up, err := f.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}, at)
	if denied(err) {
		return noWrite, nil
	}
	if err != nil {
		return clear, err
	}
	// If the process dies right here, AbortLeftovers of the export drops it.
	_, err = f.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId}, at)
	if denied(err) {
		return noWrite, nil
	}
	if err != nil {
		return clear, err
	}
	// Servers without ACLs have nothing to grant.
	_, err = f.client.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: &bucket}, at)
	if denied(err) {
		return noReadACP, nil
	}
	if err != nil && status(err) != http.StatusNotImplemented {
		return clear, err
	}
	switch _, err := f.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key}, at); {
	case err == nil:
		return keyTaken, nil
	case status(err) == http.StatusNotFound:
		return clear, nil
	case denied(err):
		return noRead, nil
	default:
		return clear, err
	}
}
