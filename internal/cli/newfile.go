package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newFile is a file that appears under its name complete and durable, or not at all.
type newFile struct {
	*os.File
	path  string
	force bool
}

// createFile begins a file for its owner alone. One that is there already is not touched, unless force says that it may be
// replaced, and then not before the new one is complete.
func createFile(path string, force bool) (*newFile, error) {
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a directory", path)
	case err == nil && !force:
		return nil, fmt.Errorf("%s exists: --force replaces it", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part") // mode 0600
	if err != nil {
		return nil, err
	}
	return &newFile{File: f, path: path, force: force}, nil
}

// commit makes the file durable and gives it its name.
func (f *newFile) commit() error {
	err := f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && f.force {
		err = os.Rename(f.Name(), f.path)
	} else if err == nil { // unlike a rename, a link does not replace what came meanwhile
		if err = os.Link(f.Name(), f.path); err == nil {
			err = os.Remove(f.Name())
		}
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// abandon removes what was written. After a commit it does nothing.
func (f *newFile) abandon() {
	if f.Close() == nil {
		os.Remove(f.Name())
	}
}
