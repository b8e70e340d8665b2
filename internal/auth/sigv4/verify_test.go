package sigv4

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

const (
	testKey    = "AKIDEXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var (
	testNow   = time.Date(2026, 11, 21, 10, 30, 0, 0, time.UTC)
	testCreds = Credentials{AccessKeyID: testKey, Secret: NewSecret(testSecret)}
	sdkCreds  = aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
)

// arrive is the request as a server sees it.
func arrive(r *http.Request, body string) *http.Request {
	got := httptest.NewRequest(r.Method, r.URL.RequestURI(), strings.NewReader(body))
	got.Host = r.Host
	if got.Host == "" {
		got.Host = r.URL.Host
	}
	got.Header = r.Header.Clone()
	return got
}

func check(r *http.Request, body string, c Credentials, now time.Time) error {
	s, err := Parse(r)
	if err != nil {
		return err
	}
	if s.Service == "s3" {
		_, err = s.VerifyS3(r, c, now)
		return err
	}
	return s.Verify(r, c, []byte(body), now)
}

func kind(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Kind(fmt.Sprint(err))
}

func want(t *testing.T, err error, k Kind) {
	t.Helper()
	if kind(err) != k {
		t.Fatalf("got %v, want kind %s", err, k)
	}
}

func newRequest(t testing.TB, method, target, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sdkSigned is a request signed by the SDK's own signer, as a server sees it.
func sdkSigned(t testing.TB, r *http.Request, body, service string, creds aws.Credentials, at time.Time) *http.Request {
	t.Helper()
	hash := PayloadHash([]byte(body))
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	if err := signer.SignHTTP(context.Background(), creds, r, hash, service, "us-east-1", at); err != nil {
		t.Fatal(err)
	}
	return arrive(r, body)
}

func TestSDKSignatureIsAccepted(t *testing.T) {
	t.Parallel()
	paths := []string{"/", "/bucket/key", "/bucket/a%20b/c%2Bd", "/bucket/%E2%82%AC", "/b/x%2Fy", "/b/a%3Db%26c%40d%3Ae%2Cf%3Bg", "/b/~tilde_%281%29%21%2A%27"}
	queries := []string{"", "?list-type=2&prefix=a%2Fb", "?b=2&a=1&a=0", "?acl", "?x=a+b&y=%7E&z=%25", "?v=a/b&v=a-b"}
	for _, service := range []string{"elasticache", "s3"} {
		for _, p := range paths {
			for _, q := range queries {
				r := newRequest(t, "POST", "http://127.0.0.1:7411"+p+q, "Action=X")
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("X-Amz-Meta-Spaced", "  a   b  ")
				r.Header.Add("X-Amz-Meta-Two", "one")
				r.Header.Add("X-Amz-Meta-Two", "two")
				got := sdkSigned(t, r, "Action=X", service, sdkCreds, testNow)
				if err := check(got, "Action=X", testCreds, testNow); err != nil {
					t.Errorf("%s %s%s: %v", service, p, q, err)
				}
			}
		}
	}
}

func TestScopeIsReturned(t *testing.T) {
	t.Parallel()
	s, err := Parse(sdkSigned(t, newRequest(t, "POST", "http://h/", "b"), "b", "memorydb", sdkCreds, testNow))
	if err != nil {
		t.Fatal(err)
	}
	if s.AccessKeyID != testKey || s.Scope != (Scope{"20261121", "us-east-1", "memorydb"}) || !s.Time.Equal(testNow) || s.Presigned {
		t.Fatalf("%+v", s)
	}
}

// Every part of a valid request is changed in turn: each change must be refused, with the kind that says why.
func TestMutationsAreRefused(t *testing.T) {
	t.Parallel()
	edit := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			old := r.Header.Get("Authorization")
			now := strings.Replace(old, from, to, 1)
			if old == now {
				panic("nothing replaced: " + from)
			}
			r.Header.Set("Authorization", now)
		}
	}
	set := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	add := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Add(k, v) } }
	cases := []struct {
		name   string
		mutate func(*http.Request)
		kind   Kind
	}{
		{"method", func(r *http.Request) { r.Method = "PUT" }, SignatureDoesNotMatch},
		{"path", func(r *http.Request) { r.URL.Path = "/other" }, SignatureDoesNotMatch},
		{"query", func(r *http.Request) { r.URL.RawQuery = "a=2" }, SignatureDoesNotMatch},
		{"query added", func(r *http.Request) { r.URL.RawQuery += "&b=1" }, SignatureDoesNotMatch},
		{"query broken", func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, MalformedQuery},
		{"host", func(r *http.Request) { r.Host = "evil" }, SignatureDoesNotMatch},
		{"signed header", set("Content-Type", "text/plain"), SignatureDoesNotMatch},
		{"signed header gone", func(r *http.Request) { r.Header.Del("Content-Type") }, SignatureDoesNotMatch},
		{"signed header twice", add("X-Amz-Meta-A", "2"), SignatureDoesNotMatch},
		{"amz header added", set("X-Amz-Acl", "public-read"), HeadersNotSigned},
		{"token added", set("X-Amz-Security-Token", "tok"), HeadersNotSigned},
		{"date", set("X-Amz-Date", "20261121T103001Z"), SignatureDoesNotMatch},
		{"date of another day", set("X-Amz-Date", "20261122T000000Z"), IncompleteSignature},
		{"date malformed", set("X-Amz-Date", "yesterday"), IncompleteSignature},
		{"date twice", add("X-Amz-Date", "20261121T103000Z"), IncompleteSignature},
		{"date gone", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, IncompleteSignature},
		{"access key", edit(testKey, "AKIDOTHER"), InvalidClientTokenID},
		{"scope date", edit("/20261121/", "/20261120/"), IncompleteSignature},
		{"scope region", edit("us-east-1", "us-east-2"), SignatureDoesNotMatch},
		{"scope region shape", edit("us-east-1", "US/../x"), IncompleteSignature},
		{"scope region case", edit("us-east-1", "US-EAST-1"), IncompleteSignature},
		{"scope service", edit("elasticache", "memorydb"), SignatureDoesNotMatch},
		{"scope terminator", edit("aws4_request", "aws5_request"), IncompleteSignature},
		{"scope short", edit("/us-east-1", ""), IncompleteSignature},
		{"host unsigned", edit(";host", ""), HeadersNotSigned},
		{"content-type unsigned", edit("content-type;", ""), SignatureDoesNotMatch},
		{"amz header unsigned", edit(";x-amz-meta-a", ""), HeadersNotSigned},
		{"header names unsorted", edit("content-type;host", "host;content-type"), IncompleteSignature},
		{"header name twice", edit("content-type;", "content-type;content-type;"), IncompleteSignature},
		{"header name upper case", edit("content-type;", "Content-Type;"), IncompleteSignature},
		{"header name unknown", edit(";x-amz-meta-a", ";x-amz-meta-a;x-amz-zzz"), SignatureDoesNotMatch},
		{"signature", func(r *http.Request) { flipLast(r) }, SignatureDoesNotMatch},
		{"signature short", func(r *http.Request) {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", a[:len(a)-1])
		}, IncompleteSignature},
		{"signature empty", func(r *http.Request) {
			a, _, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
			r.Header.Set("Authorization", a+"Signature=")
		}, IncompleteSignature},
		{"algorithm", edit("HMAC-SHA256", "HMAC-SHA512"), IncompleteSignature},
		{"basic auth", set("Authorization", "Basic dXNlcjpwYXNz"), IncompleteSignature},
		{"part twice", edit(" SignedHeaders", " Credential=x, SignedHeaders"), IncompleteSignature},
		{"part unknown", edit(" SignedHeaders", " Extra=x, SignedHeaders"), IncompleteSignature},
		{"part missing", edit("SignedHeaders=", "Signed="), IncompleteSignature},
		{"authorization twice", add("Authorization", "x"), IncompleteSignature},
		{"authorization gone", func(r *http.Request) { r.Header.Del("Authorization") }, MissingAuthenticationToken},
		{"signed in two ways", func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Signature=1" }, IncompleteSignature},
		{"body hash header", set("X-Amz-Content-Sha256", EmptyHash), HeadersNotSigned},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t, "POST", "http://127.0.0.1/?a=1", "Action=X")
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-Amz-Meta-A", "1")
			r.ContentLength = 0 // keeps content-length out of the signature, so that names are in a known order
			got := sdkSigned(t, r, "Action=X", "elasticache", sdkCreds, testNow)
			if err := check(got, "Action=X", testCreds, testNow); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			c.mutate(got)
			want(t, check(got, "Action=X", testCreds, testNow), c.kind)
		})
	}
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		got := sdkSigned(t, newRequest(t, "POST", "http://h/", "a"), "a", "elasticache", sdkCreds, testNow)
		want(t, check(got, "b", testCreds, testNow), SignatureDoesNotMatch)
	})
	t.Run("secret", func(t *testing.T) {
		t.Parallel()
		got := sdkSigned(t, newRequest(t, "POST", "http://h/", "a"), "a", "elasticache", sdkCreds, testNow)
		want(t, check(got, "a", Credentials{testKey, NewSecret("other"), Secret{}}, testNow), SignatureDoesNotMatch)
		want(t, check(got, "a", Credentials{AccessKeyID: testKey}, testNow), InvalidClientTokenID)
	})
}

