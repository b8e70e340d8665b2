package s3

import (
	"encoding/xml"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever is sent, the answer is XML or an object, never a panic and never an InternalError.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/bkt", "list-type=2&max-keys=3", "", "", "")
	f.Add("POST", "/bkt", "delete", "<Delete><Object><Key>a</Key></Object></Delete>", "", "")
	f.Add("POST", "/bkt/k", "uploadId=00000000000000000000000000000000", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", "", "")
	f.Add("PUT", "/other", "", "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>", "", "")
	f.Add("PUT", "/bkt/../../x", "", "body", "X-Amz-Copy-Source", "/bkt/%2e%2e/k")
	f.Add("GET", "/bkt/k", "partNumber=2", "", "Range", "bytes=1-")
	f.Add("GET", "/bkt/k", "", "", "Range", "bytes=-9223372036854775808")
	f.Add("POST", "/bkt", "delete", "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><Delete>&a;</Delete>", "Content-Md5", "AAAA")
	f.Add("GET", "/bkt", "uploads&delimiter=k&key-marker=%00&upload-id-marker=~", "", "", "")
	h := bare(f)
	send(h, "PUT", "http://x/bkt/k", "0123456789")
	f.Fuzz(func(t *testing.T, method, path, query, body, name, value string) {
		r := httptest.NewRequest("GET", "http://x/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
		if name != "" {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeS3(w, r, Caller{Account: owningAccount, Region: "us-east-1", RequestID: "r"})
		if w.Code >= 500 && w.Code != 501 {
			t.Fatalf("%s %s?%s: %d %s", method, path, query, w.Code, w.Body)
		}
		if w.Code >= 400 && method != "HEAD" && xml.Unmarshal(w.Body.Bytes(), &errorBody{}) != nil {
			t.Fatalf("an answer of %d is not XML: %s", w.Code, w.Body)
		}
	})
}
