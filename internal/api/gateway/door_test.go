package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/s3"
	"github.com/keyframe/keyframe/internal/api/sts"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/resource"
)

const (
	keyA, keyB = "KEYA", "KEYB"
	acctA      = "111111111111"
	acctB      = "222222222222"
	secretText = "s3cr3t/of+both"
)

// door is a gateway behind a real server, with small faces whose handlers do what the test asks by name.
type door struct {
	*httptest.Server
	log      *lockedBuffer
	mu       sync.Mutex
	observed []string
	handled  int
	payload  string // x-amz-content-sha256 of the last large PUT
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fault is a face's translation, as small as can be.
func fault(shape func(resource.ErrorKind) *wire.Fault, invalid *wire.Fault) func(*wire.Operation, error) *wire.FaultError {
	return func(_ *wire.Operation, err error) *wire.FaultError {
		var bad *wire.ValidationError
		var e *resource.Error
		switch {
		case errors.As(err, &bad):
			return invalid.New(bad.Error())
		case errors.As(err, &e) && shape(e.Kind) != nil:
			return shape(e.Kind).New(e.Error())
		}
		return nil
	}
}

func newDoor(t *testing.T, change func(*gateway.Options)) *door {
	t.Helper()
	d := &door{log: &lockedBuffer{}}
	handle := func(ctx context.Context, c *gateway.Call, name string) error {
		d.mu.Lock()
		d.handled++
		d.mu.Unlock()
		switch name {
		case "exists":
			return resource.Errorf(resource.AlreadyExists, resource.TypeSnapshot, name, "it exists")
		case "breaks":
			return errors.New("the disk of secrets is full")
		case "panics":
			panic("oh no")
		case "late":
			return c.Authorize(policy.Need{Action: "kms:Decrypt", Resource: "arn:aws:kms:us-east-1:" + acctB + ":key/k"})
		}
		return nil
	}
	ec := gateway.NewAPI(ecapi.Service, gateway.APIOptions{
		Fault: fault(func(k resource.ErrorKind) *wire.Fault {
			if k == resource.AlreadyExists {
				return ecapi.ServerlessCacheSnapshotAlreadyExistsFault
			}
			return nil
		}, ecapi.InvalidParameterValueException),
		Unserved: func(op *wire.Operation) string { return "users come later." },
	})
	gateway.Route(ec, ecapi.OpCreateServerlessCacheSnapshot,
		func(c *gateway.Call, in *ecapi.CreateServerlessCacheSnapshotInput) []policy.Need {
			scope := c.Scope
			if *in.ServerlessCacheName == "theirs" {
				scope.Account = acctB
			}
			return []policy.Need{{Action: "elasticache:CreateServerlessCacheSnapshot", Resource: resource.SnapshotARN(resource.Serverless, scope, *in.ServerlessCacheSnapshotName)}}
		},
		func(ctx context.Context, c *gateway.Call, in *ecapi.CreateServerlessCacheSnapshotInput) (*ecapi.CreateServerlessCacheSnapshotOutput, error) {
			arn := resource.SnapshotARN(resource.Serverless, c.Scope, *in.ServerlessCacheSnapshotName)
			return &ecapi.CreateServerlessCacheSnapshotOutput{ServerlessCacheSnapshot: &ecapi.ServerlessCacheSnapshot{
				ServerlessCacheSnapshotName: in.ServerlessCacheSnapshotName, ARN: &arn}}, handle(ctx, c, *in.ServerlessCacheSnapshotName)
		})
	mdb := gateway.NewAPI(mdbapi.Service, gateway.APIOptions{
		Fault: fault(func(k resource.ErrorKind) *wire.Fault { return mdbapi.SnapshotAlreadyExistsFault }, mdbapi.InvalidParameterValueException),
	})
	gateway.Route(mdb, mdbapi.OpCreateSnapshot,
		func(c *gateway.Call, in *mdbapi.CreateSnapshotInput) []policy.Need {
			scope := c.Scope
			if *in.ClusterName == "theirs" {
				scope.Account = acctB
			}
			return []policy.Need{{Action: "memorydb:CreateSnapshot", Resource: resource.SnapshotARN(resource.MemoryDBCluster, scope, *in.SnapshotName)}}
		},
		func(ctx context.Context, c *gateway.Call, in *mdbapi.CreateSnapshotInput) (*mdbapi.CreateSnapshotOutput, error) {
			arn := resource.SnapshotARN(resource.MemoryDBCluster, c.Scope, *in.SnapshotName)
			return &mdbapi.CreateSnapshotOutput{Snapshot: &mdbapi.Snapshot{Name: in.SnapshotName, ARN: &arn}}, handle(ctx, c, *in.SnapshotName)
		})
	store, err := buckets.Open(filepath.Join(t.TempDir(), "buckets"))
	if err != nil {
		t.Fatal(err)
	}
	people := map[string]iam.Principal{}
	for key, account := range map[string]string{keyA: acctA, keyB: acctB} {
		people[key] = iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, AccessKeyID: key}
	}
	o := gateway.Options{
		Faces: []gateway.Face{ec, mdb, sts.New(), gateway.NewS3(&s3.Handler{Buckets: store})},
		Lookup: func(id string) (iam.Principal, iam.Secret, bool) {
			p, ok := people[id]
			return p, iam.NewSecret(secretText), ok
		},
		Log: slog.New(slog.NewJSONHandler(d.log, nil)),
		Observe: func(service, action string, status int, took time.Duration) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.observed = append(d.observed, service+" "+action+" "+http.StatusText(status))
		},
	}
	if change != nil {
		change(&o)
	}
	g := gateway.New(o)
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" && r.ContentLength > 1000 {
			d.mu.Lock()
			d.payload = r.Header.Get("X-Amz-Content-Sha256")
			d.mu.Unlock()
		}
		g.ServeHTTP(w, r)
	}))
	return d
}

