package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
)

// begin sends a request's head and some of its body, and nothing more.
func begin(t *testing.T, addr, method, path, service, key, some string, length int) net.Conn {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	hash := sigv4.UnsignedPayload
	if service != "s3" {
		hash = sigv4.EmptyHash
	}
	creds := sigv4.Credentials{AccessKeyID: key, Secret: sigv4.NewSecret(secretText)}
	if err := sigv4.Sign(r, creds, "us-east-1", service, hash, time.Now()); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", method, path, addr, length)
	for name := range r.Header {
		fmt.Fprintf(c, "%s: %s\r\n", name, r.Header.Get(name))
	}
	fmt.Fprintf(c, "\r\n%s", some)
	return c
}

// A body that does not come must not hold a connection, whoever began it.
func TestBodiesThatDoNotCome(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(o *gateway.Options) { o.Patience = 500 * time.Millisecond }).start(t)
	if resp, text := d.post(t, "PUT", "/bucket", "s3", keyA, "", nil); resp.StatusCode != 200 {
		t.Fatal(text)
	}
	for name, c := range map[string]struct {
		path, service, key string
		status             int
	}{
		"stranger": {"/", "elasticache", "AKIASTRANGER", 403},
		"query":    {"/", "elasticache", keyA, 404},
		"object":   {"/bucket/key", "s3", keyA, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := begin(t, d.Listener.Addr().String(), "PUT", c.path, c.service, c.key, "some", 1000)
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != c.status {
				t.Fatal(resp, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			if _, err := in.ReadByte(); err != io.EOF {
				t.Errorf("the connection is open: %v", err)
			}
		})
	}
}

// The deadline is the body's alone: work on it may take longer, and a client that waits has not gone away.
func TestPatienceEndsWithTheBody(t *testing.T) {
	t.Parallel()
	const patience = 500 * time.Millisecond // of us or of the client a stall may last as long
	g := gateway.New(gateway.Options{
		Patience: patience, Log: slog.New(slog.DiscardHandler),
		Lookup: func(id string) (iam.Principal, iam.Secret, bool) {
			return iam.Principal{Account: acctA, AccessKeyID: id}, iam.NewSecret(secretText), true
		},
		Faces: []gateway.Face{gateway.NewREST("s3", func(w http.ResponseWriter, c *gateway.Call) {
			body, err := io.ReadAll(c.Request.Body)
			select {
			case <-c.Request.Context().Done():
				err = c.Request.Context().Err()
			case <-time.After(2 * patience):
			}
			fmt.Fprintf(w, "%s %v", body, err)
		})},
	})
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	conn := begin(t, server.Listener.Addr().String(), "PUT", "/b/k", "s3", keyA, "body", 4)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasPrefix(string(text), "body <nil>") {
		t.Errorf("%q, %v", text, err)
	}
}
