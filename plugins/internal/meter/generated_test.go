package meter_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// generator makes functions of type () -> (i32) with four i32 locals, each
// twice: plain, and with a naive count before every instruction, which knows
// nothing of basic blocks.
type generator struct {
	choices        []byte // what to make; zeros at the end of it
	plain, counted []byte
	labels         []bool // whether a branch there carries the function's result
	left           int    // statements
}

func (g *generator) choose(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := int(g.choices[0]) % n
	g.choices = g.choices[1:]
	return c
}

// emit writes one instruction. Global 1 is the naive count.
func (g *generator) emit(price int, parts ...any) {
	b := cat(parts...)
	g.plain = append(g.plain, b...)
	if price > 0 {
		g.counted = append(g.counted, cat(0x23, 1, 0x42, sleb(price), 0x7c, 0x24, 1)...)
	}
	g.counted = append(g.counted, b...)
}

// sleb is a small positive number as a signed LEB128.
func sleb(v int) []byte {
	if v < 64 {
		return []byte{byte(v)}
	}
	return []byte{byte(v&0x7f) | 0x80, byte(v >> 7)}
}

// guard ends the run by a trap when global 0 has counted down.
func (g *generator) guard() {
	g.emit(1, 0x23, 0)
	g.emit(1, 0x45)
	g.emit(1, 0x04, 0x40)
	g.emit(1, 0x00)
	g.emit(0, 0x0b)
	g.emit(1, 0x23, 0)
	g.emit(1, 0x41, 1)
	g.emit(1, 0x6b)
	g.emit(1, 0x24, 0)
}

func (g *generator) get() { g.emit(1, 0x20, g.choose(3)) }

// inside makes statements within a label.
func (g *generator) inside() {
	g.labels = append(g.labels, false)
	g.statements()
	g.labels = g.labels[:len(g.labels)-1]
}

func (g *generator) statements() {
	for range 1 + g.choose(4) {
		if g.left--; g.left < 0 || len(g.labels) > 8 {
			return
		}
		g.statement()
	}
}

func (g *generator) statement() {
	switch g.choose(24) {
	case 0:
		g.emit(1, 0x01)
	case 1, 2:
		g.get()
		g.emit(1, 0x41, g.choose(60))
		g.emit(1, 0x6a)
		g.emit(1, 0x21, g.choose(3))
	case 3:
		g.emit(0, 0x02, 0x40)
		g.inside()
		g.emit(0, 0x0b)
	case 4, 5:
		g.emit(0, 0x03, 0x40)
		g.guard()
		g.inside()
		g.get()
		g.emit(1, 0x41, 7)
		g.emit(1, 0x71)
		g.emit(1, 0x0d, 0)
		g.emit(0, 0x0b)
	case 6:
		g.get()
		g.emit(1, 0x04, 0x40)
		g.inside()
		g.emit(0, 0x05)
		g.inside()
		g.emit(0, 0x0b)
	case 7:
		g.get()
		g.emit(1, 0x04, 0x40)
		g.inside()
		g.emit(0, 0x0b)
	case 8, 9, 10:
		to := g.choose(len(g.labels))
		withResult := g.labels[len(g.labels)-1-to]
		if withResult {
			g.get()
		}
		if g.choose(3) == 0 {
			g.emit(1, 0x0c, to)
			return
		}
		g.get()
		g.emit(1, 0x0d, to)
		if withResult {
			g.emit(1, 0x1a)
		}
	case 11:
		if n := len(g.labels) - 1; n > 0 {
			g.get()
			g.emit(1, 0x0e, 2, g.choose(n), g.choose(n), g.choose(n))
		}
	case 12:
		g.get()
		g.emit(1, 0x0f)
	case 13:
		g.emit(1, 0x10, g.choose(3))
		g.emit(1, 0x21, g.choose(3))
	case 14:
		g.get()
		g.emit(1, 0x41, 3)
		g.emit(1, 0x70) // rem_u: the last of 0, 1, 2 is not in the table
		g.emit(1, 0x11, 0, 0)
		g.emit(1, 0x21, g.choose(3))
	case 15:
		n := g.choose(60)
		g.get()
		g.emit(1, 0x41, 0xff, 0)
		g.emit(1, 0x71)
		g.get()
		g.emit(1, 0x41, n)
		g.emit(1+(n+15)/16, 0xfc, 11, 0)
	case 16:
		g.emit(0, 0x02, 0x7f)
		g.get()
		g.get()
		g.emit(1, 0x0d, 0)
		g.emit(0, 0x0b)
		g.emit(1, 0x21, g.choose(3))
	case 17:
		g.emit(1, 0x12, g.choose(3))
	case 18:
		g.get()
		g.emit(1, 0x41, 3)
		g.emit(1, 0x70)
		g.emit(1, 0x13, 0, 0)
	case 19, 20, 21:
		g.countedLoop()
	case 22, 23:
		g.dispatch()
	}
}