func flipLast(r *http.Request) {
	a := []byte(r.Header.Get("Authorization"))
	if a[len(a)-1]++; a[len(a)-1] > 'f' || a[len(a)-1] > '9' && a[len(a)-1] < 'a' {
		a[len(a)-1] = '0'
	}
	r.Header.Set("Authorization", string(a))
}

func TestClock(t *testing.T) {
	t.Parallel()
	got := sdkSigned(t, newRequest(t, "POST", "http://h/", "a"), "a", "elasticache", sdkCreds, testNow)
	for _, d := range []time.Duration{MaxSkew, -MaxSkew, 0} {
		if err := check(got, "a", testCreds, testNow.Add(d)); err != nil {
			t.Errorf("skew %v: %v", d, err)
		}
	}
	for _, d := range []time.Duration{MaxSkew + time.Second, -MaxSkew - time.Second} {
		want(t, check(got, "a", testCreds, testNow.Add(d)), RequestExpired)
	}
}

func TestDateHeader(t *testing.T) {
	t.Parallel()
	r := newRequest(t, "GET", "http://h/?Action=X", "")
	r.Header.Set("Date", testNow.Format(http.TimeFormat))
	canonical, refused := canonicalRequest(r, "sts", []string{"date", "host"}, EmptyHash)
	if refused != nil {
		t.Fatal(refused)
	}
	scope := Scope{"20261121", "us-east-1", "sts"}
	sig := hexMAC(signingKey(testCreds.Secret, scope), stringToSign("20261121T103000Z", scope, canonical))
	r.Header.Set("Authorization", algorithm+" Credential="+testKey+"/"+scope.String()+",SignedHeaders=date;host,Signature="+sig)
	if err := check(arrive(r, ""), "", testCreds, testNow); err != nil {
		t.Fatal(err)
	}
}

