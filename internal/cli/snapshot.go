package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/app"
	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

func (s *session) snapshot() *cobra.Command {
	cmd := &cobra.Command{Use: "snapshot", Short: "Look at snapshots and verify them"}
	cmd.AddCommand(s.snapshotList(), s.snapshotShow(), s.snapshotVerify())
	look := func(use string, args int, add func(*cobra.Command, opener) *cobra.Command) {
		sub := &cobra.Command{Use: use, Args: cobra.ExactArgs(args)}
		cmd.AddCommand(add(sub, s.snapshotOpener(sub)))
	}
	look("inspect NAME|ARN", 1, s.inspectCommand)
	look("keys NAME|ARN", 1, s.keysCommand)
	look("get NAME|ARN KEY", 2, s.getCommand)
	look("diff NAME|ARN NAME|ARN", 2, s.diffCommand)
	look("restore-keys NAME|ARN", 1, s.restoreKeysCommand)
	return cmd
}

// listedSnapshot is a line of snapshot ls.
type listedSnapshot struct {
	Name, Account, Region string
	Status, Reason, Type  string
	Progress              string `json:",omitempty"` // of the job that runs now
	Cache, Engine         string
	Keys, Bytes           int64
	CreatedAt, ExpiresAt  time.Time `json:",omitzero"`
	ARN, KMSKeyID         string
}

func describeSnapshot(x *resource.Snapshot) listedSnapshot {
	return listedSnapshot{Name: x.Name, Account: x.Account, Region: x.Region, Status: string(x.Status), Reason: x.StatusReason, Type: string(x.Type),
		Cache: x.Source.Name, Engine: string(x.Source.Engine) + " " + x.Source.EngineVersion(), Keys: x.Keys, Bytes: x.Bytes,
		CreatedAt: utc(x.CreatedAt), ExpiresAt: utc(x.ExpiresAt), ARN: x.ARN(), KMSKeyID: x.KMSKeyID}
}

func (s *session) snapshotList() *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "List snapshots of all accounts and regions", Args: cobra.NoArgs}
	settings := s.settings(cmd, "data")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := settings()
		if err != nil {
			return err
		}
		list := []listedSnapshot{}
		err = withStores(cmd.Context(), c, func(stores *app.Stores) error {
			return stores.DB.View(cmd.Context(), func(tx *metastore.Tx) error {
				far, err := running(tx)
				if err != nil {
					return err
				}
				all, err := tx.AllSnapshots()
				for _, x := range all {
					l := describeSnapshot(x)
					l.Progress = far[x.ID]
					list = append(list, l)
				}
				return err
			})
		})
		if err != nil {
			return err
		}
		return s.print(list, func(t *table) {
			t.row("NAME", "STATUS", "TYPE", "CACHE", "ENGINE", "KEYS", "SIZE", "REGION", "ACCOUNT", "CREATED")
			for _, l := range list {
				t.row(l.Name, withProgress(l.Status, l.Progress), l.Type, l.Cache, l.Engine, strconv.FormatInt(l.Keys, 10), bytes(l.Bytes), l.Region, l.Account, moment(l.CreatedAt))
				if l.Reason != "" {
					t.line("  " + l.Reason)
				}
			}
		})
	}
	return cmd
}

func allSnapshots(ctx context.Context, stores *app.Stores) (all []*resource.Snapshot, err error) {
	err = stores.DB.View(ctx, func(tx *metastore.Tx) error {
		all, err = tx.AllSnapshots()
		return err
	})
	return all, err
}

// named finds the snapshots that an argument means: by name in any scope, by ARN, or by ID.
func named(ctx context.Context, stores *app.Stores, name string) (*resource.Snapshot, error) {
	all, err := allSnapshots(ctx, stores)
	if err != nil {
		return nil, err
	}
	var found []*resource.Snapshot
	for _, x := range all {
		if x.Name == name || x.ARN() == name || x.ID == name {
			found = append(found, x)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no snapshot is called %q: keyframe snapshot ls lists them all", name)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%d snapshots are called %q: give the ARN of one, such as %s", len(found), name, found[0].ARN())
}

func (s *session) snapshotShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show NAME|ARN", Short: "Show a snapshot's manifest", Args: cobra.ExactArgs(1)}
	settings := s.settings(cmd, "data")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := settings()
		if err != nil {
			return err
		}
		return withStores(cmd.Context(), c, func(stores *app.Stores) error {
			x, err := named(cmd.Context(), stores, args[0])
			if err != nil {
				return err
			}
			m, err := stores.Snapshots.ReadManifest(cmd.Context(), x.ID)
			if err != nil {
				return fmt.Errorf("snapshot %s is %s and has no manifest: %w", x.Name, x.Status, err)
			}
			return s.print(m, func(t *table) { showManifest(t, x, m) })
		})
	}
	return cmd
}