func (d *door) start(t *testing.T) *door {
	d.Start()
	t.Cleanup(d.Close)
	return d
}

func (d *door) config(key string) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: &d.URL, HTTPClient: d.Client(), RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key, SecretAccessKey: secretText}, nil
		}),
	}
}

func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.handled
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func wantCode(t *testing.T, err error, want string, in ...string) {
	t.Helper()
	if code(err) != want {
		t.Fatalf("got %v, want code %s", err, want)
	}
	for _, text := range in {
		if !strings.Contains(err.Error(), text) {
			t.Fatalf("got %v, want in it %q", err, text)
		}
	}
}

// post sends a request that no SDK would, signed by us unless key is empty.
func (d *door) post(t *testing.T, method, path, service, key, body string, headers map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, d.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	if key != "" {
		creds := sigv4.Credentials{AccessKeyID: key, Secret: sigv4.NewSecret(secretText)}
		if err := sigv4.Sign(r, creds, "us-east-1", service, sigv4.PayloadHash([]byte(body)), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := d.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Header.Get("X-Amzn-Requestid")) != 36 {
		t.Fatalf("no request id: %v", resp.Header)
	}
	return resp, string(text)
}

func TestQueryFace(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil).start(t)
	create := func(key, cache, name string) (*elasticache.CreateServerlessCacheSnapshotOutput, error) {
		return elasticache.NewFromConfig(d.config(key)).CreateServerlessCacheSnapshot(t.Context(),
			&elasticache.CreateServerlessCacheSnapshotInput{ServerlessCacheName: &cache, ServerlessCacheSnapshotName: &name})
	}
	out, err := create(keyA, "mine", "snap")
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.ServerlessCacheSnapshot.ARN; got != "arn:aws:elasticache:us-east-1:"+acctA+":serverlesscachesnapshot:snap" {
		t.Fatal(got)
	}
	before := d.count()
	_, err = create(keyA, "theirs", "snap")
	wantCode(t, err, "AccessDenied", "User: arn:aws:iam::"+acctA+":root is not authorized to perform: elasticache:CreateServerlessCacheSnapshot on resource: "+
		"arn:aws:elasticache:us-east-1:"+acctB+":serverlesscachesnapshot:snap because no identity-based policy allows the elasticache:CreateServerlessCacheSnapshot action",
		"StatusCode: 403")
	if d.count() != before {
		t.Fatal("the handler ran unauthorised")
	}
	if _, err = create(keyB, "theirs", "snap"); err != nil {
		t.Fatal(err)
	}
	_, err = create(keyA, "mine", "late")
	wantCode(t, err, "AccessDenied", "kms:Decrypt", "StatusCode: 403")
	_, err = create(keyA, "mine", "exists")
	wantCode(t, err, "ServerlessCacheSnapshotAlreadyExistsFault", "it exists")
	_, err = create(keyA, "mine", strings.Repeat("x", 256))
	wantCode(t, err, "InvalidParameterValue", "ServerlessCacheSnapshotName")
	_, err = create("KEYC", "mine", "snap")
	wantCode(t, err, "InvalidClientTokenId", "StatusCode: 403")
	for _, name := range []string{"breaks", "panics"} {
		_, err = create(keyA, "mine", name)
		wantCode(t, err, "InternalFailure", "StatusCode: 500")
		if strings.Contains(err.Error(), "disk") || strings.Contains(err.Error(), "oh no") {
			t.Fatalf("the cause went out: %v", err)
		}
	}
	_, err = elasticache.NewFromConfig(d.config(keyA)).DescribeUsers(t.Context(), nil)
	wantCode(t, err, "UnsupportedOperation", "DescribeUsers", "users come later", "StatusCode: 400")

	log := d.log.String()
	for _, text := range []string{"the disk of secrets is full", "panic: oh no", `"action":"CreateServerlessCacheSnapshot"`, `"account":"` + acctA + `"`, `"region":"us-east-1"`, `"status":403`} {
		if !strings.Contains(log, text) {
			t.Errorf("not in the log: %s", text)
		}
	}
	if strings.Contains(log, secretText) || strings.Contains(log, "Signature=") {
		t.Error("the log has a secret or a signature")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.observed[0] != "elasticache CreateServerlessCacheSnapshot OK" {
		t.Errorf("observed %q", d.observed[0])
	}
}

func TestJSONFace(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil).start(t)
	create := func(key, cluster, name string) (*memorydb.CreateSnapshotOutput, error) {
		return memorydb.NewFromConfig(d.config(key)).CreateSnapshot(t.Context(), &memorydb.CreateSnapshotInput{ClusterName: &cluster, SnapshotName: &name})
	}
	out, err := create(keyA, "mine", "snap")
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.Snapshot.ARN; got != "arn:aws:memorydb:us-east-1:"+acctA+":snapshot/snap" {
		t.Fatal(got)
	}
	_, err = create(keyA, "theirs", "snap")
	wantCode(t, err, "AccessDeniedException", "is not authorized to perform: memorydb:CreateSnapshot")
	_, err = create(keyA, "mine", "exists")
	wantCode(t, err, "SnapshotAlreadyExistsFault")
	_, err = create("KEYC", "mine", "snap")
	wantCode(t, err, "UnrecognizedClientException")
	_, err = create(keyA, "mine", "panics")
	wantCode(t, err, "InternalFailure", "StatusCode: 500")
	_, err = memorydb.NewFromConfig(d.config(keyA)).DescribeUsers(t.Context(), nil)
	wantCode(t, err, "UnsupportedOperationException", "DescribeUsers")

	target := func(v, body string) (*http.Response, string) {
		return d.post(t, "POST", "/", "memorydb", keyA, body, map[string]string{"X-Amz-Target": v, "Content-Type": "application/x-amz-json-1.1"})
	}
	for v, want := range map[string]string{"AmazonMemoryDB.Nonsense": "UnknownOperationException", "Other.CreateSnapshot": "UnknownOperationException", "": "UnknownOperationException"} {
		resp, text := target(v, "{}")
		var doc map[string]string
		if err := json.Unmarshal([]byte(text), &doc); err != nil || doc["__type"] != want || resp.StatusCode != 400 || resp.Header.Get("X-Amzn-Errortype") != want {
			t.Errorf("target %q: %d %s", v, resp.StatusCode, text)
		}
	}
	if resp, text := target("AmazonMemoryDB.CreateSnapshot", "{broken"); resp.StatusCode != 400 || !strings.Contains(text, "SerializationException") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

func TestQueryRequestsThatNoSDKSends(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(o *gateway.Options) { o.MaxBody = 2000 }).start(t)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	const create = "Action=CreateServerlessCacheSnapshot&Version=2015-02-02&ServerlessCacheName=c&ServerlessCacheSnapshotName=s"
	for _, c := range []struct {
		name, method, path, service, key, body string
		status                                 int
		want                                   string
	}{
		{"form", "POST", "/", "elasticache", keyA, create, 200, "serverlesscachesnapshot:s"},
		{"query string", "GET", "/?" + create, "elasticache", keyA, "", 200, "serverlesscachesnapshot:s"},
		{"no version", "POST", "/", "elasticache", keyA, strings.Replace(create, "&Version=2015-02-02", "", 1), 200, "serverlesscachesnapshot:s"},
		{"unknown parameter", "POST", "/", "elasticache", keyA, create + "&Nonsense=1", 200, "serverlesscachesnapshot:s"},
		{"parameter twice", "POST", "/?ServerlessCacheName=d", "elasticache", keyA, create, 400, "InvalidParameterValue"},
		{"action twice", "POST", "/?Action=DescribeEvents", "elasticache", keyA, create, 400, "<Code>MissingAction</Code>"},
		{"no action", "POST", "/", "elasticache", keyA, "Version=2015-02-02", 400, "<Code>MissingAction</Code>"},
		{"unknown action", "POST", "/", "elasticache", keyA, "Action=Nonsense&Version=2015-02-02", 400, "Could not find operation Nonsense for version 2015-02-02"},
		{"other version", "POST", "/", "elasticache", keyA, strings.Replace(create, "2015-02-02", "2014-01-01", 1), 400, "<Code>InvalidAction</Code>"},
		{"missing parameter", "POST", "/", "elasticache", keyA, strings.Replace(create, "ServerlessCacheName=c", "", 1), 400, "ServerlessCacheName must be provided"},
		{"broken form", "POST", "/", "elasticache", keyA, create + "&a=%zz", 404, "<Code>MalformedQueryString</Code>"},
		{"too large", "POST", "/", "elasticache", keyA, create + strings.Repeat("x", 2000), 413, "<Code>RequestEntityTooLarge</Code>"},
		{"no signature", "POST", "/", "", "", create, 403, "<Code>MissingAuthenticationToken</Code>"},
		{"other service", "POST", "/", "ec2", keyA, create, 403, "this server answers for elasticache, memorydb, s3, sts"},
		{"a browser", "GET", "/", "", "", "", 403, "<Code>MissingAuthenticationToken</Code>"},
		{"sts action", "POST", "/", "sts", keyA, "Action=AssumeRole&Version=2011-06-15", 400, "issues no temporary credentials"},
	} {
		resp, text := d.post(t, c.method, c.path, c.service, c.key, c.body, form)
		if resp.StatusCode != c.status || !strings.Contains(text, c.want) || resp.Header.Get("Content-Type") != "text/xml" {
			t.Errorf("%s: got %d %s %s", c.name, resp.StatusCode, resp.Header.Get("Content-Type"), text)
		}
		if !strings.Contains(text, "<RequestId>"+resp.Header.Get("X-Amzn-Requestid")+"</RequestId>") {
			t.Errorf("%s: the request id of the header is not in the body: %s", c.name, text)
		}
	}
}

