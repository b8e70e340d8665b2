package s3

import (
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/blob/checksum"
)

type completeRequest struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Part    []struct {
		PartNumber int
		ETag       string
		checksums
	}
}

type completeResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location     string
	Bucket       string
	Key          string
	ETag         string
	ChecksumType string `xml:",omitempty"`
	checksums
}

// defaultPatience is how long a client hears nothing while an object is put together; some give up after a minute.
const defaultPatience = 10 * time.Second

func (c *call) completeUpload() error {
	opts, err := c.completeOptions()
	if err != nil {
		return err
	}
	var in completeRequest
	// The checksum headers speak of the object here, not of the document.
	body, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, 8<<20))
	if err != nil || xml.Unmarshal(body, &in) != nil || len(in.Part) == 0 || len(in.Part) > buckets.MaxParts {
		return malformedXML
	}
	var parts []buckets.CompletePart
	for _, p := range in.Part {
		parts = append(parts, buckets.CompletePart{Number: p.PartNumber, ETag: bareETag(p.ETag), Checksum: p.any()})
	}
	type outcome struct {
		o   buckets.Object
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		o, err := c.h.Buckets.CompleteUpload(c.r.Context(), c.bucket, c.key, c.param("uploadId"), parts, opts)
		done <- outcome{o, err}
	}()
	patience := c.h.patience
	if patience == 0 {
		patience = defaultPatience
	}
	beat := time.NewTicker(patience)
	defer beat.Stop()
	for begun := false; ; {
		select {
		case res := <-done:
			return c.completed(begun, res.o, res.err)
		case <-beat.C:
			// As S3 does: the status is sent, then blanks before the document, which may turn out to be an error.
			if !begun {
				c.w.Header().Set("Content-Type", "application/xml")
				c.w.WriteHeader(http.StatusOK)
				_, _ = io.WriteString(c.w, strings.TrimSpace(xml.Header))
				begun = true
			}
			_, _ = io.WriteString(c.w, " ")
			_ = http.NewResponseController(c.w).Flush()
		}
	}
}

func (c *call) completed(begun bool, o buckets.Object, err error) error {
	if err != nil && !begun {
		return err
	}
	var doc any
	if err != nil {
		doc = c.describe(c.fault(err))
	} else {
		doc = completeResult{
			Location: "http://" + c.r.Host + "/" + c.bucket + "/" + urlEncode(c.key), Bucket: c.bucket, Key: c.key, ETag: quote(o.ETag),
			ChecksumType: string(o.Checksum.Type), checksums: checksumsOf(o.Checksum),
		}
	}
	if !begun {
		return c.xml(http.StatusOK, doc)
	}
	text, err := xml.Marshal(doc)
	if err != nil {
		return err
	}
	_, _ = c.w.Write(text)
	return nil
}

// completeOptions read what the headers say about the object as a whole.
func (c *call) completeOptions() (buckets.CompleteOptions, error) {
	h := c.r.Header
	opts := buckets.CompleteOptions{Type: checksum.Type(strings.ToUpper(h.Get("X-Amz-Checksum-Type"))), Size: -1}
	var err error
	if opts.Condition, err = c.condition(); err != nil {
		return opts, err
	}
	if v := h.Get("X-Amz-Mp-Object-Size"); v != "" {
		if opts.Size, err = strconv.ParseInt(v, 10, 64); err != nil || opts.Size < 0 {
			return opts, invalidArgument("x-amz-mp-object-size is not a size")
		}
	}
	for _, a := range checksum.Algorithms() {
		if v := h.Get(a.Header()); v != "" {
			opts.Checksum = v
		}
	}
	return opts, nil
}