// dispatch makes a loop of the kind that Go makes of a function: jumps, ahead
// and back, set local 3 and take another turn, which begins with a br_table
// on it.
func (g *generator) dispatch() {
	const parts = 3
	g.setResume()
	g.emit(0, 0x03, 0x40)
	for range parts {
		g.emit(0, 0x02, 0x40)
	}
	g.emit(1, 0x20, 3)
	// As few targets as the value may name, or so many that jumps are rewritten.
	targets := []int{3, 17}[g.choose(2)]
	table := []any{0x0e, targets}
	for range targets + 1 {
		table = append(table, g.choose(parts))
	}
	g.emit(1, table...)
	outer := g.labels
	for open := parts - 1; open >= 0; open-- {
		g.emit(0, 0x0b)
		g.guard()
		g.labels = append(outer[:len(outer):len(outer)], make([]bool, open)...)
		g.inside()
		g.get()
		g.emit(1, 0x04, 0x40)
		g.setResume()
		g.emit(1, 0x0c, open+1)
		g.emit(0, 0x0b)
	}
	g.emit(0, 0x0b)
	g.labels = outer
}

func (g *generator) setResume() {
	g.emit(1, 0x41, g.choose(5))
	g.emit(1, 0x21, 3)
}

// countedLoop makes a loop that counts local 3 down and does not call, in a block
// that is branched to from within it.
func (g *generator) countedLoop() {
	g.emit(1, 0x41, 1+g.choose(30))
	g.emit(1, 0x21, 3)
	g.emit(0, 0x02, 0x40)
	g.emit(0, 0x03, 0x40)
	for range 1 + g.choose(4) {
		g.within()
	}
	g.countDown(0)
	g.emit(0, 0x0b)
	if g.choose(2) == 0 {
		g.add()
	}
	g.emit(0, 0x0b)
}

// countDown goes on with the loop at depth to until local 3 is zero.
func (g *generator) countDown(to int) {
	g.emit(1, 0x20, 3)
	g.emit(1, 0x41, 1)
	g.emit(1, 0x6b)
	g.emit(1, 0x22, 3)
	g.emit(1, 0x0d, to)
}

func (g *generator) add() {
	g.get()
	g.emit(1, 0x41, g.choose(60))
	g.emit(1, 0x6a)
	g.emit(1, 0x21, g.choose(3))
}

// within makes a part of a counted loop: the loop is at depth 0, the block
// around it at depth 1.
func (g *generator) within() {
	switch g.choose(10) {
	case 0:
		g.emit(0, 0x02, 0x40)
		g.get()
		g.emit(1, 0x0d, 0)
		g.add()
		g.emit(0, 0x0b)
	case 1, 2:
		g.get()
		g.emit(1, 0x41, 5)
		g.emit(1, 0x71)
		g.emit(1, 0x04, 0x40)
		g.add()
		if g.choose(2) == 0 {
			g.emit(0, 0x05)
			g.add()
			g.add()
		}
		g.emit(0, 0x0b)
	case 3: // out of the loop
		g.get()
		g.emit(1, 0x41, 3)
		g.emit(1, 0x71)
		g.emit(1, 0x45)
		g.emit(1, 0x0d, 1)
	case 4: // on with the next turn
		g.get()
		g.emit(1, 0x41, 1)
		g.emit(1, 0x71)
		g.emit(1, 0x04, 0x40)
		g.countDown(1)
		g.emit(1, 0x0c, 2)
		g.emit(0, 0x0b)
	case 5:
		g.emit(0, 0x02, 0x40)
		g.get()
		g.emit(1, 0x0e, 1, 0, g.choose(2)*2)
		g.emit(0, 0x0b)
	case 6: // over the end of an if
		g.get()
		g.emit(1, 0x04, 0x40)
		g.add()
		g.get()
		g.emit(1, 0x0d, 0)
		g.add()
		g.emit(0, 0x0b)
	case 7:
		g.get()
		g.emit(1, 0x41, 60)
		g.emit(1, 0x71)
		g.get()
		g.emit(1, 0x36, 2, 16)
	default:
		g.add()
	}
}

