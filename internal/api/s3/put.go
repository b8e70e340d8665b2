package s3

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/blob/checksum"
)

// maxPut is the most that one request can send, in bytes.
const maxPut = 5 << 30

// body is the stream of a request that writes.
func (c *call) body() (io.Reader, error) {
	if c.r.ContentLength > maxPut {
		return nil, entityTooLarge
	}
	return http.MaxBytesReader(nil, c.r.Body, maxPut), nil
}

func (c *call) putObject() error {
	expect, err := c.expected()
	if err != nil {
		return err
	}
	attr, err := c.attributes()
	if err != nil {
		return err
	}
	cond, err := c.condition()
	if err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	o, err := c.h.Buckets.Put(c.r.Context(), c.bucket, c.key, body, buckets.PutOptions{
		CreateOptions: buckets.CreateOptions{Condition: cond, Attributes: attr}, Algorithm: expect.algorithm, Accept: expect.accept(c),
	})
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Etag", quote(o.ETag))
	showChecksum(h, o.Checksum)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// source opens the object that a copy reads.
func (c *call) source() (*buckets.Reader, string, string, error) {
	path, version, versioned := strings.Cut(c.r.Header.Get("X-Amz-Copy-Source"), "?versionId=")
	if versioned && version != "null" {
		return nil, "", "", notImplemented
	}
	path, err := url.PathUnescape(path)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if err != nil || !ok || key == "" {
		return nil, "", "", invalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	if err := c.allowed("s3:GetObject", "arn:aws:s3:::"+bucket+"/"+key); err != nil {
		return nil, "", "", err
	}
	if _, err := c.open(bucket); err != nil {
		return nil, "", "", err
	}
	r, err := c.h.Buckets.Get(c.r.Context(), bucket, key)
	if err != nil {
		return nil, "", "", err
	}
	if err := readable(c.r.Header, "X-Amz-Copy-Source-", r.Object); err != nil {
		r.Close()
		return nil, "", "", err
	}
	return r, bucket, key, nil
}

type copyResult struct {
	XMLName      xml.Name
	LastModified string
	ETag         string
	ChecksumType string `xml:",omitempty"`
	checksums
}

func (c *call) copyObject() error {
	directive := c.r.Header.Get("X-Amz-Metadata-Directive")
	if directive != "" && directive != "COPY" && directive != "REPLACE" {
		return invalidArgument("Unknown metadata directive.")
	}
	if d := c.r.Header.Get("X-Amz-Tagging-Directive"); d != "" && d != "COPY" {
		return notImplemented
	}
	cond, err := c.condition()
	if err != nil {
		return err
	}
	src, bucket, key, err := c.source()
	if err != nil {
		return err
	}
	defer src.Close()
	if bucket == c.bucket && key == c.key && directive != "REPLACE" {
		return invalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if src.Size > maxPut {
		return invalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	attr := src.Attributes
	if directive == "REPLACE" {
		if attr, err = c.attributes(); err != nil {
			return err
		}
	}
	algorithm := src.Checksum.Algorithm
	if v := c.r.Header.Get("X-Amz-Checksum-Algorithm"); v != "" {
		var ok bool
		if algorithm, ok = checksum.Parse(v); !ok {
			return invalidRequest("Checksum algorithm provided is unsupported.")
		}
	}
	stream, err := src.Range(0, src.Size)
	if err != nil {
		return err
	}
	o, err := c.h.Buckets.Put(c.r.Context(), c.bucket, c.key, stream, buckets.PutOptions{
		CreateOptions: buckets.CreateOptions{Condition: cond, Attributes: attr}, Algorithm: algorithm,
	})
	if err != nil {
		return err
	}
	return c.xml(http.StatusOK, copyResult{
		xml.Name{Space: namespace, Local: "CopyObjectResult"}, stamp(o.ModifiedAt), quote(o.ETag), string(o.Checksum.Type), checksumsOf(o.Checksum),
	})
}

func (c *call) copyPart() error {
	number, err := c.partNumber()
	if err != nil {
		return err
	}
	src, _, _, err := c.source()
	if err != nil {
		return err
	}
	defer src.Close()
	off, n := int64(0), src.Size
	if v := c.r.Header.Get("X-Amz-Copy-Source-Range"); v != "" {
		var partial bool
		if off, n, partial, err = byteRange(v, src.Size); err != nil || !partial || !strings.HasSuffix(v, strconv.FormatInt(off+n-1, 10)) {
			return invalidArgument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
		}
	}
	if n > maxPut {
		return entityTooLarge
	}
	stream, err := src.Range(off, n)
	if err != nil {
		return err
	}
	p, err := c.h.Buckets.PutPart(c.r.Context(), c.bucket, c.key, c.param("uploadId"), number, stream, buckets.PutOptions{})
	if err != nil {
		return err
	}
	return c.xml(http.StatusOK, copyResult{
		xml.Name{Space: namespace, Local: "CopyPartResult"}, stamp(p.ModifiedAt), quote(p.ETag), "", checksumsOf(p.Checksum),
	})
}
