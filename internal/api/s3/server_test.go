package s3_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/s3"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/blob/buckets"
)

const (
	alice  = "111111111111"
	bob    = "222222222222"
	secret = "not a secret: every test has it"
)

// server is the face behind the real gateway. The access key of an account is "AKIA" and the account.
type server struct {
	*httptest.Server
	buckets *buckets.Service
	log     bytes.Buffer
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{}
	var err error
	if s.buckets, err = buckets.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&s.log, nil))
	face := gateway.NewS3(&s3.Handler{Buckets: s.buckets, Domains: []string{"localhost"}, Log: log})
	s.Server = httptest.NewServer(gateway.New(gateway.Options{
		Faces: []gateway.Face{face}, Log: log,
		Lookup: func(id string) (iam.Principal, iam.Secret, bool) {
			for _, account := range []string{alice, bob} {
				if id == "AKIA"+account {
					return iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, AccessKeyID: id}, iam.NewSecret(secret), true
				}
			}
			return iam.Principal{}, iam.Secret{}, false
		},
	}))
	t.Cleanup(func() {
		s.Close()
		if bytes.Contains(s.log.Bytes(), []byte("s3 request failed")) {
			t.Errorf("the server logged:\n%s", s.log.String())
		}
	})
	return s
}

func (s *server) client(account, region string, opts ...func(*awss3.Options)) *awss3.Client {
	return awss3.New(awss3.Options{
		BaseEndpoint: &s.URL, Region: region, UsePathStyle: true,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: credentials.NewStaticCredentialsProvider("AKIA"+account, secret, ""),
	}, opts...)
}

func wantCode(t testing.TB, err error, code string, status int) {
	t.Helper()
	var api smithy.APIError
	var resp *smithyhttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &resp) {
		t.Errorf("error is %v, want %s", err, code)
		return
	}
	if api.ErrorCode() != code || resp.HTTPStatusCode() != status {
		t.Errorf("error is %s %d (%s), want %s %d", api.ErrorCode(), resp.HTTPStatusCode(), api.ErrorMessage(), code, status)
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(b)
	return b
}

func readAll(t testing.TB, r io.ReadCloser) string {
	t.Helper()
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