func TestRefusalsTakeTheShapeOfTheRequest(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil).start(t)
	_, text := d.post(t, "POST", "/", "", "", "{}", map[string]string{"X-Amz-Target": "AmazonMemoryDB.CreateSnapshot"})
	if !strings.Contains(text, `"__type":"MissingAuthenticationTokenException"`) {
		t.Error(text)
	}
	resp, text := d.post(t, "GET", "/bucket/key", "", "", "", nil)
	if !strings.HasPrefix(text, "<?xml") || !strings.Contains(text, "<Code>AccessDenied</Code>") || !strings.Contains(text, "<Resource>/bucket/key</Resource>") || resp.StatusCode != 403 {
		t.Error(resp.StatusCode, text)
	}
	if resp, text := d.post(t, "HEAD", "/bucket/key", "", "", "", nil); resp.StatusCode != 403 || text != "" {
		t.Error(resp.StatusCode, text)
	}
	if resp, text := d.post(t, "GET", "/bucket/key", "s3", "KEYC", "", nil); resp.StatusCode != 403 || !strings.Contains(text, "<Code>InvalidAccessKeyId</Code>") {
		t.Error(resp.StatusCode, text)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	var ready error
	d := newDoor(t, func(o *gateway.Options) {
		o.Ready = func(context.Context) error { return ready }
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1") })
	}).start(t)
	if resp, text := d.post(t, "GET", "/healthz", "", "", "", nil); resp.StatusCode != 200 || text != "ok\n" {
		t.Error(resp.StatusCode, text)
	}
	if _, text := d.post(t, "GET", "/metrics", "", "", "", nil); text != "up 1" {
		t.Error(text)
	}
	ready = errors.New("the database is asleep")
	if resp, text := d.post(t, "GET", "/healthz", "", "", "", nil); resp.StatusCode != 503 || text != "not ready: the database is asleep\n" {
		t.Error(resp.StatusCode, text)
	}
}

