package wire

// ValidationError is a request that reads well but breaks what the API says about one parameter. Which one is reported,
// when several are wrong, depends only on the request.
type ValidationError struct {
	Parameter string // full path: Tags.Tag.2.Key
	Reason    string // completes "The parameter X …": "must be one of vpc, public"
	Missing   bool   // absent or blank, though required
}

const reasonMissing = "must be provided and must not be blank"

// Error is the sentence that AWS answers: "The parameter X must be provided and must not be blank."
func (e *ValidationError) Error() string {
	return "The parameter " + e.Parameter + " " + e.Reason + "."
}

// MalformedError is a body that does not follow its protocol at all, such as broken JSON.
type MalformedError struct{ Reason string }

func (e *MalformedError) Error() string { return "malformed body: " + e.Reason }

// Unknown tells which parameters the shape does not have. AWS ignores them, and so do we; they are worth a log line.
type Unknown struct {
	Count int
	Names []string // the first of them in alphabetical order, at most 16, each cut at 64 bytes
}

const (
	maxUnknownNames = 16
	maxUnknownBytes = 64
)
