package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature is what a request says about its own signature; nothing in it is proven before Verify or VerifyS3.
type Signature struct {
	AccessKeyID string
	Scope
	Time          time.Time     // when it was signed
	Presigned     bool          // carried in the query string
	Expires       time.Duration // life of a presigned URL from Time on
	SignedHeaders []string      // lower case, sorted
	PayloadHash   string        // x-amz-content-sha256; empty when absent

	timestamp string
	token     string // session token
	signature string // hex
}

// maxSignedHeaders bounds the work that an unauthenticated request can cause.
const maxSignedHeaders = 128

// Parse reads the signature of a request from its Authorization header or its query string. Errors are *Error; along with
// one comes what was read so far, never nil, so that the refusal can be written in the protocol of the service it names.
func Parse(r *http.Request) (*Signature, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &Signature{}, refuse(MalformedQuery, "The query string is not valid percent-encoding.")
	}
	header := r.Header.Values("Authorization")
	inQuery := query.Has("X-Amz-Signature") || query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Credential")
	s := &Signature{}
	switch {
	case len(header) > 0 && inQuery:
		return s, refuse(IncompleteSignature, "The request is signed twice, in the Authorization header and in the query string: only one is allowed.")
	case len(header) > 1:
		return s, refuse(IncompleteSignature, "The request has more than one Authorization header.")
	case len(header) == 1:
		err = s.fromHeader(r, header[0])
	case inQuery:
		err = s.fromQuery(r, query)
	default:
		return s, refuse(MissingAuthenticationToken, "Request is missing Authentication Token: sign it with AWS Signature Version 4.")
	}
	if err != nil {
		return s, err
	}
	return s, s.check(r)
}

func (s *Signature) fromHeader(r *http.Request, value string) error {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if scheme != algorithm {
		return refuse(IncompleteSignature, "Authorization header begins with %q: only %s is accepted.", clip(scheme), algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || (k != "Credential" && k != "SignedHeaders" && k != "Signature") {
			return refuse(IncompleteSignature, "Authorization header has a part that is not Credential, SignedHeaders or Signature: %q.", clip(part))
		}
		if _, twice := fields[k]; twice {
			return refuse(IncompleteSignature, "Authorization header has %s twice.", k)
		}
		fields[k] = v
	}
	for _, k := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[k] == "" {
			return refuse(IncompleteSignature, "Authorization header requires '%s' parameter.", k)
		}
	}
	for _, name := range []string{"X-Amz-Date", "Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-Decoded-Content-Length", "X-Amz-Trailer"} {
		if len(r.Header.Values(name)) > 1 {
			return refuse(IncompleteSignature, "The request has the header %s more than once.", name)
		}
	}
	s.timestamp = r.Header.Get("X-Amz-Date")
	if s.timestamp == "" {
		date := r.Header.Get("Date")
		if date == "" {
			return refuse(IncompleteSignature, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
		}
		s.timestamp = date
		if t, err := http.ParseTime(date); err == nil {
			s.timestamp = t.UTC().Format(timeLayout)
		}
	}
	s.token = r.Header.Get("X-Amz-Security-Token")
	s.PayloadHash = r.Header.Get("X-Amz-Content-Sha256")
	return s.parts(fields["Credential"], fields["SignedHeaders"], fields["Signature"])
}

func (s *Signature) fromQuery(r *http.Request, q url.Values) error {
	s.Presigned = true
	if len(r.Header.Values("X-Amz-Security-Token")) > 0 {
		return refuse(IncompleteSignature, "The session token of a presigned request belongs into its query string, not into a header.")
	}
	for name, values := range q {
		if len(values) > 1 && strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			return refuse(IncompleteSignature, "The query parameter %q is given more than once.", clip(name))
		}
	}
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date"} {
		if q.Get(name) == "" {
			return refuse(IncompleteSignature, "AWS query-string parameters must include '%s'.", name)
		}
	}
	if a := q.Get("X-Amz-Algorithm"); a != algorithm {
		return refuse(IncompleteSignature, "X-Amz-Algorithm is %q: only %s is accepted.", clip(a), algorithm)
	}
	s.timestamp = q.Get("X-Amz-Date")
	s.token = q.Get("X-Amz-Security-Token")
	s.PayloadHash = q.Get("X-Amz-Content-Sha256")
	if err := s.parts(q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature")); err != nil {
		return err
	}
	expires := q.Get("X-Amz-Expires")
	if expires == "" && s.Service != "s3" {
		s.Expires = MaxSkew // only S3 makes its clients say how long
		return nil
	}
	n, err := strconv.Atoi(expires)
	if err != nil || n < 1 || n > MaxExpires {
		return refuse(IncompleteSignature, "X-Amz-Expires must be a number of seconds from 1 to %d, not %q.", MaxExpires, clip(expires))
	}
	s.Expires = time.Duration(n) * time.Second
	return nil
}

func (s *Signature) parts(credential, signedHeaders, signature string) error {
	part := strings.Split(credential, "/")
	if len(part) != 5 || part[0] == "" || len(part[0]) > 128 {
		return refuse(IncompleteSignature, "Credential must have 5 slash-delimited elements, e.g. keyid/date/region/service/%s, got %q.", terminator, clip(credential))
	}
	s.AccessKeyID, s.Scope = part[0], Scope{part[1], part[2], part[3]}
	if !scopeWord(s.Region) || !scopeWord(s.Service) {
		return refuse(IncompleteSignature, "Credential should be scoped to a region and a service of lower-case letters, digits and hyphens, got %q.", clip(credential))
	}
	if part[4] != terminator {
		return refuse(IncompleteSignature, "Credential should be scoped with a valid terminator: '%s', not %q.", terminator, clip(part[4]))
	}
	s.SignedHeaders = strings.Split(signedHeaders, ";")
	if len(s.SignedHeaders) > maxSignedHeaders {
		return refuse(IncompleteSignature, "SignedHeaders names more than %d headers.", maxSignedHeaders)
	}
	for i, h := range s.SignedHeaders {
		if h == "" || h != strings.ToLower(h) || i > 0 && h <= s.SignedHeaders[i-1] {
			return refuse(IncompleteSignature, "SignedHeaders must be lower case, sorted and without repetition, got %q.", clip(signedHeaders))
		}
	}
	if len(signature) != 64 || strings.Trim(signature, "0123456789abcdef") != "" {
		return refuse(IncompleteSignature, "Signature must be 64 lower-case hexadecimal digits.")
	}
	s.signature = signature
	return nil
}

// check does what needs neither a secret nor a clock.
func (s *Signature) check(r *http.Request) error {
	t, err := time.Parse(timeLayout, s.timestamp)
	if err != nil {
		return refuse(IncompleteSignature, "Date must be in ISO-8601 'basic format' such as 20060102T150405Z, got %q.", clip(s.timestamp))
	}
	s.Time = t
	if s.Date != t.Format(dateLayout) {
		return refuse(IncompleteSignature, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: %q is not of %q.", clip(s.Date), s.timestamp)
	}
	if !slices.Contains(s.SignedHeaders, "host") {
		return refuse(HeadersNotSigned, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		if l := strings.ToLower(name); strings.HasPrefix(l, "x-amz-") && !slices.Contains(s.SignedHeaders, l) {
			return refuse(HeadersNotSigned, "There were headers present in the request which were not signed: %q.", clip(l))
		}
	}
	return nil
}

// scopeWord accepts what may become part of an ARN, a log line and a database key.
func scopeWord(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
