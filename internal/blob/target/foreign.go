package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/keyframe/keyframe/internal/resource"
)

// AWS is the endpoint that means AWS itself.
const AWS = "aws"

// Options describe a foreign S3 endpoint.
type Options struct {
	Endpoint        string // http(s)://host:port, or AWS
	Region          string // that requests are signed for
	AccessKeyID     string // empty: the AWS SDK's usual chain of environment, files and roles
	SecretAccessKey resource.Secret
	PathStyle       bool  // bucket in the path instead of the host name
	PartSize        int64 // bytes of an upload's first parts, at least 5 MiB; 0 means 16 MiB
}

const (
	minPartSize     = 5 << 20
	defaultPartSize = 16 << 20
)

// Foreign is the target of a foreign S3 endpoint.
func Foreign(ctx context.Context, o Options) (Target, error) {
	if o.PartSize == 0 {
		o.PartSize = defaultPartSize
	}
	if o.PartSize < minPartSize {
		return Target{}, fmt.Errorf("export target: parts of %d bytes: S3 wants %d at least", o.PartSize, minPartSize)
	}
	opts := s3.Options{
		Region:       o.Region,
		UsePathStyle: o.PathStyle,
		// Bytes are verified on both ways wherever the server plays along.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,

		Retryer: retry.NewStandard(func(r *retry.StandardOptions) { r.MaxAttempts = 5 }),
	}
	if o.Endpoint != AWS {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return Target{}, fmt.Errorf("export target: endpoint %q is neither http(s)://host[:port] nor %q", o.Endpoint, AWS)
		}
		opts.BaseEndpoint = aws.String(o.Endpoint)
		if u.Scheme == "http" && loopback(u.Hostname()) {
			// Nobody can change bytes on the way: the checksum guards them, hashing them a second time for the signature is waste.
			opts.APIOptions = append(opts.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
		}
	}
	if o.AccessKeyID != "" {
		opts.Credentials = credentials.NewStaticCredentialsProvider(o.AccessKeyID, string(o.SecretAccessKey), "")
	} else {
		cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(o.Region))
		if err != nil {
			return Target{}, fmt.Errorf("export target: %w", err)
		}
		// Only the credentials: an AWS_ENDPOINT_URL in our own environment most likely points at ourselves.
		opts.Credentials = cfg.Credentials
	}
	return Target{&foreign{s3.New(opts), o}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

type foreign struct {
	client *s3.Client
	o      Options
}

// at directs calls to the region of a bucket. Only AWS has regions that matter.
func (f *foreign) at(ctx context.Context, bucket string) (func(*s3.Options), error) {
	region := f.o.Region
	if f.o.Endpoint == AWS {
		var err error
		if region, err = f.regionOf(ctx, bucket); err != nil {
			return nil, err
		}
	}
	return func(o *s3.Options) { o.Region = region }, nil
}

// regionOf asks where a bucket lies. S3 tells with success and failure alike.
func (f *foreign) regionOf(ctx context.Context, bucket string) (string, error) {
	out, err := f.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket})
	if err == nil {
		return aws.ToString(out.BucketRegion), nil
	}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) {
		if region := resp.HTTPResponse().Header.Get("X-Amz-Bucket-Region"); region != "" && resp.HTTPStatusCode() != http.StatusNotFound {
			return region, nil
		}
	}
	if status(err) == http.StatusNotFound {
		return "", ErrNoBucket
	}
	return "", err
}

// status is the HTTP status of an error's response, or 0.
func status(err error) int {
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) {
		return resp.HTTPStatusCode()
	}
	return 0
}

// code is the S3 error code, or empty. Answers to HEAD have none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// told puts an error of S3 in this package's terms and keeps it as the cause.
func told(err error) error {
	switch s, c := status(err), code(err); {
	case err == nil:
		return nil
	case c == "NoSuchBucket":
		return fmt.Errorf("%w: %w", ErrNoBucket, err)
	case s == http.StatusNotFound && c != "NoSuchUpload":
		return fmt.Errorf("%w: %w", ErrNoObject, err)
	case s == http.StatusForbidden || s == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", ErrDenied, err)
	case s == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", ErrExists, err)
	}
	return err
}

func (f *foreign) stat(ctx context.Context, _, bucket, key string) (Info, error) {
	at, err := f.at(ctx, bucket)
	if err != nil {
		return Info{}, err
	}
	return f.statAt(ctx, at, bucket, key)
}

func (f *foreign) statAt(ctx context.Context, at func(*s3.Options), bucket, key string) (Info, error) {
	out, err := f.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key}, at)
	if err == nil {
		return Info{aws.ToInt64(out.ContentLength), bare(out.ETag), out.Metadata[tokenName]}, nil
	}
	if status(err) == http.StatusNotFound {
		// HEAD does not tell an absent object from an absent bucket.
		if _, e := f.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket}, at); status(e) == http.StatusNotFound {
			return Info{}, ErrNoBucket
		}
	}
	return Info{}, told(err)
}

func (f *foreign) remove(ctx context.Context, _, bucket, key string) error {
	at, err := f.at(ctx, bucket)
	if err != nil {
		return err
	}
	_, err = f.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}, at)
	return told(err)
}

func bare(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

func (f *foreign) abortLeftovers(ctx context.Context, _, bucket, key string) error {
	at, err := f.at(ctx, bucket)
	if err != nil {
		return err
	}
	pages := s3.NewListMultipartUploadsPaginator(f.client, &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, at)
		if err != nil {
			return told(err)
		}
		for _, u := range page.Uploads {
			if aws.ToString(u.Key) != key {
				continue
			}
			_, err := f.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: u.UploadId}, at)
			if err != nil && code(err) != "NoSuchUpload" {
				return told(err)
			}
		}
	}
	return nil
}

// open answers with a reader that takes up where a broken connection stopped.
func (f *foreign) open(ctx context.Context, _, bucket, key string) (io.ReadCloser, Info, error) {
	at, err := f.at(ctx, bucket)
	if err != nil {
		return nil, Info{}, err
	}
	r := &foreignReader{f: f, ctx: ctx, at: at, bucket: bucket, key: key}
	if err := r.request(); err != nil {
		return nil, Info{}, told(err)
	}
	return r, r.info, nil
}
