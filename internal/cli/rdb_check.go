package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
)

// checked is what rdb check says about one file.
type checked struct {
	File     string
	Good     bool
	Reason   string       `json:",omitempty"`
	Format   string       `json:",omitempty"` // such as "REDIS 11"
	Writer   string       `json:",omitempty"` // such as "valkey 8.0.1"
	Keys     int64        `json:",omitempty"`
	Expiring int64        `json:",omitempty"`
	Bytes    int64        `json:",omitempty"`
	Checksum rdb.Checksum `json:",omitempty"`
	Seconds  float64
}

func (s *session) rdbCheck() *cobra.Command {
	cmd := &cobra.Command{Use: "check FILE...", Args: cobra.MinimumNArgs(1), Short: "Read RDB files from end to end and check every byte",
		Long: "Read RDB files from end to end: every record, every packed value inside, and the checksum.\nThe exit code is 1 when one of them is damaged or cannot be read."}
	quick := cmd.Flags().Bool("quick", false, "check records and the checksum, not the inside of packed values")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		results, bad := []checked{}, 0
		err := s.fileOpener()(cmd.Context(), args, func(all []*records) error {
			for _, r := range all {
				for _, st := range r.streams {
					m := s.meter("check "+st.name, &records{streams: []*stream{st}})
					start := time.Now()
					c, err := checkStream(cmd.Context(), st, m.step, rdb.Options{Deep: !*quick})
					m.bar.end()
					if cmd.Context().Err() != nil {
						return cmd.Context().Err()
					}
					if c.Good = err == nil; err != nil {
						c.Reason, bad = err.Error(), bad+1
					}
					c.File, c.Seconds = st.name, time.Since(start).Round(time.Millisecond).Seconds()
					results = append(results, c)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = s.print(results, func(t *table) {
			t.row("FILE", "RESULT", "FORMAT", "WRITER", "KEYS", "EXPIRING", "SIZE", "CHECKSUM", "SECONDS")
			for _, c := range results {
				result := "good"
				if !c.Good {
					result = "BAD"
				}
				t.row(c.File, result, orDash(c.Format), orDash(c.Writer), strconv.FormatInt(c.Keys, 10), strconv.FormatInt(c.Expiring, 10), bytes(c.Bytes),
					orDash(string(c.Checksum)), strconv.FormatFloat(c.Seconds, 'f', 2, 64))
				if c.Reason != "" {
					t.line("  " + c.Reason)
				}
			}
		})
		if err == nil && bad > 0 {
			err = errors.New(strconv.Itoa(bad) + " of " + strconv.Itoa(len(results)) + " files are bad")
		}
		return err
	}
	return cmd
}

func checkStream(ctx context.Context, st *stream, step func(int), o rdb.Options) (c checked, err error) {
	if st.kind == snapstore.Memcached {
		sum, err := st.items(ctx, step, func(*itemfile.Item) error { return nil })
		if err == nil {
			c = checked{Format: "items", Writer: "memcached " + sum.Engine, Keys: sum.Items, Expiring: sum.Expiring, Bytes: sum.Bytes, Checksum: rdb.ChecksumVerified}
		}
		return c, err
	}
	sum, err := st.scan(ctx, step, o)
	if err == nil {
		c = checked{Format: fmt.Sprintf("%s %d", sum.Family, sum.Version), Writer: writer(sum), Keys: sum.Keys, Expiring: sum.Expiring, Bytes: sum.Bytes, Checksum: sum.Checksum}
	}
	return c, err
}

// writer names the program that wrote a file, if the file says so.
func writer(sum *rdb.Summary) string {
	if sum.Aux.Engine == "" {
		return ""
	}
	return sum.Aux.Engine + " " + sum.Aux.EngineVersion
}