func TestSTS(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil).start(t)
	for key, account := range map[string]string{keyA: acctA, keyB: acctB} {
		client := awssts.NewFromConfig(d.config(key))
		out, err := client.GetCallerIdentity(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if *out.Account != account || *out.Arn != "arn:aws:iam::"+account+":root" || *out.UserId != account {
			t.Fatalf("%+v", out)
		}
		signed, err := awssts.NewPresignClient(client).PresignGetCallerIdentity(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := d.Client().Get(signed.URL)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !strings.Contains(string(text), "<Account>"+account) {
			t.Fatal(string(text))
		}
	}
	_, err := awssts.NewFromConfig(d.config(keyA)).GetSessionToken(t.Context(), nil)
	wantCode(t, err, "InvalidAction", "GetSessionToken")
}

// Real uploads: over plain HTTP the SDK signs the whole body, over TLS it streams with a trailing checksum.
func TestS3(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		d := newDoor(t, nil)
		if tls {
			d.StartTLS()
			t.Cleanup(d.Close)
		} else {
			d.start(t)
		}
		client := func(key string) *awss3.Client {
			return awss3.NewFromConfig(d.config(key), func(o *awss3.Options) { o.UsePathStyle = true })
		}
		a := client(keyA)
		bucket, name := aws.String("bucket"), aws.String("a key+with=odd&chars/ü.rdb")
		if _, err := a.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: bucket}); err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
		var body io.Reader = bytes.NewReader(data)
		if tls {
			body = struct{ io.Reader }{body} // not seekable
		}
		if _, err := a.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: bucket, Key: name, Body: body, ContentLength: aws.Int64(int64(len(data))), ChecksumAlgorithm: "CRC64NVME"}); err != nil {
			t.Fatal(err)
		}
		got, err := a.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: bucket, Key: name})
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(text, data) {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
		_, err = client(keyB).GetObject(t.Context(), &awss3.GetObjectInput{Bucket: bucket, Key: name})
		wantCode(t, err, "AccessDenied")
		_, err = client("KEYC").GetObject(t.Context(), &awss3.GetObjectInput{Bucket: bucket, Key: name})
		wantCode(t, err, "InvalidAccessKeyId")

		signed, err := awss3.NewPresignClient(a).PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: bucket, Key: name}, awss3.WithPresignExpires(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := d.Client().Get(signed.URL)
		if err != nil {
			t.Fatal(err)
		}
		text, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !bytes.Equal(text, data) {
			t.Fatalf("presigned: %d %s", resp.StatusCode, text[:min(300, len(text))])
		}
		d.mu.Lock()
		sent := d.payload
		d.mu.Unlock()
		if streamed := sent == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"; streamed != tls {
			t.Errorf("TLS %t: the SDK sent %q, so this test does not test what it says", tls, sent)
		}
		if log := d.log.String(); !strings.Contains(log, `"service":"s3","action":"PutObject"`) {
			t.Error("PutObject is not in the log")
		}
	}
}

