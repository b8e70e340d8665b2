package ecapi_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/wire/wiretest"
)

func TestAgainstSDK(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, ecapi.Service, func(endpoint string) any {
		return elasticache.New(elasticache.Options{
			Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: aws.AnonymousCredentials{}, Retryer: aws.NopRetryer{},
			HTTPClient: wiretest.HTTPClient(),
		})
	})
}
