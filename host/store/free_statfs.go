//go:build linux || darwin

package store

import "golang.org/x/sys/unix"

// freeBytes returns how much can still be written to the disk that holds dir,
// and whether that is known.
func freeBytes(dir string) (n int64, known bool, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false, err
	}
	return int64(st.Bavail) * int64(st.Bsize), true, nil
}
