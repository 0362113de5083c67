// Package golang has the kernels in Go. The guest beside it exports them to
// WebAssembly hosts; compiled natively, the same source is what they are
// compared with.
package golang

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"
)

const sumStart = 2166136261 // what a checksum starts from

// next is the generator that all kernels take their input from (Numerical
// Recipes' ranqd1).
func next(state *uint32) uint32 {
	*state = *state*1664525 + 1013904223
	return *state
}

// mix folds a word into a checksum (FNV-1a, by words).
func mix(sum, word uint32) uint32 { return (sum ^ word) * 16777619 }

var topics = regexp.MustCompile(`(?i)\b(hello|world|budget|deadline)\b`)

type segment struct {
	ID    string  `json:"id"`
	Text  string  `json:"text"`
	Start float64 `json:"start"`
	End   float64 `json:"end"`
}

// A segment of a transcript, and 1 KB of them, as a host would hand them over.
var (
	single       = transcript(1)
	transcript1K = transcript(10)
)

func transcript(n int) []byte {
	var segments []segment
	for i := range n {
		segments = append(segments, segment{
			ID: fmt.Sprint("s", i), Text: "hello there the budget is due before the deadline",
			Start: float64(i) * 1.5, End: float64(i)*1.5 + 1.25,
		})
	}
	b, err := json.Marshal(segments)
	if err != nil {
		panic(err)
	}
	return b
}

// Event is what a small app does with one event, n times: decode a segment of
// a transcript, look for words by a regular expression, encode what was found.
func Event(n uint32) uint32 { return handle(single, n) }

// Handle does that with 1 KB of segments.
func Handle(n uint32) uint32 { return handle(transcript1K, n) }

func handle(transcript []byte, n uint32) uint32 {
	sum := uint32(sumStart)
	for range n {
		var segments []segment
		if err := json.Unmarshal(transcript, &segments); err != nil {
			panic(err)
		}
		found := map[string]int{}
		for _, s := range segments {
			for _, w := range topics.FindAllString(s.Text, -1) {
				found[w]++
			}
		}
		b, err := json.Marshal(found) // in the order of the keys
		if err != nil {
			panic(err)
		}
		for _, c := range b {
			sum = mix(sum, uint32(c))
		}
	}
	return sum
}

// Sort sorts n integers.
func Sort(n uint32) uint32 {
	x := make([]int, n)
	s, sum := uint32(1), uint32(sumStart)
	for i := range x {
		x[i] = int(next(&s) >> 8)
	}
	sort.Ints(x)
	for _, v := range x {
		sum = mix(sum, uint32(v))
	}
	return sum
}

// SHA256 hashes n blocks of 64 KiB.
func SHA256(n uint32) uint32 {
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = byte(i)
	}
	h := sha256.New()
	for range n {
		h.Write(block)
	}
	return binary.LittleEndian.Uint32(h.Sum(nil))
}

// Maps counts the words of n lines in a map, and sorts them: allocation,
// strings, garbage.
func Maps(n uint32) uint32 {
	words := strings.Fields("the budget is due before the deadline and we should talk about it again next week")
	s, sum := uint32(1), uint32(sumStart)
	count := map[string]int{}
	for range n {
		var line []string
		for range 12 {
			line = append(line, words[next(&s)>>8%uint32(len(words))])
		}
		for w := range strings.FieldsSeq(strings.ToUpper(strings.Join(line, " "))) {
			count[fmt.Sprintf("%s/%d", w, len(line))]++
		}
	}
	keys := make([]string, 0, len(count))
	for k := range count {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		sum = mix(sum, uint32(len(k)*1000+count[k]))
	}
	return sum
}

// Channels hands n numbers through three goroutines: what Go's scheduler costs
// in WebAssembly, which can't switch stacks by itself.
func Channels(n uint32) uint32 {
	in, out := make(chan uint32), make(chan uint32)
	done := make(chan uint32)
	go func() { // ends when in is closed
		for x := range in {
			out <- x * x
		}
		close(out)
	}()
	go func() { // ends when out is closed
		sum := uint32(sumStart)
		for x := range out {
			sum = mix(sum, x)
		}
		done <- sum
	}()
	for i := range n {
		in <- i
	}
	close(in)
	return <-done
}
