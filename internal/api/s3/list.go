package s3

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/blob/buckets"
)

type objectEntry struct {
	Key               string
	LastModified      string
	ETag              string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
	Size              int64
	StorageClass      string
	Owner             *owner
}

type prefixEntry struct{ Prefix string }

type listV1Result struct {
	XMLName        xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name           string
	Prefix         string
	Marker         string
	NextMarker     string `xml:",omitempty"`
	MaxKeys        int
	Delimiter      string `xml:",omitempty"`
	EncodingType   string `xml:",omitempty"`
	IsTruncated    bool
	Contents       []objectEntry
	CommonPrefixes []prefixEntry
}

type listV2Result struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	MaxKeys               int
	EncodingType          string `xml:",omitempty"`
	KeyCount              int
	IsTruncated           bool
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	Contents              []objectEntry
	CommonPrefixes        []prefixEntry
}

// intParam reads a number that is not negative; more than most counts as most.
func (c *call) intParam(name string, otherwise, most int) (int, error) {
	v := c.param(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, invalidArgument("Argument " + name + " must be an integer between 0 and 2147483647")
	}
	return min(n, most), nil
}

func tokenOf(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

func (c *call) continuation() (string, error) {
	name, err := base64.RawURLEncoding.DecodeString(c.param("continuation-token"))
	if err != nil || c.has("continuation-token") && len(name) == 0 {
		return "", invalidArgument("The continuation token provided is incorrect")
	}
	return string(name), nil
}

// encoder is how names are written: as they are, or URL-encoded, since XML cannot hold every character.
func (c *call) encoder() (string, func(string) string, error) {
	switch c.param("encoding-type") {
	case "":
		return "", func(s string) string { return s }, nil
	case "url":
		return "url", urlEncode, nil
	}
	return "", nil, invalidArgument("Invalid Encoding Method specified in Request")
}

func urlEncode(s string) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(s))
}

func entries(list []buckets.Object, enc func(string) string, who *owner) []objectEntry {
	out := make([]objectEntry, 0, len(list))
	for _, o := range list {
		out = append(out, objectEntry{
			enc(o.Key), stamp(o.ModifiedAt), quote(o.ETag), string(o.Checksum.Algorithm), string(o.Checksum.Type), o.Size, "STANDARD", who,
		})
	}
	return out
}

func prefixes(list []string, enc func(string) string) []prefixEntry {
	out := make([]prefixEntry, 0, len(list))
	for _, p := range list {
		out = append(out, prefixEntry{enc(p)})
	}
	return out
}

func quote(etag string) string { return `"` + etag + `"` }

func (c *call) listV1() error {
	typ, enc, err := c.encoder()
	if err != nil {
		return err
	}
	limit, err := c.intParam("max-keys", 1000, 1000)
	if err != nil {
		return err
	}
	page, err := c.h.Buckets.List(c.r.Context(), c.bucket, buckets.ListOptions{
		Prefix: c.param("prefix"), Delimiter: c.param("delimiter"), After: c.param("marker"), Max: limit,
	})
	if err != nil {
		return err
	}
	who := ownerOf(c.b.Owner)
	out := listV1Result{
		Name: c.bucket, Prefix: enc(c.param("prefix")), Marker: enc(c.param("marker")), MaxKeys: limit, Delimiter: enc(c.param("delimiter")),
		EncodingType: typ, IsTruncated: page.Truncated, Contents: entries(page.Objects, enc, &who), CommonPrefixes: prefixes(page.Prefixes, enc),
	}
	if page.Truncated && out.Delimiter != "" { // without one, clients go on from the last key
		out.NextMarker = enc(page.Next)
	}
	return c.xml(http.StatusOK, out)
}

func (c *call) listV2() error {
	typ, enc, err := c.encoder()
	if err != nil {
		return err
	}
	limit, err := c.intParam("max-keys", 1000, 1000)
	if err != nil {
		return err
	}
	after, err := c.continuation()
	if err != nil {
		return err
	}
	if after == "" {
		after = c.param("start-after")
	}
	page, err := c.h.Buckets.List(c.r.Context(), c.bucket, buckets.ListOptions{
		Prefix: c.param("prefix"), Delimiter: c.param("delimiter"), After: after, Max: limit,
	})
	if err != nil {
		return err
	}
	var who *owner
	if c.param("fetch-owner") == "true" {
		o := ownerOf(c.b.Owner)
		who = &o
	}
	out := listV2Result{
		Name: c.bucket, Prefix: enc(c.param("prefix")), Delimiter: enc(c.param("delimiter")), MaxKeys: limit, EncodingType: typ,
		KeyCount: len(page.Objects) + len(page.Prefixes), IsTruncated: page.Truncated, ContinuationToken: c.param("continuation-token"),
		StartAfter: enc(c.param("start-after")), Contents: entries(page.Objects, enc, who), CommonPrefixes: prefixes(page.Prefixes, enc),
	}
	if page.Truncated {
		out.NextContinuationToken = tokenOf(page.Next)
	}
	return c.xml(http.StatusOK, out)
}
