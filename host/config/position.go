package config

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// text is a configuration file's text, for the places in it.
type text struct {
	file   string // as the operator named it
	src    []byte
	starts []int // where each line begins
}

func newText(file string, src []byte) *text {
	t := &text{file: file, src: src, starts: []int{0}}
	for i := bytes.IndexByte(src, '\n'); i >= 0; {
		at := t.starts[len(t.starts)-1] + i + 1
		t.starts = append(t.starts, at)
		i = bytes.IndexByte(src[at:], '\n')
	}
	return t
}

// at returns the place of p. HCL counts columns as a reader does, except after
// bytes that are not UTF-8, where it can come out beyond the line's end: the
// column is then counted from the byte that p is.
func (t *text) at(p hcl.Pos) Pos {
	b := min(p.Byte, len(t.src))
	line := sort.SearchInts(t.starts, b+1)
	begin, end := t.starts[line-1], len(t.src)
	if line < len(t.starts) {
		end = t.starts[line] - 1
	}
	column := p.Column
	if column > end-begin+1 {
		column = utf8.RuneCount(t.src[begin:b]) + 1
	}
	return Pos{File: t.file, Line: line, Column: column}
}
