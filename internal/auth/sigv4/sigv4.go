// Package sigv4 checks AWS Signature Version 4: signed headers, presigned URLs and the aws-chunked bodies of S3. It also
// signs, for Keyframe's own requests. It knows no principals: the caller looks the secret up by the access key that
// Parse returns, and then calls Verify or VerifyS3.
package sigv4

import (
	"fmt"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeLayout = "20060102T150405Z"
	dateLayout = "20060102"

	// MaxSkew is how far the clock of a client may be from ours.
	MaxSkew = 15 * time.Minute
	// MaxExpires is the longest life of a presigned URL, in seconds.
	MaxExpires = 604800

	// EmptyHash is the SHA-256 of no bytes, in hex.
	EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	// UnsignedPayload stands in place of the payload's hash when the body of an S3 request is not signed.
	UnsignedPayload = "UNSIGNED-PAYLOAD"

	streamSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// Kind says why a request was refused. Faces translate it into the code of their own protocol.
type Kind string

const (
	MissingAuthenticationToken Kind = "MissingAuthenticationToken" // no signature at all
	IncompleteSignature        Kind = "IncompleteSignature"        // a part of the signature is absent or malformed
	InvalidClientTokenID       Kind = "InvalidClientTokenId"       // the access key is not known; for callers, Parse never says it
	InvalidToken               Kind = "InvalidToken"               // a session token that was not issued with this access key
	SignatureDoesNotMatch      Kind = "SignatureDoesNotMatch"      // also of a chunk or a trailer
	HeadersNotSigned           Kind = "HeadersNotSigned"           // host or an x-amz-* header is outside the signature
	RequestExpired             Kind = "RequestExpired"             // the clock is too far off, or a presigned URL is too old
	MalformedQuery             Kind = "MalformedQuery"             // the query string or path cannot be decoded
	Unsupported                Kind = "Unsupported"                // a variant of the protocol that is not served

	PayloadMismatch Kind = "PayloadMismatch" // the body is not the one whose hash was signed
	BadDigest       Kind = "BadDigest"       // the body does not have the checksum in its trailer
	IncompleteBody  Kind = "IncompleteBody"  // the body is shorter or longer than declared
	MalformedBody   Kind = "MalformedBody"   // aws-chunked framing or trailers are broken
	MissingLength   Kind = "MissingLength"   // x-amz-decoded-content-length is absent
)

// Kinds lists every kind, for tests that walk them.
func Kinds() []Kind {
	return []Kind{MissingAuthenticationToken, IncompleteSignature, InvalidClientTokenID, InvalidToken, SignatureDoesNotMatch,
		HeadersNotSigned, RequestExpired, MalformedQuery, Unsupported, PayloadMismatch, BadDigest, IncompleteBody,
		MalformedBody, MissingLength}
}

// Error is a refusal. Message is for the user: it holds nothing secret.
type Error struct {
	Kind    Kind
	Message string
	Err     error // what the connection said, when that was the reason
}

func (e *Error) Error() string { return string(e.Kind) + ": " + e.Message }

// Unwrap gives the error of the connection, if any.
func (e *Error) Unwrap() error { return e.Err }

func refuse(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// Credentials are what a request is signed with. Session is the zero Secret for long-lived keys.
type Credentials struct {
	AccessKeyID string
	Secret      Secret
	Session     Secret
}

// Scope is the credential scope: what a signature is good for.
type Scope struct {
	Date    string // yyyymmdd
	Region  string // such as us-east-1
	Service string // signing name, such as elasticache or s3
}

func (s Scope) String() string { return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator }
