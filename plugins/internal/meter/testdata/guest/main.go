// Command guest is a Go guest for the tests of the rewriter.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"sort"
)

var word = regexp.MustCompile(`(?i)\b(hello|world|budget|deadline)\b`)

type segment struct {
	ID    string  `json:"id"`
	Text  string  `json:"text"`
	Start float64 `json:"start"`
	End   float64 `json:"end"`
}

// parse writes and reads n segments as JSON and counts words in them.
//
//go:wasmexport parse
func parse(n int32) int32 {
	segments := make([]segment, n)
	for i := range segments {
		segments[i] = segment{"s", "hello there the budget is due before the deadline", 1.5, 2.5}
	}
	text, err := json.Marshal(segments)
	if err != nil {
		return -1
	}
	var back []segment
	if err := json.Unmarshal(text, &back); err != nil {
		return -1
	}
	found := 0
	for _, s := range back {
		found += len(word.FindAllString(s.Text, -1))
	}
	return int32(found)
}

//go:wasmexport order
func order(n int32) int32 {
	x, seed := make([]int, n), uint32(1)
	for i := range x {
		seed = seed*1664525 + 1013904223
		x[i] = int(seed >> 8)
	}
	sort.Ints(x)
	return int32(x[0])
}

//go:wasmexport hash
func hash(n int32) int32 {
	sum, block := sha256.New(), make([]byte, 1<<16)
	for range n {
		sum.Write(block)
	}
	return int32(sum.Sum(nil)[0])
}

func main() {}
