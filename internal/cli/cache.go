package cli

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/app"
	"github.com/keyframe/keyframe/internal/config"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

func (s *session) cache() *cobra.Command {
	cmd := &cobra.Command{Use: "cache", Short: "Look at caches"}
	cmd.AddCommand(s.cacheList())
	return cmd
}

// listedCache is a line of cache ls.
type listedCache struct {
	Name, Account, Region    string
	Status, Reason           string
	Progress                 string `json:",omitempty"` // of the job that runs now
	Engine, Version, Running string // asked for, and the binary that runs
	Endpoint                 string
	CreatedAt                time.Time
}

func (s *session) cacheList() *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "List caches of all accounts and regions", Args: cobra.NoArgs}
	settings := s.settings(cmd, "data")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := settings()
		if err != nil {
			return err
		}
		list := []listedCache{}
		err = withStores(cmd.Context(), c, func(stores *app.Stores) error {
			return stores.DB.View(cmd.Context(), func(tx *metastore.Tx) error {
				far, err := running(tx)
				if err != nil {
					return err
				}
				for cache, err := range tx.AllCaches() {
					if err != nil {
						return err
					}
					l := describeCache(cache)
					l.Progress = far[cache.ID]
					list = append(list, l)
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		return s.print(list, func(t *table) {
			t.row("NAME", "STATUS", "ENGINE", "RUNS", "ENDPOINT", "REGION", "ACCOUNT", "CREATED")
			for _, l := range list {
				t.row(l.Name, withProgress(l.Status, l.Progress), l.Engine+" "+l.Version, orDash(l.Running), orDash(l.Endpoint), l.Region, l.Account, moment(l.CreatedAt))
				if l.Reason != "" {
					t.line("  " + l.Reason)
				}
			}
		})
	}
	return cmd
}

func describeCache(c *resource.Cache) listedCache {
	l := listedCache{Name: c.Name, Account: c.Account, Region: c.Region, Status: string(c.Status), Reason: c.StatusReason,
		Engine: string(c.Engine), Version: c.MajorEngineVersion, Running: c.FullEngineVersion, CreatedAt: utc(c.CreatedAt)}
	if c.Endpoint.Port != 0 {
		l.Endpoint = net.JoinHostPort(c.Endpoint.Address, strconv.Itoa(c.Endpoint.Port))
	}
	return l
}

// withStores opens the stores of a data directory for looking; a server may be running on it.
func withStores(ctx context.Context, c config.Config, look func(*app.Stores) error) error {
	if _, err := os.Stat(c.Data); err != nil {
		return err // nothing is made by looking
	}
	stores, err := app.OpenStoresReadOnly(ctx, c)
	if err != nil {
		return err
	}
	defer stores.Close()
	return look(stores)
}
