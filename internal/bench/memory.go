package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// memoryLimit is how many MiB a command may take at most, besides what a report itself holds.
const memoryLimit = 64

// memory runs the commands that read the RDB, each as a process of its own, and writes how much memory each had resident at most.
func (s *Stage) memory(ctx context.Context, w io.Writer, program string) error {
	fmt.Fprintf(w, "Memory, resident at most, of commands on that RDB of %d MB:\n\n| command | memory | promised |\n|---|---|---|\n", s.Size/1e6)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"rdb check --quick", []string{"rdb", "check", "--quick", s.RDB}},
		{"rdb check", []string{"rdb", "check", s.RDB}},
		{"rdb keys --count", []string{"rdb", "keys", "--count", s.RDB}},
		{"rdb inspect", []string{"rdb", "inspect", s.RDB}},
		{"rdb split --into 4", []string{"rdb", "split", s.RDB, "--into", "4", "--to", s.Temp("part")}},
		{"rdb convert --rdb-version 10", []string{"rdb", "convert", s.RDB, "--rdb-version", "10", "--to", s.Temp("converted.rdb")}},
	} {
		most, err := resident(ctx, program, c.args...)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| keyframe %s | %.0f MiB | less than %d MiB |\n", c.name, float64(most)/(1<<20), memoryLimit)
	}
	fmt.Fprintln(w)
	return nil
}

// resident runs a command and returns how many bytes it had resident at most.
func resident(ctx context.Context, program string, args ...string) (int64, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &out
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s %v: %w: %.300s", program, args, err, &out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, fmt.Errorf("%s %v: the system does not tell its memory", program, args)
	}
	return usage.Maxrss << 10, nil
}
