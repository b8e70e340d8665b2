package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strings"
)

// Body is the payload of a verified S3 request. It hands out its last bytes only after every check of the payload has
// passed, so a reader that got Length bytes, or io.EOF, got what the client signed. Its errors are *Error.
type Body struct {
	src     io.ReadCloser
	read    func([]byte) (int, error)
	length  int64
	trailer http.Header
	err     error // sticky
}

// Read reads decoded bytes.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.read(p)
	b.err = err
	return n, err
}

// Close closes the connection's side of the body.
func (b *Body) Close() error { return b.src.Close() }

// Length is the decoded length in bytes, -1 when the client did not say.
func (b *Body) Length() int64 { return b.length }

// Trailer holds the verified checksums that followed the body, once it was read to its end.
func (b *Body) Trailer() http.Header { return b.trailer }

func newPlainBody(r *http.Request, declared string) (*Body, error) {
	src := r.Body
	if src == nil {
		src = http.NoBody
	}
	b := &Body{src: src, length: r.ContentLength}
	if declared == UnsignedPayload {
		b.read = func(p []byte) (int, error) {
			n, err := src.Read(p)
			return n, bodyError(err)
		}
		return b, nil
	}
	if len(declared) != 64 || strings.Trim(declared, "0123456789abcdef") != "" {
		return nil, refuse(Unsupported, "x-amz-content-sha256 must be %s, %s, %s, %s or a valid sha256 value, not %q.",
			UnsignedPayload, streamUnsignedTrailer, streamSigned, streamSignedTrailer, clip(declared))
	}
	if b.length == 0 && declared != EmptyHash {
		return nil, mismatch(declared, EmptyHash)
	}
	h := &hashedBody{src: src, declared: declared, left: b.length, hash: sha256.New()}
	b.read = h.read
	return b, nil
}

// hashedBody passes a body through and compares its hash before it lets the end go.
type hashedBody struct {
	src      io.Reader
	declared string
	left     int64 // until the end; negative when the length is unknown
	hash     hash.Hash
}

func (h *hashedBody) read(p []byte) (int, error) {
	n, err := h.src.Read(p)
	h.hash.Write(p[:n])
	if h.left >= 0 {
		h.left -= int64(n)
	}
	if err == io.EOF || h.left == 0 {
		if got := hex.EncodeToString(h.hash.Sum(nil)); got != h.declared {
			return 0, mismatch(h.declared, got)
		}
	}
	return n, bodyError(err)
}

func mismatch(declared, got string) *Error {
	return refuse(PayloadMismatch, "The provided 'x-amz-content-sha256' header does not match what was computed: %s was signed, the body has %s.", declared, got)
}

// bodyError names a connection that ended early; it leaves nil, io.EOF and our own errors alone.
func bodyError(err error) error {
	var own *Error
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil || err == io.EOF || errors.As(err, &own) || errors.As(err, &tooLarge):
		return err
	}
	return &Error{IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header.", err}
}
