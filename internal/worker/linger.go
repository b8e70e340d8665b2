package worker

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

const (
	quiet     = 2 * time.Second  // after which clients that said nothing to a node are taken to know that it serves nothing any more
	lingering = 10 * time.Second // at most
)

// linger waits until the clients of a cluster have learned that some nodes do not serve slots any more. Such a node sends whoever asks it to
// the right one, and most clients learn the whole layout anew from the first such answer; had it ended at once they would find nobody there,
// and nobody tells them to look anew. Clients that only read at replicas have nothing to learn. It changes nothing: a node that dies
// meanwhile, or a run that is repeated, does no harm.
func (w *Worker) linger(ctx context.Context, d *resource.Deployment, nodes []*resource.Node) error {
	if !d.Layout.ClusterMode || !w.anyClient(ctx, d) {
		return nil // nobody to tell, or no way to
	}
	for begun := time.Now(); time.Since(begun) < lingering; {
		asked := time.Since(begun) < quiet
		for _, n := range nodes {
			asked = asked || slices.ContainsFunc(w.clientsOf(ctx, n), func(c client) bool { return !c.reads && c.silent < quiet })
		}
		if !asked {
			return nil
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	w.Log.Info("clients still ask nodes that serve nothing any more", "cache", d.Name)
	return nil
}

// anyClient tells whether anybody but us is connected to a cache: its clients know all nodes, and are connected to those that they used.
func (w *Worker) anyClient(ctx context.Context, d *resource.Deployment) bool {
	return slices.ContainsFunc(d.Nodes, func(n *resource.Node) bool { return len(w.clientsOf(ctx, n)) > 0 })
}

// client is a connection of a client to a node.
type client struct {
	reads  bool          // it reads at a replica
	silent time.Duration // whole seconds
}

// clientsOf lists the connections of users to a node. One that does not answer has none.
func (w *Worker) clientsOf(ctx context.Context, n *resource.Node) []client {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if alive, err := w.Engines.Adopt(ctx, n.ID); err != nil || !alive {
		return nil
	}
	c, err := w.Engines.Admin(ctx, n.ID)
	if err != nil {
		return nil
	}
	defer c.Close()
	v, err := c.Do(ctx, "CLIENT", "LIST", "TYPE", "NORMAL")
	if err != nil {
		return nil
	}
	text, _ := v.Text()
	return parseClients(text)
}

// parseClients reads what CLIENT LIST says: a line for each connection, of name=value pairs.
func parseClients(text string) (all []client) {
	for line := range strings.Lines(text) {
		values := make(map[string]string)
		for pair := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(pair, "=")
			values[name] = value
		}
		if values["user"] == engine.AdminUser || values["user"] == "" {
			continue
		}
		idle, _ := strconv.ParseInt(values["idle"], 10, 64)
		all = append(all, client{reads: strings.Contains(values["flags"], "r"), silent: time.Duration(idle) * time.Second})
	}
	return all
}
