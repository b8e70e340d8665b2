package wire

import "encoding/xml"

// Fault is one kind of error of an API, as its clients know it.
type Fault struct {
	Shape  string // name of the exception in SDKs: CacheClusterNotFoundFault
	Code   string // what goes over the wire and what policies of retry match: CacheClusterNotFound
	Status int    // HTTP status
	Sender bool   // the request is to blame, not the server
}

// New returns an error of this kind. The message is for the user.
func (f *Fault) New(message string) *FaultError { return &FaultError{Fault: f, Message: message} }

// FaultError is a fault with the words that explain this instance of it.
type FaultError struct {
	Fault   *Fault
	Message string
}

func (e *FaultError) Error() string { return e.Fault.Code + ": " + e.Message }

// FaultAnswer is an encoded fault: write Headers, Status and Body.
type FaultAnswer struct {
	Status  int
	Headers map[string]string // Content-Type, x-amzn-RequestId, and for JSON x-amzn-ErrorType
	Body    []byte
}

// EncodeFault writes the fault as clients of the API expect it.
func EncodeFault(api *API, f *Fault, message, requestID string) FaultAnswer {
	a := FaultAnswer{Status: f.Status, Headers: map[string]string{"Content-Type": api.ContentType(), "x-amzn-RequestId": requestID}}
	if api.Protocol == JSON {
		a.Headers["x-amzn-ErrorType"] = f.Code
		b := appendJSONString([]byte(`{"__type":`), f.Code)
		b = appendJSONString(append(b, `,"message":`...), message)
		a.Body = append(b, '}')
		return a
	}
	blame := "Receiver"
	if f.Sender {
		blame = "Sender"
	}
	b := append([]byte(nil), "<ErrorResponse"...)
	b = appendNamespace(b, api.Namespace)
	b = append(b, "><Error>"...)
	b = appendElement(b, "Type", blame)
	b = appendElement(b, "Code", f.Code)
	b = appendElement(b, "Message", message)
	b = append(b, "</Error>"...)
	b = appendElement(b, "RequestId", requestID)
	a.Body = append(b, "</ErrorResponse>\n"...)
	return a
}

// RemoteFault is a fault that a server answered to our own client.
type RemoteFault struct {
	Code, Message, RequestID string
}

func (e *RemoteFault) Error() string { return e.Code + ": " + e.Message }

// DecodeFault reads the XML body of a fault. A body that is none gives a *MalformedError.
func DecodeFault(body []byte) (*RemoteFault, error) {
	var doc struct {
		XMLName   xml.Name
		Code      string `xml:"Error>Code"`
		Message   string `xml:"Error>Message"`
		RequestID string `xml:"RequestId"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		return nil, &MalformedError{Reason: "fault: " + err.Error()}
	}
	if doc.Code == "" {
		return nil, &MalformedError{Reason: "fault: no Error/Code in <" + doc.XMLName.Local + ">"}
	}
	return &RemoteFault{Code: doc.Code, Message: doc.Message, RequestID: doc.RequestID}, nil
}
