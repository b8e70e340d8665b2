// Package cli is the command line. Tables are for people; --output json is for programs.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// session is what every command works with.
type session struct {
	version  string
	in       io.Reader
	out, err io.Writer
	output   string // table or json
	file     string // configuration file
}

// Main runs one command line and returns the exit code: 0, 1 for a failure, 2 for a command line that makes no sense, 130 for one
// that was interrupted; an exitError has its own.
func Main(version string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // whoever does not want to wait for an orderly end signals again
	s := &session{version: version, in: stdin, out: stdout, err: stderr}
	root := s.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var exit exitError
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "keyframe: %s\n", visible(strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted"), true))
		return 130
	case errors.As(err, &exit):
		if exit.error != nil {
			fmt.Fprintf(stderr, "keyframe: %s\n", visible(exit.Error(), true))
		}
		return exit.code
	}
	fmt.Fprintf(stderr, "keyframe: %s\n", visible(err.Error(), true))
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

// exitError ends the program with a code of its own, silently if there is no error in it.
type exitError struct {
	error
	code int
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
	root.AddCommand(s.serve(), s.versionCommand(), s.demo(), s.key(), s.snapshot(), s.rdb(), s.cache())
	root.Version = s.version
	root.SetVersionTemplate("keyframe {{.Version}}\n")
	strict(root)
	return root
}

// strict makes wrong arguments a usage error of every command. A command that only groups others shows its help when it
// stands alone, and knows no other word.
func strict(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		check = cobra.NoArgs
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
		}
		return nil
	}
	if cmd.RunE == nil {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

func (s *session) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return s.print(map[string]string{"version": s.version}, func(t *table) { t.line("keyframe " + s.version) })
		},
	}
}
