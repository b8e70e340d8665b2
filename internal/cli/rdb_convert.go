package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// converted is what rdb convert says.
type converted struct {
	File   string
	To     string
	From   string // such as "VALKEY 80"
	Format string // of the new file
	Keys   int64
	Bytes  int64
}

const convertLong = `Write RDB files anew so that an older engine, or one of the other family, reads them: under the version that the engine knows, and
with what is stored in a newer way, or that of the other family, stored in its own. It fails, and leaves nothing behind, when a file
holds something that the engine does not have at all.

One file goes to a file or to standard output, several to a directory, in which each keeps its name. None gets its name before all
are complete.

A file that the engine reads as it is gets copied, and checked on the way.`

func (s *session) rdbConvert() *cobra.Command {
	cmd := &cobra.Command{Use: "convert FILE...", Short: "Rewrite RDB files for an older engine", Long: convertLong, Args: cobra.MinimumNArgs(1)}
	target := cmd.Flags().String("for", "", "engine that shall read them, such as redis-7.0 or valkey-8.0")
	version := cmd.Flags().Int("rdb-version", 0, "version to write instead, 9 to 12, or 80 of Valkey")
	to := cmd.Flags().String("to", "", "file to write, or a directory that exists; without it, standard output")
	force := cmd.Flags().Bool("force", false, "replace files that exist")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		plan, err := conversion(*target, *version)
		if err != nil {
			return usageError{err}
		}
		if *to == "" && terminal(s.out) {
			return usageError{errors.New("an RDB file is not for a terminal: give --to FILE")}
		}
		return together(s.fileOpener())(cmd.Context(), args, func(all []*records) error {
			if *to == "" && len(all[0].streams) == 1 {
				_, err := s.convertAll(cmd.Context(), all[0], plan, nil)
				return err
			}
			paths, err := convertPaths(all[0].streams, *to)
			if err != nil {
				return err
			}
			var files []*newFile
			for _, path := range paths {
				f, err := createFile(path, *force)
				if err != nil {
					return err
				}
				defer f.abandon()
				files = append(files, f)
			}
			written, err := s.convertAll(cmd.Context(), all[0], plan, files)
			if err != nil {
				return err
			}
			var result any = written
			if len(paths) == 1 && paths[0] == *to {
				result = written[0]
			}
			return s.print(result, func(t *table) {
				t.row("FILE", "FROM", "FORMAT", "KEYS", "SIZE", "TO")
				for _, c := range written {
					t.row(c.File, c.From, c.Format, strconv.FormatInt(c.Keys, 10), bytes(c.Bytes), c.To)
				}
			})
		})
	}
	return cmd
}

// convertPaths says where each file goes: to the one file that is named, or under its own name into a directory.
func convertPaths(streams []*stream, to string) (paths []string, err error) {
	if info, err := os.Stat(to); err != nil || !info.IsDir() {
		if len(streams) > 1 {
			return nil, usageError{errors.New("several files go to --to DIR, a directory that exists, where each keeps its name; rdb split --into 1 makes one of several")}
		}
		return []string{to}, nil
	}
	sources := map[string]string{}
	for _, st := range streams {
		name := filepath.Base(st.name)
		switch same := sources[name]; {
		case st.name == standardInput:
			return nil, usageError{fmt.Errorf("%s has no name to keep in %s: give --to FILE", st.name, to)}
		case same != "":
			return nil, usageError{fmt.Errorf("%s and %s would both become %s", same, st.name, filepath.Join(to, name))}
		}
		sources[name] = st.name
		paths = append(paths, filepath.Join(to, name))
	}
	return paths, nil
}

// conversion tells, for the format of a file, which version to write; 0 is to leave the file as it is.
func conversion(target string, version int) (func(family string, version int) (int, error), error) {
	switch {
	case (target == "") == (version == 0):
		return nil, errors.New("give either --for ENGINE-VERSION or --rdb-version N")
	case version != 0:
		return func(family string, has int) (int, error) { return version, nil }, nil
	}
	name, v, err := engineVersion(target)
	if err != nil {
		return nil, err
	}
	return func(family string, has int) (int, error) {
		if engine.CanLoad(name, v, family, has) {
			return 0, nil
		}
		if engine.RDBOf(name, v).Family == rdb.FamilyValkey {
			return onlyValkey, nil
		}
		reads := 12
		for reads > 0 && !engine.CanLoad(name, v, rdb.FamilyRedis, reads) {
			reads--
		}
		if reads < 9 {
			return 0, fmt.Errorf("%s reads RDB version %d at most: versions from 9 can be written", target, reads)
		}
		return reads, nil
	}, nil
}

