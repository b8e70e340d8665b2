package buckets

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback lets the disk begin on bytes that the final sync would have to wait for. It is a hint and cannot fail.
func startWriteback(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
