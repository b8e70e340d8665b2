package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// splitFile is what rdb split says about one file that it wrote.
type splitFile struct {
	File     string
	Slots    string
	Keys     int64
	Expiring int64
	Bytes    int64
}

const splitLong = `Divide the keys of RDB files among new files by their cluster slots: as many as wanted, from as many as there are, so that
--into 1 makes one file out of several. The files are named PREFIX-1.rdb and so on. None gets its name before all are complete.

Every key stays in its database. No key may be in two of the sources in the same database.`

func (s *session) rdbSplit() *cobra.Command {
	cmd := &cobra.Command{Use: "split FILE...", Short: "Divide RDB files by cluster slots, or merge them", Long: splitLong, Args: cobra.MinimumNArgs(1)}
	into := cmd.Flags().Int("into", 0, "number of files, each with an equal range of slots")
	ranges := cmd.Flags().StringArray("slots", nil, "slots of one file, such as 0-5460,16383; given once for each file")
	rest := cmd.Flags().Bool("drop-rest", false, "leave out keys whose slot is in no --slots")
	to := cmd.Flags().String("to", "", "what the names of the files begin with")
	version := cmd.Flags().Int("rdb-version", 0, "version to write, 9 to 12 or 80; 0: that of the newest source")
	modules := cmd.Flags().Bool("modules", false, "let data of modules pass")
	force := cmd.Flags().Bool("force", false, "replace files that exist")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sets, err := slotSets(*into, *ranges, *rest)
		if err == nil && *to == "" {
			err = errors.New("--to PREFIX says what the names of the files begin with")
		}
		if err != nil {
			return usageError{err}
		}
		return together(s.fileOpener())(cmd.Context(), args, func(all []*records) error {
			o := rdb.SplitOptions{Version: *version, Modules: *modules}
			written, err := s.split(cmd.Context(), all[0], o, sets, *to, *force)
			if err != nil {
				return err
			}
			return s.print(written, func(t *table) {
				t.row("FILE", "SLOTS", "KEYS", "EXPIRING", "SIZE")
				for _, w := range written {
					t.row(w.File, w.Slots, strconv.FormatInt(w.Keys, 10), strconv.FormatInt(w.Expiring, 10), bytes(w.Bytes))
				}
			})
		})
	}
	return cmd
}

// slotsOf is what one file shall have.
type slotsOf struct {
	text string
	set  rdb.SlotSet
	drop bool // it is nobody's
}

func slotSets(into int, ranges []string, dropRest bool) (all []slotsOf, err error) {
	if (into == 0) == (len(ranges) == 0) {
		return nil, errors.New("give either --into N or --slots RANGES")
	}
	if into != 0 {
		if into < 1 || into > rdb.Slots {
			return nil, fmt.Errorf("--into %d: 1 to %d files can be written", into, rdb.Slots)
		}
		for i := range into {
			ranges = append(ranges, fmt.Sprintf("%d-%d", i*rdb.Slots/into, (i+1)*rdb.Slots/into-1))
		}
	}
	var taken rdb.SlotSet
	for _, text := range ranges {
		parsed, err := resource.ParseSlots(text)
		if err != nil {
			return nil, err
		}
		one := slotsOf{text: resource.FormatSlots(parsed)}
		for _, r := range parsed {
			one.set.Add(r.Start, r.End)
		}
		for slot := range rdb.Slots {
			if one.set.Has(slot) && taken.Has(slot) {
				return nil, fmt.Errorf("slot %d is named twice", slot)
			}
		}
		for i := range taken {
			taken[i] |= one.set[i]
		}
		all = append(all, one)
	}
	if left := rdb.Slots - taken.Len(); left > 0 && !dropRest {
		return nil, fmt.Errorf("%d slots are in no --slots: --drop-rest leaves their keys out", left)
	} else if left > 0 {
		one := slotsOf{drop: true}
		for i := range taken {
			one.set[i] = ^taken[i]
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *session) split(ctx context.Context, r *records, o rdb.SplitOptions, sets []slotsOf, prefix string, force bool) ([]splitFile, error) {
	if o.Version == 0 {
		var err error
		if o.Version, err = newestFormat(ctx, r); err != nil {
			return nil, err
		}
	}
	var files []*newFile
	var buffers []*bufio.Writer
	var outs []rdb.Output
	for i := range sets {
		var w io.Writer = io.Discard
		if !sets[i].drop {
			f, err := createFile(prefix+"-"+strconv.Itoa(i+1)+".rdb", force)
			if err != nil {
				return nil, err
			}
			defer f.abandon()
			b := bufio.NewWriterSize(f, 64<<10)
			files, buffers, w = append(files, f), append(buffers, b), b
		}
		outs = append(outs, rdb.Output{W: w, Slots: sets[i].set})
	}
	splitter, err := rdb.NewSplitter(o, outs...)
	if err != nil {
		return nil, err
	}
	m := s.meter("split "+r.name, r)
	defer m.bar.end()
	for _, st := range r.streams {
		if _, err := st.scan(ctx, m.step, rdb.Options{Split: splitter}); err != nil {
			return nil, err
		}
	}
	written, err := splitter.Close()
	if err != nil {
		return nil, err
	}
	result := []splitFile{}
	for i, f := range files {
		if err := buffers[i].Flush(); err != nil {
			return nil, err
		}
		w := written[i]
		result = append(result, splitFile{File: f.path, Slots: sets[i].text, Keys: w.Keys, Expiring: w.Expiring, Bytes: w.Bytes})
	}
	return result, commitAll(files)
}

// commitAll makes all files durable before the first gets its name.
func commitAll(files []*newFile) error {
	for _, f := range files {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	for i, f := range files {
		if err := f.commit(); err != nil {
			if i > 0 {
				err = fmt.Errorf("%w; the %d files before it are complete", err, i)
			}
			return err
		}
	}
	return nil
}

// newestFormat is the highest version of the sources, whose headers it reads.
func newestFormat(ctx context.Context, r *records) (newest int, err error) {
	for _, st := range r.streams {
		if st.bytes < 0 {
			return 0, usageError{fmt.Errorf("%s can be read only once: give --rdb-version", st.name)}
		}
		in, err := st.open(ctx, nil)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", st.name, err)
		}
		_, version, err := format(bufio.NewReaderSize(in, 16))
		in.Close()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", st.name, err)
		}
		newest = max(newest, version)
	}
	return max(newest, 9), nil
}
