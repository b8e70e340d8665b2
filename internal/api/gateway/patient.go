package gateway

import (
	"io"
	"net/http"
	"time"
)

// patient is a body that must come in time. Its deadline ends with the body: beyond it the server listens on the connection
// for a client that goes away, and would take the deadline for one.
type patient struct {
	io.ReadCloser
	conn *http.ResponseController
	most time.Duration
	each bool // every read has its own time, for bodies as long as objects
}

func newPatient(w http.ResponseWriter, body io.ReadCloser, most time.Duration) *patient {
	p := &patient{ReadCloser: body, conn: http.NewResponseController(w), most: most}
	p.until(time.Now().Add(most))
	return p
}

// until does nothing for a connection without deadlines.
func (p *patient) until(t time.Time) { _ = p.conn.SetReadDeadline(t) }

func (p *patient) Read(b []byte) (int, error) {
	if p.each {
		p.until(time.Now().Add(p.most))
	}
	n, err := p.ReadCloser.Read(b)
	if err == io.EOF {
		p.until(time.Time{})
	}
	return n, err
}
