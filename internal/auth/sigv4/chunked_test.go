package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

// upload is a chunked request in the making.
type upload struct {
	mode      string
	data      []byte
	chunk     int
	trailers  []string // names of checksums
	secret    string
	blankLine bool // before the signature of the trailer
}

// encode writes the body as a client would, from the documented string to sign.
func (u upload) encode(seed string, scope Scope) []byte {
	key, stamp := signingKey(NewSecret(u.secret), scope), testNow.Format(timeLayout)
	var b bytes.Buffer
	sum := func(p []byte) string { return fmt.Sprintf("%x", sha256.Sum256(p)) }
	emit := func(p []byte) {
		fmt.Fprintf(&b, "%x", len(p))
		if u.mode != streamUnsignedTrailer {
			seed = hexMAC(key, strings.Join([]string{"AWS4-HMAC-SHA256-PAYLOAD", stamp, scope.String(), seed, sum(nil), sum(p)}, "\n"))
			b.WriteString(";chunk-signature=" + seed)
		}
		b.WriteString("\r\n")
		if b.Write(p); len(p) > 0 {
			b.WriteString("\r\n")
		}
	}
	for rest := u.data; len(rest) > 0; rest = rest[min(u.chunk, len(rest)):] {
		emit(rest[:min(u.chunk, len(rest))])
	}
	emit(nil)
	canonical := ""
	for _, name := range u.trailers {
		h := NewChecksum(name)
		h.Write(u.data)
		line := name + ":" + base64.StdEncoding.EncodeToString(h.Sum(nil))
		canonical += line + "\n"
		b.WriteString(line + "\r\n")
	}
	if u.mode == streamSignedTrailer {
		if u.blankLine {
			b.WriteString("\r\n")
		}
		seed = hexMAC(key, strings.Join([]string{"AWS4-HMAC-SHA256-TRAILER", stamp, scope.String(), seed, sum([]byte(canonical))}, "\n"))
		b.WriteString("x-amz-trailer-signature:" + seed + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// request signs the head and returns the request as it arrives; change may spoil the body.
func (u upload) request(t testing.TB, change func([]byte) []byte) *http.Request {
	t.Helper()
	r := newRequest(t, "PUT", "http://h/bucket/key", "")
	r.Header.Set("Content-Encoding", "aws-chunked")
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(u.data)))
	if len(u.trailers) > 0 {
		r.Header.Set("X-Amz-Trailer", strings.Join(u.trailers, ","))
	}
	if err := Sign(r, testCreds, "us-east-1", "s3", u.mode, testNow); err != nil {
		t.Fatal(err)
	}
	_, seed, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	body := u.encode(seed, Scope{testNow.Format(dateLayout), "us-east-1", "s3"})
	if change != nil {
		body = change(body)
	}
	return arrive(r, string(body))
}

func open(t testing.TB, r *http.Request) *Body {
	t.Helper()
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.VerifyS3(r, testCreds, testNow)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var modes = []string{streamSigned, streamSignedTrailer, streamUnsignedTrailer}

func newUpload(mode string, size, chunk int, trailers ...string) upload {
	if mode == streamSigned {
		trailers = nil
	}
	data := make([]byte, size)
	for i, rnd := 0, rand.New(rand.NewPCG(1, 2)); i < size; i++ {
		data[i] = byte(rnd.Uint32())
	}
	return upload{mode: mode, data: data, chunk: chunk, trailers: trailers, secret: testSecret}
}

func TestChunkedBodies(t *testing.T) {
	t.Parallel()
	checksums := []string{"x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1",
		"x-amz-checksum-sha256", "x-amz-checksum-sha512", "x-amz-checksum-md5"}
	rapid.Check(t, func(rt *rapid.T) {
		u := newUpload(rapid.SampledFrom(modes).Draw(rt, "mode"), rapid.IntRange(0, 200_000).Draw(rt, "size"),
			rapid.IntRange(1000, 70_000).Draw(rt, "chunk"), rapid.SampledFrom(checksums).Draw(rt, "checksum"))
		u.blankLine = rapid.Bool().Draw(rt, "blank line")
		b := open(t, u.request(t, nil))
		var src io.Reader = b
		if rapid.Bool().Draw(rt, "small reads") {
			src = iotest.HalfReader(b)
		}
		got, err := io.ReadAll(src)
		if err != nil || !bytes.Equal(got, u.data) || b.Length() != int64(len(u.data)) {
			rt.Fatalf("read %d of %d bytes: %v", len(got), len(u.data), err)
		}
		for _, name := range u.trailers {
			if b.Trailer().Get(name) == "" {
				rt.Fatalf("no trailer %s", name)
			}
		}
	})
}

// Any changed, lost or added byte is noticed, and then no reader gets the declared number of bytes.
func TestSpoiledChunksAreRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			u := newUpload(mode, 300, 128, "x-amz-checksum-crc32c")
			var encoded []byte
			u.request(t, func(b []byte) []byte { encoded = bytes.Clone(b); return b })
			spoil := func(what string, i int, change func([]byte) []byte) {
				b := open(t, u.request(t, change))
				got := make([]byte, len(u.data)) // a reader that knows the length and does not wait for io.EOF
				if _, err := io.ReadFull(b, got); err == nil {
					t.Fatalf("%s at %d of %d was not noticed", what, i, len(encoded))
				} else if !knownKind(kind(err)) {
					t.Fatalf("%s at %d: untyped error %v", what, i, err)
				}
				if n, err := b.Read(got); n != 0 || err == nil || err == io.EOF {
					t.Fatalf("%s at %d: the error was forgotten: %d %v", what, i, n, err)
				}
			}
			for i := range encoded {
				spoil("flip", i, func(b []byte) []byte { b[i] ^= 0x40; return b })
				if i < len(encoded)-2-len("x-amz-trailer-signature:")-70 {
					spoil("loss", i, func(b []byte) []byte { return append(b[:i:i], b[i+1:]...) })
					spoil("cut", i, func(b []byte) []byte { return b[:i] })
				}
			}
			spoil("appendix", 0, func(b []byte) []byte { return append(b, "x"...) })
		})
	}
}

