package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	maxLine     = 4096 // bytes of a chunk header or trailer
	maxTrailers = 8
)

// chunkSigner follows the chain of signatures: each covers the one before it, the first that of the request.
type chunkSigner struct {
	key       []byte
	timestamp string
	scope     Scope
	previous  string
}

// chunk reports whether signature is right for data, which is given by its hash, and moves on.
func (c *chunkSigner) chunk(signature string, data []byte) bool {
	return c.next(signature, algorithm+"-PAYLOAD\n"+c.timestamp+"\n"+c.scope.String()+"\n"+c.previous+"\n"+EmptyHash+"\n"+hex.EncodeToString(data))
}

// trailer does the same for the trailing headers, in canonical form.
func (c *chunkSigner) trailer(signature, canonical string) bool {
	return c.next(signature, algorithm+"-TRAILER\n"+c.timestamp+"\n"+c.scope.String()+"\n"+c.previous+"\n"+PayloadHash([]byte(canonical)))
}

func (c *chunkSigner) next(signature, toSign string) bool {
	want := hexMAC(c.key, toSign)
	c.previous = want
	return subtle.ConstantTimeCompare([]byte(want), []byte(signature)) == 1
}

// chunked decodes an aws-chunked body. Its memory does not depend on the size of chunks: bytes go out as they come in,
// but the last of each chunk only after the chunk's signature was right, and the last of the body after its trailers.
type chunked struct {
	br     *bufio.Reader
	signer *chunkSigner // nil when chunks are not signed
	body   *Body

	chunkLeft int64  // bytes of the present chunk
	bodyLeft  int64  // bytes until the declared decoded length
	signature string // of the present chunk
	hash      hash.Hash
	announced map[string]hash.Hash // trailing checksums that x-amz-trailer promised
	done      bool
}

func newChunkedBody(r *http.Request, declared string, signer *chunkSigner) (*Body, error) {
	c := &chunked{signer: signer, hash: sha256.New(), announced: map[string]hash.Hash{}}
	withTrailer := true
	switch declared {
	case streamSigned:
		withTrailer = false
	case streamSignedTrailer:
	case streamUnsignedTrailer:
		c.signer = nil
	default:
		return nil, refuse(Unsupported, "x-amz-content-sha256 %q is not supported: use %s, %s or %s.", clip(declared), streamSigned, streamSignedTrailer, streamUnsignedTrailer)
	}
	length := r.Header.Get("X-Amz-Decoded-Content-Length")
	if length == "" {
		return nil, refuse(MissingLength, "You must provide the x-amz-decoded-content-length HTTP header with an aws-chunked body.")
	}
	n, err := strconv.ParseInt(length, 10, 64)
	if err != nil || n < 0 {
		return nil, refuse(MalformedBody, "x-amz-decoded-content-length must be a number of bytes, not %q.", clip(length))
	}
	if err := c.announce(r.Header.Get("X-Amz-Trailer"), withTrailer); err != nil {
		return nil, err
	}
	src := r.Body
	if src == nil {
		src = http.NoBody
	}
	c.br = bufio.NewReaderSize(src, 16<<10)
	c.bodyLeft = n
	c.body = &Body{src: src, read: c.read, length: n, trailer: http.Header{}}
	return c.body, nil
}

func (c *chunked) announce(list string, expected bool) error {
	if (list != "") != expected {
		return refuse(MalformedBody, "x-amz-trailer and x-amz-content-sha256 disagree about whether a trailer follows the body.")
	}
	if list == "" {
		return nil
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		h := NewChecksum(name)
		if h == nil {
			return refuse(Unsupported, "The value specified in the x-amz-trailer header is not supported: %q.", clip(name))
		}
		if c.announced[name] = h; len(c.announced) > maxTrailers {
			return refuse(MalformedBody, "x-amz-trailer names more than %d trailers.", maxTrailers)
		}
	}
	return nil
}

