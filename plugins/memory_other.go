//go:build !linux

package plugins

// Other systems have neither files without a name to map copy-on-write nor a
// list of written pages: memories grow by copying, and are put back by copying
// the whole image.

func reserve(int64) ([]byte, func([]byte)) { return nil, nil }

func discard([]byte) bool { return false }

type imageFile struct{ memory []byte }

func newImageFile([]byte) *imageFile { return nil }

func (f *imageFile) mapOver([]byte) bool { return false }

func (f *imageFile) close() {}

type pages struct{}

func (p *pages) faults() int64 { return -1 }

func openPages() *pages { return nil }

func (p *pages) private([]byte, []int) ([]int, bool) { return nil, false }

func (p *pages) close() error { return nil }
