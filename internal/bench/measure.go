package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Measure is something that Keyframe does beside what it is compared with. Both work on the stage's data, so bytes per second
// compare too.
type Measure struct {
	Name       string
	AnchorName string
	Anchor     func(context.Context) error
	Ours       func(context.Context) error
	Limit      float64 // the ratio that we promise, 0 is no promise
	Close      bool    // the two are so close that it takes three times the runs to tell them apart

	After func(context.Context) error // tidies up after both sides of a run, not measured; may be nil
}

// Row is a measure with its results.
type Row struct {
	Measure
	AnchorTime, OurTime Times // wall
	AnchorCPU, OurCPU   Times // of this process, the programs it ran and the server, without the engine: it means something on a busy machine too
	Size                int64 // bytes of RDB that one run works on
}

// Ratio is our median over the anchor's: below 1 we are faster.
func (r Row) Ratio() float64 { return r.OurTime.Median().Seconds() / r.AnchorTime.Median().Seconds() }

// Times are of the runs of one thing.
type Times []time.Duration

// Median is the middle one, of an even number the lower of the two.
func (t Times) Median() time.Duration {
	s := slices.Sorted(slices.Values(t))
	return s[(len(s)-1)/2]
}

func (t Times) String() string {
	return fmt.Sprintf("%.2f s (%.2f-%.2f)", t.Median().Seconds(), slices.Min(t).Seconds(), slices.Max(t).Seconds())
}

// Compare runs both sides in turn, so that what else the machine does meets both.
func (s *Stage) Compare(ctx context.Context, m Measure) (Row, error) {
	row := Row{Measure: m, Size: s.Size}
	runs := s.Runs
	if m.Close {
		runs *= 3
	}
	for range runs {
		for _, side := range []struct {
			name  string
			f     func(context.Context) error
			times *Times
			cpu   *Times
		}{{m.AnchorName, m.Anchor, &row.AnchorTime, &row.AnchorCPU}, {m.Name, m.Ours, &row.OurTime, &row.OurCPU}} {
			start, before := time.Now(), s.cpu()
			if err := side.f(ctx); err != nil {
				return row, fmt.Errorf("%s: %w", side.name, err)
			}
			took, used := time.Since(start), s.cpu()-before
			*side.times = append(*side.times, took)
			*side.cpu = append(*side.cpu, used)
			fmt.Fprintf(s.Log, "%s: %.2f s, CPU %.2f s\n", side.name, took.Seconds(), used.Seconds())
		}
		if m.After != nil {
			if err := m.After(ctx); err != nil {
				return row, fmt.Errorf("after %s: %w", m.Name, err)
			}
		}
	}
	return row, nil
}

// cpu is what this process, its ended children and the server have used so far.
func (s *Stage) cpu() time.Duration {
	sum := s.serverCPU()
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if syscall.Getrusage(who, &r) == nil {
			sum += time.Duration(r.Utime.Nano() + r.Stime.Nano())
		}
	}
	return sum
}

// Table writes the rows as Markdown.
func Table(w io.Writer, rows []Row) error {
	var b strings.Builder
	b.WriteString("| what | Keyframe | MB/s | CPU | compared with | its time | its CPU | ratio | promised |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		promised := "-"
		if r.Limit > 0 {
			promised = fmt.Sprintf("at most %.2f", r.Limit)
		}
		fmt.Fprintf(&b, "| %s | %v | %.0f | %.2f s | %s | %v | %.2f s | %.2f | %s |\n", r.Name, r.OurTime, float64(r.Size)/1e6/r.OurTime.Median().Seconds(),
			r.OurCPU.Median().Seconds(), r.AnchorName, r.AnchorTime, r.AnchorCPU.Median().Seconds(), r.Ratio(), promised)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// serverCPU is what the server process has used so far; nothing when there is none.
func (s *Stage) serverCPU() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.serverPID))
	if err != nil {
		return 0
	}
	// Behind the program's name, in parentheses: user and system time are the 12th and 13th fields, in hundredths of a second.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)   //nolint:errcheck // the kernel writes numbers
	system, _ := strconv.ParseInt(fields[12], 10, 64) //nolint:errcheck // likewise
	return time.Duration(user+system) * 10 * time.Millisecond
}