func TestChunkSignaturesUseTheSecret(t *testing.T) {
	t.Parallel()
	for _, mode := range modes[:2] {
		u := newUpload(mode, 10, 10, "x-amz-checksum-crc32")
		u.secret = "other"
		_, err := io.ReadAll(open(t, u.request(t, nil)))
		want(t, err, SignatureDoesNotMatch)
	}
}

func TestBrokenFraming(t *testing.T) {
	t.Parallel()
	u := newUpload(streamUnsignedTrailer, 10, 10, "x-amz-checksum-crc32")
	right := "x-amz-checksum-crc32:" + func() string {
		h := NewChecksum("x-amz-checksum-crc32")
		h.Write(u.data)
		return base64.StdEncoding.EncodeToString(h.Sum(nil))
	}()
	head := "a\r\n" + string(u.data) + "\r\n0\r\n"
	for _, c := range []struct {
		name, body string
		kind       Kind
	}{
		{"empty", "", IncompleteBody},
		{"no size", "\r\n", MalformedBody},
		{"negative", "-1\r\n", MalformedBody},
		{"huge", "ffffffffffffffff\r\n", MalformedBody},
		{"seventeen digits", "0000000000000000a\r\n", MalformedBody},
		{"long line", strings.Repeat("0", 5000) + "\r\n", MalformedBody},
		{"endless line", strings.Repeat("0", 50000), MalformedBody},
		{"no CR", "a\n", MalformedBody},
		{"longer than declared", "b\r\n", IncompleteBody},
		{"shorter than declared", "1\r\nx\r\n0\r\n", IncompleteBody},
		{"extension", "a;chunk-signature=1\r\n", MalformedBody},
		{"data too long", "a\r\n" + string(u.data) + "x\r\n", MalformedBody},
		{"no trailer", head + "\r\n", MalformedBody},
		{"no trailer at the end", head, MalformedBody},
		{"no colon", head + "x\r\n\r\n", MalformedBody},
		{"other trailer", head + "x-amz-checksum-sha1:AAAA\r\n\r\n", MalformedBody},
		{"trailer twice", head + right + "\r\n" + right + "\r\n\r\n", MalformedBody},
		{"signature unasked", head + right + "\r\nx-amz-trailer-signature:00\r\n\r\n", MalformedBody},
		{"wrong checksum", head + "x-amz-checksum-crc32:AAAAAA==\r\n\r\n", BadDigest},
		{"appendix", head + right + "\r\n\r\n\r\n", MalformedBody},
	} {
		_, err := io.ReadAll(open(t, u.request(t, func([]byte) []byte { return []byte(c.body) })))
		if kind(err) != c.kind {
			t.Errorf("%s: got %v, want %s", c.name, err, c.kind)
		}
	}
	for _, end := range []string{"\r\n\r\n", "\r\n", "\n\r\n"} { // what clients are seen to send
		if _, err := io.ReadAll(open(t, u.request(t, func([]byte) []byte { return []byte(head + right + end) }))); err != nil {
			t.Errorf("end %q: %v", end, err)
		}
	}
}

func TestChunkedHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, mode, length, trailer string
		kind                        Kind
	}{
		{"no length", streamSigned, "", "", MissingLength},
		{"length is text", streamSigned, "x", "", MalformedBody},
		{"length is negative", streamSigned, "-1", "", MalformedBody},
		{"trailer not announced", streamUnsignedTrailer, "1", "", MalformedBody},
		{"trailer not declared", streamSigned, "1", "x-amz-checksum-crc32", MalformedBody},
		{"unknown checksum", streamSignedTrailer, "1", "x-amz-checksum-crc99", Unsupported},
		{"trailer is no checksum", streamSignedTrailer, "1", "content-type", Unsupported},
		{"asymmetric", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "1", "", Unsupported},
		{"no such hash", "0123", "1", "", Unsupported},
		{"absent", "", "1", "", IncompleteSignature},
	} {
		r := newRequest(t, "PUT", "http://h/b/k", "")
		if c.length != "" {
			r.Header.Set("X-Amz-Decoded-Content-Length", c.length)
		}
		if c.trailer != "" {
			r.Header.Set("X-Amz-Trailer", c.trailer)
		}
		if err := Sign(r, testCreds, "us-east-1", "s3", c.mode, testNow); err != nil {
			t.Fatal(err)
		}
		if err := check(arrive(r, ""), "", testCreds, testNow); kind(err) != c.kind {
			t.Errorf("%s: got %v, want %s", c.name, err, c.kind)
		}
	}
	q := presigned(t, "PUT", "http://h/b/k?X-Amz-Expires=60&X-Amz-Content-Sha256="+streamSigned, "s3", sdkCreds, streamSigned)
	want(t, check(q, "", testCreds, testNow), Unsupported)
}

func TestPlainBody(t *testing.T) {
	t.Parallel()
	request := func(body, hash string) *http.Request {
		r := newRequest(t, "PUT", "http://h/b/k", "")
		if err := Sign(r, testCreds, "us-east-1", "s3", hash, testNow); err != nil {
			t.Fatal(err)
		}
		return arrive(r, body)
	}
	for _, hash := range []string{PayloadHash([]byte("hello")), UnsignedPayload} {
		if got, err := io.ReadAll(open(t, request("hello", hash))); err != nil || string(got) != "hello" {
			t.Fatal(string(got), err)
		}
	}
	b := open(t, request("jello", PayloadHash([]byte("hello"))))
	got := make([]byte, 5)
	_, err := io.ReadFull(b, got)
	want(t, err, PayloadMismatch)
	chunkedTransfer := request("jello", PayloadHash([]byte("hello")))
	chunkedTransfer.ContentLength = -1
	_, err = io.ReadAll(open(t, chunkedTransfer))
	want(t, err, PayloadMismatch)
	want(t, check(request("", PayloadHash([]byte("hello"))), "", testCreds, testNow), PayloadMismatch)
	lost := request("", UnsignedPayload)
	lost.Body = io.NopCloser(iotest.ErrReader(errors.New("connection reset")))
	_, err = io.ReadAll(open(t, lost))
	want(t, err, IncompleteBody)
}