func showManifest(t *table, x *resource.Snapshot, m *snapstore.Manifest) {
	parts := 0
	for _, sh := range m.Shards {
		parts += len(sh.Parts)
	}
	instant, version := "Instant", strconv.Itoa(m.RDBVersion)
	if m.Stream == snapstore.Memcached {
		instant, version = "Captured", ""
	}
	for _, row := range [][2]string{
		{"Name", m.Name}, {"ARN", x.ARN()}, {"Status", string(x.Status)}, {"Type", string(m.Type)},
		{"Cache", m.Source.Name}, {"Engine", fmt.Sprintf("%s %s (ran %s)", m.Engine, m.Source.EngineVersion(), m.EngineVersion)},
		{instant, moment(m.CapturedAt)}, {"Consistency", string(m.Consistency)}, {"RDB version", version},
		{"Keys", strconv.FormatInt(m.Keys(), 10)}, {"Data", bytes(m.Bytes())}, {"Stored", fmt.Sprintf("%s in %d parts", bytes(m.StoredBytes()), parts)},
		{"KMS key", m.Key.ARN}, {"Capture", m.CaptureID},
	} {
		if row[1] != "" {
			t.row(row[0], row[1])
		}
	}
	if c := m.Cut; c != nil {
		t.row("Pause", fmt.Sprintf("writes were held for %.1f ms; the slowest fork took %.1f ms; tries: %d", float64(c.PauseMicros)/1e3, float64(c.ForkMicros)/1e3, c.Tries))
		if c.Reason != "" {
			t.row("Torn", c.Reason)
		}
	}
	for _, sh := range m.Shards {
		if i := sh.Items; i != nil {
			t.row("Items", fmt.Sprintf("read within %.1f s, at no one instant; meanwhile %d vanished and %d were written", i.To.Sub(i.From).Seconds(), i.Vanished, i.Changed))
			t.row("Content", i.Content+", expiries "+i.Expiry)
			t.row("Shard "+sh.Name, fmt.Sprintf("%d items, %d expiring, %s", sh.Keys, sh.Expiring, bytes(sh.Bytes)))
			continue
		}
		t.row("Shard "+sh.Name, fmt.Sprintf("%d keys, %d expiring, %s, offset %d of %s", sh.Keys, sh.Expiring, bytes(sh.Bytes), sh.Offset, sh.ReplicationID))
	}
	for _, tag := range m.Tags {
		t.row("Tag "+tag.Key, tag.Value)
	}
}

// verified is what snapshot verify says about one snapshot.
type verified struct {
	Name    string
	Good    bool
	Damaged bool   // false with Good false: it could not be read, such as under a disabled key
	Reason  string `json:",omitempty"`
	Parts   int
	Keys    int64
	Bytes   int64
	Seconds float64
}

func (s *session) snapshotVerify() *cobra.Command {
	cmd := &cobra.Command{Use: "verify [NAME|ARN]...", Args: cobra.ArbitraryArgs, Short: "Read snapshots from end to end: hashes, seals, checksums, every record",
		Long: "Read snapshots from end to end: hashes, seals, checksums, every record. Without a name, all available ones.\n--deep looks inside every value too: compression, packed encodings, streams.\nThe exit code is 1 when one of them is damaged or cannot be read."}
	settings := s.settings(cmd)
	deep := cmd.Flags().Bool("deep", false, "look inside every value")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := settings()
		if err != nil {
			return err
		}
		return withStores(cmd.Context(), c, func(stores *app.Stores) error {
			verify := stores.Snapshots.Verify
			if *deep {
				verify = stores.Snapshots.VerifyDeep
			}
			chosen, err := chosenSnapshots(cmd.Context(), stores, args)
			if err != nil {
				return err
			}
			results, bad := []verified{}, 0
			for _, x := range chosen {
				bar := s.progress("verify " + x.Name)
				report, err := verify(cmd.Context(), x.ID, bar.set)
				bar.end()
				if errors.Is(err, context.Canceled) {
					return err
				}
				v := verified{Name: x.Name, Good: err == nil}
				if err != nil {
					v.Damaged = errors.Is(err, snapstore.ErrCorrupt) || errors.Is(err, blob.ErrNotFound)
					v.Reason, bad = err.Error(), bad+1
				} else {
					v.Parts, v.Keys, v.Bytes, v.Seconds = report.Parts, report.Keys, report.PlainBytes, report.Took.Round(time.Millisecond).Seconds()
				}
				results = append(results, v)
			}
			err = s.print(results, func(t *table) {
				t.row("NAME", "RESULT", "KEYS", "SIZE", "PARTS", "SECONDS")
				for _, v := range results {
					result := "good"
					switch {
					case v.Damaged:
						result = "DAMAGED"
					case !v.Good:
						result = "UNREAD"
					}
					t.row(v.Name, result, strconv.FormatInt(v.Keys, 10), bytes(v.Bytes), strconv.Itoa(v.Parts), strconv.FormatFloat(v.Seconds, 'f', 2, 64))
					if v.Reason != "" {
						t.line("  " + v.Reason)
					}
				}
			})
			if err == nil && bad > 0 {
				err = fmt.Errorf("%d of %d snapshots cannot be restored", bad, len(results))
			}
			return err
		})
	}
	return cmd
}

func chosenSnapshots(ctx context.Context, stores *app.Stores, args []string) (chosen []*resource.Snapshot, err error) {
	if len(args) == 0 {
		all, err := allSnapshots(ctx, stores)
		for _, x := range all {
			if !x.CreatedAt.IsZero() && x.Status != resource.SnapshotDeleting && x.Status != resource.SnapshotFailed {
				chosen = append(chosen, x)
			}
		}
		return chosen, err
	}
	for _, name := range args {
		x, err := named(ctx, stores, name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, x)
	}
	return chosen, nil
}
