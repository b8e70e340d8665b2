package s3

import (
	"net/http"
	"strings"

	"github.com/keyframe/keyframe/internal/blob/buckets"
)

const metaPrefix = "X-Amz-Meta-"

// maxMeta is the most that the names and values of user metadata have together, in bytes.
const maxMeta = 2048

// attributes are what a request says about the object that it makes.
func (c *call) attributes() (buckets.Attributes, error) {
	h := c.r.Header
	a := buckets.Attributes{
		ContentType:        h.Get("Content-Type"),
		CacheControl:       h.Get("Cache-Control"),
		ContentDisposition: h.Get("Content-Disposition"),
		ContentEncoding:    contentEncoding(h.Get("Content-Encoding")),
		ContentLanguage:    h.Get("Content-Language"),
		Expires:            h.Get("Expires"),
	}
	size := 0
	for name, values := range h {
		if rest, ok := strings.CutPrefix(name, metaPrefix); ok && rest != "" {
			if a.Meta == nil {
				a.Meta = map[string]string{}
			}
			v := strings.Join(values, ",")
			a.Meta[strings.ToLower(rest)] = v
			size += len(rest) + len(v)
		}
	}
	if size > maxMeta {
		return a, metadataTooLarge
	}
	return a, nil
}

// contentEncoding leaves out the framing of the request itself.
func contentEncoding(s string) string {
	var keep []string
	for _, e := range strings.Split(s, ",") {
		if e = strings.TrimSpace(e); e != "" && e != "aws-chunked" {
			keep = append(keep, e)
		}
	}
	return strings.Join(keep, ",")
}

// overrides are the parameters by which a request chooses headers of its answer.
var overrides = map[string]string{
	"response-content-type": "Content-Type", "response-content-language": "Content-Language", "response-expires": "Expires",
	"response-cache-control": "Cache-Control", "response-content-disposition": "Content-Disposition", "response-content-encoding": "Content-Encoding",
}

// show writes the headers that describe an object.
func (c *call) show(o buckets.Object) {
	h := c.w.Header()
	h.Set("Etag", quote(o.ETag))
	h.Set("Last-Modified", o.ModifiedAt.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", "binary/octet-stream")
	for name, v := range map[string]string{
		"Content-Type": o.ContentType, "Cache-Control": o.CacheControl, "Content-Disposition": o.ContentDisposition,
		"Content-Encoding": o.ContentEncoding, "Content-Language": o.ContentLanguage, "Expires": o.Expires,
	} {
		if v != "" {
			h.Set(name, v)
		}
	}
	for name, v := range o.Meta {
		h.Set(metaPrefix+name, v)
	}
	for param, name := range overrides {
		if v := c.param(param); v != "" {
			h.Set(name, v)
		}
	}
}

func bareETag(s string) string { return strings.Trim(strings.TrimSpace(s), `"`) }

// condition is what must hold for a write.
func (c *call) condition() (buckets.Condition, error) {
	var cond buckets.Condition
	switch v := c.r.Header.Get("If-None-Match"); v {
	case "":
	case "*":
		cond.IfAbsent = true
	default:
		return cond, notImplemented
	}
	cond.IfMatch = bareETag(c.r.Header.Get("If-Match"))
	return cond, nil
}