// generate makes a module of three functions from choices.
func generate(choices []byte) (plain, counted []byte) {
	g := generator{choices: choices, left: 150}
	var bodies, countedBodies [][]byte
	for range 3 {
		g.plain, g.counted = []byte{1, 4, 0x7f}, []byte{1, 4, 0x7f}
		g.labels = []bool{true}
		g.guard()
		g.statements()
		g.get()
		bodies, countedBodies = append(bodies, g.plain), append(countedBodies, g.counted)
	}
	build := func(bodies [][]byte) []byte {
		return module(section(1, 1, 0x60, 0, 1, 0x7f), section(3, 3, 0, 0, 0), section(4, 1, 0x70, 0, 3),
			section(5, 1, 0, 1),
			section(6, 2, 0x7f, 1, 0x41, 0xc0, 0, 0x0b, 0x7e, 1, 0x42, 0, 0x0b),
			section(7, 2, name("run"), 0, 0, name("count"), 3, 1),
			section(9, 1, 0, 0x41, 0, 0x0b, 2, 1, 2),
			codeSection(bodies...))
	}
	return build(bodies), build(countedBodies)
}

// outcomeOf says all that a run shows, in words.
func outcomeOf(mod api.Module, f api.Function) string {
	got, err := f.Call(context.Background())
	trap := ""
	if err != nil {
		trap = strings.SplitN(err.Error(), "\n", 2)[0]
	} else {
		got[0] = uint64(uint32(got[0]))
	}
	b, _ := mod.Memory().Read(0, 1024)
	return fmt.Sprintf("%v, trap %q, memory %x", got, trap, b)
}

// longestStretch is above what a generated function can use between two checks.
const longestStretch = 5000

func checkGenerated(t *testing.T, choices []byte, config func() wazero.RuntimeConfig) (used int64, trapped bool) {
	t.Helper()
	plain, counted := generate(choices)
	instance := func(wasm []byte) api.Module {
		mod, err := newRuntime(t, config()).InstantiateWithConfig(context.Background(), wasm, wazero.NewModuleConfig())
		if err != nil {
			t.Fatalf("%v\n%x", err, wasm)
		}
		return mod
	}
	mod := instance(plain)
	want := outcomeOf(mod, mod.ExportedFunction("run"))
	mod = instance(counted)
	if got := outcomeOf(mod, mod.ExportedFunction("run")); got != want {
		t.Fatalf("the test's own count changes the outcome: %s, plain %s", got, want)
	}
	count := int64(mod.ExportedGlobal("count").Get())
	for _, slice := range []int64{3, 1000} {
		m := start(t, config(), plain, meter.Options{}, &tank{slice: slice, limit: math.MaxInt64})
		if got := outcomeOf(m.mod, m.mod.ExportedFunction("run")); got != want {
			t.Fatalf("got %s\nplain %s\n%x", got, want, plain)
		}
		used := m.tank.used(m.mod)
		if strings.Contains(want, "invalid table access") {
			// What was used since the last refuelling is lost.
			if used > count || used < count-slice-longestStretch {
				t.Fatalf("slice %d: used %d, counted %d\n%s\n%x", slice, used, count, want, plain)
			}
			continue
		}
		if used != count {
			t.Fatalf("slice %d: used %d, counted %d\n%s\n%x", slice, used, count, want, plain)
		}
	}
	return count, strings.Contains(want, "wasm error")
}

// TestGeneratedModules compares outcome and fuel of generated modules with the
// plain ones' outcome and a naive count. Their only traps are of the kinds
// that leave an exact figure.
func TestGeneratedModules(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	n := 400
	if testing.Short() {
		n = 50
	}
	traps, long := 0, 0
	for i := range n {
		config := interpreter
		if i%4 == 0 {
			config = compiler
		}
		choices := make([]byte, 1000)
		random.Read(choices)
		used, trapped := checkGenerated(t, choices, config)
		if trapped {
			traps++
		}
		if used > 200 {
			long++
		}
	}
	if traps < n/20 || traps > n*19/20 || long < n/10 {
		t.Errorf("of %d modules %d trap and %d run for long: the generator is lopsided", n, traps, long)
	}
}

func FuzzGenerated(f *testing.F) {
	for i := range 20 {
		choices := make([]byte, 200)
		rand.NewChaCha8([32]byte{byte(i)}).Read(choices)
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) < 5000 {
			checkGenerated(t, choices, interpreter)
		}
	})
}