// A body that was changed on its way never becomes an object.
func TestS3SpoiledBody(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil).start(t)
	if resp, text := d.post(t, "PUT", "/bucket", "s3", keyA, "", nil); resp.StatusCode != 200 {
		t.Fatal(text)
	}
	r, err := http.NewRequest("PUT", d.URL+"/bucket/key", strings.NewReader("jello"))
	if err != nil {
		t.Fatal(err)
	}
	creds := sigv4.Credentials{AccessKeyID: keyA, Secret: sigv4.NewSecret(secretText)}
	if err := sigv4.Sign(r, creds, "us-east-1", "s3", sigv4.PayloadHash([]byte("hello")), time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := d.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 400 || !strings.Contains(string(text), "<Code>XAmzContentSHA256Mismatch</Code>") {
		t.Fatal(resp.StatusCode, string(text))
	}
	if resp, _ := d.post(t, "GET", "/bucket/key", "s3", keyA, "", nil); resp.StatusCode != 404 {
		t.Fatal("the object exists", resp.StatusCode)
	}
}

func TestMistakesOfThePrograms(t *testing.T) {
	t.Parallel()
	noFault := gateway.APIOptions{Fault: func(*wire.Operation, error) *wire.FaultError { return nil }}
	needs := func(*gateway.Call, *ecapi.CreateServerlessCacheSnapshotInput) []policy.Need { return nil }
	handle := func(context.Context, *gateway.Call, *ecapi.CreateServerlessCacheSnapshotInput) (*ecapi.CreateServerlessCacheSnapshotOutput, error) {
		return nil, nil
	}
	for name, f := range map[string]func(){
		"no lookup": func() { gateway.New(gateway.Options{}) },
		"no fault":  func() { gateway.NewAPI(ecapi.Service, gateway.APIOptions{}) },
		"foreign route": func() {
			gateway.Route(gateway.NewAPI(mdbapi.Service, noFault), ecapi.OpCreateServerlessCacheSnapshot, needs, handle)
		},
		"route no needs": func() {
			gateway.Route(gateway.NewAPI(ecapi.Service, noFault), ecapi.OpCreateServerlessCacheSnapshot, nil, handle)
		},
		"two routes": func() {
			f := gateway.NewAPI(ecapi.Service, noFault)
			gateway.Route(f, ecapi.OpCreateServerlessCacheSnapshot, needs, handle)
			gateway.Route(f, ecapi.OpCreateServerlessCacheSnapshot, needs, handle)
		},
		"two faces": func() {
			gateway.New(gateway.Options{Lookup: func(string) (iam.Principal, iam.Secret, bool) { panic("not asked") }, Faces: []gateway.Face{sts.New(), sts.New()}})
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
