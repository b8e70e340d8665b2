package wire

// CommonFault is an error that every AWS API has, outside its own model. Its code and status depend on the protocol.
type CommonFault struct{ query, json Fault }

// For returns the fault as clients of that protocol know it.
func (c *CommonFault) For(p Protocol) *Fault {
	if p == JSON {
		return &c.json
	}
	return &c.query
}

func common(queryCode string, queryStatus int, jsonCode string, jsonStatus int) *CommonFault {
	return &CommonFault{
		query: Fault{Shape: queryCode, Code: queryCode, Status: queryStatus, Sender: queryStatus < 500},
		json:  Fault{Shape: jsonCode, Code: jsonCode, Status: jsonStatus, Sender: jsonStatus < 500},
	}
}

// The common faults.
var (
	MissingAuthenticationToken = common("MissingAuthenticationToken", 403, "MissingAuthenticationTokenException", 400)
	IncompleteSignature        = common("IncompleteSignature", 400, "IncompleteSignatureException", 400)
	InvalidClientToken         = common("InvalidClientTokenId", 403, "UnrecognizedClientException", 400)
	SignatureDoesNotMatch      = common("SignatureDoesNotMatch", 403, "InvalidSignatureException", 400)
	RequestExpired             = common("RequestExpired", 400, "RequestExpired", 400)
	ExpiredToken               = common("ExpiredToken", 403, "ExpiredTokenException", 400)
	AccessDenied               = common("AccessDenied", 403, "AccessDeniedException", 400)
	MissingAction              = common("MissingAction", 400, "MissingAction", 400)
	UnknownOperation           = common("InvalidAction", 400, "UnknownOperationException", 400)
	Malformed                  = common("MalformedQueryString", 404, "SerializationException", 400)
	Throttling                 = common("Throttling", 400, "ThrottlingException", 400)
	RequestTooLarge            = common("RequestEntityTooLarge", 413, "RequestEntityTooLargeException", 413)
	ServiceUnavailable         = common("ServiceUnavailable", 503, "ServiceUnavailableException", 503)
	InternalFailure            = common("InternalFailure", 500, "InternalFailure", 500)
)
