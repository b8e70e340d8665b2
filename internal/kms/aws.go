package kms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/keyframe/keyframe/internal/resource"
)

// AWSOptions say how AWS KMS is reached.
type AWSOptions struct {
	Endpoint string // empty for AWS itself
	Region   string // of the default key; a key's ARN names the region that it is asked in
	// DefaultKey (id, ARN or alias) is taken when a request names none: the keys that AWS manages for its own services cannot
	// be used by others. Empty refuses such requests.
	DefaultKey string
	// Without AccessKeyID the SDK's usual chain gives the credentials.
	AccessKeyID     string
	SecretAccessKey Secret
	HTTPClient      *http.Client // nil: the SDK's own
}

// AWS wraps with AWS KMS: the data key is encrypted there, with the context as encryption context.
type AWS struct {
	client     *awskms.Client
	defaultKey string
}

var _ Provider = (*AWS)(nil)

// OpenAWS makes the client. It does not talk to the service yet.
func OpenAWS(ctx context.Context, o AWSOptions) (*AWS, error) {
	var load []func(*config.LoadOptions) error
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.AccessKeyID, string(o.SecretAccessKey), "")))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("aws kms: %w", err)
	}
	client := awskms.NewFromConfig(cfg, func(ko *awskms.Options) {
		if o.HTTPClient != nil {
			ko.HTTPClient = o.HTTPClient
		}
		if o.Endpoint != "" {
			ko.BaseEndpoint = aws.String(o.Endpoint)
		}
	})
	return &AWS{client: client, defaultKey: o.DefaultKey}, nil
}

func inRegion(region string) func(*awskms.Options) {
	return func(o *awskms.Options) {
		if region != "" {
			o.Region = region
		}
	}
}

func regionOf(arn string) string {
	if part := strings.SplitN(arn, ":", 6); len(part) == 6 {
		return part[3]
	}
	return ""
}

// Resolve implements Provider. Keys of other accounts are left to their own policies, as AWS leaves them.
func (a *AWS) Resolve(ctx context.Context, s resource.Scope, service, ref string) (string, error) {
	if ref == "" {
		if ref = a.defaultKey; ref == "" {
			return "", invalid("No KMS key was given, and no default key is configured.")
		}
		if r := regionOf(ref); r != "" && r != s.Region {
			return "", invalid("Invalid arn %s", r)
		}
	}
	if r := regionOf(ref); r != "" && r != s.Region {
		return "", invalid("Invalid arn %s", r)
	}
	return a.describe(ctx, s.Region, ref)
}

// Check implements Provider.
func (a *AWS) Check(ctx context.Context, arn string) error {
	_, err := a.describe(ctx, regionOf(arn), arn)
	return err
}

func (a *AWS) describe(ctx context.Context, region, ref string) (string, error) {
	out, err := a.client.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &ref}, inRegion(region))
	if err != nil {
		return "", keyError("describe key", err)
	}
	k := out.KeyMetadata
	arn := aws.ToString(k.Arn)
	switch {
	case k.KeyState == types.KeyStateEnabled && k.KeyUsage == types.KeyUsageTypeEncryptDecrypt:
		return arn, nil
	case k.KeyState == types.KeyStateDisabled:
		return "", invalid("%s is disabled.", arn)
	case k.KeyState != types.KeyStateEnabled:
		return "", invalid("%s is in state %s.", arn, k.KeyState)
	}
	return "", invalid("%s cannot encrypt: its usage is %s.", arn, k.KeyUsage)
}

// Wrap implements Provider.
func (a *AWS) Wrap(ctx context.Context, arn string, plaintext []byte, kctx map[string]string) ([]byte, error) {
	out, err := a.client.Encrypt(ctx, &awskms.EncryptInput{KeyId: &arn, Plaintext: plaintext, EncryptionContext: kctx}, inRegion(regionOf(arn)))
	if err != nil {
		return nil, keyError("encrypt", err)
	}
	return out.CiphertextBlob, nil
}

// Unwrap implements Provider. The key is named, so that no other that this principal may use can answer.
func (a *AWS) Unwrap(ctx context.Context, arn string, wrapped []byte, kctx map[string]string) ([]byte, error) {
	out, err := a.client.Decrypt(ctx, &awskms.DecryptInput{KeyId: &arn, CiphertextBlob: wrapped, EncryptionContext: kctx}, inRegion(regionOf(arn)))
	if err != nil {
		return nil, keyError("decrypt", err)
	}
	return out.Plaintext, nil
}

// refusals are the faults of KMS that are about the key and not about the service.
var refusals = map[string]bool{"NotFoundException": true, "DisabledException": true, "KMSInvalidStateException": true,
	"InvalidArnException": true, "AccessDeniedException": true, "InvalidKeyUsageException": true}

func keyError(op string, err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && refusals[api.ErrorCode()] {
		return invalid("%s", api.ErrorMessage())
	}
	return fmt.Errorf("aws kms: %s: %w", op, err)
}
