package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// signingKey derives the key that signs requests of one day, region and service.
func signingKey(secret Secret, s Scope) []byte {
	key := mac([]byte("AWS4"+secret.Reveal()), s.Date)
	key = mac(key, s.Region)
	key = mac(key, s.Service)
	return mac(key, terminator)
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

// PayloadHash is the SHA-256 of a body, in hex: what Sign takes.
func PayloadHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func stringToSign(timestamp string, s Scope, canonical string) string {
	return algorithm + "\n" + timestamp + "\n" + s.String() + "\n" + PayloadHash([]byte(canonical))
}

// canonicalRequest is the text whose hash is signed. Its errors name what cannot be decoded or did not arrive.
func canonicalRequest(r *http.Request, service string, signed []string, payloadHash string) (string, *Error) {
	uri, err := canonicalURI(r.URL.EscapedPath(), service)
	if err != nil {
		return "", err
	}
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + uri + "\n" + query + "\n")
	for _, name := range signed {
		values, ok := headerValues(r, name)
		if !ok {
			return "", refuse(SignatureDoesNotMatch, "The signature covers the header %q, but the request arrived without it: did a proxy remove it?", name)
		}
		b.WriteString(name + ":")
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.Join(strings.Fields(v), " "))
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n" + payloadHash)
	return b.String(), nil
}

// headerValues finds a header by its lower-case name, also those that net/http moves out of the header map.
func headerValues(r *http.Request, name string) ([]string, bool) {
	if name == "host" {
		host := r.Host
		if host == "" {
			host = r.URL.Host
		}
		return []string{host}, host != ""
	}
	if v := r.Header.Values(name); len(v) > 0 {
		return v, true
	}
	switch {
	case name == "content-length" && r.ContentLength >= 0:
		return []string{strconv.FormatInt(r.ContentLength, 10)}, true
	case name == "transfer-encoding" && len(r.TransferEncoding) > 0:
		return r.TransferEncoding, true
	}
	return nil, false
}

// canonicalURI encodes a path, given as it was sent: once and as it is for S3, whose keys may hold empty and dot segments;
// twice and normalised for every other service.
func canonicalURI(path, service string) (string, *Error) {
	if path == "" {
		return "/", nil
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		raw, err := url.PathUnescape(p)
		if err != nil {
			return "", refuse(MalformedQuery, "The path %q is not valid percent-encoding.", clip(path))
		}
		parts[i] = uriEncode(raw)
	}
	if service == "s3" {
		return strings.Join(parts, "/"), nil
	}
	kept := parts[:0]
	for _, p := range parts {
		switch p {
		case "", ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, uriEncode(p))
		}
	}
	out := "/" + strings.Join(kept, "/")
	if len(kept) > 0 && strings.HasSuffix(path, "/") {
		out += "/"
	}
	return out, nil
}

// canonicalQuery decodes, encodes and sorts a query string. The signature of a presigned URL is not part of it.
func canonicalQuery(raw string) (string, *Error) {
	if raw == "" {
		return "", nil
	}
	type pair struct{ name, value string }
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return "", refuse(MalformedQuery, "The query parameter %q is not valid percent-encoding.", clip(part))
		}
		if n != "X-Amz-Signature" {
			pairs = append(pairs, pair{uriEncode(n), uriEncode(v)})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String(), nil
}

// uriEncode escapes every byte outside RFC 3986's unreserved set.
func uriEncode(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// clip keeps what a stranger sent from filling a message.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}