func TestSessionToken(t *testing.T) {
	t.Parallel()
	withToken := sdkCreds
	withToken.SessionToken = "the/token+=="
	session := testCreds
	session.Session = NewSecret("the/token+==")
	header := sdkSigned(t, newRequest(t, "POST", "http://h/", "a"), "a", "elasticache", withToken, testNow)
	query := presigned(t, "POST", "http://h/?X-Amz-Expires=60", "elasticache", withToken, PayloadHash([]byte("a")))
	for _, r := range []*http.Request{header, query} {
		if err := check(r, "a", session, testNow); err != nil {
			t.Fatal(err)
		}
		want(t, check(r, "a", testCreds, testNow), InvalidToken)
		other := session
		other.Session = NewSecret("another")
		want(t, check(r, "a", other, testNow), InvalidToken)
		wrong := session
		wrong.Secret = NewSecret("x")
		err := check(r, "a", wrong, testNow)
		want(t, err, SignatureDoesNotMatch)
		if strings.Contains(err.Error(), "the/token") || strings.Contains(err.Error(), "the%2Ftoken") || !strings.Contains(err.Error(), "String-to-Sign") {
			t.Fatalf("message: %v", err)
		}
	}
	bare := sdkSigned(t, newRequest(t, "POST", "http://h/", "a"), "a", "elasticache", sdkCreds, testNow)
	want(t, check(bare, "a", session, testNow), InvalidToken)
}

