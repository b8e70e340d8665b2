package s3

import (
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/keyframe/keyframe/internal/blob/buckets"
)

// Fault is an error as S3 answers it.
type Fault struct {
	Code    string
	Status  int // of HTTP
	Message string
}

func (f *Fault) Error() string { return f.Code + ": " + f.Message }

var (
	accessDenied     = &Fault{"AccessDenied", 403, "Access Denied"}
	notImplemented   = &Fault{"NotImplemented", 501, "A header or parameter you provided implies functionality that is not implemented."}
	methodNotAllowed = &Fault{"MethodNotAllowed", 405, "The specified method is not allowed against this resource."}
	malformedXML     = &Fault{"MalformedXML", 400, "The XML you provided was not well-formed or did not validate against our published schema."}
	badDigest        = &Fault{"BadDigest", 400, "The Content-MD5 you specified did not match what we received."}
	invalidDigest    = &Fault{"InvalidDigest", 400, "The Content-MD5 you specified is not valid."}
	invalidRange     = &Fault{"InvalidRange", 416, "The requested range is not satisfiable."}
	invalidPartNo    = &Fault{"InvalidPartNumber", 416, "The requested partnumber is not satisfiable."}
	preconditions    = &Fault{"PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold."}
	entityTooLarge   = &Fault{"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size."}
	incompleteBody   = &Fault{"IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header."}
	metadataTooLarge = &Fault{"MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size."}
	internalError    = &Fault{"InternalError", 500, "We encountered an internal error. Please try again."}

	// notModified has no body.
	notModified = &Fault{"NotModified", 304, ""}
)

func invalidArgument(message string) *Fault { return &Fault{"InvalidArgument", 400, message} }
func invalidRequest(message string) *Fault  { return &Fault{"InvalidRequest", 400, message} }

// byCause are the faults for errors of the buckets.
var byCause = []struct {
	err   error
	fault *Fault
}{
	{buckets.ErrNoSuchBucket, &Fault{"NoSuchBucket", 404, "The specified bucket does not exist"}},
	{buckets.ErrBucketExists, &Fault{"BucketAlreadyExists", 409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."}},
	{buckets.ErrBucketOwnedByYou, &Fault{"BucketAlreadyOwnedByYou", 409, "Your previous request to create the named bucket succeeded and you already own it."}},
	{buckets.ErrBucketNotEmpty, &Fault{"BucketNotEmpty", 409, "The bucket you tried to delete is not empty"}},
	{buckets.ErrInvalidBucketName, &Fault{"InvalidBucketName", 400, "The specified bucket is not valid."}},
	{buckets.ErrNoSuchKey, &Fault{"NoSuchKey", 404, "The specified key does not exist."}},
	{buckets.ErrInvalidKey, &Fault{"InvalidURI", 400, "Couldn't parse the specified URI."}},
	{buckets.ErrKeyLength, &Fault{"KeyTooLongError", 400, "Your key is too long"}},
	{buckets.ErrExists, preconditions},
	{buckets.ErrChanged, preconditions},
	{buckets.ErrNoSuchUpload, &Fault{"NoSuchUpload", 404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}},
	{buckets.ErrPartNumber, invalidArgument("Part number must be an integer between 1 and 10000, inclusive")},
	{buckets.ErrInvalidPart, &Fault{"InvalidPart", 400, "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}},
	{buckets.ErrPartOrder, &Fault{"InvalidPartOrder", 400, "The list of parts was not in ascending order. Parts must be ordered by part number."}},
	{buckets.ErrPartTooSmall, &Fault{"EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"}},
	{buckets.ErrObjectTooLong, entityTooLarge},
	{buckets.ErrChecksumKind, invalidRequest("The checksum, its algorithm or its type is not that of the upload.")},
	{io.ErrUnexpectedEOF, incompleteBody},
}

// faultOf turns any error into a fault. It reports false for one that nobody foresaw.
func faultOf(err error) (*Fault, bool) {
	var f *Fault
	if errors.As(err, &f) {
		return f, true
	}
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return entityTooLarge, true
	}
	for _, c := range byCause {
		if errors.Is(err, c.err) {
			return c.fault, true
		}
	}
	return internalError, false
}

type errorBody struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Resource  string
	RequestID string `xml:"RequestId"`
	HostID    string `xml:"HostId"`
}

func (c *call) describe(f *Fault) errorBody {
	return errorBody{Code: f.Code, Message: f.Message, Resource: c.r.URL.Path, RequestID: c.caller.RequestID, HostID: "keyframe"}
}

func (c *call) fault(err error) *Fault {
	f, known := faultOf(err)
	if !known && c.r.Context().Err() == nil {
		log := c.h.Log
		if log == nil {
			log = slog.Default()
		}
		log.Error("s3 request failed", "request_id", c.caller.RequestID, "method", c.r.Method, "bucket", c.bucket, "key", c.key, "error", err)
	}
	return f
}

// fail answers with an error. Nothing was written yet.
func (c *call) fail(err error) {
	f := c.fault(err)
	h := c.w.Header()
	for _, name := range []string{"Content-Length", "Content-Range", "Content-Encoding", "Cache-Control", "Content-Disposition"} {
		h.Del(name)
	}
	if f.Status == http.StatusNotModified {
		h.Del("Content-Type")
		c.w.WriteHeader(f.Status)
		return
	}
	c.xml(f.Status, c.describe(f))
}

// xml answers with a document.
func (c *call) xml(status int, doc any) error {
	body, err := xml.Marshal(doc)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		// A client that went away is not an error that could be told to anybody.
		_, _ = io.WriteString(c.w, xml.Header+string(body))
	}
	return nil
}

// readXML reads a request's document of at most limit bytes. An empty body leaves doc as it is and reports false.
func (c *call) readXML(doc any, limit int64) (bool, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, limit))
	if err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			return false, malformedXML
		}
		return false, err
	}
	if len(body) == 0 {
		return false, nil
	}
	if err := c.checkBody(body); err != nil {
		return false, err
	}
	if err := xml.Unmarshal(body, doc); err != nil {
		return false, malformedXML
	}
	return true, nil
}
