package mdbapi_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"

	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire/wiretest"
)

func TestAgainstSDK(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, mdbapi.Service, func(endpoint string) any {
		return memorydb.New(memorydb.Options{
			Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: aws.AnonymousCredentials{}, Retryer: aws.NopRetryer{},
			HTTPClient: wiretest.HTTPClient(),
		})
	})
}
