package wire

import "net/url"

// Decode reads and checks the request of an operation: its parameters if the API speaks Query, else its body. It
// returns a pointer to the operation's input struct; an error is a *ValidationError or a *MalformedError.
func Decode(op *Operation, parameters url.Values, body []byte) (in any, unknown Unknown, err error) {
	in = op.NewInput()
	if op.API.Protocol == JSON {
		unknown, err = DecodeJSON(body, in)
	} else {
		unknown, err = DecodeQuery(parameters, in)
	}
	if err == nil {
		err = Validate(in)
	}
	return in, unknown, err
}

// Encode writes the answer of an operation; its media type is op.API.ContentType().
func Encode(op *Operation, requestID string, out any) ([]byte, error) {
	if op.API.Protocol == JSON {
		return EncodeJSON(out)
	}
	return EncodeXML(op, requestID, out)
}
