package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/blob/checksum"
)

// expectation is what a client says about the bytes that it sends.
type expectation struct {
	md5       []byte             // nil when it did not say
	algorithm checksum.Algorithm // empty when it did not say
	value     string             // base64; empty when it comes in a trailer
	trailer   bool
}

func (c *call) expected() (expectation, error) {
	var e expectation
	h := c.r.Header
	if v := h.Get("Content-Md5"); v != "" {
		raw, err := base64.StdEncoding.DecodeString(v)
		if err != nil || len(raw) != md5.Size {
			return e, invalidDigest
		}
		e.md5 = raw
	}
	for _, a := range checksum.Algorithms() {
		inTrailer := false
		for _, name := range strings.Split(strings.Join(h.Values("X-Amz-Trailer"), ","), ",") {
			inTrailer = inTrailer || strings.EqualFold(strings.TrimSpace(name), a.Header())
		}
		v := h.Get(a.Header())
		if v == "" && !inTrailer {
			continue
		}
		if e.algorithm != "" {
			return e, invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		if raw, err := base64.StdEncoding.DecodeString(v); v != "" && (err != nil || len(raw) != a.New().Size()) {
			return e, invalidRequest("Value for " + strings.ToLower(a.Header()) + " header is invalid.")
		}
		e.algorithm, e.value, e.trailer = a, v, inTrailer
	}
	return e, nil
}

// accept compares what came with what was announced.
func (e expectation) accept(c *call) func(buckets.Digest) error {
	return func(d buckets.Digest) error {
		if n := c.r.ContentLength; n >= 0 && n != d.Size {
			return incompleteBody
		}
		if e.md5 != nil && !bytes.Equal(e.md5, d.MD5) {
			return badDigest
		}
		want := e.value
		if e.trailer && want == "" {
			want = c.r.Trailer.Get(e.algorithm.Header())
		}
		if want != "" && want != checksum.Encode(d.Sum) {
			return &Fault{"BadDigest", 400, "The " + string(e.algorithm) + " you specified did not match the calculated checksum."}
		}
		return nil
	}
}

// checkBody does the same for a document.
func (c *call) checkBody(body []byte) error {
	e, err := c.expected()
	if err != nil {
		return err
	}
	d := buckets.Digest{Size: int64(len(body))}
	sum := md5.Sum(body)
	d.MD5 = sum[:]
	if e.algorithm != "" {
		h := e.algorithm.New()
		h.Write(body)
		d.Sum = h.Sum(nil)
	}
	return e.accept(c)(d)
}

func showChecksum(h http.Header, s checksum.Sum) {
	if s.Algorithm == "" {
		return
	}
	h.Set(s.Algorithm.Header(), s.Value)
	h.Set("X-Amz-Checksum-Type", string(s.Type))
}

// checksums are the elements that carry a checksum in documents.
type checksums struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
}

func checksumsOf(s checksum.Sum) (out checksums) {
	switch s.Algorithm {
	case checksum.CRC32:
		out.ChecksumCRC32 = s.Value
	case checksum.CRC32C:
		out.ChecksumCRC32C = s.Value
	case checksum.CRC64NVME:
		out.ChecksumCRC64NVME = s.Value
	case checksum.SHA1:
		out.ChecksumSHA1 = s.Value
	case checksum.SHA256:
		out.ChecksumSHA256 = s.Value
	}
	return out
}

// any is the one that is given.
func (s checksums) any() string {
	return s.ChecksumCRC32 + s.ChecksumCRC32C + s.ChecksumCRC64NVME + s.ChecksumSHA1 + s.ChecksumSHA256
}