// The two examples of a chunked upload in the S3 API guide: 65 KiB of "a" in chunks of 64 KiB.
func TestPublishedExamples(t *testing.T) {
	t.Parallel()
	secret := NewSecret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	scope := Scope{"20130524", "us-east-1", "s3"}
	data := strings.Repeat("a", 65536)
	sum := func(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }
	for _, x := range []struct{ seed, first, second, last, trailer string }{
		{"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
			"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", ""},
		{"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
			"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"},
	} {
		c := &chunkSigner{key: signingKey(secret, scope), timestamp: "20130524T000000Z", scope: scope, previous: x.seed}
		if !c.chunk(x.first, sum(data)) || !c.chunk(x.second, sum(data[:1024])) || !c.chunk(x.last, sum("")) {
			t.Fatal("chunk signature differs")
		}
		if x.trailer != "" && !c.trailer(x.trailer, "x-amz-checksum-crc32c:sOO8/Q==\n") {
			t.Fatal("trailer signature differs")
		}
	}
	// And the first of its requests with a header signature.
	r := httptest.NewRequest("GET", "http://examplebucket.s3.amazonaws.com/test.txt", nil)
	r.Header.Set("Range", "bytes=0-9")
	r.Header.Set("X-Amz-Content-Sha256", EmptyHash)
	r.Header.Set("X-Amz-Date", "20130524T000000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"+
		"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
	if err := check(r, "", Credentials{"AKIAIOSFODNN7EXAMPLE", secret, Secret{}}, time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
}

func TestChecksums(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{ // of "123456789", as the catalogue of CRCs and the RFCs give them
		"crc32": "cbf43926", "crc32c": "e3069283", "crc64nvme": "ae8b14860a799888", "md5": "25f9e794323b453885f5181f1b624d0b",
		"sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441", "sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		h := NewChecksum("X-Amz-Checksum-" + name)
		h.Write([]byte("123456789"))
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if NewChecksum("x-amz-checksum-type") != nil || NewChecksum("crc32") != nil {
		t.Error("a name that is no checksum gave a hash")
	}
}

func FuzzChunked(f *testing.F) {
	for i, mode := range modes {
		u := newUpload(mode, 300, 128, "x-amz-checksum-crc32c")
		u.request(f, func(b []byte) []byte { f.Add(i, bytes.Clone(b)); return b })
	}
	f.Add(2, []byte("0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, mode int, body []byte) {
		u := newUpload(modes[uint(mode)%3], 300, 128, "x-amz-checksum-crc32c")
		got, err := io.ReadAll(open(t, u.request(t, func([]byte) []byte { return body })))
		if err != nil && !knownKind(kind(err)) {
			t.Fatalf("untyped error %v", err)
		}
		if err == nil && !bytes.Equal(got, u.data) {
			t.Fatalf("accepted other bytes: %q", got)
		}
	})
}

func BenchmarkChunked(b *testing.B) {
	for _, mode := range modes {
		b.Run(mode, func(b *testing.B) {
			u := newUpload(mode, 8<<20, 64<<10, "x-amz-checksum-crc32c")
			b.SetBytes(int64(len(u.data)))
			var encoded []byte
			u.request(b, func(e []byte) []byte { encoded = e; return nil })
			for b.Loop() {
				if _, err := io.Copy(io.Discard, open(b, u.request(b, func([]byte) []byte { return encoded }))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
