package s3

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/blob/buckets"
)

// getObject answers GET and HEAD.
func (c *call) getObject() error {
	r, err := c.h.Buckets.Get(c.r.Context(), c.bucket, c.key)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := readable(c.r.Header, "", r.Object); err != nil {
		if err == notModified {
			c.show(r.Object)
		}
		return err
	}
	off, n, partial, err := c.choose(r.Object)
	if err != nil {
		if err == invalidRange {
			c.w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(r.Size, 10))
		}
		return err
	}
	c.show(r.Object)
	h := c.w.Header()
	h.Set("Content-Length", strconv.FormatInt(n, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, r.Size))
	} else if strings.EqualFold(c.r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		showChecksum(h, r.Checksum)
	}
	stream, err := r.Range(off, n)
	if err != nil {
		return err
	}
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		// What breaks now, the client sees by the length.
		_, _ = io.Copy(c.w, stream)
	}
	return nil
}

// choose finds the bytes that a request asks for.
func (c *call) choose(o buckets.Object) (off, n int64, partial bool, err error) {
	asked := c.r.Header.Get("Range")
	if !c.has("partNumber") {
		return byteRange(asked, o.Size)
	}
	if asked != "" {
		return 0, 0, false, invalidRequest("Cannot specify both Range header and partNumber query parameter.")
	}
	number, err := strconv.Atoi(c.param("partNumber"))
	if err != nil || number < 1 || number > buckets.MaxParts {
		return 0, 0, false, invalidArgument("Part number must be an integer between 1 and 10000, inclusive")
	}
	if len(o.Parts) == 0 { // an object of one piece is its own first part
		if number > 1 {
			return 0, 0, false, invalidPartNo
		}
		return 0, o.Size, o.Size > 0, nil
	}
	off, n, ok := o.Parts.Range(number)
	if !ok {
		return 0, 0, false, invalidPartNo
	}
	c.w.Header().Set("X-Amz-Mp-Parts-Count", strconv.Itoa(o.Parts.Count()))
	return off, n, n > 0, nil
}

// byteRange reads a Range header. What is not one range in bytes is ignored, as S3 does.
func byteRange(s string, size int64) (off, n int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(s, "bytes=")
	from, to, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok || !dash {
		return 0, size, false, nil
	}
	if from == "" { // the last bytes
		last, err := strconv.ParseInt(to, 10, 64)
		switch {
		case err != nil || last < 0:
			return 0, size, false, nil
		case last == 0 || size == 0:
			return 0, 0, false, invalidRange
		}
		last = min(last, size)
		return size - last, last, true, nil
	}
	off, err = strconv.ParseInt(from, 10, 64)
	if err != nil || off < 0 {
		return 0, size, false, nil
	}
	end := size - 1
	if to != "" {
		last, err := strconv.ParseInt(to, 10, 64)
		if err != nil || last < off {
			return 0, size, false, nil
		}
		end = min(end, last)
	}
	if off >= size {
		return 0, 0, false, invalidRange
	}
	return off, end - off + 1, true, nil
}

// readable judges the conditions of a read. The prefix names those of a copy's source.
func readable(h http.Header, prefix string, o buckets.Object) error {
	missed := notModified
	if prefix != "" {
		missed = preconditions
	}
	when := o.ModifiedAt.Truncate(time.Second)
	match, noneMatch := h.Get(prefix+"If-Match"), h.Get(prefix+"If-None-Match")
	if match != "" && !names(match, o.ETag) {
		return preconditions
	}
	if noneMatch != "" && names(noneMatch, o.ETag) {
		return missed
	}
	// An entity tag outweighs a time.
	if t, err := http.ParseTime(h.Get(prefix + "If-Unmodified-Since")); err == nil && match == "" && when.After(t) {
		return preconditions
	}
	if t, err := http.ParseTime(h.Get(prefix + "If-Modified-Since")); err == nil && noneMatch == "" && !when.After(t) {
		return missed
	}
	return nil
}

// names reports whether a list of entity tags holds one.
func names(list, etag string) bool {
	for _, t := range strings.Split(list, ",") {
		if t = bareETag(t); t == "*" || t == etag {
			return true
		}
	}
	return false
}
