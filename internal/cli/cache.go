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
	Kind                     resource.Kind
	Status, Reason           string
	Progress                 string `json:",omitempty"` // of the job that runs now
	Engine, Version, Running string // asked for, and the binary that runs
	Endpoint                 string
	CreatedAt                time.Time
	Nodes                    []listedNode
}

// listedNode is a line of cache ls --nodes.
type listedNode struct {
	Name, Shard, Role, Status string
	Slots                     string
	Endpoint                  string
}

func (s *session) cacheList() *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "List caches of all accounts and regions", Args: cobra.NoArgs}
	settings := s.settings(cmd, "data")
	nodes := cmd.Flags().Bool("nodes", false, "list the nodes of each cache too")
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
					d, err := tx.Deployment(cache)
					if err != nil {
						return err
					}
					l := describeCache(d)
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
			t.row("NAME", "KIND", "STATUS", "NODES", "ENGINE", "RUNS", "ENDPOINT", "REGION", "ACCOUNT", "CREATED")
			for _, l := range list {
				t.row(l.Name, string(l.Kind), withProgress(l.Status, l.Progress), strconv.Itoa(len(l.Nodes)), l.Engine+" "+l.Version, orDash(l.Running), orDash(l.Endpoint), l.Region, l.Account, moment(l.CreatedAt))
				if l.Reason != "" {
					t.line("  " + l.Reason)
				}
				if *nodes {
					for _, n := range l.Nodes {
						t.row("  "+orDash(n.Name), n.Role, orDash(n.Status), "shard "+n.Shard, orDash(n.Slots), "", orDash(n.Endpoint))
					}
				}
			}
		})
	}
	return cmd
}

func describeCache(d *resource.Deployment) listedCache {
	l := listedCache{Name: d.Name, Account: d.Account, Region: d.Region, Kind: d.Kind, Status: string(d.Status), Reason: d.StatusReason,
		Engine: string(d.Engine), Version: d.EngineVersion(), Running: d.FullEngineVersion, Endpoint: address(d.Cache.Endpoint), CreatedAt: utc(d.CreatedAt)}
	for _, n := range d.Nodes {
		name, role := n.Name, "replica"
		switch {
		case d.Engine == resource.Memcached:
			name, role = n.Number, "node" // they share the name of their cluster
		case n.Primary:
			role = "primary"
		}
		l.Nodes = append(l.Nodes, listedNode{Name: name, Shard: n.Shard, Role: role, Status: string(n.Status),
			Slots: resource.FormatSlots(n.Slots), Endpoint: address(n.Endpoint())})
	}
	return l
}

// address is an endpoint as clients write it, empty when there is none.
func address(e resource.Endpoint) string {
	if e.Port == 0 {
		return ""
	}
	return net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
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
