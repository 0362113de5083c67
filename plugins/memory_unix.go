//go:build unix

package plugins

import "golang.org/x/sys/unix"

// reserve maps n bytes of zeroes, which take no memory until they are
// touched. It returns nil where the system refuses; the memory then grows by
// copying.
func reserve(n int64) ([]byte, func([]byte)) {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil
	}
	return b, func(b []byte) {
		if err := unix.Munmap(b); err != nil {
			// Only a slice that is no mapping of ours gets here.
			panic("plugins: unmapping a guest's memory: " + err.Error())
		}
	}
}
