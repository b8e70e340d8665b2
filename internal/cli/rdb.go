package cli

import "github.com/spf13/cobra"

func (s *session) rdb() *cobra.Command {
	cmd := &cobra.Command{Use: "rdb", Short: "Look inside RDB files, check, split and convert them"}
	keys := &cobra.Command{Use: "keys FILE...", Args: cobra.MinimumNArgs(1)}
	cmd.AddCommand(s.rdbCheck(), s.keysCommand(keys, together(s.fileOpener())), s.rdbSplit(), s.rdbConvert())
	return cmd
}
