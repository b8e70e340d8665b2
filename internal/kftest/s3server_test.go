package kftest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Who took the port of a server that could not listen is not that server, even if it answers.
func TestStrangersDoNotServe(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(stranger.Close)
	ended := make(chan struct{})
	close(ended)
	if serving(stranger.URL+"/alive-x", ended) {
		t.Error("a stranger was taken for the server")
	}
}