func presigned(t testing.TB, method, target, service string, creds aws.Credentials, hash string) *http.Request {
	t.Helper()
	r := newRequest(t, method, target, "")
	r.Body, r.ContentLength = http.NoBody, 0
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	uri, _, err := signer.PresignHTTP(context.Background(), creds, r, hash, service, "us-east-1", testNow)
	if err != nil {
		t.Fatal(err)
	}
	return arrive(newRequest(t, method, uri, ""), "")
}

func TestPresigned(t *testing.T) {
	t.Parallel()
	s3 := presigned(t, "GET", "http://h/bucket/a%20key?X-Amz-Expires=3600&versionId=1", "s3", sdkCreds, UnsignedPayload)
	sts := presigned(t, "GET", "http://h/?Action=GetCallerIdentity&Version=2011-06-15", "sts", sdkCreds, EmptyHash)
	for _, r := range []*http.Request{s3, sts} {
		if err := check(r, "", testCreds, testNow.Add(14*time.Minute)); err != nil {
			t.Fatal(err)
		}
		want(t, check(r, "", testCreds, testNow.Add(-16*time.Minute)), RequestExpired)
	}
	if err := check(s3, "", testCreds, testNow.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	want(t, check(s3, "", testCreds, testNow.Add(time.Hour+time.Second)), RequestExpired)
	want(t, check(sts, "", testCreds, testNow.Add(16*time.Minute)), RequestExpired)

	cases := []struct {
		param, value string
		kind         Kind
	}{
		{"X-Amz-Expires", "0", IncompleteSignature}, {"X-Amz-Expires", "604801", IncompleteSignature}, {"X-Amz-Expires", "x", IncompleteSignature},
		{"X-Amz-Expires", "-1", IncompleteSignature}, {"X-Amz-Expires", "", IncompleteSignature}, {"X-Amz-Expires", "3601", SignatureDoesNotMatch},
		{"X-Amz-Date", "20261121T103001Z", SignatureDoesNotMatch}, {"X-Amz-Date", "", IncompleteSignature}, {"X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256", IncompleteSignature},
		{"X-Amz-Credential", "x", IncompleteSignature}, {"X-Amz-SignedHeaders", "date", HeadersNotSigned}, {"X-Amz-Signature", strings.Repeat("0", 64), SignatureDoesNotMatch},
		{"X-Amz-Signature", "", IncompleteSignature}, {"versionId", "2", SignatureDoesNotMatch}, {"X-Amz-Security-Token", "t", InvalidToken},
		{"X-Amz-Content-Sha256", streamSigned, SignatureDoesNotMatch}, {"extra", "1", SignatureDoesNotMatch},
	}
	for _, c := range cases {
		r := arrive(s3, "")
		q := r.URL.Query()
		q.Set(c.param, c.value)
		r.URL.RawQuery = q.Encode()
		if err := check(r, "", testCreds, testNow); kind(err) != c.kind {
			t.Errorf("%s=%s: got %v, want %s", c.param, c.value, err, c.kind)
		}
	}
	twice := arrive(s3, "")
	twice.URL.RawQuery += "&X-Amz-Date=20261121T103000Z"
	want(t, check(twice, "", testCreds, testNow), IncompleteSignature)
	header := arrive(s3, "")
	header.Header.Set("X-Amz-Security-Token", "t")
	want(t, check(header, "", testCreds, testNow), IncompleteSignature)
	amz := arrive(s3, "")
	amz.Header.Set("X-Amz-Acl", "public-read")
	want(t, check(amz, "", testCreds, testNow), HeadersNotSigned)
}

// What Sign signs, Verify and the SDK's signer both agree with.
func TestSignRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		service := rapid.SampledFrom([]string{"s3", "elasticache", "sts"}).Draw(rt, "service")
		path := "/" + uriEncode(rapid.String().Draw(rt, "path"))
		q := url.Values{}
		for range rapid.IntRange(0, 4).Draw(rt, "params") {
			q.Add(rapid.String().Draw(rt, "name"), rapid.String().Draw(rt, "value"))
		}
		body := rapid.String().Draw(rt, "body")
		r, err := http.NewRequest("POST", "http://h"+path+"?"+q.Encode(), strings.NewReader(body))
		if err != nil || r.URL.Query().Has("X-Amz-Signature") {
			rt.Skip()
		}
		if err := Sign(r, testCreds, "eu-west-1", service, PayloadHash([]byte(body)), testNow); err != nil {
			rt.Fatal(err)
		}
		if err := check(arrive(r, body), body, testCreds, testNow); err != nil {
			rt.Fatal(err)
		}
		if service == "s3" || path == "/." || path == "/.." {
			return // the SDK does not remove dot segments
		}
		ours := r.Header.Get("Authorization")
		r.ContentLength = 0 // we leave content-length unsigned
		signer := v4.NewSigner()
		if err := signer.SignHTTP(context.Background(), sdkCreds, r, PayloadHash([]byte(body)), service, "eu-west-1", testNow); err != nil {
			rt.Fatal(err)
		}
		if theirs := r.Header.Get("Authorization"); ours != theirs {
			rt.Fatalf("ours   %s\ntheirs %s", ours, theirs)
		}
	})
}

