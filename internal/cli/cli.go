// Package cli is the command line. Tables are for people; --output json is for programs.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// session is what every command works with.
type session struct {
	version  string
	out, err io.Writer
	output   string // table or json
	file     string // configuration file
}

// Main runs one command line and returns the exit code: 0, 1 for a failure, 2 for a command line that makes no sense.
func Main(version string, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &session{version: version, out: stdout, err: stderr}
	root := s.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "keyframe: %v\n", err)
		var usage usageError
		if errors.As(err, &usage) {
			return 2
		}
		return 1
	}
	return 0
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (s *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "keyframe",
		Short:         "Valkey, Redis and Memcached caches behind the ElastiCache and MemoryDB APIs, with real snapshots",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if s.output != "table" && s.output != "json" {
				return usageError{fmt.Errorf("--output %q is neither table nor json", s.output)}
			}
			return nil
		},
	}
	root.PersistentFlags().StringVarP(&s.output, "output", "o", "table", "table or json")
	root.PersistentFlags().StringVar(&s.file, "config", os.Getenv("KEYFRAME_CONFIG"), "configuration file (YAML)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(s.serve(), s.versionCommand(), s.demo(), s.key(), s.snapshot(), s.cache())
	return root
}

func (s *session) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return s.print(map[string]string{"version": s.version}, func(t *table) { t.line("keyframe " + s.version) })
		},
	}
}
