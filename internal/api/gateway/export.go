package gateway

import (
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/resource"
)

// MayExport refuses a caller whose own policies do not allow what the export of an object does to a bucket. The error is a
// *resource.Error{InvalidValue} in the words that AWS documents for it.
func (c *Call) MayExport(bucket, key string) error {
	refuse := func(message string) error {
		return resource.Errorf(resource.InvalidValue, resource.TypeParameter, "TargetBucket", "%s", message)
	}
	if c.Service == "elasticache" && c.Authorize(policy.Need{Action: "s3:ListAllMyBuckets", Resource: "*"}) != nil {
		return refuse("Elasticache was unable to validate the authenticated user has access on the S3 bucket.")
	}
	arn := resource.ARN{Partition: resource.Partition(c.Scope.Region), Service: "s3", Name: bucket}
	object := arn
	object.Name += "/" + key
	needs := []policy.Need{{Action: "s3:ListAllMyBuckets", Resource: "*"}, {Action: "s3:ListBucket", Resource: arn.String()}, {Action: "s3:GetBucketLocation", Resource: arn.String()}}
	for _, action := range []string{"s3:PutObject", "s3:GetObject", "s3:DeleteObject"} {
		needs = append(needs, policy.Need{Action: action, Resource: object.String()})
	}
	if c.Authorize(needs...) != nil {
		return refuse("The authenticated user does not have sufficient permissions to perform the desired activity.")
	}
	return nil
}