func TestCanonicalURI(t *testing.T) {
	t.Parallel()
	for in, out := range map[string][2]string{ // other services, S3
		"": {"/", "/"}, "/": {"/", "/"}, "/a/../b": {"/b", "/a/../b"}, "/a//b/./c/": {"/a/b/c/", "/a//b/./c/"}, "/../..": {"/", "/../.."},
		"/a b": {"/a%2520b", "/a%20b"}, "/%41%2f": {"/A%252F", "/A%2F"}, "//": {"/", "//"},
	} {
		for i, service := range []string{"sts", "s3"} {
			if got, err := canonicalURI(in, service); err != nil || got != out[i] {
				t.Errorf("%s %q: got %q, %v, want %q", service, in, got, err, out[i])
			}
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := NewSecret("hunter2")
	holder := struct{ hidden Secret }{s}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "s", s, "h", Credentials{Secret: s})
	js, err := json.Marshal(map[string]any{"s": s, "c": Credentials{Secret: s}})
	if err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintf("%v %+v %#v %s %q %x %d %v %+v %#v", s, s, s, s, s, s, s, holder, holder, holder) + log.String() + string(js)
	if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e74657232") || !strings.Contains(out, redacted) {
		t.Fatal(out)
	}
	if s.Reveal() != "hunter2" || !(Secret{}).Empty() || s.Empty() {
		t.Fatal("Reveal or Empty is wrong")
	}
}

func FuzzParse(f *testing.F) {
	r := sdkSigned(f, newRequest(f, "POST", "http://h/?a=1", "a"), "a", "elasticache", sdkCreds, testNow)
	f.Add("/", "a=1", r.Header.Get("Authorization"), r.Header.Get("X-Amz-Date"))
	p := presigned(f, "GET", "http://h/b/k?X-Amz-Expires=60", "s3", sdkCreds, UnsignedPayload)
	f.Add("/b/k", p.URL.RawQuery, "", "")
	f.Add("/%", "%", "AWS4-HMAC-SHA256 Credential=////,SignedHeaders=,Signature=", "x")
	f.Fuzz(func(t *testing.T, path, query, authorization, date string) {
		r := httptest.NewRequest("POST", "/", nil)
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, path, query
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		r.Header.Set("X-Amz-Date", date)
		s, err := Parse(r)
		if s == nil {
			t.Fatal("no signature at all")
		}
		if err != nil {
			if !knownKind(kind(err)) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		// Nobody who does not know the secret gets in.
		if err := check(r, "", Credentials{s.AccessKeyID, NewSecret("s3cr3t unknown to the fuzzer"), Secret{}}, s.Time); err == nil || !knownKind(kind(err)) {
			t.Fatalf("got %v", err)
		}
	})
}

func knownKind(k Kind) bool {
	for _, known := range Kinds() {
		if k == known {
			return true
		}
	}
	return false
}
