package plugins

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// image is an initialised instance's state, so far as it can be given to
// another instance: all of it, but for modules that say otherwise
// (Module.Reinitialised). Instances map its memory and share it until they
// write.
type image struct {
	memory  []byte // not to be written to
	globals []uint64
	slept   time.Duration // by the guest's clock, while it initialised

	owned bool // by one instance, and closed with it

	file *imageFile // holds memory where instances can map it; nil elsewhere
}

// newImage returns an image with a copy of memory, which instances map unless
// they have to copy it.
func newImage(memory []byte, globals []uint64, slept time.Duration, copied bool) *image {
	img := &image{globals: globals, slept: slept}
	if !copied {
		img.file = newImageFile(memory)
	}
	if img.file != nil {
		img.memory = img.file.memory
	} else {
		img.memory = bytes.Clone(memory)
	}
	return img
}

// mapOver puts the image's pages copy-on-write over the beginning of b, which
// is a whole mapping. It reports whether it did.
func (i *image) mapOver(b []byte) bool {
	return i.file != nil && i.file.mapOver(b)
}

// same reports whether two images are of the same state.
func (i *image) same(o *image) bool {
	return i.slept == o.slept && slices.Equal(i.globals, o.globals) && bytes.Equal(i.memory, o.memory)
}

// close gives the image back. Instances that map it keep their pages.
func (i *image) close() {
	if i.file != nil {
		i.file.close()
		i.file, i.memory = nil, nil
	}
}

// difference is what an instance's memory and globals have that its image has
// not: an instance put away.
type difference struct {
	size    int      // bytes of memory
	at      []uint32 // where the pages begin that differ, in rising order
	pages   []byte   // their contents, in one piece
	globals []uint64
}

// bytes returns what it takes to keep.
func (d *difference) bytes() int64 {
	const itself = 96 // the struct
	return int64(itself + 4*cap(d.at) + cap(d.pages) + 8*cap(d.globals))
}

// difference returns what the instance has that its image has not.
func (in *instance) difference() *difference {
	d := &difference{size: len(in.mem.bytes), globals: in.values()}
	img := in.mem.image.memory
	differs := func(at int) bool {
		page := in.mem.bytes[at : at+systemPage]
		if at < len(img) {
			return !bytes.Equal(page, img[at:at+systemPage])
		}
		return !bytes.Equal(page, zeroes[:])
	}
	written := in.mem.written()
	if written == nil {
		for at := 0; at < len(in.mem.bytes); at += systemPage {
			written = append(written, at)
		}
	}
	n := 0
	for _, at := range written {
		if differs(at) {
			written[n] = at
			n++
		}
	}
	d.at, d.pages = make([]uint32, n), make([]byte, 0, n*systemPage)
	for i, at := range written[:n] {
		d.at[i] = uint32(at)
		d.pages = append(d.pages, in.mem.bytes[at:at+systemPage]...)
	}
	return d
}

var zeroes [systemPage]byte

// apply gives the difference to an instance that is as the image.
func (in *instance) apply(d *difference) error {
	if d.size > 0 && !in.mem.resize(in.guest.Memory(), d.size) {
		return fmt.Errorf("%s of memory can't be made %s", formatBytes(in.mem.size()), formatBytes(int64(d.size)))
	}
	for i, at := range d.at {
		copy(in.mem.bytes[at:], d.pages[i*systemPage:(i+1)*systemPage])
	}
	for i, g := range in.globals {
		g.Set(d.globals[i])
	}
	return nil
}
