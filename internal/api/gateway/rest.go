package gateway

import (
	"encoding/xml"
	"net/http"

	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
)

// RESTFace is a face that reads requests and writes answers itself: S3.
type RESTFace struct {
	name   string
	handle func(w http.ResponseWriter, c *Call)
}

// NewREST makes a REST face. handle gets calls that are authenticated but not authorized: it sets c.Action and asks
// c.Authorize before it does anything. The request is c.Request; its body is free of aws-chunked framing, its reader
// returns a *sigv4.Error (see sigv4.S3Code) when the payload is not the one that was signed, and only an object whose
// body was read to its full length without error may be kept.
func NewREST(signingName string, handle func(w http.ResponseWriter, c *Call)) *RESTFace {
	return &RESTFace{signingName, handle}
}

// SigningName is the name in the credential scope.
func (f *RESTFace) SigningName() string { return f.name }

// Protocol is REST.
func (f *RESTFace) Protocol() Protocol { return REST }

func (f *RESTFace) serve(w *recorder, c *Call, _ []byte) {
	w.Header().Set("x-amz-request-id", c.RequestID)
	f.handle(w, c)
}

func (f *RESTFace) refuse(w *recorder, c *Call, why refusal) {
	code, status := "InternalError", http.StatusInternalServerError
	switch {
	case why.kind != "":
		code, status = sigv4.S3Code(why.kind, why.presigned)
	case why.fault != wire.InternalFailure:
		fault := why.fault.For(wire.Query)
		code, status = fault.Code, fault.Status
	}
	w.Header().Set("x-amz-request-id", c.RequestID)
	w.code = code
	text := ErrorDocument(code, why.message, c.Request.URL.Path, c.RequestID)
	if c.Request.Method == http.MethodHead {
		text = nil
	}
	write(w, status, map[string]string{"Content-Type": "application/xml"}, text)
}

// ErrorDocument is an error in S3's XML form.
func ErrorDocument(code, message, path, requestID string) []byte {
	doc := struct {
		XMLName                            xml.Name `xml:"Error"`
		Code, Message, Resource, RequestId string
	}{Code: code, Message: message, Resource: path, RequestId: requestID}
	text, err := xml.Marshal(doc)
	if err != nil { // a struct of strings always encodes
		return nil
	}
	return append([]byte(xml.Header), text...)
}