// engineVersion reads an engine with its version, such as redis-7.0.
func engineVersion(s string) (resource.Engine, engine.Version, error) {
	name, number, ok := strings.Cut(s, "-")
	e := resource.Engine(name)
	if !ok || e != resource.Redis && e != resource.Valkey {
		return "", engine.Version{}, fmt.Errorf("%q is not an engine with its version, such as redis-7.0 or valkey-8.0", s)
	}
	v, err := engine.ParseVersion(number)
	return e, v, err
}

// convertAll converts one stream after the other, each to the file of its place, or a single one to standard output.
func (s *session) convertAll(ctx context.Context, r *records, plan func(string, int) (int, error), files []*newFile) (written []*converted, err error) {
	m := s.meter("convert "+r.name, r)
	defer m.bar.end()
	for i, st := range r.streams {
		var w io.Writer = s.out
		if files != nil {
			w = files[i]
		}
		c, err := convert(ctx, st, m, plan, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", st.name, err)
		}
		if files != nil {
			c.To = files[i].path
		}
		written = append(written, c)
	}
	return written, commitAll(files)
}

func convert(ctx context.Context, st *stream, m *meter, plan func(string, int) (int, error), w io.Writer) (*converted, error) {
	in, err := st.open(ctx, m.step)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	buffered := bufio.NewReaderSize(in, 16)
	family, has, err := format(buffered)
	if err != nil {
		return nil, err
	}
	version, err := plan(family, has)
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriterSize(w, 256<<10)
	var sum *rdb.Summary
	switch version {
	case 0:
		sum, err = rdb.NewScanner(buffered, rdb.Options{Tee: out}).Scan()
	case onlyValkey:
		sum, err = forValkey(buffered, out)
	default:
		sum, err = rdb.Lower(buffered, out, version)
	}
	if err == nil {
		err = out.Flush()
	}
	if in.err != nil {
		err = in.err
	}
	if err != nil {
		return nil, err
	}
	return &converted{File: st.name, From: fmt.Sprintf("%s %d", family, has), Format: fmt.Sprintf("%s %d", sum.Family, sum.Version), Keys: sum.Keys, Bytes: sum.Bytes}, nil
}

// onlyValkey is the version from which on files have the magic of Valkey.
const onlyValkey = 80

// forValkey writes a file of any version anew as one of Valkey. What is told of the writer is left out.
func forValkey(r io.Reader, w io.Writer) (*rdb.Summary, error) {
	all := rdb.Output{W: w}
	all.Slots.Add(0, rdb.Slots-1)
	splitter, err := rdb.NewSplitter(rdb.SplitOptions{Version: onlyValkey, Modules: true}, all)
	if err != nil {
		return nil, err
	}
	sum, err := rdb.NewScanner(r, rdb.Options{Split: splitter}).Scan()
	if err != nil {
		return nil, err
	}
	written, err := splitter.Close()
	if err != nil {
		return nil, err
	}
	sum.Family, sum.Version, sum.Bytes = rdb.FamilyValkey, onlyValkey, written[0].Bytes
	return sum, nil
}

// format reads the family and version in the header of a file, without reading it away.
func format(r *bufio.Reader) (family string, version int, err error) {
	head, err := r.Peek(9)
	if err != nil && len(head) == 0 {
		return "", 0, err
	}
	for _, f := range []string{rdb.FamilyRedis, rdb.FamilyValkey} {
		if digits, ok := strings.CutPrefix(string(head), f); ok {
			if version, err = strconv.Atoi(digits); err == nil {
				return f, version, nil
			}
		}
	}
	return "", 0, fmt.Errorf("offset 0: %q is not the start of an RDB file", head)
}
