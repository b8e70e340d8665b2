package cli

import "github.com/spf13/cobra"

func (s *session) rdb() *cobra.Command {
	cmd := &cobra.Command{Use: "rdb", Short: "Look inside RDB files, check, split and convert them"}
	cmd.AddCommand(s.rdbCheck())
	return cmd
}
