package capture

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// cut is the engine's announcement of the fork.
type cut struct {
	replID string
	offset int64
	at     time.Time
}

// introduce logs in and says what we are. An engine that knows rdb-only keeps no command stream for us and hangs up by itself; with others we
// are an ordinary replica that hangs up first.
func (l *link) introduce(src Source, o Options) error {
	if err := l.login(src); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"REPLCONF", "capa", "eof", "capa", "psync2"},
		{"REPLCONF", "version", o.Announce}, // Valkey 8 and later
		{"REPLCONF", "rdb-only", "1"},       // Redis 7.0 and later
	} {
		// Engines that do not know an option go on without it.
		if err := l.ask(args...); err != nil && !isUnknown(err) {
			return err
		}
	}
	return nil
}

// psync asks for the data and waits for the fork.
func (l *link) psync() (cut, error) {
	if err := l.send("PSYNC", "?", "-1"); err != nil {
		return cut{}, err
	}
	line, err := l.line()
	if err != nil {
		return cut{}, err
	}
	return parseFullResync(line, time.Now())
}

// login pings and authenticates.
func (l *link) login(src Source) error {
	err := l.ask("PING")
	if r, ok := err.(*replyError); ok && (r.code == "NOPERM" || r.code == "NOAUTH" && !src.Password.IsZero()) {
		err = nil
	}
	if err != nil || src.Password.IsZero() {
		return err
	}
	if src.User == "" {
		return l.ask("AUTH", src.Password.Reveal())
	}
	return l.ask("AUTH", src.User, src.Password.Reveal())
}

// replyError is an error reply to a command.
type replyError struct {
	code string
	error
}

func (e *replyError) Unwrap() error { return e.error }

func isUnknown(err error) bool {
	r, ok := err.(*replyError)
	return ok && r.code == "ERR"
}

// ask sends a command and wants a status.
func (l *link) ask(args ...string) error {
	if err := l.send(args...); err != nil {
		return err
	}
	line, err := l.line()
	if err != nil {
		return err
	}
	switch line[0] {
	case '+':
		return nil
	case '-':
		code, _, _ := strings.Cut(line[1:], " ")
		return &replyError{code, refusal(args[0], line[1:])}
	}
	return fmt.Errorf("%w: it answered %s with %.60q", ErrProtocol, args[0], line)
}

// parseFullResync reads the reply to PSYNC: +FULLRESYNC <id of 40 characters> <offset>.
func parseFullResync(line string, now time.Time) (cut, error) {
	if line[0] == '-' {
		return cut{}, refusal("PSYNC", line[1:])
	}
	bad := fmt.Errorf("%w: it answered PSYNC with %.80q", ErrProtocol, line)
	f := strings.Split(line, " ")
	if len(f) != 3 || f[0] != "+FULLRESYNC" || !isMark(f[1]) {
		return cut{}, bad
	}
	offset, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil || offset < 0 {
		return cut{}, bad
	}
	return cut{f[1], offset, now}, nil
}

// isMark recognises the random names that engines give themselves and their transfers.
func isMark(s string) bool {
	if len(s) != markSize {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
