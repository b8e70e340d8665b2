package cli

import (
	"bufio"
	stdbytes "bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/snapstore"
)

// fileOpener opens RDB files. An argument is a file, several joined by commas (the shards of one cache), a directory, which
// stands for its *.rdb files, or "-" for standard input.
func (s *session) fileOpener() opener {
	return func(_ context.Context, args []string, use func([]*records) error) error {
		var all []*records
		for _, arg := range args {
			r := &records{name: arg}
			paths, err := filesOf(arg)
			if err != nil {
				return err
			}
			for _, path := range paths {
				st, err := s.fileStream(path)
				if err != nil {
					return err
				}
				r.streams = append(r.streams, st)
			}
			all = append(all, r)
		}
		return use(all)
	}
}

// together opens all arguments as one set of records.
func together(open opener) opener {
	return func(ctx context.Context, args []string, use func([]*records) error) error {
		return open(ctx, args, func(all []*records) error {
			one := &records{name: strings.Join(args, ", ")}
			if len(all) == 1 {
				one = all[0]
			} else {
				for _, r := range all {
					one.streams = append(one.streams, r.streams...)
				}
			}
			return use([]*records{one})
		})
	}
}

// filesOf is the paths that an argument stands for.
func filesOf(arg string) ([]string, error) {
	if arg == "-" {
		return []string{arg}, nil
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		found, err := filepath.Glob(filepath.Join(escapeGlob(arg), "*.rdb"))
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("%s is a directory, and holds no *.rdb file", arg)
		}
		slices.Sort(found)
		return found, err
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(arg, ","):
		return strings.Split(arg, ","), nil
	case err != nil:
		return nil, err
	}
	return []string{arg}, nil
}

// escapeGlob makes a path stand for itself in a pattern of filepath.Glob.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// standardInput is the name of what has none.
const standardInput = "standard input"

// fileStream is a file that will be opened. Its start is looked at then, so that what is no RDB is refused in its own words.
func (s *session) fileStream(path string) (*stream, error) {
	st := &stream{name: path, kind: snapstore.RDB, bytes: -1, keys: -1}
	if path == "-" {
		st.name = standardInput
		st.opened = func(ctx context.Context) (io.ReadCloser, error) {
			if s.in == nil {
				return nil, errors.New("there is none")
			}
			return recognized(interruptible(ctx, func() (io.ReadCloser, error) { return io.NopCloser(s.in), nil }))
		}
		return st, nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory", path)
	case info.Mode().IsRegular():
		st.bytes = info.Size()
		if st.kind, err = kindOfFile(path); err != nil {
			return nil, err
		}
	}
	st.opened = func(ctx context.Context) (io.ReadCloser, error) {
		open := func() (io.ReadCloser, error) { return os.Open(path) }
		if !info.Mode().IsRegular() { // such as a named pipe
			return recognized(interruptible(ctx, open))
		}
		f, err := open()
		if err != nil {
			return nil, err
		}
		return recognized(f)
	}
	return st, nil
}

// interruptible ends opening and reading with the context, also while they wait for somebody who writes nothing.
func interruptible(ctx context.Context, open func() (io.ReadCloser, error)) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		in, err := open()
		if err == nil {
			_, err = io.CopyBuffer(w, struct{ io.Reader }{in}, make([]byte, 256<<10))
			in.Close()
		}
		w.CloseWithError(err) //nolint:errcheck // never fails
	}()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) }) //nolint:errcheck // never fails
	return r
}

// itemsMagic is how a file of the items of a Memcached begins, whatever its version.
const itemsMagic = "KFITEMS"

func kindOfFile(path string) (snapstore.Stream, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, len(itemsMagic))
	if _, err := io.ReadFull(f, head); err == nil && string(head) == itemsMagic {
		return snapstore.Memcached, nil
	}
	return snapstore.RDB, nil // or nothing that is known; whoever opens it is told
}

// recognized is rc, once its start is seen not to be that of something else.
func recognized(rc io.ReadCloser) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(rc, headBytes) // which passes large reads through
	head, err := in.Peek(headBytes)
	if err == nil || errors.Is(err, io.EOF) {
		err = foreign(head)
	}
	if err != nil {
		rc.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{in, rc}, nil
}

const headBytes = 16

// foreign recognizes what people take for an RDB file. What it does not know is left to the scanner to judge.
func foreign(head []byte) error {
	is := func(magic string) bool { return stdbytes.HasPrefix(head, []byte(magic)) }
	switch {
	case len(head) == 0:
		return errors.New("the file is empty")
	case is("REDIS"), is("VALKEY"), is(itemsMagic):
		return nil
	case is("VCS"), is("VKCS"):
		return errors.New("offset 0: the RDB is in a compressed envelope (VCS), which is not read here; save it with rdbcompression yes or no")
	case is("*") && stdbytes.Contains(head, []byte("\r\n")), is("#TS:"):
		return errors.New("offset 0: this is an append-only file of commands, not an RDB; the base of one (*.base.rdb) can be read")
	case is("file "):
		return errors.New("offset 0: this is the manifest of an append-only file, not an RDB; the base that it names (*.base.rdb) can be read")
	case is("\x1f\x8b"):
		return errors.New("offset 0: this is compressed with gzip; gunzip -c FILE | keyframe rdb check -")
	case is("\x28\xb5\x2f\xfd"):
		return errors.New("offset 0: this is compressed with zstd; zstd -dc FILE | keyframe rdb check -")
	}
	return fmt.Errorf("offset 0: %q is not the start of an RDB file", head[:min(len(head), 9)])
}
