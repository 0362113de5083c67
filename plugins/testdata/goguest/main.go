// Goguest is a guest in plain Go, to see that what its toolchain makes runs:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared
package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"sort"
	"sync"
	"time"
)

type segment struct {
	Text  string  `json:"text"`
	Start float64 `json:"start"`
}

var (
	words  = regexp.MustCompile(`(?i)\b(budget|deadline)\b`)
	calls  int32
	kept   = map[string]int{}
	ballot [][]byte
)

// handle does what a small app does: JSON in and out, and a regular expression.
//
//go:wasmexport handle
func handle(n int32) int32 {
	var segments []segment
	for i := range n {
		segments = append(segments, segment{"the budget is due before the deadline", float64(i)})
	}
	b, err := json.Marshal(segments)
	if err != nil {
		return -1
	}
	var back []segment
	if err := json.Unmarshal(b, &back); err != nil {
		return -2
	}
	found := int32(0)
	for _, s := range back {
		found += int32(len(words.FindAllString(s.Text, -1)))
	}
	return found
}

//go:wasmexport count
func count() int32 {
	calls++
	kept[fmt.Sprint(calls)]++
	return calls + int32(len(kept)-1)
}

//go:wasmexport say
func say() {
	fmt.Println("to stdout")
	fmt.Fprintln(os.Stderr, "to stderr")
}

//go:wasmexport fail
func fail() {
	var m map[string]int
	m["no map"]++
}

// nested panics below the given number of calls of descend.
//
//go:wasmexport nested
func nested(calls int32) {
	fmt.Println("going down")
	descend(calls)
}

//go:noinline
func descend(calls int32) int32 {
	if calls == 0 {
		panic("at the bottom")
	}
	return descend(calls-1) + 1
}

//go:wasmexport quit
func quit(code int32) { os.Exit(int(code)) }

//go:wasmexport nap
func nap(ms int32) int64 {
	start := time.Now()
	time.Sleep(time.Duration(ms) * time.Millisecond)
	return int64(time.Since(start))
}

// workers adds up 1 to n in goroutines, with a channel, a select and a timer.
//
//go:wasmexport workers
func workers(n int32) int32 {
	sums := make(chan int32)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { sums <- i + 1 })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	total := int32(0)
	for {
		select {
		case s := <-sums:
			total += s
		case <-done:
			return total
		case <-time.After(time.Second):
			return -1
		}
	}
}

//go:wasmexport alone
func alone() { select {} }

//go:wasmexport hoard
func hoard() {
	for {
		ballot = append(ballot, make([]byte, 1<<20))
	}
}

//go:wasmexport sorted
func sorted(n int32) int32 {
	x := make([]int, n)
	for i := range x {
		x[i] = (i * 7919) % len(x)
	}
	sort.Ints(x)
	return int32(x[0])
}

//go:wasmexport random
func random() int64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(b[:]))
}

// mixed makes something of all that its host tells it: clocks, random bytes,
// timers; and of what Go's own runtime takes from there: goroutines, maps,
// collections of garbage.
//
//go:wasmexport mixed
func mixed(n int32) int64 {
	sum := time.Now().UnixNano() ^ random()
	seen := map[string]int{}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			time.Sleep(time.Duration(uint64(random())%3) * time.Millisecond)
			ballot = append(ballot, make([]byte, 1+uint64(random())%100_000))
			seen[fmt.Sprint(i)] = len(ballot)
		})
	}
	wg.Wait()
	runtime.GC()
	for k, v := range seen {
		sum = sum*31 + int64(len(k)+v)
		fmt.Println(k, v, time.Now().Format(time.RFC3339Nano))
	}
	return sum
}

// late does what mixed does again and again.
//
//go:wasmexport late
func late() {
	for {
		mixed(2)
	}
}

//go:wasmexport files
func files() int32 {
	if _, err := os.ReadFile("/etc/passwd"); err == nil {
		return 1
	}
	if len(os.Environ()) > 0 || len(os.Args) > 1 {
		return 2
	}
	return 0
}

func main() {}
