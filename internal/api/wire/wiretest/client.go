package wiretest

import (
	"io"
	"net/http"
)

// HTTPClient is a client to hand to an SDK in tests of fast local servers. smithy-go closes the request's body as soon as the
// answer begins; when net/http then still looks for the end of that body, through WriteTo, it gets io.EOF as an error and
// closes the connection under an answer of more than one buffer. Without WriteTo the same look is harmless.
func HTTPClient() *http.Client {
	return &http.Client{Transport: plainBodies{http.DefaultTransport}}
}

type plainBodies struct{ http.RoundTripper }

func (t plainBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return t.RoundTripper.RoundTrip(r)
}
