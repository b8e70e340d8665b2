// Package s3 keeps objects in a bucket of Amazon S3 or of a server that speaks its protocol.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/resource"
)

// Secret is a string that never prints.
type Secret = resource.Secret

// Options say where the bucket is and who asks.
type Options struct {
	Bucket    string
	Prefix    string // before every key; "" or ends in a slash
	Endpoint  string // http(s)://host:port; empty for AWS itself
	Region    string // default us-east-1
	PathStyle bool   // the bucket is in the path, not in the host name

	// Without AccessKeyID the SDK's usual chain gives the credentials: environment, files, instance.
	AccessKeyID     string
	SecretAccessKey Secret
	SessionToken    Secret

	HTTPClient *http.Client // nil: the SDK's own
}

// Bucket is one S3 bucket, or the part of it below a prefix.
type Bucket struct {
	client *awss3.Client
	name   string
	prefix string
	chunk  int // bytes of an uploaded part
}

var _ blob.Bucket = (*Bucket)(nil)

// Open makes the client. It does not talk to the server: see Probe.
func Open(ctx context.Context, o Options) (*Bucket, error) {
	if o.Bucket == "" {
		return nil, errors.New("s3: a bucket is needed")
	}
	if o.Prefix != "" && !strings.HasSuffix(o.Prefix, "/") {
		return nil, fmt.Errorf("s3: prefix %q does not end in a slash", o.Prefix)
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	load := []func(*config.LoadOptions) error{config.WithRegion(o.Region)}
	if o.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.AccessKeyID, string(o.SecretAccessKey), string(o.SessionToken))))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	client := awss3.NewFromConfig(cfg, func(so *awss3.Options) {
		so.UsePathStyle = o.PathStyle
		// Uploads carry a CRC32C that is computed here, once; the SDK's own would need another pass.
		so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		so.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if o.HTTPClient != nil {
			so.HTTPClient = o.HTTPClient
		}
		if o.Endpoint != "" {
			so.BaseEndpoint = aws.String(o.Endpoint)
		}
	})
	return New(client, o.Bucket, o.Prefix), nil
}

// New uses a client that exists.
func New(client *awss3.Client, bucket, prefix string) *Bucket {
	return &Bucket{client: client, name: bucket, prefix: prefix, chunk: chunkSize}
}

// Probe asks the server whether the bucket is there and may be used.
func (b *Bucket) Probe(ctx context.Context) error {
	_, err := b.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &b.name})
	return wrap("probe", b.name, err)
}

// key is where an object lies in the bucket.
func (b *Bucket) key(key string) (*string, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	full := b.prefix + key
	if len(full) > blob.MaxKey {
		return nil, fmt.Errorf("%w: %d bytes with its prefix", blob.ErrInvalidKey, len(full))
	}
	return &full, nil
}

// Open implements blob.Bucket.
func (b *Bucket) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	full, err := b.key(key)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		_, err := b.Stat(ctx, key)
		return http.NoBody, err
	}
	in := &awss3.GetObjectInput{Bucket: &b.name, Key: full}
	if n > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	} else if off > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	out, err := b.client.GetObject(ctx, in)
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		return http.NoBody, nil // at or beyond the end, or an empty object
	}
	if err != nil {
		return nil, wrap("open", key, err)
	}
	return out.Body, nil
}

// Stat implements blob.Bucket.
func (b *Bucket) Stat(ctx context.Context, key string) (blob.Info, error) {
	full, err := b.key(key)
	if err != nil {
		return blob.Info{}, err
	}
	out, err := b.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &b.name, Key: full})
	if err != nil {
		return blob.Info{}, wrap("stat", key, err)
	}
	return blob.Info{Key: key, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified)}, nil
}

// List implements blob.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	pages := awss3.NewListObjectsV2Paginator(b.client, &awss3.ListObjectsV2Input{Bucket: &b.name, Prefix: aws.String(b.prefix + prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return wrap("list", prefix, err)
		}
		for _, o := range page.Contents {
			key := strings.TrimPrefix(aws.ToString(o.Key), b.prefix)
			if blob.CheckKey(key) != nil {
				continue // not one of ours
			}
			if err := fn(blob.Info{Key: key, Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Delete implements blob.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	full, err := b.key(key)
	if err != nil {
		return err
	}
	_, err = b.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &b.name, Key: full})
	if err = wrap("delete", key, err); errors.Is(err, blob.ErrNotFound) && !noBucket(err) {
		return nil
	}
	return err
}

func noBucket(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "NoSuchBucket"
}

func status(err error) int {
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) {
		return resp.HTTPStatusCode()
	}
	return 0
}

// wrap keeps the SDK's error as cause and adds the contract's sentinel.
func wrap(op, key string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("s3 %s %s: %w", op, key, err)
	switch {
	case noBucket(err):
		return err
	case status(err) == http.StatusNotFound:
		return fmt.Errorf("%w: %w", blob.ErrNotFound, err)
	case status(err) == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", blob.ErrExists, err)
	}
	return err
}

// unsigned leaves the body out of the signature; its CRC32C header is signed and covers it.
func unsigned(o *awss3.Options) {
	o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
		return v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware(s)
	})
}
