package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/keyrestore"
	"github.com/keyframe/keyframe/rdb"
)

const restoreKeysLong = `Put chosen keys into an engine that runs, or into a cluster (any node of it), with their expiries, by the command RESTORE.
Keys that have expired meanwhile are left out. Values that the engine does not know in their form are stored in an older one; what
has no older form is reported as failed, and the other keys go on. So are values of a file that are broken inside, which can end an
engine: they are not sent.

What happens to a key that the engine has already, --on-conflict says:
  fail     nothing is written if there is one: all keys are looked up before the first is written (the default)
  skip     the engine's stays
  replace  the engine's goes

With --state FILE the command can be stopped, or killed, and given again: it goes on where it was. Keys that the killed command may
have sent without noting it are compared, by DUMP: one that the engine has just as it would be restored counts as restored.

Right after a batch of keys was written they are looked up again; the report says how many were found. The password comes from
--password-file, or from the variable REDISCLI_AUTH.`

type restoreFlags struct {
	to, user, passwordFile, ca string
	tls, dryRun                bool
	conflict, rate, state, dir string
	toDB                       int64
}

func (s *session) restoreKeysCommand(cmd *cobra.Command, open opener) *cobra.Command {
	cmd.Short, cmd.Long = "Put chosen keys into an engine that runs", restoreKeysLong
	var filter keyFilter
	filter.flags(cmd)
	var o restoreFlags
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "HOST:PORT of the engine")
	f.StringVar(&o.user, "user", "", "user to log in as; empty: the default user")
	f.StringVar(&o.passwordFile, "password-file", "", "file with the password in its first line")
	f.BoolVar(&o.tls, "tls", false, "connect with TLS")
	f.StringVar(&o.ca, "ca", "", "file with the certificates that the engine's must lead to, with --tls; empty: the system's")
	f.StringVar(&o.conflict, "on-conflict", "fail", "fail, skip or replace keys that the engine has")
	f.StringVar(&o.rate, "rate", "", "most keys a second, such as 5000, or most bytes, such as 10MB")
	f.StringVar(&o.state, "state", "", "file that notes how far the work is")
	f.StringVar(&o.dir, "temporary", "", "directory for what large values need of temporary files; the system's if empty")
	f.Int64Var(&o.toDB, "to-db", -1, "database that the keys go to; -1: that in which they were")
	f.BoolVar(&o.dryRun, "dry-run", false, "only tell what would be written")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := filter.prepare(time.Now()); err != nil {
			return err
		}
		target, options, err := o.read(&filter)
		if err != nil {
			return err
		}
		return together(open)(cmd.Context(), args, func(all []*records) error {
			if err := all[0].rdbOnly(); err != nil {
				return err
			}
			return s.restoreKeys(cmd.Context(), all[0], &filter, target, options, o)
		})
	}
	return cmd
}

// read checks the flags.
func (o *restoreFlags) read(filter *keyFilter) (t keyrestore.Target, k keyrestore.Options, err error) {
	usage := func(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
	if o.to == "" {
		return t, k, usage("--to HOST:PORT says where the keys go")
	}
	t = keyrestore.Target{Address: o.to, User: o.user, Password: os.Getenv("REDISCLI_AUTH")}
	if !strings.Contains(t.Address, ":") {
		t.Address += ":6379"
	}
	if o.passwordFile != "" {
		raw, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return t, k, err
		}
		t.Password, _, _ = strings.Cut(string(raw), "\n")
		t.Password = strings.TrimSuffix(t.Password, "\r")
	}
	if o.user != "" && t.Password == "" {
		return t, k, usage("--user needs a password: give --password-file, or set REDISCLI_AUTH")
	}
	if o.ca != "" && !o.tls {
		return t, k, usage("--ca is for --tls")
	}
	if o.tls {
		t.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return t, k, err
		}
		t.TLS.RootCAs = x509.NewCertPool()
		if !t.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return t, k, fmt.Errorf("%s holds no certificate", o.ca)
		}
	}
	k = keyrestore.Options{Conflict: keyrestore.Policy(o.conflict), DryRun: o.dryRun, DB: o.toDB, Least: filter.size, Dir: o.dir}
	switch k.Conflict {
	case keyrestore.Fail, keyrestore.Skip, keyrestore.Replace:
	default:
		return t, k, usage("--on-conflict %q is none of fail, skip, replace", o.conflict)
	}
	if o.dryRun && o.state != "" {
		return t, k, usage("a dry run has no --state")
	}
	if o.rate != "" {
		if k.Keys, err = strconv.ParseFloat(o.rate, 64); err != nil {
			n, berr := humanize.ParseBytes(strings.TrimSuffix(o.rate, "/s"))
			if k.Keys, k.Bytes = 0, float64(n); berr != nil {
				return t, k, usage("--rate %q is neither a number of keys nor of bytes, such as 10MB", o.rate)
			}
		}
		if !(k.Keys > 0 || k.Bytes > 0) {
			return t, k, usage("--rate %q lets nothing pass", o.rate)
		}
	}
	return t, k, nil
}

// restoredKeys is what restore-keys says.
type restoredKeys struct {
	To       string
	Engine   string
	DryRun   bool `json:",omitempty"`
	Seconds  float64
	Failures []failedKey `json:",omitempty"` // the first hundred
	keyrestore.Report
}

type failedKey struct {
	Key    jsonText
	DB     uint64
	Reason string
}

