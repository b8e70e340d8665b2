package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/app"
)

func (s *session) serve() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve the ElastiCache, MemoryDB, S3 and STS APIs", Args: cobra.NoArgs,
		Long: `Serve the ElastiCache, MemoryDB, S3 and STS APIs on one port.

The first start writes DIR/credentials; then any AWS client works:

  export AWS_SHARED_CREDENTIALS_FILE=DIR/credentials AWS_ENDPOINT_URL=http://127.0.0.1:7411
  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1

Engines outlive the server: they go on running when it stops, and are adopted when it starts again.
Every setting can also stand in a YAML file (--config) or in the environment as KEYFRAME_*.`,
	}
	settings := s.settings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := settings()
		if err != nil {
			return err
		}
		a, err := app.New(cmd.Context(), c, app.NewLogger(c, s.err))
		if err != nil {
			return err
		}
		// Programs that start a server wait for this line: it says where it listens, also for --listen 127.0.0.1:0.
		fmt.Fprintf(s.out, "keyframe serves %s; credentials in %s\n", a.URL(), a.Accounts.Path())
		return a.Run(cmd.Context())
	}
	return cmd
}
