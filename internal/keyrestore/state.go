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
	until int64 // up to which record an earlier run may have sent
	from  int64 // up to where this run's first batch went
	sent  int64 // up to where its last one went
	begun time.Time
	saved time.Time
}

// mostAhead is how many records may be sent, at most, until the state is saved again.
const mostAhead = 10_000

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

// inDoubt tells whether an earlier run may have sent a record without having noted what became of it.
func (s *State) inDoubt(position int64) bool { return s != nil && position < s.until }

// sending notes, before it happens, that the records before end are sent. So that not every batch waits for the disk, those that
// the next second will send are noted with them: it is they that are in doubt after a kill.
func (s *State) sending(end int64) error {
	if s.begun.IsZero() {
		s.begun, s.from = time.Now(), end
	}
	s.sent = end
	if end <= s.Reserved {
		return nil
	}
	ahead := float64(end-s.from) / max(time.Since(s.begun).Seconds(), 1e-3)
	s.Reserved = end + int64(min(ahead, mostAhead))
	return s.Save()
}

// settled notes that all records before position are answered. It is saved once a second.
func (s *State) settled(position int64, r Report) error {
	s.Done, s.Report = position, r
	if time.Since(s.saved) < time.Second {
		return nil
	}
	return s.Save()
}

// Finish notes that the restore is complete, with so many records in all.
func (s *State) Finish(records int64, r Report) error {
	s.Complete, s.Done, s.Report = true, records, r
	return s.Save()
}

// Stop notes at the end of a run, however far it came, that nothing else was sent.
func (s *State) Stop() error {
	s.Reserved = max(s.sent, s.until)
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