func (c *chunked) read(p []byte) (int, error) {
	if c.done {
		return 0, io.EOF
	}
	if c.chunkLeft == 0 {
		if err := c.nextChunk(); err != nil || c.done {
			return 0, orEOF(err)
		}
	}
	n, err := c.br.Read(p[:min(int64(len(p)), c.chunkLeft)])
	if err != nil {
		return 0, cut(err)
	}
	data := p[:n]
	if c.signer != nil {
		c.hash.Write(data)
	}
	for _, h := range c.announced {
		h.Write(data)
	}
	c.chunkLeft -= int64(n)
	c.bodyLeft -= int64(n)
	if c.chunkLeft == 0 {
		if err := c.endChunk(); err != nil {
			return 0, err
		}
		if c.bodyLeft == 0 {
			if err := c.nextChunk(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// nextChunk reads a chunk's header; at the last chunk, also all that follows.
func (c *chunked) nextChunk() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	n, perr := strconv.ParseUint(size, 16, 63)
	if perr != nil || len(size) > 16 {
		return refuse(MalformedBody, "A chunk begins with %q, not with its size in hexadecimal digits.", clip(line))
	}
	if c.signature, err = c.chunkSignature(extension); err != nil {
		return err
	}
	switch {
	case int64(n) > c.bodyLeft:
		return refuse(IncompleteBody, "The body is longer than x-amz-decoded-content-length, which is %d.", c.body.length)
	case n > 0:
		c.chunkLeft = int64(n)
		return nil
	case c.bodyLeft > 0:
		return refuse(IncompleteBody, "The body ends %d bytes before x-amz-decoded-content-length, which is %d.", c.bodyLeft, c.body.length)
	}
	return c.finish()
}

func (c *chunked) chunkSignature(extension string) (string, error) {
	if c.signer == nil {
		if extension != "" {
			return "", refuse(MalformedBody, "A chunk has an extension although its body is declared unsigned.")
		}
		return "", nil
	}
	signature, ok := strings.CutPrefix(extension, "chunk-signature=")
	if !ok {
		return "", refuse(MalformedBody, "A chunk has no chunk-signature.")
	}
	return signature, nil
}

// endChunk reads the line break behind the data and checks the signature.
func (c *chunked) endChunk() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if line != "" {
		return refuse(MalformedBody, "A chunk is longer than its header says.")
	}
	return c.checkChunk()
}

func (c *chunked) checkChunk() error {
	if c.signer == nil {
		return nil
	}
	if !c.signer.chunk(c.signature, c.hash.Sum(nil)) {
		return refuse(SignatureDoesNotMatch, "The signature of a chunk does not match its data.")
	}
	c.hash.Reset()
	return nil
}

// finish follows the header of the empty last chunk.
func (c *chunked) finish() error {
	if err := c.checkChunk(); err != nil {
		return err
	}
	if err := c.readTrailer(); err != nil {
		return err
	}
	for name, h := range c.announced {
		got := base64.StdEncoding.EncodeToString(h.Sum(nil))
		if given := c.body.trailer.Get(name); given != got {
			return refuse(BadDigest, "The %s you specified did not match the calculated checksum: the trailer says %q, the body has %q.", name, clip(given), got)
		}
	}
	if _, err := c.br.ReadByte(); err != io.EOF {
		if err != nil {
			return cut(err)
		}
		return refuse(MalformedBody, "Bytes follow the end of the aws-chunked body.")
	}
	c.done = true
	return nil
}

// readTrailer reads trailing headers up to the blank line or the end. Some clients put a blank line before the trailer's
// signature too, as an example in the S3 guide does.
func (c *chunked) readTrailer() error {
	var canonical strings.Builder
	needSignature := c.signer != nil && len(c.announced) > 0
	for range 2*maxTrailers + 2 {
		line, err := c.trailerLine()
		if err != nil {
			return err
		}
		if line == "" {
			if needSignature {
				continue
			}
			return c.complete()
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok:
			return refuse(MalformedBody, "A trailer is not of the form name:value.")
		case name == "x-amz-trailer-signature" && needSignature:
			if !c.signer.trailer(value, canonical.String()) {
				return refuse(SignatureDoesNotMatch, "The signature of the trailer does not match.")
			}
			needSignature = false
		case c.announced[name] == nil || c.body.trailer.Get(name) != "":
			return refuse(MalformedBody, "The trailer %q was not announced by x-amz-trailer, or comes twice.", clip(name))
		case c.signer != nil && !needSignature:
			return refuse(MalformedBody, "The trailer %q comes after the signature of the trailer.", clip(name))
		default:
			c.body.trailer.Set(name, value)
			canonical.WriteString(name + ":" + value + "\n")
		}
	}
	return refuse(MalformedBody, "The trailer has too many lines, or no x-amz-trailer-signature.")
}

func (c *chunked) complete() error {
	for name := range c.announced {
		if c.body.trailer.Get(name) == "" {
			return refuse(MalformedBody, "x-amz-trailer announced %s, but it did not follow the body.", name)
		}
	}
	return nil
}

// trailerLine also takes a bare line feed for the end of a line, and the end of the body for a blank line.
func (c *chunked) trailerLine() (string, error) {
	raw, err := c.br.ReadSlice('\n')
	if err == io.EOF && len(raw) == 0 {
		return "", nil
	}
	if err != nil || len(raw) > maxLine {
		return "", lineError(err)
	}
	return string(bytes.TrimRight(raw, "\r\n")), nil
}

// line reads a line that ends in CR LF.
func (c *chunked) line() (string, error) {
	raw, err := c.br.ReadSlice('\n')
	if err != nil || len(raw) > maxLine {
		return "", lineError(err)
	}
	text, ok := bytes.CutSuffix(raw, []byte("\r\n"))
	if !ok {
		return "", refuse(MalformedBody, "A line of the aws-chunked body does not end in CR LF.")
	}
	return string(text), nil
}

func lineError(err error) error {
	if err == nil || errors.Is(err, bufio.ErrBufferFull) {
		return refuse(MalformedBody, "A chunk header or trailer is longer than %d bytes.", maxLine)
	}
	return cut(err)
}

// cut is the error for a body that ends, or breaks off, in the middle.
func cut(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return bodyError(err)
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}
