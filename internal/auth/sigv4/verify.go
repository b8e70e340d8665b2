package sigv4

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// Verify checks the signature of a request to any service but S3, whose whole body was read by the caller. Errors are *Error.
func (s *Signature) Verify(r *http.Request, c Credentials, body []byte, now time.Time) error {
	_, err := s.verify(r, c, PayloadHash(body), now)
	return err
}

// VerifyS3 checks the signature of an S3 request and returns its body, decoded from aws-chunked if need be. The body's own
// hash, chunk signatures and trailing checksum are checked while it is read, and its last bytes are not handed out before
// all of them were right. Errors are *Error.
func (s *Signature) VerifyS3(r *http.Request, c Credentials, now time.Time) (*Body, error) {
	declared := s.PayloadHash
	if declared == "" {
		if !s.Presigned {
			return nil, refuse(IncompleteSignature, "Missing required header for this request: x-amz-content-sha256")
		}
		declared = UnsignedPayload
	}
	key, err := s.verify(r, c, declared, now)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(declared, "STREAMING-") {
		if s.Presigned {
			return nil, refuse(Unsupported, "A presigned request cannot carry an aws-chunked body.")
		}
		return newChunkedBody(r, declared, &chunkSigner{key: key, timestamp: s.timestamp, scope: s.Scope, previous: s.signature})
	}
	return newPlainBody(r, declared)
}

// verify returns the signing key, which chunks are signed with too.
func (s *Signature) verify(r *http.Request, c Credentials, payloadHash string, now time.Time) ([]byte, error) {
	if c.AccessKeyID != s.AccessKeyID || c.Secret.Empty() {
		return nil, refuse(InvalidClientTokenID, "The security token included in the request is invalid: access key %q is not known here.", clip(s.AccessKeyID))
	}
	if subtle.ConstantTimeCompare([]byte(s.token), []byte(c.Session.Reveal())) != 1 {
		return nil, refuse(InvalidToken, "The security token included in the request is invalid: this server did not issue it for access key %q. "+
			"Is AWS_SESSION_TOKEN left over from another account?", clip(s.AccessKeyID))
	}
	if err := s.checkTime(now); err != nil {
		return nil, err
	}
	canonical, refused := canonicalRequest(r, s.Service, s.SignedHeaders, payloadHash)
	if refused != nil {
		return nil, refused
	}
	toSign := stringToSign(s.timestamp, s.Scope, canonical)
	key := signingKey(c.Secret, s.Scope)
	want := hexMAC(key, toSign)
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.signature)) != 1 {
		return nil, refuse(SignatureDoesNotMatch, "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method.\n\nThe Canonical String for this request should have been\n'%s'\n\n"+
			"The String-to-Sign should have been\n'%s'\n", showCanonical(canonical, s.token), toSign)
	}
	return key, nil
}

func (s *Signature) checkTime(now time.Time) error {
	now = now.UTC()
	show := now.Format(timeLayout)
	if !s.Presigned {
		if d := now.Sub(s.Time); d > MaxSkew || d < -MaxSkew {
			return refuse(RequestExpired, "Signature expired or not yet current: the request was signed at %s, it is %s here, and the difference may be "+
				"15 minutes at most. Check the clocks of both machines.", s.timestamp, show)
		}
		return nil
	}
	if s.Time.Sub(now) > MaxSkew {
		return refuse(RequestExpired, "The presigned request is not valid before %s; it is %s here.", s.timestamp, show)
	}
	if end := s.Time.Add(s.Expires); now.After(end) {
		return refuse(RequestExpired, "Request has expired: the presigned request was good until %s; it is %s here.", end.Format(timeLayout), show)
	}
	return nil
}

// showCanonical prepares a canonical request for an error message: bounded, and without the session token.
func showCanonical(canonical, token string) string {
	if token != "" {
		canonical = strings.ReplaceAll(canonical, token, redacted)
		canonical = strings.ReplaceAll(canonical, uriEncode(token), redacted)
	}
	const most = 4096
	if len(canonical) > most {
		return canonical[:most] + "..."
	}
	return canonical
}
