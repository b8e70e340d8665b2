package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/blob/buckets"
)

const owningAccount = "111111111111"

// bare is the handler without the gateway, with a bucket "bkt".
func bare(t testing.TB) *Handler {
	t.Helper()
	s, err := buckets.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateBucket(t.Context(), "bkt", owningAccount, "us-east-1"); err != nil {
		t.Fatal(err)
	}
	return &Handler{Buckets: s, Domains: []string{"localhost"}}
}

func send(h *Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeS3(w, r, Caller{Account: owningAccount, Region: "us-east-1", RequestID: "req-1"})
	return w
}

func wantFault(t testing.TB, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var e errorBody
	if err := xml.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != status || e.Code != code || e.RequestID != "req-1" ||
		w.Header().Get("Content-Type") != "application/xml" || w.Header().Get("X-Amz-Request-Id") != "req-1" {
		t.Errorf("answer is %d %v %s, want %d %s", w.Code, w.Header(), w.Body, status, code)
	}
}

func TestWhatIsNotServedIsRefusedInXML(t *testing.T) {
	t.Parallel()
	h := bare(t)
	for _, p := range foreignParams {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			wantFault(t, send(h, method, "http://x/bkt?"+p, ""), 501, "NotImplemented")
			wantFault(t, send(h, method, "http://x/bkt/k?"+p, ""), 501, "NotImplemented")
		}
	}
	for _, name := range foreignHeaders {
		wantFault(t, send(h, "PUT", "http://x/bkt/k", "", name, "v"), 501, "NotImplemented")
	}
	wantFault(t, send(h, "PUT", "http://x/bkt/k", "", "X-Amz-Acl", "public-read"), 501, "NotImplemented")
	wantFault(t, send(h, "GET", "http://x/bkt/k?versionId=3", ""), 501, "NotImplemented")
	wantFault(t, send(h, "POST", "http://x/", ""), 405, "MethodNotAllowed")
	wantFault(t, send(h, "POST", "http://x/bkt", ""), 405, "MethodNotAllowed")
	wantFault(t, send(h, "PATCH", "http://x/bkt/k", ""), 405, "MethodNotAllowed")
	wantFault(t, send(h, "GET", "http://x/absent", ""), 404, "NoSuchBucket")
	wantFault(t, send(h, "GET", "http://x/bkt?encoding-type=x", ""), 400, "InvalidArgument")
	if p, err := h.Buckets.List(t.Context(), "bkt", buckets.ListOptions{Max: 10}); err != nil || len(p.Objects) != 0 {
		t.Errorf("a refused request left %+v, %v", p, err)
	}
}

func TestBucketInTheHostName(t *testing.T) {
	t.Parallel()
	h := bare(t)
	if w := send(h, "PUT", "http://bkt.localhost:7411/a/b", "data"); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, target := range []string{"http://bkt.localhost/a/b", "http://localhost/bkt/a/b", "http://s3.localhost/bkt/a/b", "http://127.0.0.1/bkt/a/b"} {
		if w := send(h, "GET", target, ""); w.Code != 200 || w.Body.String() != "data" {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestPolicyIsAskedForEveryObject(t *testing.T) {
	t.Parallel()
	h := bare(t)
	send(h, "PUT", "http://x/bkt/secret", "data")
	var asked []string
	h.Policy = func(_ context.Context, c Caller, action, resource string) error {
		asked = append(asked, action+" "+resource)
		if strings.HasSuffix(resource, "/secret") {
			return errors.New("no secrets for " + c.Account)
		}
		return nil
	}
	wantFault(t, send(h, "GET", "http://x/bkt/secret", ""), 403, "AccessDenied")
	wantFault(t, send(h, "PUT", "http://x/bkt/copy", "", "X-Amz-Copy-Source", "/bkt/secret"), 403, "AccessDenied")
	w := send(h, "POST", "http://x/bkt?delete", `<Delete><Object><Key>secret</Key></Object><Object><Key>k</Key></Object></Delete>`)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "<Deleted><Key>k</Key></Deleted><Error><Key>secret</Key><Code>AccessDenied</Code>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	want := "s3:GetObject arn:aws:s3:::bkt/secret, s3:PutObject arn:aws:s3:::bkt/copy, s3:GetObject arn:aws:s3:::bkt/secret, " +
		"s3:ListBucket arn:aws:s3:::bkt, s3:DeleteObject arn:aws:s3:::bkt/secret, s3:DeleteObject arn:aws:s3:::bkt/k"
	if got := strings.Join(asked, ", "); got != want {
		t.Errorf("asked %s", got)
	}
	h.Policy = nil
	if w := send(h, "HEAD", "http://x/bkt/secret", ""); w.Code != 200 {
		t.Errorf("the object is gone: %d", w.Code)
	}
}

// faultyBody is a body whose reader found out that it is not what was signed.
func TestFaultsOfTheBodyAreAnswered(t *testing.T) {
	t.Parallel()
	h := bare(t)
	r := httptest.NewRequest("PUT", "http://x/bkt/k", io.MultiReader(strings.NewReader("abc"), brokenBody{&Fault{"XAmzContentSHA256Mismatch", 400, "no"}}))
	w := httptest.NewRecorder()
	h.ServeS3(w, r, Caller{Account: owningAccount, RequestID: "req-1"})
	wantFault(t, w, 400, "XAmzContentSHA256Mismatch")
	r = httptest.NewRequest("PUT", "http://x/bkt/k", strings.NewReader("abc"))
	r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	r.Trailer = http.Header{"X-Amz-Checksum-Crc32": {"AAAAAA=="}}
	w = httptest.NewRecorder()
	h.ServeS3(w, r, Caller{Account: owningAccount, RequestID: "req-1"})
	wantFault(t, w, 400, "BadDigest")
	wantFault(t, send(h, "GET", "http://x/bkt/k", ""), 404, "NoSuchKey")
}

type brokenBody struct{ error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.error }

// A client that waits for a long completion hears blanks, then the document, be it a success or an error.
func TestLongCompletionsShowLife(t *testing.T) {
	t.Parallel()
	h := bare(t)
	c := &call{h: h, r: httptest.NewRequest("POST", "http://x/bkt/k?uploadId=1", nil), caller: Caller{RequestID: "req-1"}, bucket: "bkt", key: "k"}
	for _, err := range []error{nil, buckets.ErrInvalidPart} {
		w := httptest.NewRecorder()
		c.w = w
		io.WriteString(w, strings.TrimSpace(xml.Header)+"  ")
		if e := c.completed(true, buckets.Object{Key: "k", ETag: "e-2"}, err); e != nil {
			t.Fatal(e)
		}
		var root struct {
			XMLName    xml.Name
			Code, ETag string
		}
		if e := xml.Unmarshal(w.Body.Bytes(), &root); e != nil || err == nil && root.ETag != `"e-2"` || err != nil && root.Code != "InvalidPart" {
			t.Errorf("%s: %v", w.Body, e)
		}
	}
	// The whole way, with a client that has no patience at all.
	h.patience = time.Microsecond
	id := between(send(h, "POST", "http://x/bkt/k?uploads", "").Body.String(), "<UploadId>", "</UploadId>")
	etag := send(h, "PUT", "http://x/bkt/k?partNumber=1&uploadId="+id, "data").Header().Get("Etag")
	w := send(h, "POST", "http://x/bkt/k?uploadId="+id, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+etag+"</ETag></Part></CompleteMultipartUpload>")
	if w.Code != 200 || xml.Unmarshal(w.Body.Bytes(), &completeResult{}) != nil || !strings.Contains(w.Body.String(), "<CompleteMultipartUploadResult") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestChecksumsSurviveXML(t *testing.T) {
	t.Parallel()
	var in completeRequest
	doc := `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><ETag>"e"</ETag><ChecksumSHA256>abc=</ChecksumSHA256><PartNumber>7</PartNumber></Part></CompleteMultipartUpload>`
	if err := xml.Unmarshal([]byte(doc), &in); err != nil || len(in.Part) != 1 || in.Part[0].any() != "abc=" || in.Part[0].PartNumber != 7 {
		t.Errorf("%+v, %v", in, err)
	}
}

func TestEveryErrorOfTheBucketsHasItsFault(t *testing.T) {
	t.Parallel()
	for _, c := range byCause {
		if f, known := faultOf(errors.Join(errors.New("outer"), c.err)); !known || f != c.fault {
			t.Errorf("%v becomes %v", c.err, f)
		}
	}
	if f, known := faultOf(errors.New("the disk is on fire")); known || f != internalError {
		t.Errorf("an unforeseen error becomes %v", f)
	}
}
