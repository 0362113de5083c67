//go:build unix

package certificates

import (
	"io/fs"
	"syscall"
)

// inode tells a file from one that was renamed over it.
func inode(info fs.FileInfo) any {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return nil
}
