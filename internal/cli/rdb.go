package cli

import "github.com/spf13/cobra"

func (s *session) rdb() *cobra.Command {
	cmd := &cobra.Command{Use: "rdb", Short: "Look inside RDB files, check, split and convert them"}
	files := together(s.fileOpener())
	cmd.AddCommand(s.rdbCheck(),
		s.inspectCommand(&cobra.Command{Use: "inspect FILE...", Args: cobra.MinimumNArgs(1)}, files),
		s.keysCommand(&cobra.Command{Use: "keys FILE...", Args: cobra.MinimumNArgs(1)}, files),
		s.getCommand(&cobra.Command{Use: "get FILE... KEY", Args: cobra.MinimumNArgs(2)}, files),
		s.diffCommand(&cobra.Command{Use: "diff A B", Short: "Compare the keys of RDB files",
			Long: diffLong + "\n\nA side is a file, several joined by commas, or a directory, which stands for its *.rdb files."}, s.fileOpener()),
		s.restoreKeysCommand(&cobra.Command{Use: "restore-keys FILE...", Args: cobra.MinimumNArgs(1)}, files),
		s.rdbSplit(), s.rdbConvert())
	return cmd
}
