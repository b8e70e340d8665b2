package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// What can go wrong, for errors.Is. Bytes that are not a sound RDB are rdb.ErrCorrupt.
var (
	ErrTemporary = errors.New("engine cannot serve a snapshot now")           // loading, without its primary, a failed fork: try again
	ErrLink      = errors.New("link to the engine was lost")                  // cut before the end of the transfer: try again
	ErrStalled   = errors.New("engine stopped sending")                       // no byte within the progress timeout; an ErrLink too
	ErrAuth      = errors.New("engine refused the login")                     // wrong or missing password, or missing permissions
	ErrRefused   = errors.New("engine refused to serve a snapshot")           // any other error reply
	ErrProtocol  = errors.New("engine does not speak its protocol")           // malformed or unexpected reply
	ErrLayout    = errors.New("cluster is not laid out as the capture wants") // slots or primaries moved: try again against the new layout
	ErrSpool     = errors.New("spool is damaged")                             // what came back is not what was written
	ErrTooSmall  = errors.New("cache is too small for the items")             // it evicted some, or has no memory for one
	ErrTooLarge  = errors.New("item is too large for the cache")              // its greatest item size is smaller
	ErrDiffers   = errors.New("items of the cache are not those of the file") // what was read back, or was there before
)

// Retryable tells whether the same capture may well succeed later, with nobody changing anything.
func Retryable(err error) bool { return errors.Is(err, ErrTemporary) || errors.Is(err, ErrLink) }

// errNoInstant says that one attempt to cut all shards at one instant failed, and that another may succeed.
var errNoInstant = errors.New("the shards could not be cut at one instant")

// Error says at which engine and in which step a capture failed.
type Error struct {
	Address string
	Step    string
	Err     error
}

func (e *Error) Error() string {
	return fmt.Sprintf("capture %s: %s: %v", e.Address, e.Step, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// explain prefers the context's reason: a cancelled capture fails wherever it happens to be.
func explain(ctx context.Context, src Source, step string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &Error{src.Address, step, err}
}

// refusal turns an error reply, without its minus sign, into an error.
func refusal(command, line string) error {
	code, rest, _ := strings.Cut(line, " ")
	kind := ErrRefused
	switch code {
	case "LOADING", "NOMASTERLINK", "MASTERDOWN", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MISCONF":
		kind = ErrTemporary
	case "NOAUTH", "WRONGPASS", "NOPERM", "DENIED":
		kind = ErrAuth
	case "ERR":
		low := strings.ToLower(rest)
		switch {
		case command == "AUTH":
			kind = ErrAuth
		case strings.Contains(low, "not connected"), strings.Contains(low, "bgsave failed"), strings.Contains(low, "max number of clients"):
			kind = ErrTemporary
		}
	}
	return fmt.Errorf("%w: it answered %s with %.200q", kind, command, line)
}
