package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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

const convertLong = `Write an RDB file anew so that an older engine reads it: under the version that the engine knows, and with what is stored in a newer
way stored in the older one. It fails, and leaves nothing behind, when the file holds something that the engine does not have at all.

A file that the engine reads as it is gets copied, and checked on the way.`

func (s *session) rdbConvert() *cobra.Command {
	cmd := &cobra.Command{Use: "convert FILE", Short: "Rewrite an RDB file for an older engine", Long: convertLong, Args: cobra.ExactArgs(1)}
	target := cmd.Flags().String("for", "", "engine that shall read it, such as redis-7.0 or valkey-8.0")
	version := cmd.Flags().Int("rdb-version", 0, "version to write instead, 9 to 12")
	to := cmd.Flags().String("to", "", "file to write; without it, standard output")
	force := cmd.Flags().Bool("force", false, "replace a file that exists")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		plan, err := conversion(*target, *version)
		if err != nil {
			return usageError{err}
		}
		if *to == "" && terminal(s.out) {
			return usageError{errors.New("an RDB file is not for a terminal: give --to FILE")}
		}
		return s.fileOpener()(cmd.Context(), args, func(all []*records) error {
			if len(all[0].streams) != 1 {
				return usageError{errors.New("convert takes one file; rdb split --into 1 makes one of several")}
			}
			c, err := s.convert(cmd.Context(), all[0], plan, *to, *force)
			if err != nil || *to == "" {
				return err
			}
			return s.print(c, func(t *table) {
				t.row("FILE", "FROM", "FORMAT", "KEYS", "SIZE", "TO")
				t.row(c.File, c.From, c.Format, strconv.FormatInt(c.Keys, 10), bytes(c.Bytes), c.To)
			})
		})
	}
	return cmd
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

func (s *session) convert(ctx context.Context, r *records, plan func(string, int) (int, error), to string, force bool) (*converted, error) {
	st := r.streams[0]
	m := s.meter("convert "+st.name, r)
	defer m.bar.end()
	in, err := st.open(ctx, m.step)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.name, err)
	}
	defer in.Close()
	buffered := bufio.NewReaderSize(in, 16)
	family, has, err := format(buffered)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.name, err)
	}
	version, err := plan(family, has)
	if err != nil {
		return nil, err
	}
	var w io.Writer = s.out
	var f *newFile
	if to != "" {
		if f, err = createFile(to, force); err != nil {
			return nil, err
		}
		defer f.abandon()
		w = f
	}
	out := bufio.NewWriterSize(w, 256<<10)
	var sum *rdb.Summary
	if version == 0 {
		sum, err = rdb.NewScanner(buffered, rdb.Options{Tee: out}).Scan()
	} else {
		sum, err = rdb.Lower(buffered, out, version)
	}
	if err == nil {
		err = out.Flush()
	}
	if in.err != nil {
		err = in.err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.name, err)
	}
	c := &converted{File: st.name, To: to, From: fmt.Sprintf("%s %d", family, has), Format: fmt.Sprintf("%s %d", sum.Family, sum.Version), Keys: sum.Keys, Bytes: sum.Bytes}
	if f == nil {
		return c, nil
	}
	return c, f.commit()
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
