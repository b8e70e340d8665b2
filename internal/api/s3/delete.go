package s3

import (
	"encoding/xml"
	"net/http"
)

func (c *call) deleteObject() error {
	if c.r.Header.Get("If-Match") != "" {
		return notImplemented
	}
	if err := c.h.Buckets.Delete(c.r.Context(), c.bucket, c.key); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Object  []struct {
		Key       string
		VersionID string `xml:"VersionId"`
		ETag      string
	}
}

type deletedEntry struct{ Key string }

type deleteError struct {
	Key, Code, Message string
}

type deleteResult struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []deletedEntry
	Error   []deleteError
}

// deleteObjects deletes up to 1000 objects; each succeeds or fails by itself.
func (c *call) deleteObjects() error {
	var in deleteRequest
	ok, err := c.readXML(&in, 2<<20)
	if err != nil {
		return err
	}
	if !ok || len(in.Object) == 0 || len(in.Object) > 1000 {
		return malformedXML
	}
	var out deleteResult
	for _, o := range in.Object {
		err := c.allowed("s3:DeleteObject", "arn:aws:s3:::"+c.bucket+"/"+o.Key)
		if err == nil && (o.VersionID != "" && o.VersionID != "null" || o.ETag != "") {
			err = notImplemented
		}
		if err == nil {
			err = c.h.Buckets.Delete(c.r.Context(), c.bucket, o.Key)
		}
		switch {
		case err != nil:
			f := c.fault(err)
			out.Error = append(out.Error, deleteError{o.Key, f.Code, f.Message})
		case !in.Quiet:
			out.Deleted = append(out.Deleted, deletedEntry{o.Key})
		}
	}
	return c.xml(http.StatusOK, out)
}