func (s *session) restoreKeys(ctx context.Context, r *records, filter *keyFilter, target keyrestore.Target, k keyrestore.Options, o restoreFlags) error {
	k.Deep = r.manifest == nil // a snapshot is what an engine wrote
	e, err := keyrestore.Connect(ctx, target)
	if err != nil {
		return err
	}
	defer e.Close()
	r = &records{name: r.name, streams: filter.streams(r.streams), manifest: r.manifest}
	if o.state != "" {
		if k.State, err = keyrestore.OpenState(o.state, restoreIdentity(r, filter, target, o)); err != nil {
			return err
		}
		if k.State.Complete {
			fmt.Fprintf(s.err, "keyframe: %s says that this restore is complete\n", o.state)
			return nil
		}
	}
	start := time.Now()
	if k.Conflict == keyrestore.Fail && !k.DryRun && (k.State == nil || !k.State.Checked) {
		look := k
		look.DryRun, look.Keys, look.Bytes, look.State = true, 0, 0, nil
		if _, err := s.passKeys(ctx, r, filter, e, look, "look up"); err != nil {
			return nothingWritten(err)
		}
		if k.State != nil {
			k.State.Checked = true
			if err := k.State.Save(); err != nil {
				return err
			}
		}
	}
	run, err := s.passKeys(ctx, r, filter, e, k, "restore")
	if err != nil {
		if k.DryRun {
			return nothingWritten(err)
		}
		return stopped(err, run, o.state)
	}
	result := restoredKeys{To: target.Address, Engine: string(e.Kind) + " " + e.Version.String(), DryRun: k.DryRun,
		Seconds: time.Since(start).Round(time.Millisecond).Seconds(), Report: run.Report}
	for _, f := range run.Failures {
		result.Failures = append(result.Failures, failedKey{f.Key, f.DB, f.Reason})
	}
	if err := s.print(result, func(t *table) { showRestored(t, &result) }); err != nil {
		return err
	}
	if run.Report.Failed > 0 {
		return fmt.Errorf("%d keys could not be restored", run.Report.Failed)
	}
	return nil
}

func nothingWritten(err error) error {
	var c *keyrestore.ConflictError
	if errors.As(err, &c) {
		return fmt.Errorf("%w; nothing was written: --on-conflict skip or replace goes on", err)
	}
	return err
}

// stopped says what a run did that ended early.
func stopped(err error, run *keyrestore.Run, state string) error {
	if run == nil {
		return err
	}
	var c *keyrestore.ConflictError
	advice := "give --state FILE to be able to go on after such an end"
	switch conflict := errors.As(err, &c); {
	case conflict && state != "":
		advice = "--on-conflict skip or replace goes on, with another --state"
	case conflict:
		advice = "--on-conflict skip or replace goes on"
	case state != "":
		advice = "the same command goes on from there"
	}
	return fmt.Errorf("%w; %d keys were written: %s", err, run.Report.Restored, advice)
}

// restoreIdentity tells one restore from another: what, which of it, where to, how.
func restoreIdentity(r *records, filter *keyFilter, target keyrestore.Target, o restoreFlags) string {
	what := r.name
	if r.manifest != nil {
		what += " (" + r.manifest.SnapshotID + ")"
	}
	for _, st := range r.streams {
		what += fmt.Sprintf(", %d bytes", st.bytes)
	}
	return fmt.Sprintf("%s: match %q, type %q, database %d, slot %d, size %d, expiry %q %t; to %s, database %d, %s", what, filter.pattern, filter.kind, filter.db, filter.slot,
		filter.size, filter.before, filter.forever, target.Address, o.toDB, o.conflict)
}

// passKeys goes through all records once. Without an error all that is meant was answered.
func (s *session) passKeys(ctx context.Context, r *records, filter *keyFilter, e *keyrestore.Engine, k keyrestore.Options, what string) (*keyrestore.Run, error) {
	run := keyrestore.NewRun(e, k)
	if k.State != nil {
		defer k.State.Stop() //nolint:errcheck // what counts was saved before it happened
	}
	m := s.meter(what+" keys of "+r.name, r)
	defer m.bar.end()
	position, start := int64(-1), time.Now()
	each := func(rec *rdb.Record, v *rdb.Value) error {
		position++
		if !filter.key(rec) {
			return nil
		}
		if err := run.Add(ctx, rec, v, position); err != nil {
			return err
		}
		if !run.Pending() {
			m.bar.note(fmt.Sprintf("(%d keys, %.0f/s)", run.Report.Restored, float64(run.Report.Restored)/time.Since(start).Seconds()))
		}
		return nil
	}
	for _, st := range r.streams {
		if _, err := st.scan(ctx, m.step, rdb.Options{Keys: true, OnValue: each}); err != nil {
			return run, err
		}
	}
	if err := run.Flush(ctx); err != nil || k.State == nil {
		return run, err
	}
	return run, k.State.Finish(position+1, run.Report)
}

func showRestored(t *table, r *restoredKeys) {
	verb := "restored"
	if r.DryRun {
		verb = "would be restored"
	}
	t.row(verb, humanize.Comma(r.Restored), bytes(r.Bytes), fmt.Sprintf("to %s, %s", r.To, r.Engine))
	if !r.DryRun {
		t.row("  read back", humanize.Comma(r.Present), "", "")
	}
	for _, x := range []struct {
		what string
		n    int64
		why  string
	}{
		{"  replacing", r.Replaced, "the engine has these keys"}, {"  converted", r.Converted, "the engine knows only an older form"},
		{"skipped", r.Skipped, "the engine has these keys"}, {"expired", r.Expired, "since the snapshot was taken"}, {"failed", r.Failed, ""},
	} {
		if x.n > 0 {
			t.row(x.what, humanize.Comma(x.n), "", x.why)
		}
	}
	if !r.DryRun {
		t.row("seconds", strconv.FormatFloat(r.Seconds, 'f', 2, 64), "", "")
	}
	for _, f := range r.Failures {
		t.line(fmt.Sprintf("failed: %s (database %d): %s", shortened(f.Key, 80), f.DB, f.Reason))
	}
}
