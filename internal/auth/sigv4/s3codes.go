package sigv4

// S3Code translates a kind of refusal into the error code and HTTP status that S3 clients know.
func S3Code(k Kind, presigned bool) (code string, status int) {
	switch k {
	case MissingAuthenticationToken, HeadersNotSigned:
		return "AccessDenied", 403
	case IncompleteSignature:
		if presigned {
			return "AuthorizationQueryParametersError", 400
		}
		return "AuthorizationHeaderMalformed", 400
	case InvalidClientTokenID:
		return "InvalidAccessKeyId", 403
	case InvalidToken:
		return "InvalidToken", 400
	case RequestExpired:
		if presigned {
			return "AccessDenied", 403
		}
		return "RequestTimeTooSkewed", 403
	case MalformedQuery:
		return "InvalidURI", 400
	case Unsupported:
		return "NotImplemented", 501
	case PayloadMismatch:
		return "XAmzContentSHA256Mismatch", 400
	case BadDigest, IncompleteBody:
		return string(k), 400
	case MalformedBody:
		return "InvalidRequest", 400
	case MissingLength:
		return "MissingContentLength", 411
	}
	return "SignatureDoesNotMatch", 403
}
