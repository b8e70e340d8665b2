package sts_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/sts"
	"github.com/keyframe/keyframe/internal/auth/iam"
)

func TestCallerIdentity(t *testing.T) {
	t.Parallel()
	people, err := iam.Open(iam.Options{Path: t.TempDir() + "/credentials", Account: "210987654321"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gateway.New(gateway.Options{Faces: []gateway.Face{sts.New()}, Lookup: people.Lookup, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(server.Close)
	p, secret := people.Default()
	c := client.New(client.Options{Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: p.AccessKeyID, SecretAccessKey: secret.Reveal()}, nil
		})})
	out, err := c.GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if *out.Account != "210987654321" || *out.Arn != p.ARN || *out.UserId != p.UserID {
		t.Fatalf("%s %s %s", *out.Account, *out.Arn, *out.UserId)
	}
	_, err = c.AssumeRole(t.Context(), &client.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::210987654321:role/r"), RoleSessionName: aws.String("session")})
	var fault smithy.APIError
	if !errors.As(err, &fault) || fault.ErrorCode() != "InvalidAction" || !strings.Contains(fault.ErrorMessage(), "GetCallerIdentity only") {
		t.Fatal(err)
	}
}
