package keyrestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// State is how far a restore is, in a file, so that a later run can go on.
type State struct {
	Of       string // what is restored, how, and to where; see OpenState
	Complete bool
	Checked  bool  // no key was on the target before the first was written
	Done     int64 // records that are settled, counted over all files in their order
	Reserved int64 // records that may have been sent
	Report   Report

	path  string
	saved time.Time
	until int64 // up to which record the run before may have sent
}

// ahead is how many records may be sent until the state is saved again.
const ahead = 100_000

// OpenState reads a state file, or begins a new one. what describes the restore: a file of another one is refused.
func OpenState(path, what string) (*State, error) {
	s := &State{}
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &State{Of: what, path: path}, nil
	case err != nil:
		return nil, err
	}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("%s is not a state file: %w", path, err)
	}
	if s.Of != what {
		return nil, fmt.Errorf("%s belongs to another restore: %s; this one is %s", path, s.Of, what)
	}
	s.path, s.until = path, s.Reserved
	return s, nil
}

// MayHave tells whether an earlier run may have sent a record that is not done without having noted the answer.
func (s *State) MayHave(position int64) bool { return position < s.until }

// Sending notes that records up to position are about to be sent.
func (s *State) Sending(position int64) error {
	if position < s.Reserved {
		return nil
	}
	s.Reserved = position + ahead
	return s.Save()
}

// Settled notes that all records before position are answered. It is saved once a second.
func (s *State) Settled(position int64, r Report) error {
	s.Done, s.Report = position, r
	if time.Since(s.saved) < time.Second {
		return nil
	}
	return s.Save()
}

// Save makes the state durable.
func (s *State) Save() error {
	s.saved = time.Now()
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), "."+filepath.Base(s.path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
